"""Windows of many rasters; decoded pixels are kept in memory up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saropt.roots.block_cache import BlockCache
from saropt.scenes import Scene, Window


class Rasters:
    """Windows of rasters. Small rasters are kept whole, large ones in blocks, up to `cache_bytes`. Thread-safe.

    Paletted rasters come as their colours, or as stored indices (labels) with `palette="index"`.
    """

    def __init__(self, cache_bytes: int = 1 << 30, palette: Literal["colours", "index"] = "colours") -> None:
        self._budget = cache_bytes
        self._palette: Literal["colours", "index"] = palette
        self._held: OrderedDict[tuple[Path, tuple[int, ...]], tuple[NDArray, NDArray]] = OrderedDict()
        self._blocks = BlockCache(cache_bytes // 2, palette)
        self._bytes = 0
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
            if key not in self._held:
                self._held[key] = (values, valid)
                self._bytes += values.nbytes + valid.nbytes
            while self._bytes > self._budget and len(self._held) > 1:
                _, (old, mask) = self._held.popitem(last=False)
                self._bytes -= old.nbytes + mask.nbytes
        return _cut(values, valid, window)


def _cut(values: NDArray, valid: NDArray[np.bool_], window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
    rows = slice(window.row, window.row + window.height)
    columns = slice(window.col, window.col + window.width)
    values = values[:, rows, columns]
    return values if np.iscomplexobj(values) else values.astype(np.float32), valid[rows, columns]
