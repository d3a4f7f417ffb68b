"""What needs no network where there is an earlier optical image: the copy, and regressions of single pixels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from saropt.evaluation.baselines import Baseline, Float, Image, Linear, Unfitted


class CopyReference(Unfitted):
    """The earlier optical image as it is."""

    name = "copy_reference"
    looks_at = ("optical_reference",)

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


class LinearInTime(Unfitted):
    """Two optical images of other dates: the value on the date of the scene of the line through them, pixel by pixel.

    Between their dates it interpolates, outside them it extrapolates. Scenes of which a date is unknown have no such
    row; dates are those of the rasters' tags (`saropt.scenes.Scene.acquired`).

    >>> first, second = datetime(2026, 5, 1), datetime(2026, 5, 11)
    >>> row = LinearInTime()
    >>> row.take_dates(datetime(2026, 5, 4), (first, second))
    True
    >>> two = np.stack([np.full((2, 2), 0.2), np.full((2, 2), 0.6)])
    >>> row.predict(two, two[:1]).round(2)[0, 0].tolist()
    [0.32, 0.32]
    """

    name = "linear_in_time"
    looks_at = ("optical_reference",)
    further = ("optical_reference_2",)

    def take_dates(self, scene: datetime | None, inputs: Sequence[datetime | None]) -> bool:
        first, second = inputs
        if scene is None or first is None or second is None or first == second:
            return False
        self._share = (scene - first) / (second - first)
        return True

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        first, second = np.split(np.asarray(source), 2)
        return np.asarray(np.clip(first + self._share * (second - first), 0.0, 1.0))


class ValuePropagation(Unfitted):
    """The earlier optical image, its holes filled from around them by the structure of the SAR image.

    After VPint2 (Arp et al. 2024, doi 10.1016/j.isprsjprs.2024.07.030), in which a missing value is the mean over its
    neighbours of their values times the ratio of a feature image here and there, until nothing changes. The feature
    image of VPint2 is a clear image of another date; here it is SAR, averaged over 5x5 pixels. Of values divided by
    the feature image that fixed point is the solution of Laplace's equation, which is solved directly.

    >>> sar, image = np.full((1, 4, 4), 0.5), np.full((1, 4, 4), 0.25)
    >>> image[:, 1, 1] = np.nan
    >>> float(ValuePropagation().predict(np.concatenate([image, sar]), image)[0, 1, 1])
    0.25
    """

    name = "value_propagation"
    fills = True
    looks_at = ("optical_reference", "sar")

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        bands = len(np.asarray(target))
        image, sar = np.asarray(source)[:bands], np.asarray(source)[bands:]
        hole = np.isnan(image).any(axis=0)
        if hole.all():
            return np.full_like(image, 0.5)
        if not hole.any():
            return image.copy()
        grey = np.nan_to_num(sar, nan=float(np.nanmean(sar)) if np.isfinite(sar).any() else 0.5).mean(axis=0)
        feature = np.maximum(ndimage.uniform_filter(grey.astype(np.float64), 5), 0.02)
        return np.where(hole, np.clip(_harmonic(image / feature, hole) * feature, 0.0, 1.0), image).astype(image.dtype)


def _harmonic(values: NDArray[np.float64], hole: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values (C, h, w) with each pixel of the hole (h, w) the mean of its neighbours above, below, left and right."""
    index = np.full(hole.shape, -1)
    index[hole] = np.arange(hole.sum())
    filled = np.where(hole, 0.0, values)
    around = np.zeros((len(values), int(hole.sum())))
    degree = np.zeros(int(hole.sum()))
    rows, columns = [], []
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        here = [slice(None), slice(None)]
        there = [slice(None), slice(None)]
        here[axis], there[axis] = (slice(None, -1), slice(1, None)) if step > 0 else (slice(1, None), slice(None, -1))
        inside, neighbour = index[tuple(here)], index[tuple(there)]
        pixels = inside[inside >= 0]
        degree[pixels] += 1
        around[:, pixels] += filled[(slice(None), *there)][:, inside >= 0]
        both = (inside >= 0) & (neighbour >= 0)
        rows.append(inside[both])
        columns.append(neighbour[both])
    links = sparse.coo_matrix(
        (np.ones(sum(map(len, rows))), (np.concatenate(rows), np.concatenate(columns))), shape=(len(degree),) * 2
    )
    factors = splu(sparse.csc_matrix(sparse.diags(degree) - links))
    filled[:, hole] = np.stack([factors.solve(band) for band in around])
    return filled


def _differences(source: NDArray[Any], bands: int) -> NDArray[Any]:
    """Reference bands and SAR differences from reference bands, SAR bands and earlier SAR bands."""
    count = (len(source) - bands) // 2
    return np.concatenate([source[:bands], source[bands : bands + count] - source[bands + count :]])


REFERENCE_BASELINES: tuple[type[Baseline], ...] = (
    CopyReference,
    GainOfReference,
    DifferenceRegression,
    LinearInTime,
    ValuePropagation,
)
