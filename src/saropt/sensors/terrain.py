"""Radar geometry on a map grid by a terrain model: geocoding, and backscatter as if the ground were flat.

Radiometric terrain flattening after Small, "Flattening Gamma: Radiometric Terrain Correction for SAR Imagery" (IEEE
TGRS 49(8), 2011): the facets of the terrain are projected on the plane across the line of sight, and their areas are
summed by the radar cell in which they are seen. Backscatter is multiplied by

    the sum that flat ground would have / the sum,

which makes gamma0 of the ellipsoid the terrain-flattened gamma0 (eq. 11 to 14), and sigma0 that of flat ground. A cell
spans several lines and columns of the image and pixels of the grid, so that every one of them holds facets. Facets in
radar shadow have no area: those that face away from the radar, and those that nearer terrain hides
(`saropt.sensors.shadow`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Final

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from saropt.errors import InputError
from saropt.scenes import Scene, Window
from saropt.scenes.grid import Grid
from saropt.sensors.orbit import Array, ImageGeometry, earth_fixed
from saropt.sensors.projection import STEP, Read, lattice, places_in, read_at
from saropt.sensors.shadow import RangeDirection, cast_shadow

_BLOCK: Final = 512
_MARGIN: Final = 128
"""Pixels around a block whose facets may fall into its cells (layover)."""
_CELL_LINES, _CELL_M, _CELL_PIXELS = 3.0, 30.0, 3.0
"""Least size of a cell: lines of the image, metres of slant range, and pixels of the grid in both directions."""
_LOWEST, _HIGHEST = 0.1, 10.0
"""Where the areas differ more from those of flat ground, layover or grazing views leave nothing to measure."""
_HIGHEST_RELIEF_M: Final = 9500.0


@dataclass(frozen=True)
class Terrain:
    """A terrain model.

    Attributes:
        path: raster of heights in metres.
        geoid: height of the geoid above the ellipsoid WGS 84 in metres, which is added to heights above sea level; 0
            for heights above the ellipsoid.

    >>> Terrain(Path("dem.tif")).geoid
    0.0
    """

    path: Path
    geoid: float = 0.0


class TerrainProjection:
    """Reads a GRD image as if it lay on a map grid, by the range-Doppler equations at the heights of a terrain model.

    It works in blocks at fixed places of the grid, each with as much of the terrain before it as can cast a shadow on
    it, so what stands at a pixel does not depend on the window that is read. Memory is that of two rows of blocks.

    Args:
        geometry: of the image.
        terrain: the terrain model; pixels where it has no height are invalid. What it holds of the ground between the
            radar and the grid casts shadows too.
        height, width: of the image.
        grid: the map grid.
        read: power (C, h, w) and valid (C, h, w) of a window of the image.
        span: rows and columns of the image that a pixel of the grid takes in.

    Raises:
        InputError: the terrain model cannot be read, or has no height on the grid.
    """

    def __init__(
        self,
        geometry: ImageGeometry,
        terrain: Terrain,
        height: int,
        width: int,
        grid: Grid,
        read: Read,
        span: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        self._geometry, self._frame, self._grid = geometry, (height, width), grid
        self._read, self._span, self._geoid = read, span, terrain.geoid
        self._direction = RangeDirection.on(grid, geometry, height, width)
        everywhere = _grown(Window(0, 0, grid.height, grid.width))
        lines, slant_m = (_CELL_PIXELS * size for size in self._direction.size)
        self._cell = max(_CELL_LINES, lines), max(_CELL_M, slant_m)
        self._reach = self._direction.pixels(_relief(terrain.path, _moved(grid, everywhere)))
        self._covered = self._direction.before(everywhere, self._reach)
        self._heights = Scene.open(terrain.path, [1], grid=_moved(grid, self._covered))
        self._kept: OrderedDict[tuple[int, int], tuple[NDArray[np.float32], NDArray[np.bool_]]] = OrderedDict()
        self._most_kept = 2 * (-(-grid.width // _BLOCK) + 1)
        self._shadowed: dict[tuple[int, int], tuple[int, int]] = {}

    def close(self) -> None:
        """Close the terrain model."""
        self._heights.close()

    def read(self, window: Window, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Values (count, h, w) of a window of the grid, flattened, and where they are valid (h, w)."""
        values = np.zeros((count, window.height, window.width), np.float32)
        valid = np.zeros((window.height, window.width), bool)
        for row in range(window.row // _BLOCK * _BLOCK, window.row + window.height, _BLOCK):
            for col in range(window.col // _BLOCK * _BLOCK, window.col + window.width, _BLOCK):
                top, left = max(row, window.row), max(col, window.col)
                bottom = min(row + _BLOCK, window.row + window.height)
                right = min(col + _BLOCK, window.col + window.width)
                here = np.s_[..., top - window.row : bottom - window.row, left - window.col : right - window.col]
                there = np.s_[..., top - row : bottom - row, left - col : right - col]
                block, known = self._block(row, col, count)
                values[here], valid[here] = block[there], known[there]
        return values, valid

    @property
    def shadow_share(self) -> float:
        """Share of the imaged pixels of the blocks that were read so far that lie in radar shadow, 0 to 1."""
        shadowed, imaged = np.sum(list(self._shadowed.values()) or [(0, 0)], axis=0)
        return float(shadowed / max(imaged, 1))

    def _block(self, row: int, col: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        if (row, col) not in self._kept:
            size = min(_BLOCK, self._grid.height - row), min(_BLOCK, self._grid.width - col)
            self._kept[row, col] = self._computed(Window(row, col, *size), count)
            if len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
        self._kept.move_to_end((row, col))
        return self._kept[row, col]

    def _computed(self, block: Window, count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        rows, cols, gain, shadow = self.places(block)
        height, width = self._frame
        imaged = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        self._shadowed[block.row, block.col] = int((imaged & shadow).sum()), int(imaged.sum())
        seen = np.isfinite(gain)
        made, valid = read_at(np.where(seen, rows, np.nan), cols, self._frame, self._read, count, self._span)
        return np.where(valid, made * gain, 0).astype(np.float32), valid

    def places(self, window: Window) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """Line and column of the image that each pixel of a window of the grid is seen at, NaN where there is no
        height; what flattening multiplies it by, NaN there, in radar shadow, and in strong layover; and where radar
        shadow is."""
        core = _grown(window)
        wide, height, known = self._terrain_before(core)
        here, inside = _part(wide, core), _part(core, window)
        if not known[here][inside].any():
            nothing = np.full((window.height, window.width), np.nan)
            return nothing, nothing, nothing, np.zeros(nothing.shape, bool)
        points, up = self._points(wide, height)
        (rows, rows_across), (cols, cols_across) = (lattice(0, length) for length in height.shape)
        coarse = np.ix_(
            np.minimum(rows, len(height) - 1).astype(int), np.minimum(cols, height.shape[1] - 1).astype(int)
        )
        guess = self._geometry.closest(points[:, coarse[0], coarse[1]])
        time = self._geometry.closest(points, rows_across @ guess @ cols_across.T, steps=2)
        satellite = self._geometry.satellite(time)[0]
        sight = satellite - points
        slant = np.sqrt(np.square(sight).sum(0))
        sight /= slant
        line, column = self._geometry.pixels(time, slant)
        hidden = np.zeros(line.shape, bool)
        if wide != core:
            look = -(sight * satellite).sum(0) / np.sqrt(np.square(satellite).sum(0))  # grows with the angle from nadir
            hidden = cast_shadow(look, line, self._direction.spacing, self._reach, self._direction.side)
        points, up, time, slant, sight, line, column = (
            one[here] for one in (points, up, time, slant, sight, line, column)
        )
        hidden, known = hidden[here], known[here]
        facets = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=2), axis=0)
        area = np.where(hidden, 0.0, np.maximum((facets * sight).sum(0), 0.0))
        cosine = (up * sight).sum(0)
        lines, slant_m = self._cell
        cell = lines * self._geometry.line_distance(points, time) * slant_m
        flat = cosine / np.sqrt(1.0 - cosine**2)  # gamma0 area of flat ground by that of the slant plane
        with np.errstate(divide="ignore"):
            gain = flat * cell / _summed(area, line / lines, slant / slant_m)
        shadow = known & (area <= 0)
        bad = ~known | shadow | (gain < _LOWEST) | (gain > _HIGHEST)
        line, column, gain = np.where([~known, ~known, bad], np.nan, [line, column, gain])
        return line[inside], column[inside], gain[inside], shadow[inside]

    def _terrain_before(self, core: Window) -> tuple[Window, Array, NDArray[np.bool_]]:
        """A window of the grid with as much of the ground before it as can cast a shadow on it, the heights above the
        ellipsoid there (h, w), and where they are known."""
        whole = self._direction.before(core, self._reach)
        place = Window(whole.row - self._covered.row, whole.col - self._covered.col, whole.height, whole.width)
        heights, known = self._heights.read(place)
        height = np.where(known, heights[0], 0.0).astype(np.float64) + self._geoid
        own = _part(whole, core)
        relief = height.max() - height[own].min(initial=np.inf, where=known[own])
        wide = self._direction.before(core, min(self._reach, self._direction.pixels(relief)))
        part = _part(whole, wide)
        return wide, height[part], known[part]

    def _points(self, wide: Window, height: Array) -> tuple[Array, Array]:
        """Earth-fixed points of the pixels of a window of the grid, which may reach beyond it, and where up is."""
        (rows, rows_across), (cols, cols_across) = (lattice(0, length) for length in height.shape)
        across, down = np.meshgrid(cols + wide.col + 0.5, rows + wide.row + 0.5)
        degrees = places_in(CRS.from_epsg(4326), self._grid, down, across)
        longitude, latitude = (rows_across @ part @ cols_across.T for part in degrees)
        return earth_fixed(longitude, latitude, height)


def _grown(window: Window) -> Window:
    """A window with the facets around it that may fall into its cells."""
    wider = window.height + 2 * _MARGIN, window.width + 2 * _MARGIN
    return Window(window.row - _MARGIN, window.col - _MARGIN, *wider)


def _part(whole: Window, part: Window) -> tuple[EllipsisType, slice, slice]:
    """Where a window lies in one around it."""
    row, col = part.row - whole.row, part.col - whole.col
    return np.s_[..., row : row + part.height, col : col + part.width]


def _moved(grid: Grid, window: Window, step: int = 1) -> Grid:
    """The grid of a window that may reach beyond it, of every `step` pixels."""
    place = grid.transform @ Affine.translation(window.col, window.row) @ Affine.scale(step)
    return Grid(grid.crs, place, -(-window.height // step), -(-window.width // step))


def _relief(terrain: Path, grid: Grid) -> float:
    """Metres between the lowest and the highest ground on a grid, height 0 counted in, as far as it can be on Earth.

    Raises:
        InputError: the terrain model cannot be read, or has no height there.
    """
    coarse = _moved(grid, Window(0, 0, grid.height, grid.width), STEP)
    found = []
    for extreme in ("min", "max"):
        with Scene.open(terrain, [1], grid=coarse, resampling=extreme) as scene:
            heights, known = scene.read()
        found.append(heights[0][known])
    lowest, highest = found
    if not lowest.size:
        raise InputError(terrain, "has no height where the scene lies")
    return min(float(max(highest.max(), 0.0) - lowest.min()), _HIGHEST_RELIEF_M)


def _summed(area: NDArray[np.float64], line: NDArray[np.float64], reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of the areas that fall into each cell, at the place of each pixel; both shared between the four nearest
    cells.

    Args:
        area: (h, w).
        line, reach: (h, w) place along and across the flight, in cells.
    """
    low_line, low_reach = np.floor(line).astype(np.intp), np.floor(reach).astype(np.intp)
    first, left = low_line.min(), low_reach.min()
    shape = int(low_line.max() - first + 2), int(low_reach.max() - left + 2)
    down, right = line - low_line, reach - low_reach
    corners = []
    for add_line, line_share in ((0, 1 - down), (1, down)):
        for add_reach, reach_share in ((0, 1 - right), (1, right)):
            cell = (low_line - first + add_line) * shape[1] + low_reach - left + add_reach
            corners.append((cell, line_share * reach_share))
    total = np.zeros(shape[0] * shape[1])
    for cell, share in corners:
        total += np.bincount(cell.ravel(), (area * share).ravel(), len(total))
    return sum((total[cell] * share for cell, share in corners), np.zeros(area.shape))
