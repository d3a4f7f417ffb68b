"""Windows of rasters that are too large to be kept decoded: open files and decoded blocks are kept instead."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saropt.scenes import Scene, Window

OPEN_SCENES = 32
_STRIP_PIXELS = 1 << 18
Key = tuple[Path, tuple[int, ...]]
Block = tuple[NDArray, NDArray[np.bool_]]


class BlockCache:
    """Decoded blocks in memory, up to `cache_bytes`; the least recently used are dropped first.

    Thread-safe, and threads decode in parallel. Blocks are those in which the file is stored; thin strips are joined
    to about 2^18 pixels.
    """

    def __init__(self, cache_bytes: int, palette: Literal["colours", "index"] = "colours") -> None:
        self._budget = cache_bytes
        self._palette: Literal["colours", "index"] = palette
        self._blocks: OrderedDict[tuple[Key, int, int], Block] = OrderedDict()
        self._bytes = 0
        self._idle: OrderedDict[Key, list[Scene]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, bands: tuple[int, ...], window: Window, units: str | None = None) -> Block:
        """Values (C, h, w), float32 or complex64, and validity (h, w) of a window inside the raster."""
        key = (path, bands)
        with self._scene(key, units) as scene:
            if not window.inside(scene.height, scene.width):
                raise ValueError(f"{window} is not inside {path.name}")
            height, width = _block_shape(scene)
            rows = range(window.row // height, -(-(window.row + window.height) // height))
            columns = range(window.col // width, -(-(window.col + window.width) // width))
            parts = [[self._block(scene, key, row, col, height, width) for col in columns] for row in rows]
        top, left = window.row - rows.start * height, window.col - columns.start * width
        inner = np.s_[..., top : top + window.height, left : left + window.width]
        values = np.concatenate([np.concatenate([part[0] for part in line], axis=2) for line in parts], axis=1)[inner]
        valid = np.concatenate([np.concatenate([part[1] for part in line], axis=1) for line in parts], axis=0)[inner]
        return values if np.iscomplexobj(values) else values.astype(np.float32), valid

    def _block(self, scene: Scene, key: Key, row: int, col: int, height: int, width: int) -> Block:
        place = (key, row, col)
        with self._lock:
            if place in self._blocks:
                self._blocks.move_to_end(place)
                return self._blocks[place]
        top, left = row * height, col * width
        values, valid = scene.read(Window(top, left, min(height, scene.height - top), min(width, scene.width - left)))
        if scene.dtype in ("uint8", "uint16", "int16"):
            values = values.astype(scene.dtype)
        with self._lock:
            if place not in self._blocks:
                self._blocks[place] = (values, valid)
                self._bytes += values.nbytes + valid.nbytes
            while self._bytes > self._budget and len(self._blocks) > 1:
                _, (old, mask) = self._blocks.popitem(last=False)
                self._bytes -= old.nbytes + mask.nbytes
        return values, valid

    @contextmanager
    def _scene(self, key: Key, units: str | None) -> Iterator[Scene]:
        """A scene that no other thread uses, opened if none is idle."""
        with self._lock:
            waiting = self._idle.get(key)
            scene = waiting.pop() if waiting else None
        if scene is None:
            scene = Scene.open(key[0], bands=key[1], palette=self._palette, units=units)
        try:
            yield scene
        finally:
            with self._lock:
                self._idle.setdefault(key, []).append(scene)
                self._idle.move_to_end(key)
                while sum(map(len, self._idle.values())) > OPEN_SCENES:
                    oldest = next(iter(self._idle))
                    self._idle[oldest].pop().close()
                    if not self._idle[oldest]:
                        del self._idle[oldest]


def _block_shape(scene: Scene) -> tuple[int, int]:
    height, width = scene.block_shape
    if height * width >= _STRIP_PIXELS // 8:
        return height, width
    if width >= scene.width:
        return min(scene.height, max(1, _STRIP_PIXELS // (height * width)) * height), width
    return max(1, 512 // height) * height, max(1, 512 // width) * width
