"""The confusion matrix of a segmentation and its scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.roots.labels import IGNORED


class ConfusionMatrix:
    """Counts of (true class, predicted class) over any number of images, and the scores that follow from them.

    Pixels whose truth is `IGNORED` do not count. A class without true pixels has no accuracy; a class that is neither
    true nor predicted anywhere has no IoU. Both are None then, and the means leave them out.

    >>> matrix = ConfusionMatrix(["land", "water"])
    >>> matrix.add(np.array([0, 0, 1, 255], np.uint8), np.array([0, 1, 1, 0]))
    >>> matrix.pixels, round(matrix.pixel_accuracy, 3), matrix.class_iou()
    (3, 0.667, [0.5, 0.5])
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = list(titles)
        self.counts: NDArray[np.int64] = np.zeros((len(self.titles),) * 2, np.int64)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.integer]) -> None:
        """Count class indices of equal shape.

        Raises:
            ValueError: unequal shapes, or an index beyond the classes at a labelled pixel.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}")
        known = truth != IGNORED
        pairs = truth[known].astype(np.int64), predicted[known].astype(np.int64)
        size = len(self.titles)
        if any(part.size and (part.min() < 0 or part.max() >= size) for part in pairs):
            raise ValueError(f"class indices must lie in 0..{size - 1}")
        self.counts += np.bincount(pairs[0] * size + pairs[1], minlength=size * size).reshape(size, size)

    @property
    def pixels(self) -> int:
        """Labelled pixels counted."""
        return int(self.counts.sum())

    @property
    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right; NaN before the first."""
        return float(np.trace(self.counts)) / self.pixels if self.pixels else math.nan

    @property
    def majority(self) -> float:
        """Pixel accuracy of naming the most frequent true class everywhere; NaN before the first pixel."""
        return float(self.counts.sum(axis=1).max()) / self.pixels if self.pixels else math.nan

    def class_accuracy(self) -> list[float | None]:
        """Per class: right pixels over true pixels (recall)."""
        return _ratios(np.diag(self.counts), self.counts.sum(axis=1))

    def class_iou(self) -> list[float | None]:
        """Per class: right pixels over pixels that are true or predicted (Jaccard index)."""
        right = np.diag(self.counts)
        return _ratios(right, self.counts.sum(axis=0) + self.counts.sum(axis=1) - right)

    def summary(self) -> dict[str, Any]:
        """`pixel_accuracy`, `mean_class_accuracy`, `miou`, `class_accuracy` and `class_iou` by class name, `pixels`,
        and under `absent` the classes without true pixels.
        """
        accuracy, iou = self.class_accuracy(), self.class_iou()
        return {
            "pixel_accuracy": self.pixel_accuracy,
            "mean_class_accuracy": _mean(accuracy),
            "miou": _mean(iou),
            "class_accuracy": dict(zip(self.titles, accuracy, strict=True)),
            "class_iou": dict(zip(self.titles, iou, strict=True)),
            "pixels": self.pixels,
            "absent": [title for title, value in zip(self.titles, accuracy, strict=True) if value is None],
        }


def _ratios(part: NDArray[np.int64], whole: NDArray[np.int64]) -> list[float | None]:
    return [float(p / w) if w else None for p, w in zip(part, whole, strict=True)]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan
