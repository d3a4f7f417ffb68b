"""Keypoints with descriptors, and the interface of matchers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Features:
    """Keypoints of one image.

    Attributes:
        points: (N, 2) column and row, the strongest first; (0, 0) is the upper left corner of the first pixel and
            (0.5, 0.5) its middle, as in GDAL.
        descriptors: (N, D) float32, compared by Euclidean distance.

    >>> features = Features(np.array([[0.5, 0.5], [3.5, 1.5]]), np.zeros((2, 4), np.float32))
    >>> len(features), features.moved(10, 0).points[1].tolist()
    (2, [13.5, 1.5])
    """

    points: Points
    descriptors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.points)

    def chosen(self, which: NDArray) -> Features:
        """The features at a mask (N,) or at indices."""
        return Features(self.points[which], self.descriptors[which])

    def moved(self, column: float, row: float) -> Features:
        """The same features with shifted points."""
        return Features(self.points + np.array([column, row]), self.descriptors)


class Matcher(Protocol):
    """Finds and describes keypoints.

    Attributes:
        name: the name in reports and tables.
        margin: number of pixels around a keypoint that its detection and description use.
        ratio: a match of scenes is dropped where the nearest distance is above this share of the second nearest (Lowe
            2004); None for no test.
    """

    @property
    def name(self) -> str: ...
    @property
    def margin(self) -> int: ...
    @property
    def ratio(self) -> float | None: ...

    def detect(self, image: Image, valid: Mask, limit: int) -> Features:
        """The `limit` strongest keypoints of an image (h, w) in [0, 1]; only valid pixels (h, w) are looked at."""


def detect(matcher: Matcher, image: Image, valid: Mask, limit: int) -> Features:
    """What a matcher finds in an image; see `Matcher.detect`.

    Raises:
        InputError: it gives something else than points with descriptors.

    >>> from saropt.matching import Sift
    >>> image = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    >>> len(detect(Sift(), image, np.ones((96, 96), bool), limit=10))
    10
    """
    found: object = matcher.detect(image, valid, limit)
    if not isinstance(found, Features):
        raise InputError(f"matcher {matcher.name}", f"must give Features, not {type(found).__name__}")
    points, descriptors = np.asarray(found.points), np.asarray(found.descriptors)
    if points.shape[1:] != (2,) or descriptors.ndim != 2 or len(points) != len(descriptors):
        shapes = f"{points.shape} and {descriptors.shape}"
        raise InputError(f"matcher {matcher.name}", f"must give points (N, 2) and descriptors (N, D), not {shapes}")
    if not all(array.dtype.kind in "fiu" and np.isfinite(array).all() for array in (points, descriptors)):
        raise InputError(f"matcher {matcher.name}", "must give points and descriptors that are finite numbers")
    return found


def surrounded(valid: Mask, half: int) -> Mask:
    """(h, w), True where the square of 2 * half pixels around a pixel lies inside the image and is wholly valid.

    >>> int(surrounded(np.ones((4, 4), bool), 1).sum())
    9
    """
    size, sums = 2 * half, np.pad(valid.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    kept = np.zeros(valid.shape, bool)
    if min(valid.shape) >= size:
        count = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
        kept[half : half + count.shape[0], half : half + count.shape[1]] = count == size * size
    return kept


def join(parts: list[Features]) -> Features:
    """The features of several tiles (at least one) together.

    >>> part = Features(np.zeros((2, 2)), np.zeros((2, 4), np.float32))
    >>> len(join([part, part]))
    4
    """
    return Features(np.concatenate([p.points for p in parts]), np.concatenate([p.descriptors for p in parts]))
