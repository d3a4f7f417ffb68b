"""Speckle: the multiplicative noise of coherent imaging."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saropt.radiometry.units import apply_gain


def speckle_gain_db(shape: tuple[int, ...], looks: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fully developed speckle of `looks` looks as a gain in dB: 10 log10 of Gamma(L, 1/L) intensity, mean power 1.

    >>> gain = speckle_gain_db((200, 200), looks=4.0, rng=np.random.default_rng(0))
    >>> round(float((10.0 ** (gain / 10.0)).mean()), 2)
    1.0
    """
    intensity = rng.standard_gamma(looks, size=shape, dtype=np.float32) / np.float32(looks)
    return (10.0 * np.log10(np.maximum(intensity, 1e-6))).astype(np.float32)


def add_speckle(values: NDArray[np.float32], units: str, looks: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Values (any shape, SAR `units`) multiplied by independent speckle of `looks` looks.

    >>> values = np.full((200, 200), 0.1, np.float32)
    >>> round(float(add_speckle(values, "sigma0", 4.0, np.random.default_rng(0)).mean()), 2)
    0.1
    """
    return apply_gain(values, units, speckle_gain_db(values.shape, looks, rng))
