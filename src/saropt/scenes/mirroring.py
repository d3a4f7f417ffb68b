"""Reads windows that reach outside a raster, mirrored at its edges."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.scenes.georeference import Window


class Readable(Protocol):
    """A raster that can read windows inside it."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def read(self, window: Window | None = None) -> tuple[NDArray, NDArray[np.bool_]]: ...


def read_mirrored(raster: Readable, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
    """Values (C, h, w) and validity (h, w) of a window that may reach outside a raster by any amount.

    Outside the raster both are mirrored at the edges, without repeating the edge pixel. So the value at a position
    depends on the position alone, not on the window.

    >>> from saropt.scenes import Scene, Window, write_array
    >>> path = write_array("ramp.tif", np.arange(4, dtype=np.float32).reshape(1, 1, 4), band_names=["VV"])
    >>> with Scene.open(path) as scene:
    ...     read_mirrored(scene, Window(0, -2, 1, 8))[0].ravel().tolist()
    [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]
    """
    if window.inside(raster.height, raster.width):
        return raster.read(window)
    rows = reflect_indices(window.row, window.height, raster.height)
    cols = reflect_indices(window.col, window.width, raster.width)
    top, left = int(rows.min()), int(cols.min())
    values, valid = raster.read(Window(top, left, int(rows.max()) - top + 1, int(cols.max()) - left + 1))
    if cols[0] != window.col or cols[-1] != window.col + window.width - 1:
        values, valid = values.take(cols - left, axis=2), valid.take(cols - left, axis=1)
    if rows[0] != window.row or rows[-1] != window.row + window.height - 1:
        values, valid = values.take(rows - top, axis=1), valid.take(rows - top, axis=0)
    return values, valid


def reflect_indices(start: int, length: int, size: int) -> np.ndarray:
    """Indices into an axis of `size` pixels for positions start .. start+length-1, mirrored at the edges.

    The edge pixel is not repeated (period 2*(size-1), as numpy's "reflect"), so the index depends on the absolute
    position alone and any overhang is possible.

    Returns:
        (length,) int64 in [0, size).

    >>> reflect_indices(-2, 8, 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    positions = np.arange(start, start + length)
    if size == 1:
        return np.zeros(length, dtype=np.int64)
    folded = np.mod(positions, 2 * (size - 1))
    return np.minimum(folded, 2 * (size - 1) - folded)
