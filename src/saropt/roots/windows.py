"""Random training windows straight from the rasters of a data root."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.radiometry import Normaliser, Recipe, check_units
from saropt.roots.augmentation import Augmentation
from saropt.roots.block_cache import BlockCache
from saropt.roots.labels import classes_of
from saropt.roots.root import DataRoot
from saropt.scenes import Scene, Window

_TRIES = 64


@dataclass(frozen=True)
class Side:
    """Which bands (1-based indices) of one side are used, in which units, and how they are normalised."""

    bands: tuple[int, ...]
    units: str
    recipe: Recipe


@dataclass(frozen=True)
class Sample:
    """One normalised window: `sar` (Cs, h, w) and `optical` (Co, h, w), float32 in [-1, 1], and its classes.

    `label` (h, w) holds class indices, `IGNORED` where there is none; None where labels are not asked for.
    """

    sar: NDArray[np.float32]
    optical: NDArray[np.float32]
    label: NDArray[np.int64] | None = None


class Rasters:
    """Windows of rasters, decoded pixels kept up to `cache_bytes`: small rasters whole, of others blocks. Thread-safe.

    Paletted rasters come as their colours, or as stored indices (labels) with `palette="index"`.
    """

    def __init__(self, cache_bytes: int = 1 << 30, palette: Literal["colours", "index"] = "colours") -> None:
        self._budget = cache_bytes
        self._palette: Literal["colours", "index"] = palette
        self._held: OrderedDict[tuple[Path, tuple[int, ...]], tuple[NDArray, NDArray]] = OrderedDict()
        self._blocks = BlockCache(cache_bytes // 2, palette)
        self._large: set[Path] = set()
        self._lock = threading.Lock()

    def read(self, path: Path, bands: tuple[int, ...], window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) and validity (h, w) of a window."""
        key = (path, bands)
        if path in self._large:
            return self._blocks.read(path, bands, window)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return _cut(*self._held[key], window)
        with Scene.open(path, bands=bands, palette=self._palette) as scene:
            if scene.width * scene.height * scene.count * 4 > self._budget // 4:
                self._large.add(path)
                return self._blocks.read(path, bands, window)
            values, valid = scene.read()
        if scene.dtype in ("uint8", "uint16", "int16"):
            values = values.astype(scene.dtype)
        with self._lock:
            self._held[key] = (values, valid)
            while sum(v.nbytes + m.nbytes for v, m in self._held.values()) > self._budget and len(self._held) > 1:
                self._held.popitem(last=False)
        return _cut(values, valid, window)


def _cut(values: NDArray, valid: NDArray[np.bool_], window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
    rows = slice(window.row, window.row + window.height)
    columns = slice(window.col, window.col + window.width)
    values = values[:, rows, columns]
    return values if np.iscomplexobj(values) else values.astype(np.float32), valid[rows, columns]


@dataclass(frozen=True)
class _Pool:
    """The rasters of one side, and how often each is drawn."""

    side: Side
    paths: list[Path]
    shapes: list[tuple[int, int]]
    normalisers: list[Normaliser]
    weights: NDArray[np.float64]

    @classmethod
    def open(
        cls, paths: Sequence[Path], side: Side, crop: int, is_sar: bool, balance_tag: str | None, balance: float
    ) -> _Pool:
        shapes, normalisers, groups = [], [], []
        for path in paths:
            with Scene.open(path, bands=side.bands) as scene:
                sample = scene.sample(1 << 18)
                try:
                    if is_sar:
                        check_units(sample, side.units, scene.dtype)
                    normalisers.append(side.recipe.fit(sample, side.units, scene.dtype))
                except ValueError as error:
                    raise InputError(path, str(error)) from error
                shape, tags = (scene.height, scene.width), scene.tags
            if balance_tag is not None and balance_tag not in tags:
                raise InputError(path, f"has no tag {balance_tag} to balance the windows by")
            if min(shape) < crop:
                raise InputError(path, f"is {shape[0]}x{shape[1]}: smaller than the training window of {crop}")
            shapes.append(shape)
            groups.append("" if balance_tag is None else tags[balance_tag])
        areas = np.array([h * w for h, w in shapes], np.float64)
        totals = {group: sum(a for a, g in zip(areas, groups, strict=True) if g == group) for group in set(groups)}
        shares = areas / np.array([totals[group] ** balance for group in groups])
        return cls(side, list(paths), shapes, normalisers, shares / shares.sum())


class WindowSampler:
    """Draws random square windows of a split, rasters weighted by their area.

    Args:
        root: the data root.
        split: "train", "val" or "test"; (split of the SAR side, of the optical side) where the sides are drawn apart.
        crop: window side in pixels.
        sar, optical: bands, units and recipes of both sides.
        augmentation: random changes; None for none.
        unpaired: draw the two sides independently, from random streams of their own, as unpaired methods do. An
            unpaired root is always drawn so.
        balance_tag: tag of the SAR rasters whose values share the windows, and of an unpaired root's optical rasters as
            well; by area alone when None.
        balance: how evenly, from 0 (by area) to 1 (equally): shares are areas to the power of 1 - balance.
        labels: draw the labels of the windows as well; pairs only.

    Raises:
        InputError: rasters are missing, smaller than `crop`, on different grids though paired, without the tag, or
            contradict their units; with `labels`, no classes or no pairs.
    """

    def __init__(
        self,
        root: DataRoot,
        split: str | tuple[str, str],
        crop: int,
        sar: Side,
        optical: Side,
        augmentation: Augmentation | None = None,
        unpaired: bool = False,
        balance_tag: str | None = None,
        balance: float = 1.0,
        labels: bool = False,
    ) -> None:
        self.crop = crop
        self.augmentation = augmentation or Augmentation(flips=False)
        sar_split, optical_split = (split, split) if isinstance(split, str) else split
        pairs = root.paired and sar_split == optical_split
        self.unpaired = unpaired or not pairs
        self._rasters = Rasters()
        sar_paths = list(root.rasters("sar", sar_split).values())
        optical_paths = list(root.rasters("optical", optical_split).values())
        self._sar = _Pool.open(sar_paths, sar, crop, True, balance_tag, balance)
        tag = None if pairs else balance_tag
        self._optical = _Pool.open(optical_paths, optical, crop, False, tag, balance)
        self._label_paths: list[Path] = []
        if labels:
            if self.unpaired:
                raise InputError(root.path, "labels are drawn with pairs only")
            self.classes = classes_of(root)
            self._labels = Rasters(palette="index")
            self._label_paths = [root.label_path(name) for name in root.names(sar_split)]
        if pairs:
            self._check_grids(optical_paths, self._optical.shapes)
            if labels:
                self._check_grids(self._label_paths, [_shape(path) for path in self._label_paths])
            self._optical = replace(self._optical, weights=self._sar.weights)

    def _check_grids(self, paths: Sequence[Path], shapes: Sequence[tuple[int, int]]) -> None:
        for path, shape, wanted in zip(paths, shapes, self._sar.shapes, strict=True):
            if shape != wanted:
                raise InputError(path, f"is {shape} but the SAR raster is {wanted} pixels")

    def draw(self, rng: np.random.Generator) -> Sample:
        """One random window, wholly valid on both sides."""
        label: list[NDArray] = []
        if self.unpaired:
            sar_rng, optical_rng = rng.spawn(2)
            first, sar, _ = self._window(sar_rng, self._sar)
            second, optical, _ = self._window(optical_rng, self._optical)
            (sar,) = self.augmentation.symmetry(sar_rng, sar)
            (optical,) = self.augmentation.symmetry(optical_rng, optical)
        else:
            sar_rng = optical_rng = rng
            first, sar, place = self._window(rng, self._sar, self._optical)
            second, optical = first, self._read(self._optical, first, place)[0]
            label = [self._label(first, place)] if self._label_paths else []
            sar, optical, *label = self.augmentation.symmetry(rng, sar, optical, *label)
        sar = self.augmentation.disturb_sar(sar_rng, sar, self._sar.side.units)
        optical = self.augmentation.disturb_optical(optical_rng, optical)
        return Sample(
            np.ascontiguousarray(self._sar.normalisers[first].forward(sar)),
            np.ascontiguousarray(self._optical.normalisers[second].forward(optical)),
            np.ascontiguousarray(label[0]) if label else None,
        )

    def _label(self, index: int, window: Window) -> NDArray[np.int64]:
        path = self._label_paths[index]
        stored, labelled = self._labels.read(path, (1,), window)
        return self.classes.indices(stored[0], labelled, path).astype(np.int64)

    def _window(self, rng: np.random.Generator, pool: _Pool, other: _Pool | None = None) -> tuple[int, NDArray, Window]:
        """Raster number, values and place of a window that is valid in `pool`, and in `other` where given."""
        for _ in range(_TRIES):
            index = int(rng.choice(len(pool.weights), p=pool.weights))
            height, width = pool.shapes[index]
            row, col = int(rng.integers(height - self.crop + 1)), int(rng.integers(width - self.crop + 1))
            window = Window(row, col, self.crop, self.crop)
            values, valid = self._read(pool, index, window)
            if valid.all() and (other is None or self._read(other, index, window)[1].all()):
                return index, values, window
        raise InputError(pool.paths[0].parent, f"no wholly valid window of {self.crop} px in {_TRIES} tries")

    def _read(self, pool: _Pool, index: int, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        return self._rasters.read(pool.paths[index], pool.side.bands, window)


def _shape(path: Path) -> tuple[int, int]:
    with Scene.open(path, palette="index") as scene:
        if scene.count != 1:
            raise InputError(path, f"has {scene.count} bands; labels have one")
        return scene.height, scene.width


def draw_batch(sampler: WindowSampler, size: int, seed: Sequence[int], first: int = 0) -> tuple[NDArray, ...]:
    """SAR (N, Cs, h, w), optical (N, Co, h, w) of `size` windows; class indices (N, h, w) where labels are drawn.

    A pure function of `seed` and of `first`, the number of the first window: a batch can be drawn in parts.
    """
    samples = [sampler.draw(np.random.default_rng([*seed, index])) for index in range(first, first + size)]
    batch = np.stack([s.sar for s in samples]), np.stack([s.optical for s in samples])
    labels = [s.label for s in samples if s.label is not None]
    return (*batch, np.stack(labels)) if labels else batch
