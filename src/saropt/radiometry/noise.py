"""Unit normal noise that is a function of seed, band and pixel position alone.

Samplers start from it: windows of any size and place then see the same noise at the same pixel, so that tiles agree
where they meet and a scene comes out the same however it is cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def position_noise(
    seed: int, bands: int, row: int, col: int, height: int, width: int, first_band: int = 0
) -> NDArray[np.float32]:
    """Independent unit normal numbers (bands, height, width) of the window at (row, col), also outside a frame.

    A counter-based generator: band, row and column are mixed into 64 bits by the finaliser of SplitMix64 (Steele, Lea &
    Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), integer arithmetic throughout; the upper 32
    bits go through the inverse of the normal distribution.

    Args:
        first_band: number of the first band.

    >>> whole = position_noise(7, bands=1, row=0, col=0, height=4, width=4)
    >>> bool((position_noise(7, bands=1, row=2, col=1, height=2, width=3) == whole[:, 2:, 1:]).all())
    True
    """
    state = _mixed(np.array([seed % 2**64], np.uint64))
    state = _mixed(state + np.arange(first_band, first_band + bands).astype(np.uint64))
    state = _mixed(state[:, None] + np.arange(row, row + height).astype(np.uint64))
    state = _mixed(state[:, :, None] + np.arange(col, col + width).astype(np.uint64))
    from scipy.special import ndtri

    return ndtri(((state >> np.uint64(32)) + 0.5) / 2**32).astype(np.float32)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x632BE59BD9B4E019)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
