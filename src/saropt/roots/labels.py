"""Class labels of a data root: label values to class indices, pixel counts, weights of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.roots.index import Indexed
from saropt.roots.root import DataRoot
from saropt.scenes import Scene, Window

IGNORED = 255
"""Class index of pixels without a label."""
_STRIP_PIXELS = 1 << 22


@dataclass(frozen=True)
class Classes:
    """Label values (0 to 255) and their names; a class's index is its place in the ascending order of the values.

    Attributes:
        names: label value -> class name.
        ignore_index: label value of pixels without a label, or None.

    Raises:
        ValueError: fewer than two classes, a value outside 0 to 255, or an `ignore_index` that is a class.

    >>> classes = Classes({40: "water", 10: "farmland"}, ignore_index=0)
    >>> classes.titles, classes.indices(np.array([[10, 40, 0]]), np.ones((1, 3), bool), "a.tif").tolist()
    (['farmland', 'water'], [[0, 1, 255]])
    """

    names: Mapping[int, str]
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ValueError("classes: segmentation needs at least two")
        if len(self.names) >= IGNORED or min(self.names) < 0 or max(self.names) > 255:
            raise ValueError("classes: label values must lie in 0..255, fewer than 255 of them")
        if self.ignore_index is not None and self.ignore_index in self.names:
            raise ValueError(f"ignore_index {self.ignore_index} is a class ({self.names[self.ignore_index]})")

    @property
    def values(self) -> NDArray[np.uint8]:
        """Label values in the order of the class indices."""
        return np.array(sorted(self.names), np.uint8)

    @property
    def titles(self) -> list[str]:
        """Class names in the order of the class indices."""
        return [self.names[value] for value in sorted(self.names)]

    @property
    def nodata(self) -> int:
        """The label value of pixels without one in 8 bits: `ignore_index`, or else the highest that is no class."""
        if self.ignore_index is not None and 0 <= self.ignore_index <= 255:
            return self.ignore_index
        return max(set(range(256)) - set(self.names))

    def indices(self, labels: NDArray, valid: NDArray[np.bool_], source: str | Path) -> NDArray[np.uint8]:
        """Class indices of label values, `IGNORED` where there is no label.

        Args:
            labels: (h, w) as stored.
            valid: (h, w); invalid pixels have no label.
            source: the file to name in an error.

        Raises:
            InputError: a value that is neither a class nor `ignore_index`.
        """
        result = np.full(labels.shape, IGNORED, np.uint8)
        known = ~valid
        if self.ignore_index is not None:
            known |= labels == self.ignore_index
        for index, value in enumerate(self.values):
            here = (labels == value) & valid
            result[here] = index
            known |= here
        if not known.all():
            strange = labels[~known][0]
            raise InputError(source, f"holds the label {strange:g}, which dataset.yaml does not name under classes")
        return result

    def read(self, path: Path, window: Window | None = None) -> NDArray[np.uint8]:
        """Class indices (h, w) of a label raster or a window of it.

        Raises:
            InputError: it cannot be read, has several bands or unknown values.
        """
        with Scene.open(path, palette="index") as scene:
            if scene.count != 1:
                raise InputError(path, f"has {scene.count} bands; labels have one")
            stored, valid = scene.read_stored(window)
        return self.indices(stored[0], valid, path)


def check_label(path: Path, facts: Indexed) -> None:
    """Refuse a label raster of several bands.

    Raises:
        InputError: it has more than one band.
    """
    if facts.bands != 1:
        raise InputError(path, f"has {facts.bands} bands; labels have one")


def classes_of(root: DataRoot) -> Classes:
    """The classes of a data root.

    Raises:
        InputError: it has none, or none that can be used.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> list(classes_of(root).names)
    [1, 2, 3, 4, 5, 6]
    """
    if not root.classes:
        raise InputError(root.path / "dataset.yaml", "names no classes: segmentation needs labelled data")
    try:
        return Classes(dict(root.classes), root.ignore_index)
    except (TypeError, ValueError) as error:
        raise InputError(root.path / "dataset.yaml", str(error)) from error


def count_labels(paths: Sequence[Path], classes: Classes) -> NDArray[np.int64]:
    """Pixels of each class in each label raster, (rasters, K); strip by strip.

    Raises:
        InputError: as `Classes.read`.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> int(count_labels(list(root.rasters("label").values()), classes_of(root)).sum())
    4096
    """
    counts = np.zeros((len(paths), len(classes.names)), np.int64)
    for row, path in zip(counts, paths, strict=True):
        with Scene.open(path, palette="index") as scene:
            height, width = scene.height, scene.width
        step = max(1, _STRIP_PIXELS // width)
        for top in range(0, height, step):
            found = classes.read(path, Window(top, 0, min(step, height - top), width))
            row += np.bincount(found.ravel(), minlength=IGNORED + 1)[: len(row)]
    return counts


def class_weights(counts: NDArray[np.int64], kind: Literal["none", "inverse", "median"]) -> NDArray[np.float64]:
    """Weights (K,) of the classes in the loss from pixel counts (rasters, K); 0 for a class that never occurs.

    `inverse`: N / (K n_c), all pixels over the classes present times the pixels of the class. `median`: median
    frequency balancing (Eigen & Fergus, ICCV 2015, sec. 6.3.2): median of f over f_c, where f_c is the share of the
    class in the labelled pixels of those rasters in which it occurs.

    >>> class_weights(np.array([[30, 10], [30, 10]]), "inverse").round(2).tolist()
    [0.67, 2.0]
    """
    totals = counts.sum(axis=0)
    present = totals > 0
    if kind == "none":
        return np.ones(len(totals))
    weights = np.zeros(len(totals))
    if kind == "inverse":
        weights[present] = totals.sum() / (present.sum() * totals[present])
        return weights
    around = np.where(counts > 0, counts.sum(axis=1, keepdims=True), 0).sum(axis=0)
    shares = totals[present] / around[present]
    weights[present] = np.median(shares) / shares
    return weights
