"""Matches the keypoints of two images: mutual nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saropt.matching.features import Features

_ROWS = 1024


def mutual_matches(
    a: Features, b: Features, ratio: float | None = None, radius: float | None = None
) -> NDArray[np.intp]:
    """(n, 2) indices into `a` and `b` of features that are nearest to one another by descriptor.

    Memory is bounded by 1,024 rows of the distance matrix.

    Args:
        ratio: drop a match whose distance is above `ratio` times that of the second nearest (Lowe 2004).
        radius: compare only features at most this many pixels apart; all features when None.

    >>> a = Features(np.zeros((2, 2)), np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    >>> b = Features(np.zeros((2, 2)), np.array([[0.0, 1.0], [1.0, 0.0]], np.float32))
    >>> mutual_matches(a, b).tolist()
    [[0, 1], [1, 0]]
    """
    if not len(a) or not len(b):
        return np.zeros((0, 2), np.intp)
    squares = (b.descriptors**2).sum(1)
    nearest, passed = np.zeros(len(a), np.intp), np.zeros(len(a), bool)
    back, back_distance = np.zeros(len(b), np.intp), np.full(len(b), np.inf, np.float32)
    for start in range(0, len(a), _ROWS):
        rows = slice(start, start + _ROWS)
        part = a.descriptors[rows]
        distance = np.maximum((part**2).sum(1)[:, None] + squares - 2.0 * part @ b.descriptors.T, 0.0)
        if radius is not None:
            apart = np.linalg.norm(a.points[rows, None] - b.points[None], axis=2)
            distance[apart > radius] = np.inf
        best = distance.argmin(1)
        here = distance[np.arange(len(part)), best]
        nearest[rows], passed[rows] = best, np.isfinite(here)
        if ratio is not None and len(b) > 1:
            second = np.partition(distance, 1, axis=1)[:, 1]
            passed[rows] &= here <= ratio**2 * second
        column_best = distance.argmin(0)
        column_distance = distance[column_best, np.arange(len(b))]
        closer = column_distance < back_distance
        back[closer], back_distance[closer] = column_best[closer] + start, column_distance[closer]
    own = np.arange(len(a))
    kept = passed & (back[nearest] == own)
    return np.stack([own[kept], nearest[kept]], axis=1)
