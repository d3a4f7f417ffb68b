"""Radar geometry on a map grid, window by window, by the control points of a product."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import GCPTransformer
from rasterio.warp import transform

from saropt.scenes.georeference import Georeference, Window, pixels_spanned
from saropt.scenes.grid import Grid

STEP: Final = 32
"""Distance in pixels of the points at which the place in radar geometry is computed; linear between them."""

Read = Callable[[Window], tuple[NDArray[np.float32], NDArray[np.bool_]]]


class MapProjection:
    """Reads a raster with control points as if it lay on a map grid: thin-plate splines through the points, bilinear
    between pixels, and the mean of the pixels around where those of the grid are larger. The terrain is not modelled.

    What stands at a pixel depends on its position alone, not on the window that is read.

    Args:
        place: control points of the raster.
        height, width: of the raster.
        grid: the map grid.
        read: (C, h, w), power for SAR, and valid (C, h, w) of a window of the raster.
    """

    def __init__(self, place: Georeference, height: int, width: int, grid: Grid, read: Read) -> None:
        self._place, self._frame, self._grid, self._read = place, (height, width), grid, read
        self._span = span_in(place, height, width, grid)
        self._points = GCPTransformer(list(place.gcps), tps=True)

    def close(self) -> None:
        """Free the splines."""
        self._points.close()

    def read(self, window: Window, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (count, h, w) of a window of the grid, and where at least half of a pixel is valid (h, w)."""
        return read_at(*self._places(window), self._frame, self._read, count, self._span)

    def _places(self, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column in the raster of the centres of the pixels of a window, 0 at the centre of the first pixel."""
        lattice_rows, across_rows = lattice(window.row, window.height)
        lattice_cols, across_cols = lattice(window.col, window.width)
        cols, rows = np.meshgrid(lattice_cols + 0.5, lattice_rows + 0.5)
        xs, ys = places_in(self._place.gcp_crs, self._grid, rows, cols)
        found = self._points.rowcol(xs.ravel(), ys.ravel(), op=np.positive)
        row, col = (across_rows @ np.reshape(part, rows.shape) @ across_cols.T - 0.5 for part in found)
        return row, col


def places_in(
    crs: CRS | None, grid: Grid, rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The x and y, in a coordinate system, of places of a grid: 0, 0 is the corner of its first pixel."""
    a, b, c, d, e, f = grid.transform[:6]
    eastings, northings = (a * cols + b * rows + c).ravel(), (d * cols + e * rows + f).ravel()
    x, y = transform(grid.crs, crs, eastings, northings)[:2]
    return np.reshape(x, rows.shape), np.reshape(y, rows.shape)


def lattice(start: int, length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions at whole multiples of the step around a stretch of pixels, and the weights (length, positions) that
    interpolate between them."""
    first = start // STEP
    last = (start + length - 1) // STEP + 1
    positions = np.arange(first, last + 1) * STEP
    share = (np.arange(start, start + length) - positions[0]) / STEP
    below = share.astype(np.intp)
    weights = np.zeros((length, len(positions)))
    pixels = np.arange(length)
    weights[pixels, below] = 1.0 - (share - below)
    weights[pixels, below + 1] = share - below
    return positions.astype(np.float64), weights


def span_in(place: Georeference, height: int, width: int, grid: Grid) -> tuple[float, float]:
    """Rows and columns of a raster that a pixel of a grid takes in: 1 at least."""
    rows, cols = pixels_spanned(place, height, width, grid.crs, grid.transform) or (1.0, 1.0)
    return max(rows, 1.0), max(cols, 1.0)


def read_at(
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
    frame: tuple[int, int],
    read: Read,
    count: int,
    span: tuple[float, float],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values (count, h, w) of a raster at rows and columns (h, w), NaN for none, and where they are known."""
    empty = np.zeros((count, *rows.shape), np.float32), np.zeros(rows.shape, bool)
    seen = np.isfinite(rows)
    if not seen.any():
        return empty
    (top, bottom), (left, right) = (
        (max(int(np.floor(at[seen].min() - one)) + 1, 0), min(int(np.ceil(at[seen].max() + one)), length))
        for at, one, length in zip((rows, cols), span, frame, strict=True)
    )
    if top >= bottom or left >= right:
        return empty
    values, measured = read(Window(top, left, bottom - top, right - left))
    known: NDArray[np.bool_] = np.logical_and.reduce(measured)
    values[:, ~known] = 0
    away = -2.0 * max(span)
    rows, cols = np.where(seen, rows - top, away), np.where(seen, cols - left, away)
    return between_pixels(values, known, rows, cols, span)


def between_pixels(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
    span: tuple[float, float] = (1.0, 1.0),
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values (C, h, w) between the pixels of (C, H, W), by those that are known; pixels outside are not. Weights fall
    linearly to 0 at the rows and columns of `span`, as those of GDAL do."""
    height, width = known.shape
    top, left = np.floor(rows).astype(np.intp), np.floor(cols).astype(np.intp)
    total = np.zeros(rows.shape, np.float32)
    whole = np.zeros(rows.shape, np.float32)
    made = np.zeros((len(values), *rows.shape), np.float32)
    across = [(left + step, _weight(left + step - cols, span[1])) for step in _steps(span[1])]
    for step in _steps(span[0]):
        r = top + step
        row_weight = _weight(r - rows, span[0])
        in_row, r = (r >= 0) & (r < height), np.clip(r, 0, height - 1)
        for col, col_weight in across:
            inside = in_row & (col >= 0) & (col < width)
            c = np.clip(col, 0, width - 1)
            weight = row_weight * col_weight
            whole += weight
            weight = weight * (inside & known[r, c])
            total += weight
            made += weight * values[:, r, c]
    valid = total >= 0.5 * whole
    made /= np.where(valid, total, 1.0)
    made[:, ~valid] = 0
    return made, valid


def _steps(span: float) -> range:
    reach = math.ceil(span)
    return range(1 - reach, 1 + reach)


def _weight(distance: NDArray[np.float64], span: float) -> NDArray[np.float32]:
    return np.maximum(1.0 - np.abs(distance) / span, 0.0).astype(np.float32)
