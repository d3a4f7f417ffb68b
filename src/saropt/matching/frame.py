"""The frame in which two scenes are compared: B's grid where both lie on the ground, else their own pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.transform import GCPTransformer
from rasterio.warp import transform

from saropt.errors import InputError
from saropt.matching.features import Points
from saropt.matching.geometry import transformed
from saropt.scenes import Georeference, Grid, Scene, bounds_in
from saropt.scenes.georeference import check_ground, unwrapped_gcps
from saropt.scenes.grid import turned
from saropt.sensors.grd_scene import open_scene_or_product


@dataclass(frozen=True)
class Frame:
    """Two opened scenes to be compared.

    Attributes:
        a, b: the scenes; with a `grid`, warped to it, so that equal pixels are equal ground.
        grid: the common ground in B's grid, coarsened by a whole number where A has coarser pixels; None where the
            scenes are compared by pixels alone.
        a_place, b_place: georeferences of the two files.
        a_longitude: the middle of A in degrees, where its CRS is in degrees and there is a `grid`.
    """

    a: Scene
    b: Scene
    grid: Grid | None
    a_place: Georeference
    b_place: Georeference
    a_longitude: float | None = None

    def a_pixels(self, points: Points) -> Points:
        """Pixel coordinates in A's file of points (n, 2) of the frame."""
        if self.grid is None or not len(points):
            return points
        place = self.a_place
        crs = place.gcp_crs if place.transform is None else place.crs
        x, y = np.array(transform(self.grid.crs, crs, *_applied(self.grid.transform, points).T))
        if self.a_longitude is not None:
            x -= 360.0 * np.rint((x - self.a_longitude) / 360.0)
        if place.transform is not None:
            return _applied(~place.transform, np.column_stack([x, y]))
        with GCPTransformer(unwrapped_gcps(place.gcps, crs), tps=True) as control:
            rows, columns = control.rowcol(x, y, op=lambda value: value)
        return np.column_stack([columns, rows]).astype(np.float64)

    def b_pixels(self, points: Points) -> Points:
        """Pixel coordinates in B's file of points (n, 2) of the frame."""
        if self.grid is None or self.b_place.transform is None:
            return points
        return _applied(~self.b_place.transform @ self.grid.transform, points)

    def b_ground(self, points: Points) -> Points | None:
        """Coordinates in B's CRS of points (n, 2) of the frame; None where B has no place on the ground."""
        if self.b_place.crs is None or self.b_place.transform is None:
            return None
        return _applied(self.b_place.transform, self.b_pixels(points))


def _applied(affine: Affine, points: Points) -> Points:
    return transformed(np.array(affine, np.float64).reshape(3, 3), points)


def is_located(place: Georeference) -> bool:
    """Whether a raster is georeferenced, by a transform or by control points."""
    return (place.transform is not None and place.crs is not None) or bool(place.gcps and place.gcp_crs is not None)


@contextmanager
def open_frame(a: str | Path, b: str | Path) -> Iterator[Frame]:
    """Open two scenes for comparison.

    Raises:
        InputError: a file cannot be read, one lies nowhere on Earth, both scenes are georeferenced but do not overlap,
            or B has only control points and therefore no grid.
    """
    with ExitStack() as stack:
        first, second = stack.enter_context(open_scene_or_product(a)), stack.enter_context(open_scene_or_product(b))
        places = first.georeference, second.georeference
        if not all(is_located(place) for place in places):
            yield Frame(first, second, None, *places)
            return
        check_ground(second.georeference, second.height, second.width, b)
        crs, affine = second.georeference.crs, second.georeference.transform
        if crs is None or affine is None:
            raise InputError(b, "has control points and no grid: warp it first, or make it the first scene")
        grid = _common_grid(first, Grid(crs, affine, second.height, second.width), b)
        finer = _pixel_of(first, crs) < _pixel(grid.transform)
        warped_a = open_scene_or_product(a, grid=grid, resampling="average" if finer else "bilinear")
        coarser = _pixel(grid.transform) > 1.01 * _pixel(affine)
        warped_b = open_scene_or_product(b, grid=grid, resampling="average" if coarser else "bilinear")
        frame = stack.enter_context(warped_a), stack.enter_context(warped_b)
        yield Frame(*frame, grid, *places, _longitude(first))


def _longitude(scene: Scene) -> float | None:
    """The middle of a scene in degrees, as its file counts them; None where its CRS is not in degrees."""
    place = scene.georeference
    crs = place.gcp_crs if place.transform is None else place.crs
    if crs is None or not crs.is_geographic:
        return None
    west, _, east, _ = bounds_in(place, scene.height, scene.width, crs, scene.path)
    return (west + east) / 2


def _common_grid(a: Scene, b: Grid, source: str | Path) -> Grid:
    bounds = bounds_in(a.georeference, a.height, a.width, b.crs, a.path)
    left, bottom, right, top = turned(bounds, b.bounds) if b.crs.is_geographic else bounds
    corners = np.array([(x, y) for x in (left, right) for y in (bottom, top)])
    columns, rows = _applied(~b.transform, corners).T
    step = max(1, math.floor(_pixel_of(a, b.crs) / _pixel(b.transform) + 0.01))
    first_column, last_column = max(0, math.floor(columns.min())), min(b.width, math.ceil(columns.max()))
    first_row, last_row = max(0, math.floor(rows.min())), min(b.height, math.ceil(rows.max()))
    if last_column - first_column < step or last_row - first_row < step:
        raise InputError(source, f"shares no ground with {a.path}")
    transform = b.transform @ Affine.translation(first_column, first_row) @ Affine.scale(step)
    return Grid(b.crs, transform, (last_row - first_row) // step, (last_column - first_column) // step)


def _pixel_of(scene: Scene, crs: CRS) -> float:
    """Side of the scene's pixels in units of `crs`."""
    place = scene.georeference
    if place.crs == crs and place.transform is not None:
        return _pixel(place.transform)
    bounds = bounds_in(place, scene.height, scene.width, crs, scene.path)
    left, bottom, right, top = turned(bounds, bounds) if crs.is_geographic else bounds
    return math.sqrt((right - left) * (top - bottom) / (scene.width * scene.height))


def _pixel(transform: Affine) -> float:
    return math.sqrt(abs(transform.determinant))
