"""Errors by land cover, where the data root has labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.evaluation.tiles import Pair
from saropt.evaluation.watching import Tile
from saropt.roots import IGNORED, Classes, DataRoot


class Labels:
    """Class indices of the rasters of a data root; those of the last one are kept."""

    def __init__(self, root: DataRoot) -> None:
        self._locate = root.label_path
        self.classes = Classes(dict(root.classes), root.ignore_index)
        self._held: tuple[str, NDArray[np.uint8]] | None = None

    def has(self, pair: Pair) -> bool:
        """Whether a raster has labels."""
        try:
            self._locate(pair.name)
        except InputError:
            return False
        return True

    def of(self, pair: Pair) -> NDArray[np.uint8]:
        """(h, w), `IGNORED` where there is no label or a side is invalid.

        Raises:
            InputError: the label raster is missing, of another size, or holds other values than the classes'.
        """
        if self._held is None or self._held[0] != pair.name:
            path = self._locate(pair.name)
            labels = self.classes.read(path)
            if labels.shape != pair.valid.shape:
                raise InputError(path, f"is {labels.shape}, the images are {pair.valid.shape} pixels")
            self._held = pair.name, np.where(pair.valid, labels, IGNORED).astype(np.uint8)
        return self._held[1]


class ClassWatcher:
    """Mean absolute error of each model over the pixels of each class."""

    section = "classes"
    convention = "mean absolute error in [0, 1] over all pixels of a class in the tiles, all bands together"

    def __init__(self, root: DataRoot) -> None:
        self._labels = Labels(root)
        self._titles = self._labels.classes.titles
        self._errors: dict[str, NDArray[np.float64]] = {}
        self._pixels: dict[str, NDArray[np.int64]] = {}

    def see(self, model: str, tile: Tile) -> None:
        """See `Watcher`; rasters without labels are passed over."""
        if not self._labels.has(tile.pair):
            return
        w = tile.window
        labels = self._labels.of(tile.pair)[w.row : w.row + w.height, w.col : w.col + w.width]
        known, count = labels != IGNORED, len(self._titles)
        error = np.abs(tile.output.astype(np.float64) - tile.wanted).mean(0)[known]
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
