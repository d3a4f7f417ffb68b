"""Tiles that are kept as pictures, for figures that show the same place across models."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saropt.evaluation.by_class import Labels
from saropt.evaluation.gallery import Bytes, Shot
from saropt.evaluation.segmentation import Judge
from saropt.evaluation.tiles import Place
from saropt.files import write_text

TILES = "tiles"
CLASS_NAMES = "classes.json"
_COLOURS = "e69f00 d55e00 cc79a7 0072b2 009e73 f0e442 56b4e9 969696 783c14 aadc78 5a3c96 ffbebe"
CLASS_COLOURS = np.array([list(bytes.fromhex(colour)) for colour in _COLOURS.split()], np.uint8)
_UNLABELLED = np.zeros(3, np.uint8)


def class_picture(indices: NDArray[np.integer]) -> Bytes:
    """Class indices (h, w) as colours (h, w, 3), black where there is no class; twelve colours, then again.

    >>> class_picture(np.array([[0, 255]])).tolist()
    [[[230, 159, 0], [0, 0, 0]]]
    """
    coloured = CLASS_COLOURS[indices % len(CLASS_COLOURS)]
    return np.where((indices == 255)[..., None], _UNLABELLED, coloured).astype(np.uint8)


def file_name(text: str) -> str:
    """A name as part of a file's name.

    >>> file_name("L_gan + L_cyc")
    'L_gan___L_cyc'
    """
    return re.sub(r"[^\w.=-]", "_", text)


class ShownTiles:
    """Keeps the first tile of each named raster in one direction, as NAME/KIND.png in a folder.

    Kinds are source, truth, label, truth-classes and, of each model, MODEL, MODEL-classes and MODEL-matches.

    Args:
        names: of rasters.
        judge: gives the classes of true and translated images; None where nothing is segmented.
        labels: of the rasters; None where there are none.
    """

    def __init__(self, names: Sequence[str], judge: Judge | None, labels: Labels | None = None) -> None:
        self.names = tuple(names)
        self._judge, self._labels = judge, labels
        self._pictures: dict[tuple[str, str], Bytes] = {}
        self._places: dict[str, Place] = {}

    def wants(self, place: Place) -> bool:
        """Whether a tile is the one to keep of its raster."""
        return place.name in self.names and self._places.setdefault(place.name, place) is place

    def add(self, model: str, place: Place, shot: Shot, classes: tuple[NDArray, NDArray] | None) -> None:
        """Keep a model's tile.

        Args:
            classes: label values (h, w) that the judge gives the true and the translated image.
        """
        self._pictures[place.name, "source"], self._pictures[place.name, "truth"] = shot.source, shot.truth
        self._pictures[place.name, file_name(model)] = shot.output
        if self._labels is not None and self._labels.has(place.name):
            self._pictures[place.name, "label"] = class_picture(self._labels.of(place))
        if self._judge is not None and classes is not None:
            for kind, values in (("truth", classes[0]), (file_name(model), classes[1])):
                self._pictures[place.name, f"{kind}-classes"] = class_picture(self._judge.indices(values))

    def add_matches(self, model: str, drawn: Sequence[tuple[str, Bytes]]) -> None:
        """Keep drawings of a model's matches, (raster, picture)."""
        for name, picture in drawn:
            if name in self.names:
                self._pictures[name, f"{file_name(model)}-matches"] = picture

    def save(self, folder: Path) -> None:
        """Write NAME/KIND.png and, where there are labels, the names of the classes in order as classes.json."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._labels is not None:
            write_text(folder / CLASS_NAMES, json.dumps(list(self._labels.classes.titles)))
        for (name, kind), picture in self._pictures.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / name / f"{kind}.png")
