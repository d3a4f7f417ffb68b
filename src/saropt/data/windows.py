"""Random training windows straight from the rasters of a data root."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saropt.data.augmentation import Augmentation
from saropt.data.root import DataRoot
from saropt.errors import InputError
from saropt.radiometry import Normaliser, Recipe, check_units
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
    """One normalised window: `sar` (Cs, h, w) and `optical` (Co, h, w), float32 in [-1, 1]."""

    sar: NDArray[np.float32]
    optical: NDArray[np.float32]


class Rasters:
    """Windows of rasters, whole small rasters kept decoded up to `cache_bytes`. Thread-safe.

    Paletted rasters come as their colours, or as stored indices (labels) with `palette="index"`.
    """

    def __init__(self, cache_bytes: int = 1 << 30, palette: Literal["colours", "index"] = "colours") -> None:
        self._budget = cache_bytes
        self._palette: Literal["colours", "index"] = palette
        self._held: OrderedDict[tuple[Path, tuple[int, ...]], tuple[NDArray, NDArray]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, bands: tuple[int, ...], window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) and validity (h, w) of a window."""
        key = (path, bands)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return _cut(*self._held[key], window)
        with Scene.open(path, bands=bands, palette=self._palette) as scene:
            if scene.width * scene.height * scene.count * 4 > self._budget // 4:
                return scene.read(window)
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


class WindowSampler:
    """Draws random square windows of a split, rasters weighted by their area.

    Args:
        root: the data root.
        split: "train", "val" or "test".
        crop: window side in pixels.
        sar, optical: bands, units and recipes of both sides.
        augmentation: random changes; None for none.
        unpaired: draw the two sides independently, as unpaired methods do.
        balance_tag: tag of the SAR rasters whose values share the windows; by area alone when None.
        balance: how evenly, from 0 (by area) to 1 (equally): shares are areas to the power of 1 - balance.

    Raises:
        InputError: rasters are missing, smaller than `crop`, on different grids, without the tag, or contradict their
            units.
    """

    def __init__(
        self,
        root: DataRoot,
        split: str,
        crop: int,
        sar: Side,
        optical: Side,
        augmentation: Augmentation | None = None,
        unpaired: bool = False,
        balance_tag: str | None = None,
        balance: float = 1.0,
    ) -> None:
        self.crop = crop
        self.sar = sar
        self.optical = optical
        self.augmentation = augmentation or Augmentation(flips=False)
        self.unpaired = unpaired
        self._rasters = Rasters()
        self._paths = [(root.sar_path(name), root.optical_path(name)) for name in root.names(split)]
        self._shapes: list[tuple[int, int]] = []
        self._normalisers: list[tuple[Normaliser, Normaliser]] = []
        groups: list[str] = []
        for sar_path, optical_path in self._paths:
            shape, sar_normaliser, tags = self._inspect(sar_path, sar, is_sar=True)
            optical_shape, optical_normaliser, _ = self._inspect(optical_path, optical, is_sar=False)
            if balance_tag is not None and balance_tag not in tags:
                raise InputError(sar_path, f"has no tag {balance_tag} to balance the windows by")
            groups.append(tags[balance_tag] if balance_tag is not None else "")
            if shape != optical_shape:
                raise InputError(optical_path, f"is {optical_shape} but {sar_path.name} is {shape} pixels")
            if min(shape) < crop:
                raise InputError(sar_path, f"is {shape[0]}x{shape[1]}: smaller than the training window of {crop}")
            self._shapes.append(shape)
            self._normalisers.append((sar_normaliser, optical_normaliser))
        areas = np.array([h * w for h, w in self._shapes], np.float64)
        totals = {group: sum(a for a, g in zip(areas, groups, strict=True) if g == group) for group in set(groups)}
        shares = areas / np.array([totals[group] ** balance for group in groups])
        self._weights = shares / shares.sum()

    @staticmethod
    def _inspect(path: Path, side: Side, is_sar: bool) -> tuple[tuple[int, int], Normaliser, dict[str, str]]:
        with Scene.open(path, bands=side.bands) as scene:
            sample = scene.sample(1 << 18)
            try:
                if is_sar:
                    check_units(sample, side.units, scene.dtype)
                normaliser = side.recipe.fit(sample, side.units, scene.dtype)
            except ValueError as error:
                raise InputError(path, str(error)) from error
            return (scene.height, scene.width), normaliser, scene.tags

    def draw(self, rng: np.random.Generator) -> Sample:
        """One random window, wholly valid on both sides."""
        first, sar, place = self._window(rng, 0)
        if self.unpaired:
            second, optical, _ = self._window(rng, 1)
            (sar,) = self.augmentation.symmetry(rng, sar)
            (optical,) = self.augmentation.symmetry(rng, optical)
        else:
            second = first
            optical = self._rasters.read(self._paths[second][1], self.optical.bands, place)[0]
            sar, optical = self.augmentation.symmetry(rng, sar, optical)
        sar = self.augmentation.disturb_sar(rng, sar, self.sar.units)
        optical = self.augmentation.disturb_optical(rng, optical)
        return Sample(
            np.ascontiguousarray(self._normalisers[first][0].forward(sar)),
            np.ascontiguousarray(self._normalisers[second][1].forward(optical)),
        )

    def _window(self, rng: np.random.Generator, side: int) -> tuple[int, NDArray, Window]:
        bands = (self.sar if side == 0 else self.optical).bands
        for _ in range(_TRIES):
            index = int(rng.choice(len(self._weights), p=self._weights))
            height, width = self._shapes[index]
            row, col = int(rng.integers(height - self.crop + 1)), int(rng.integers(width - self.crop + 1))
            window = Window(row, col, self.crop, self.crop)
            values, valid = self._rasters.read(self._paths[index][side], bands, window)
            if valid.all() and (self.unpaired or self._other_valid(index, side, window)):
                return index, values, window
        raise InputError(self._paths[0][side].parent, f"no wholly valid window of {self.crop} px in {_TRIES} tries")

    def _other_valid(self, index: int, side: int, window: Window) -> bool:
        other = self.optical if side == 0 else self.sar
        return bool(self._rasters.read(self._paths[index][1 - side], other.bands, window)[1].all())


def draw_batch(sampler: WindowSampler, size: int, seed: Sequence[int]) -> tuple[NDArray, NDArray]:
    """SAR (N, Cs, h, w) and optical (N, Co, h, w) of `size` windows; a pure function of `seed`."""
    samples = [sampler.draw(np.random.default_rng([*seed, index])) for index in range(size)]
    return np.stack([s.sar for s in samples]), np.stack([s.optical for s in samples])
