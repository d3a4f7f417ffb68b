"""Errors by land cover, where the data root has labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.domain import describe_role
from saropt.errors import InputError
from saropt.evaluation.section import TileView
from saropt.evaluation.tiles import Place, Rasters
from saropt.roots import IGNORED, Classes, DataRoot
from saropt.roots.one_grid import check_one_grid
from saropt.scenes import Scene


class Labels:
    """Reads the class indices of the rasters of a data root, window by window, and keeps those of the last window."""

    def __init__(self, root: DataRoot) -> None:
        self._root = root
        self.classes = Classes(dict(root.classes), root.ignore_index)
        self._last: tuple[Place, NDArray[np.uint8]] | None = None

    def has(self, name: str) -> bool:
        """Whether the rasters of a name have labels."""
        try:
            self._root.raster("label", name)
        except InputError:
            return False
        return True

    def check(self, rasters: Rasters) -> None:
        """Make sure that the label raster lies on the grid of the images.

        Raises:
            InputError: it is missing or on another grid.
        """
        path = self._root.raster("label", rasters.name)
        role, image = next(iter(rasters.scenes.items()))
        with Scene.open(path, palette="index") as scene:
            check_one_grid(path, f"{describe_role(role).title} and {describe_role('label').title}", image, scene)

    def of(self, place: Place) -> NDArray[np.uint8]:
        """(h, w), `IGNORED` where there is no label or an image is invalid.

        Raises:
            InputError: the label raster is missing, or holds other values than those of the classes.
        """
        if self._last is None or self._last[0] is not place:
            labels = self.classes.read(self._root.raster("label", place.name), place.window)
            self._last = place, np.where(place.valid, labels, IGNORED).astype(np.uint8)
        return self._last[1]


class ClassErrors:
    """Mean absolute error of each model over the pixels of each class."""

    key = "classes"
    convention = "mean absolute error in [0, 1] over all pixels of a class in the tiles, all bands together"

    def __init__(self, root: DataRoot) -> None:
        self._labels = Labels(root)
        self._titles = self._labels.classes.titles
        self._errors: dict[str, NDArray[np.float64]] = {}
        self._pixels: dict[str, NDArray[np.int64]] = {}
        self._checked = ""

    def see(self, model: str, view: TileView) -> None:
        """See `Section`; rasters without labels are passed over."""
        name = view.rasters.name
        if not self._labels.has(name):
            return
        if self._checked != name:
            self._labels.check(view.rasters)
            self._checked = name
        labels = self._labels.of(view.place)
        known, count = labels != IGNORED, len(self._titles)
        error = np.abs(view.tile.output.values.astype(np.float64) - view.tile.truth.values).mean(0)[known]
        sums = np.bincount(labels[known], error, minlength=count)
        if model not in self._errors:
            self._errors[model], self._pixels[model] = np.zeros(count), np.zeros(count, np.int64)
        self._errors[model] += sums
        self._pixels[model] += np.bincount(labels[known], minlength=count)

    def summary(self) -> dict[str, Any]:
        """`pixels` by class, and `mae` by model and class (None without a pixel)."""
        if not self._pixels:
            return {}
        pixels = next(iter(self._pixels.values()))
        return {
            "pixels": dict(zip(self._titles, map(int, pixels), strict=True)),
            "mae": {
                model: {
                    title: float(error / n) if n else None
                    for title, error, n in zip(self._titles, errors, pixels, strict=True)
                }
                for model, errors in self._errors.items()
            },
        }
