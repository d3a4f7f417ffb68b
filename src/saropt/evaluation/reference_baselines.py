"""What needs no network where there is an earlier optical image: the copy, and regressions of single pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saropt.evaluation.baselines import Baseline, Float, Image, Linear


class CopyReference(Baseline):
    """The earlier optical image as it is."""

    name = "copy_reference"
    fitted = False
    looks_at = ("optical_reference",)

    def update(self, source: Float, target: Float) -> None:
        """Nothing is learned."""

    def finish(self) -> None:
        """Nothing is learned."""

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        return np.asarray(source).copy()


class GainOfReference(Linear):
    """The earlier optical image after the linear map of its bands that fits the train split best."""

    name = "reference_linear"
    looks_at = ("optical_reference",)


class DifferenceRegression(Linear):
    """The earlier optical image and the difference of the two SAR images, each pixel by least squares on the train
    split. It needs no training of a network and sees no neighbours."""

    name = "sar_difference"
    looks_at = ("optical_reference", "sar", "sar_reference")

    def update(self, source: Float, target: Float) -> None:
        super().update(_differences(source, len(target)), target)

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        return super().predict(_differences(np.asarray(source), len(np.asarray(target))), target, valid)


def _differences(source: NDArray[Any], bands: int) -> NDArray[Any]:
    """Reference bands and SAR differences from reference bands, SAR bands and earlier SAR bands."""
    count = (len(source) - bands) // 2
    return np.concatenate([source[:bands], source[bands : bands + count] - source[bands + count :]])


REFERENCE_BASELINES: tuple[type[Baseline], ...] = (CopyReference, GainOfReference, DifferenceRegression)
