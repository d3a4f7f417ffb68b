"""Segmentation of translated images, scored against the labels of a data root beside the true images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.domain import Direction, Role, match_bands
from saropt.errors import InputError
from saropt.evaluation.by_class import Labels
from saropt.evaluation.intervals import SceneShares, with_ends
from saropt.evaluation.metric import METRICS, Metric, register_metric
from saropt.evaluation.tiles import Place, Rasters
from saropt.inference import Segmenter
from saropt.roots import ConfusionMatrix, DataRoot

KEY = "segmentation"
CONVENTION = (
    "a segmenter's classes on the translated image against the labels, over all valid labelled pixels of the tiles; "
    "`real` is the same segmenter on the true image; majority is the accuracy of the most frequent label everywhere; "
    "intervals over scenes: a share is a sum of parts over a sum of wholes, a mean of shares is linearised"
)
_ABSENT = "classes without a labelled pixel (`absent`) are left out"
for _key, _title, _convention, _shown in (
    ("pixel_accuracy", "pixel accuracy", "right pixels / labelled pixels", True),
    ("pixel_accuracy_real", "PA (real)", "pixel_accuracy of the true images", False),
    ("mean_class_accuracy", "class accuracy", f"mean of class_accuracy; {_ABSENT}", True),
    ("miou", "mIoU", "mean of class_iou; classes that are neither labelled nor found are left out", True),
    ("class_accuracy", "accuracy", "right pixels of a class / labelled pixels of it", False),
    ("class_iou", "IoU", "right pixels of a class / pixels that are labelled as it or taken for it", False),
):
    register_metric(
        Metric(_key, _title, _convention, better=1, needs=("labels", "a segmenter"), shown=_shown, section=KEY)
    )


class Judge:
    """A segmenter, and how well it segments the true and the translated images of one direction.

    Args:
        segmenter: a segmenter of images of the direction's output role.
        root: the data root; its classes must be those of the segmenter.

    Raises:
        InputError: no labels, or other classes.
    """

    def __init__(self, segmenter: Segmenter, root: DataRoot) -> None:
        card = segmenter.card
        if not root.classes:
            raise InputError(root.name, "names no classes: there are no labels to judge a segmentation by")
        if dict(root.classes) != dict(card.classes):
            theirs = ", ".join(f"{value} {name}" for value, name in card.classes.items())
            raise InputError(card.name, f"has other classes than {root.name}: {theirs}")
        self.segmenter = segmenter
        self._labels = Labels(root)
        self._classes = self._labels.classes
        self._true = _Scores(self.titles)
        self._translated: dict[str, _Scores] = {}

    def check(self, rasters: Rasters) -> None:
        """Make sure that the rasters have labels on their grid.

        Raises:
            InputError: they have not.
        """
        self._labels.check(rasters)

    def bands(self, given: Sequence[str]) -> list[int]:
        """Positions in `given` of the bands that the segmenter takes.

        Raises:
            InputError: it takes other bands.
        """
        card = self.segmenter.card
        try:
            return match_bands(card.input.bands, given)
        except ValueError:
            takes = ", ".join(card.input.bands)
            raise InputError(card.name, f"takes the bands {takes}; the images have {', '.join(given)}") from None

    def see(self, model: str | None, scene: str, place: Place, labels: NDArray[np.uint8]) -> None:
        """Score the label values (h, w) of one tile of a scene: of a model's output, or of the true image (None)."""
        scores = self._true if model is None else self._translated.setdefault(model, _Scores(self.titles))
        scores.add(scene, self.truth(place), self.indices(labels))

    @property
    def titles(self) -> list[str]:
        """The names of the classes, in the order of their indices."""
        return list(self._classes.titles)

    def truth(self, place: Place) -> NDArray[np.uint8]:
        """The labels of a tile as class indices (h, w), 255 where there is none."""
        return self._labels.of(place)

    def indices(self, labels: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Label values (h, w) that the segmenter gives, as class indices."""
        return np.searchsorted(self._classes.values, labels).clip(max=len(self._classes.values) - 1)

    def summary(self) -> dict[str, Any]:
        """Scores of the true and the translated images."""
        return {
            "segmenter": self.segmenter.card.name,
            "majority": self._true.matrix.majority,
            "real": self._true.summary(),
            "models": {name: scores.summary() for name, scores in self._translated.items()},
        }


class _Scores:
    """A confusion matrix, and what is right of each scene."""

    def __init__(self, titles: Sequence[str]) -> None:
        self.matrix = ConfusionMatrix(titles)
        self._shares = SceneShares()

    def add(self, scene: str, truth: NDArray[np.uint8], predicted: NDArray[np.intp]) -> None:
        tile = ConfusionMatrix(self.matrix.titles)
        tile.add(truth, predicted)
        self.matrix.counts += tile.counts
        right, labelled, found = np.diag(tile.counts), tile.counts.sum(axis=1), tile.counts.sum(axis=0)
        self._shares.add(scene, "pixel_accuracy", right.sum(), tile.pixels)
        for title, one, of, taken in zip(tile.titles, right, labelled, found, strict=True):
            self._shares.add(scene, f"class_accuracy.{title}", one, of)
            self._shares.add(scene, f"class_iou.{title}", one, of + taken - one)

    def summary(self) -> dict[str, Any]:
        """The scores, and `intervals` over scenes by key."""
        spans = self._shares.intervals()
        for key, parts in (("mean_class_accuracy", "class_accuracy"), ("miou", "class_iou")):
            spans[key] = self._shares.mean_interval([f"{parts}.{title}" for title in self.matrix.titles])
        return self.matrix.summary() | {"intervals": spans}


def segmentation_rows(judged: Mapping[str, Any], columns: Sequence[Metric]) -> list[tuple[str, list[str]]]:
    """(name, cells) of the translated and the true images: the columns, then the IoU of each class, with intervals.

    >>> scores = {"miou": 0.5, "class_iou": {"water": 0.5}, "intervals": {"miou": [0.4, 0.6], "class_iou.water": None}}
    >>> segmentation_rows({"models": {}, "real": scores}, [METRICS["miou"]])
    [('real images', ['0.500 (0.400 to 0.600)', '0.500'])]
    """
    return [
        (
            name,
            [
                *(
                    with_ends(metric.text(s[metric.key]), s["intervals"][metric.key], metric.digits)
                    for metric in columns
                ),
                *(
                    with_ends(METRICS["class_iou"].text(value), s["intervals"][f"class_iou.{title}"], 3)
                    for title, value in s["class_iou"].items()
                ),
            ],
        )
        for name, s in (*judged["models"].items(), ("real images", judged["real"]))
    ]


def make_judges(
    segmenters: Sequence[Segmenter], root: DataRoot, directions: Sequence[Direction]
) -> dict[Direction, Judge]:
    """Direction -> judge of its output role, for the directions that have one.

    Raises:
        InputError: two segmenters of one role, none for the directions that are measured, or as `Judge`.
    """
    by_role: dict[Role, Segmenter] = {}
    for segmenter in segmenters:
        role, name = segmenter.card.input.role, segmenter.card.name
        if role in by_role:
            raise InputError(name, f"is one of several segmenters of {role} images: give one")
        if role not in [direction.output for direction in directions]:
            raise InputError(name, f"segments {role} images, which no translator here makes")
        by_role[role] = segmenter
    return {
        direction: Judge(by_role[direction.output], root) for direction in directions if direction.output in by_role
    }
