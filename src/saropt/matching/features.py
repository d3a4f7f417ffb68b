"""Keypoints with descriptors, and what every matcher offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Features:
    """Keypoints of one image.

    Attributes:
        points: (N, 2) column and row, those that matter most first; (0, 0) is the upper left corner of the first pixel
            and (0.5, 0.5) its middle, as in GDAL.
        descriptors: (N, D) float32, compared by Euclidean distance.
    """

    points: Points
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    def chosen(self, which: NDArray) -> Features:
        """Those of a mask or of indices."""
        return Features(self.points[which], self.descriptors[which])

    def moved(self, column: float, row: float) -> Features:
        """The same with shifted points."""
        return Features(self.points + np.array([column, row]), self.descriptors)


class Matcher(Protocol):
    """Finds and describes keypoints.

    Attributes:
        name: for reports and tables.
        margin: pixels around a keypoint that its detection and description look at.
        ratio: nearest over second nearest distance beyond which a match of scenes is dropped; None for no such test.
    """

    @property
    def name(self) -> str: ...
    @property
    def margin(self) -> int: ...
    @property
    def ratio(self) -> float | None: ...

    def detect(self, image: Image, valid: Mask, limit: int) -> Features:
        """The `limit` strongest keypoints of an image (h, w) in [0, 1], looking at valid pixels (h, w) alone."""


def surrounded(valid: Mask, half: int) -> Mask:
    """(h, w), True where the square of 2 * half pixels around a pixel is inside the image and wholly valid."""
    size, sums = 2 * half, np.pad(valid.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    kept = np.zeros(valid.shape, bool)
    if min(valid.shape) >= size:
        count = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
        kept[half : half + count.shape[0], half : half + count.shape[1]] = count == size * size
    return kept


def join(parts: list[Features]) -> Features:
    """Features of several tiles, at least one, as one."""
    return Features(np.concatenate([p.points for p in parts]), np.concatenate([p.descriptors for p in parts]))
