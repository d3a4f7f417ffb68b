"""Dual-polarised SAR as a colour picture with fixed ranges, so that two scenes can be compared by eye."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

CO_RANGE: Final = (-20.0, 0.0)
CROSS_RANGE: Final = (-26.0, -5.0)
RATIO_RANGE: Final = (4.0, 16.0)
"""Decibels that become 1 and 255 in red (VV), green (VH) and blue (VV/VH)."""


def sar_composite(co: NDArray[np.floating], cross: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Red VV, green VH, blue VV/VH of backscatter in decibels; 0 is left for nodata.

    Each channel is linear in decibels over `CO_RANGE`, `CROSS_RANGE` and `RATIO_RANGE`, and clipped.

    Args:
        co: (h, w), VV or HH.
        cross: (h, w), VH or HV.

    Returns:
        (3, h, w).

    >>> sar_composite(np.array([[-20.0, 0.0]]), np.array([[-26.0, -16.0]])).tolist()
    [[[1, 255]], [[1, 122]], [[43, 255]]]
    """
    channels = ((co, CO_RANGE), (cross, CROSS_RANGE), (np.subtract(co, cross), RATIO_RANGE))
    shares = [np.clip((values - low) / (high - low), 0.0, 1.0) for values, (low, high) in channels]
    return np.rint(1.0 + 254.0 * np.stack(shares)).astype(np.uint8)
