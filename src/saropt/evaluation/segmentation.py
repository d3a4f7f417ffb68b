"""Segmentation of translated images, scored against the labels of a data root beside the real target images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.evaluation.by_class import Labels
from saropt.evaluation.gallery import canonical_band
from saropt.evaluation.tiles import Pair, PairRoot, Picture
from saropt.roots import ConfusionMatrix, DataRoot
from saropt.scenes import Window

CONVENTION = (
    "a segmenter's classes on the translated image against the labels, over all valid labelled pixels of the tiles; "
    "`real` is the same segmenter on the true image; majority is the accuracy of the most frequent label everywhere; "
    "classes without a labelled pixel are left out of the mean accuracy (`absent`), those that also nothing is taken "
    "for, of mIoU"
)


class SegmenterCard(Protocol):
    """What evaluation needs of `saropt.artifacts.SegmenterCard`."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> dict[int, str]: ...
    @property
    def input(self) -> Any: ...


class SegmenterModel(Protocol):
    """What evaluation needs of `saropt.inference.Segmenter`."""

    @property
    def card(self) -> SegmenterCard: ...

    def classify(
        self, values: NDArray[Any], *, units: str, dtype: str, valid: NDArray[np.bool_]
    ) -> NDArray[np.uint8]: ...


class Judge:
    """One segmenter and what it says of the real and the translated images of its modality.

    Args:
        segmenter: a segmenter of the target's modality.
        root: the data root; its classes must be the segmenter's.

    Raises:
        InputError: no labels, or other classes.
    """

    def __init__(self, segmenter: SegmenterModel, root: PairRoot) -> None:
        card = segmenter.card
        if not isinstance(root, DataRoot) or not root.classes:
            raise InputError(root.name, "names no classes: there are no labels to judge a segmentation by")
        if dict(root.classes) != dict(card.classes):
            theirs = ", ".join(f"{value} {name}" for value, name in card.classes.items())
            raise InputError(card.name, f"has other classes than {root.name}: {theirs}")
        self.segmenter = segmenter
        self._labels = Labels(root)
        self._classes = self._labels.classes
        self.real = ConfusionMatrix(self._classes.titles)
        self.translated: dict[str, ConfusionMatrix] = {}

    def see_real(self, target: Picture, pair: Pair, windows: Sequence[Window]) -> None:
        """Segment the true image of a pair and score the tiles."""
        self._score(self.real, target, pair, windows)

    def see_translated(self, model: str, made: Picture, pair: Pair, windows: Sequence[Window]) -> None:
        """Segment a translator's output for a pair and score the tiles."""
        matrix = self.translated.setdefault(model, ConfusionMatrix(self._classes.titles))
        self._score(matrix, made, pair, windows)

    def summary(self) -> dict[str, Any]:
        """Scores of the real and the translated images."""
        return {
            "segmenter": self.segmenter.card.name,
            "majority": self.real.majority,
            "real": self.real.summary(),
            "models": {name: matrix.summary() for name, matrix in self.translated.items()},
        }

    def _score(self, matrix: ConfusionMatrix, picture: Picture, pair: Pair, windows: Sequence[Window]) -> None:
        values = picture.values[self._bands(picture.bands)]
        found = self.segmenter.classify(
            values, units=picture.units, dtype=picture.dtype.name, valid=pair.valid & picture.valid
        )
        truth = self._labels.of(pair)
        order = np.searchsorted(self._classes.values, found).clip(max=len(self._classes.values) - 1)
        for window in windows:
            area = slice(window.row, window.row + window.height), slice(window.col, window.col + window.width)
            matrix.add(truth[area], order[area])

    def _bands(self, given: Sequence[str]) -> list[int]:
        wanted = [canonical_band(band) for band in self.segmenter.card.input.bands]
        have = [canonical_band(band) for band in given]
        if not set(wanted) <= set(have):
            takes = ", ".join(self.segmenter.card.input.bands)
            raise InputError(self.segmenter.card.name, f"takes the bands {takes}; the images have {', '.join(given)}")
        return [have.index(band) for band in wanted]


def make_judges(segmenters: Sequence[SegmenterModel], root: PairRoot, directions: Sequence[str]) -> dict[str, Judge]:
    """Direction -> judge of its target's modality, for the directions that have one.

    Raises:
        InputError: two segmenters of one modality, none for the directions that are measured, or as `Judge`.
    """
    targets = {"sar2opt": "optical", "opt2sar": "sar"}
    modalities = [segmenter.card.input.role for segmenter in segmenters]
    for segmenter in segmenters:
        modality = segmenter.card.input.role
        if modalities.count(modality) > 1:
            raise InputError(segmenter.card.name, f"is one of several segmenters of {modality} images: give one")
        if modality not in (targets[direction] for direction in directions):
            raise InputError(segmenter.card.name, f"segments {modality} images, which no translator here makes")
    return {
        direction: Judge(segmenters[modalities.index(targets[direction])], root)  # type: ignore[arg-type]
        for direction in directions
        if targets[direction] in modalities
    }
