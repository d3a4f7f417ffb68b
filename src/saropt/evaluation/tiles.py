"""The tiles of a data root's split: rasters read from disk, scaled to [0, 1] and cut into squares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.radiometry import to_db
from saropt.scenes import Scene, Window

TILE = 256
MIN_VALID = 0.5
DB_RANGE = (-30.0, 5.0)
RANGES = {
    "8-bit": "value / 255",
    "decibels": "(dB + 30) / 35, clipped; powers, calibrated amplitudes and complex pixels go through decibels",
    "reflectance": "reflectance (x10000: value / 10000), clipped",
}
"""How values of each kind are brought to [0, 1] before anything is measured."""
_NUMPY_TYPES = {"complex_int16": "complex64"}


class Side(Protocol):
    """One side of a pair: its bands and units."""

    @property
    def bands(self) -> Sequence[str]: ...
    @property
    def units(self) -> str: ...


class PairRoot(Protocol):
    """What evaluation needs of `saropt.roots.DataRoot`."""

    @property
    def name(self) -> str: ...
    @property
    def gsd_m(self) -> float: ...
    @property
    def sar(self) -> Side: ...
    @property
    def optical(self) -> Side: ...
    @property
    def licence(self) -> Any: ...
    @property
    def paired(self) -> bool: ...
    def names(self, split: str) -> Sequence[str]: ...
    def sar_path(self, name: str) -> Path: ...
    def optical_path(self, name: str) -> Path: ...


def unit_range(values: NDArray[Any], units: str, dtype: np.dtype[Any] | str) -> NDArray[np.float32]:
    """Values in [0, 1] by the fixed range of their units (`RANGES`), the same for every scene.

    Args:
        values: any shape, in `units`.
        units: SAR units, or the text by which a data root names its optical units.
        dtype: the data type of the raster that `values` come from or are compared with.

    Raises:
        ValueError: the units have no fixed range, as amplitudes without calibration have none.
    """
    if units == "uint8" or np.dtype(dtype) == np.uint8:
        scaled = np.asarray(values, np.float32) / 255.0
    elif units in ("sigma0_db", "gamma0_db", "sigma0", "gamma0", "complex"):
        low, high = DB_RANGE
        scaled = (to_db(values, units) - low) / (high - low)
    elif units == "amplitude":
        decibels = to_db(values, units)
        if decibels.size and float(np.median(decibels)) > DB_RANGE[1] + 10.0:
            raise ValueError("amplitudes without calibration (medians far above 1) have no fixed range to [0, 1]")
        scaled = (decibels - DB_RANGE[0]) / (DB_RANGE[1] - DB_RANGE[0])
    elif "10000" in units:
        scaled = np.asarray(values, np.float32) / 10000.0
    elif units == "reflectance":
        scaled = np.asarray(values, np.float32)
    else:
        raise ValueError(f"no fixed range to [0, 1] is known for units {units!r} of type {np.dtype(dtype)}")
    return np.clip(scaled, 0.0, 1.0)


@dataclass(frozen=True)
class Picture:
    """One side of a raster pair: values (C, h, w) in its units, validity (h, w), units, bands and data type."""

    values: NDArray[Any]
    valid: NDArray[np.bool_]
    units: str
    bands: tuple[str, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Pair:
    """A raster pair, or a window of one."""

    name: str
    sar: Picture
    optical: Picture

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(h, w), True where both sides are valid."""
        return self.sar.valid & self.optical.valid

    def sides(self, direction: str) -> tuple[Picture, Picture]:
        """(input, truth) of a direction, `sar2opt` or `opt2sar`."""
        return (self.sar, self.optical) if direction == "sar2opt" else (self.optical, self.sar)


def tile_windows(height: int, width: int, size: int = TILE) -> list[Window]:
    """Windows of size x size side by side from the upper left corner; what remains at the right and lower edge is
    left out. A side shorter than `size` is taken whole.
    """
    h, w = min(size, height), min(size, width)
    return [Window(r, c, h, w) for r in range(0, height - h + 1, h) for c in range(0, width - w + 1, w)]


def _open_pair(root: PairRoot, name: str) -> tuple[Scene, Scene]:
    scenes = []
    for path, side in ((root.sar_path(name), root.sar), (root.optical_path(name), root.optical)):
        scene = Scene.open(path)
        scenes.append(scene)
        if scene.count != len(side.bands):
            raise InputError(path, f"has {scene.count} bands, the data root says {', '.join(side.bands)}")
    sar, optical = scenes
    if (sar.height, sar.width) != (optical.height, optical.width):
        shapes = f"{sar.width}x{sar.height} and {optical.width}x{optical.height} pixels"
        raise InputError(root.optical_path(name), f"SAR and optical are not on one grid: {shapes}")
    return sar, optical


def _read(root: PairRoot, name: str, sar: Scene, optical: Scene, window: Window | None) -> Pair:
    pictures = (
        Picture(
            *scene.read(window), side.units, tuple(side.bands), np.dtype(_NUMPY_TYPES.get(scene.dtype, scene.dtype))
        )
        for scene, side in ((sar, root.sar), (optical, root.optical))
    )
    return Pair(name, *pictures)


def read_pair(root: PairRoot, name: str) -> Pair:
    """A whole raster pair.

    Raises:
        InputError: a raster cannot be read, its bands are not those of the root, or the two are not on one grid.
    """
    sar, optical = _open_pair(root, name)
    with sar, optical:
        return _read(root, name, sar, optical, None)


def stream_tiles(root: PairRoot, names: Iterable[str], size: int = TILE) -> Iterator[Pair]:
    """The tiles of rasters, window by window from disk.

    Raises:
        InputError: as `read_pair`.
    """
    for name in names:
        sar, optical = _open_pair(root, name)
        with sar, optical:
            for window in tile_windows(sar.height, sar.width, size):
                yield _read(root, name, sar, optical, window)
