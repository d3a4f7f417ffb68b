"""Gain and offset that bring one image to the colours of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SMALLEST_DEVIATION = 1e-6
KEPT_SHARE = 0.8


def is_flat(moments: NDArray) -> NDArray[np.bool_]:
    """(C,): whether all pixels of a band have one value, as far as the rounding of the moments tells.

    Args:
        moments: (2, C), mean and mean square of each band.

    >>> is_flat(np.array([[3.0, 3.0], [9.0, 10.0]]))
    array([ True, False])
    """
    return _deviation(moments) <= SMALLEST_DEVIATION * np.maximum(np.abs(moments[0]), 1.0)


def gain_and_offset(image: NDArray, reference: NDArray) -> tuple[NDArray, NDArray]:
    """Gain and offset (C,) that give an image the mean and the deviation of another; the offset alone, with a gain of
    1, in bands that are flat (`is_flat`) in one of them.

    Args:
        image, reference: (2, C), mean and mean square of each band.

    >>> gain_and_offset(np.array([[1.0], [2.0]]), np.array([[5.0], [29.0]]))
    (array([2.]), array([3.]))
    >>> gain_and_offset(np.array([[1.0], [2.0]]), np.array([[5.0], [25.0]]))
    (array([1.]), array([4.]))
    """
    flat = is_flat(image) | is_flat(reference)
    gain = np.where(flat, 1.0, _deviation(reference) / np.where(flat, 1.0, _deviation(image)))
    return gain, reference[0] - gain * image[0]


def _deviation(moments: NDArray) -> NDArray:
    return np.sqrt(np.maximum(moments[1] - moments[0] ** 2, 0.0))


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
