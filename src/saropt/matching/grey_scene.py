"""Scenes as matchers see them: grey in [0, 1], whatever their bands and units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.matching.features import Image, Mask
from saropt.scenes import Scene, Window

_LEVELS = 257


class GreyScene:
    """A scene whose bands are equalised by their own quantiles and then averaged.

    Equalising makes units irrelevant: power, amplitude and decibels of one SAR image give the same grey image. Of
    complex pixels the modulus is taken.

    Raises:
        InputError: no valid pixel.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        sample = _real(scene.sample())
        if not sample.shape[1]:
            raise InputError(scene.path, "holds no valid pixel (all nodata or NaN)")
        self._levels = np.quantile(sample, np.linspace(0.0, 1.0, _LEVELS), axis=1).T

    def read(self, window: Window) -> tuple[Image, Mask]:
        """Grey values and validity (h, w) of a window inside the frame."""
        values, valid = self.scene.read(window)
        grey = np.zeros(valid.shape, np.float32)
        for band, levels in zip(_real(values), self._levels, strict=True):
            grey += _equalised(band, levels)
        return np.where(valid, grey / len(self._levels), 0.0).astype(np.float32), valid


def _real(values: NDArray) -> NDArray:
    return np.abs(values) if np.iscomplexobj(values) else values


def _equalised(band: NDArray, levels: NDArray) -> NDArray:
    """Share of the scene's pixels below each pixel, in [0, 1]; the middle of the share of equal ones."""
    distinct, first, counts = np.unique(levels, return_index=True, return_counts=True)
    if len(distinct) == 1:
        return np.full(band.shape, 0.5)
    return np.interp(band, distinct, (first + (counts - 1) / 2.0) / (_LEVELS - 1))
