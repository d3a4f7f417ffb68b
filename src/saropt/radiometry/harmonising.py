"""Gain and offset that bring one image to the colours of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST_DEVIATION = 1e-6
KEPT_SHARE = 0.8


def gain_and_offset(image: NDArray, reference: NDArray) -> tuple[NDArray, NDArray]:
    """Gain and offset (C,) that give an image the mean and the deviation of another.

    Args:
        image, reference: (2, C), mean and mean square of each band.

    >>> gain_and_offset(np.array([[1.0], [2.0]]), np.array([[5.0], [29.0]]))
    (array([2.]), array([3.]))
    """
    deviations = [np.sqrt(np.maximum(square - mean**2, 0.0)) for mean, square in (image, reference)]
    gain = deviations[1] / np.maximum(deviations[0], SMALLEST_DEVIATION)
    gain = np.where(deviations[0] > SMALLEST_DEVIATION, gain, 1.0)
    return gain, reference[0] - gain * image[0]


def trimmed_gain_and_offset(image: NDArray, reference: NDArray) -> tuple[NDArray, NDArray]:
    """As `gain_and_offset` for pixels (C, n) of one place at two times, some of which have changed in between.

    After a first fit the fifth of the pixels that fits worst is left out, three times over.

    >>> before, now = np.linspace(0.0, 1.0, 100)[None], np.linspace(0.0, 1.0, 100)[None] * 2.0 + 1.0
    >>> now[:, :10] = 9.0
    >>> gain, offset = trimmed_gain_and_offset(before, now)
    >>> gain.round(2), offset.round(2)
    (array([2.]), array([1.]))
    """
    kept = np.ones(image.shape[1], bool)
    for trial in range(4):
        pair = image[:, kept].astype(np.float64), reference[:, kept].astype(np.float64)
        gain, offset = gain_and_offset(*(np.stack([x.mean(1), (x * x).mean(1)]) for x in pair))
        if trial < 3:
            error = np.abs(gain[:, None] * image + offset[:, None] - reference).mean(0)
            kept = error <= np.quantile(error, KEPT_SHARE)
    return gain, offset
