"""Pixel grids that rasters are warped to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from saropt.errors import InputError
from saropt.scenes.georeference import Georeference, check_ground, pixel_in, unwrapped

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

Bounds = tuple[float, float, float, float]
MAX_PIXELS = 1 << 36


@dataclass(frozen=True)
class Grid:
    """A frame of `height` x `width` pixels on the ground; `transform` maps (column, row) to (x, y) in `crs`.

    >>> grid_over((500_003.0, 0.0, 500_100.0, 95.0), utm_of(9.0, 0.0), 10.0, "area").bounds
    (500000.0, 0.0, 500100.0, 100.0)
    """

    crs: CRS
    transform: Affine
    height: int
    width: int

    @property
    def georeference(self) -> Georeference:
        return Georeference(self.crs, self.transform)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in `crs`."""
        corners = [self.transform @ (col, row) for col in (0, self.width) for row in (0, self.height)]
        x, y = zip(*corners, strict=True)
        return min(x), min(y), max(x), max(y)


def grid_over(bounds: tuple[float, float, float, float], crs: CRS, pixel: float, source: str | Path) -> Grid:
    """The north-up grid of square pixels of side `pixel` that covers `bounds` (left, bottom, right, top in `crs`),
    aligned to whole multiples of the pixel.

    Raises:
        InputError: the bounds are empty or would give more than 2^36 pixels; names `source`.

    >>> grid = grid_over((500_003.0, 0.0, 500_100.0, 95.0), utm_of(9.0, 0.0), 10.0, "area")
    >>> grid.height, grid.width
    (10, 10)
    """
    from affine import Affine

    left, bottom, right, top = bounds
    if not (left < right and bottom < top and pixel > 0 and all(map(math.isfinite, (*bounds, pixel)))):
        raise InputError(source, f"covers no ground: {left:g}..{right:g}, {bottom:g}..{top:g} with pixels of {pixel:g}")
    left, top = math.floor(left / pixel + 1e-6) * pixel, math.ceil(top / pixel - 1e-6) * pixel
    width, height = math.ceil((right - left) / pixel - 1e-6), math.ceil((top - bottom) / pixel - 1e-6)
    if height * width > MAX_PIXELS:
        raise InputError(source, f"would be {height}x{width} pixels")
    return Grid(crs, Affine(pixel, 0, left, 0, -pixel, top), max(height, 1), max(width, 1))


def utm_of(longitude: float, latitude: float) -> CRS:
    """The WGS 84 UTM zone of a place in degrees.

    >>> utm_of(-118.2, 34.0).to_epsg()
    32611
    """
    from rasterio.crs import CRS

    zone = int((longitude + 180.0) % 360.0 // 6.0) + 1
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def turned(bounds: Bounds, other: Bounds) -> Bounds:
    """Bounds in degrees (left, bottom, right, top), shifted by whole turns to be nearest to others. Right may be below
    left, where they cross 180 degrees.

    >>> turned((179.0, 0.0, -179.0, 1.0), (-180.5, 0.0, -180.0, 1.0))
    (-181.0, 0.0, -179.0, 1.0)
    """
    west, south, east, north = bounds
    if west > east:
        east += 360.0
    turns = round(((other[0] + other[2]) - (west + east)) / 720.0) * 360.0
    return west + turns, south, east + turns, north


def _in_degrees(boxes: Sequence[tuple[CRS, Bounds]], source: str | Path) -> list[Bounds]:
    """Boxes in degrees, each shifted by whole turns to be nearest to the first one.

    Raises:
        InputError: a CRS has no place on the globe.
    """
    from rasterio.warp import transform_bounds

    found: list[Bounds] = []
    for own, box in boxes:
        try:
            west, south, east, north = transform_bounds(own, "EPSG:4326", *box)
        except (RasterioError, CPLE_BaseError) as error:
            raise InputError(source, "its CRS has no place on the globe") from error
        degrees = (west, south, east, north)
        found.append(turned(degrees, found[0] if found else degrees))
    return found


def bounds_in(place: Georeference, height: int, width: int, crs: CRS, source: str | Path) -> Bounds:
    """Left, bottom, right and top of a raster in another coordinate system.

    Args:
        place: with a transform or control points.
        source: name of the raster for errors.

    Raises:
        InputError: it is not georeferenced or lies nowhere on Earth, or its CRS cannot be brought to the other.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> place = Georeference(CRS.from_epsg(32611), Affine(10, 0, 500000, 0, -10, 3700000))
    >>> [round(side, 2) for side in bounds_in(place, 1000, 1000, CRS.from_epsg(4326), "a.tif")]
    [-117.0, 33.35, -116.89, 33.44]
    """
    from rasterio.warp import transform_bounds

    own, box = _box(place, height, width, source)
    try:
        return box if own == crs else transform_bounds(own, crs, *box)
    except (RasterioError, CPLE_BaseError) as error:
        raise InputError(source, "its CRS cannot be brought to that of the other scene") from error


def _box(place: Georeference, height: int, width: int, source: str | Path) -> tuple[CRS, Bounds]:
    check_ground(place, height, width, source)
    if place.transform is not None and place.crs is not None:
        return place.crs, Grid(place.crs, place.transform, height, width).bounds
    if place.gcps and place.gcp_crs is not None:
        x, y = [gcp.x for gcp in place.gcps], [gcp.y for gcp in place.gcps]
        if place.gcp_crs.is_geographic:
            x = unwrapped(x)
        return place.gcp_crs, (min(x), min(y), max(x), max(y))
    raise InputError(source, "has no place on the ground: neither a transform with CRS nor control points")


def overlap_grid(
    places: list[tuple[Georeference, int, int]], pixel_m: float | None, source: str | Path, crs: CRS | None = None
) -> Grid:
    """One grid over the ground that several rasters have in common.

    Args:
        places: georeference (with a transform or control points), height and width of each raster.
        pixel_m: side of a pixel in metres; that of the coarsest raster when None.
        source: name for error messages.
        crs: coordinate system of the grid. When None, that of the first raster, or the UTM zone of its centre where
            that one is not in metres.

    Raises:
        InputError: a raster is not georeferenced or lies nowhere on Earth, or the rasters do not overlap.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> west, east = (Georeference(CRS.from_epsg(32611), Affine(10, 0, x, 0, -10, 3700000)) for x in (500000, 500400))
    >>> grid = overlap_grid([(west, 100, 100), (east, 100, 100)], None, "pair")
    >>> grid.height, grid.width
    (100, 60)
    """
    from rasterio.warp import transform_bounds

    boxes = [_box(place, height, width, source) for place, height, width in places]
    if all(own == boxes[0][0] for own, _ in boxes) and not boxes[0][0].is_geographic:
        together = [box for _, box in boxes]
    else:
        together = _in_degrees(boxes, source)
    left, bottom = max(box[0] for box in together), max(box[1] for box in together)
    right, top = min(box[2] for box in together), min(box[3] for box in together)
    if left >= right or bottom >= top:
        raise InputError(source, "the rasters do not overlap")
    if crs is None:
        first = boxes[0][0]
        metric = first.is_projected and first.linear_units in ("metre", "meter", "m")
        if metric and places[0][0].transform is not None:
            crs = first
        else:
            degrees = _in_degrees(boxes, source)[0]
            crs = utm_of((degrees[0] + degrees[2]) / 2, (degrees[1] + degrees[3]) / 2)
    try:
        projected = [box if own == crs else transform_bounds(own, crs, *box, densify_pts=21) for own, box in boxes]
    except (RasterioError, CPLE_BaseError) as error:
        raise InputError(source, "its CRS cannot be brought to that of the others") from error
    bounds = (
        max(box[0] for box in projected),
        max(box[1] for box in projected),
        min(box[2] for box in projected),
        min(box[3] for box in projected),
    )
    if pixel_m is None:
        sizes = [pixel_in(place, height, width, crs) for place, height, width in places]
        pixel_m = round(max((size for size in sizes if size is not None), default=math.nan), 3)
    return grid_over(bounds, crs, pixel_m, source)
