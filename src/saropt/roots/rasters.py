"""Windows of many rasters; decoded pixels are kept in memory up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saropt.radiometry import ValueRule
from saropt.roots.block_cache import BlockCache
from saropt.scenes import Scene, Window


class Rasters:
    """Windows of rasters. Small rasters are kept whole, large ones in blocks, up to `cache_bytes`. Thread-safe.

    Attributes:
        units: raster -> units of its values; where they are known, impossible ones are invalid.

    Paletted rasters come as their colours, or as stored indices (labels) with `palette="index"`.
    """

    def __init__(self, cache_bytes: int = 1 << 30, palette: Literal["colours", "index"] = "colours") -> None:
        self._budget = cache_bytes
        self._palette: Literal["colours", "index"] = palette
        self.units: dict[Path, str] = {}
        self._held: OrderedDict[tuple[Path, tuple[int, ...]], tuple[NDArray, NDArray]] = OrderedDict()
        self._blocks = BlockCache(cache_bytes // 2, palette)
        self._bytes = 0
        self._large: set[Path] = set()
        self._dtypes: dict[Path, str] = {}
        self._lock = threading.Lock()

    def read(self, path: Path, bands: tuple[int, ...], window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) and validity (h, w) of a window."""
        key = (path, bands)
        if path in self._large:
            return self._measured(
                path, self._dtypes[path], *self._blocks.read(path, bands, window, self.units.get(path))
            )
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return _cut(*self._held[key], window)
        units = self.units.get(path)
        with Scene.open(path, bands=bands, palette=self._palette, units=units) as scene:
            if scene.width * scene.height * scene.count * 4 > self._budget // 4:
                self._dtypes[path] = scene.dtype
                self._large.add(path)
                return self._measured(path, scene.dtype, *self._blocks.read(path, bands, window, units))
            values, valid = self._measured(path, scene.dtype, *scene.read())
        if scene.dtype in ("uint8", "uint16", "int16"):
            values = values.astype(scene.dtype)
        with self._lock:
            if key not in self._held:
                self._held[key] = (values, valid)
                self._bytes += values.nbytes + valid.nbytes
            while self._bytes > self._budget and len(self._held) > 1:
                _, (old, mask) = self._held.popitem(last=False)
                self._bytes -= old.nbytes + mask.nbytes
        return _cut(values, valid, window)

    def _measured(
        self, path: Path, dtype: str, values: NDArray, valid: NDArray[np.bool_]
    ) -> tuple[NDArray, NDArray[np.bool_]]:
        """As given, valid only where the values are measurements in the units of the raster."""
        if (units := self.units.get(path)) is None:
            return values, valid
        return values, valid & ValueRule.of(units, dtype).measured(values)


def _cut(values: NDArray, valid: NDArray[np.bool_], window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
    rows = slice(window.row, window.row + window.height)
    columns = slice(window.col, window.col + window.width)
    values = values[:, rows, columns]
    return values if np.iscomplexobj(values) else values.astype(np.float32), valid[rows, columns]
