"""Windows in pixel coordinates, and the relation of pixels to the ground."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.control import GroundControlPoint
    from rasterio.crs import CRS


METRES_PER_DEGREE = 111_320.0
"""Along a meridian, and along the equator; elsewhere a degree of longitude is shorter by the cosine of the latitude."""
_USUAL_GSD_M, _IMPOSSIBLE_RATIO = 10.0, 1000.0
_MOST_DEGREES, _SAME, _COARSER, _OTHER_RATIO = 540.0, 1000.0, 1.01, 1.5
_WHOLE = 0.1
"""A ratio that is this near to a whole number is taken for it."""
NOMINAL = 0.01
"""How far the size of a pixel that a transform states may be off to be taken as it is."""
_WGS84 = "EPSG:4326"
_EQUATOR_M, _ECCENTRICITY_2 = 6_378_137.0, 0.00669437999014


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels. `row` and `col` may be negative: a window may reach outside the raster.

    Raises:
        ValueError: when height or width is below 1.

    >>> Window(0, 0, 64, 64).inside(100, 50)
    False
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a window needs at least one pixel, got {self.height}x{self.width}")

    def inside(self, height: int, width: int) -> bool:
        """Whether the window lies wholly in a frame of `height` x `width` pixels."""
        return self.row >= 0 and self.col >= 0 and self.row + self.height <= height and self.col + self.width <= width

    def __str__(self) -> str:
        rows = f"rows {self.row}..{self.row + self.height - 1}"
        return f"{rows}, columns {self.col}..{self.col + self.width - 1}"


def cut_windows(height: int, width: int, side: int) -> list[Window]:
    """Square windows of a side that cover a frame, row by row; those at its right and lower edges are smaller.

    >>> [str(window) for window in cut_windows(100, 50, 64)]
    ['rows 0..63, columns 0..49', 'rows 64..99, columns 0..49']
    """
    return [
        Window(row, col, min(side, height - row), min(side, width - col))
        for row in range(0, height, side)
        for col in range(0, width, side)
    ]


@dataclass(frozen=True)
class Georeference:
    """How pixels map to the ground. Every part may be missing.

    Attributes:
        crs: coordinate system of `transform`.
        transform: geotransform, the affine map from (column, row) to (x, y); may be rotated. None where the file has
            none.
        gcps: ground control points (Sentinel-1 GRD in radar geometry has these instead of a transform).
        gcp_crs: coordinate system of the control points.
        rpcs: rational polynomial coefficients, by GDAL's names ("LINE_OFF", "LINE_NUM_COEFF", ...).

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> Georeference(CRS.from_epsg(32611), Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 3700000.0)).transform @ (0, 0)
    (500000.0, 3700000.0)
    """

    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    gcp_crs: CRS | None = None
    rpcs: Mapping[str, str] = field(default_factory=dict, hash=False)


class Framed(Protocol):
    """What has the size and the place of a raster: an open scene, or what an index knows of it."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def georeference(self) -> Georeference: ...


def degrees_at_centre(place: Georeference, height: int, width: int) -> NDArray[np.float64] | None:
    """Longitude and latitude (2, 3) of the centre of a raster, and of a pixel to its right and one below; None where
    the raster has no place on the globe.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> degrees_at_centre(Georeference(CRS.from_epsg(4326), Affine(0.1, 0, 10.0, 0, -0.1, 50.0)), 20, 40)[:, 0].tolist()
    [12.0, 49.0]
    """
    crs, affine = _placed(place)
    if crs is None or affine is None:
        return None
    degrees = moved(_centre(affine, height, width), crs, _WGS84)
    return degrees if degrees is not None and np.isfinite(degrees).all() else None


def pixel_metres(place: Georeference, height: int, width: int) -> float | None:
    """Side in metres of a square of the ground that a pixel at the centre of a raster covers; None where the raster has
    no place on the globe.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> round(pixel_metres(Georeference(CRS.from_epsg(32611), Affine(1, 0, 5e5, 0, -1, 4e6)), 100, 100), 2)
    1.0
    """
    sides = _sides_at_centre(place, height, width)
    return None if sides is None else math.sqrt(float(np.linalg.norm(np.cross(*sides))))


def across_metres(place: Georeference, height: int, width: int) -> float | None:
    """Length on the ground in metres from a pixel at the centre of a raster to its right neighbour; None where the
    raster has no place on the globe.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> round(across_metres(Georeference(CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 65)), 10, 10) / 1000, 1)
    55.8
    """
    sides = _sides_at_centre(place, height, width)
    return None if sides is None else float(np.linalg.norm(sides[0]))


def _sides_at_centre(place: Georeference, height: int, width: int) -> NDArray[np.float64] | None:
    """Metres (2, 3) on WGS 84 from the centre of a raster to a pixel to its right, and to one below."""
    degrees = degrees_at_centre(place, height, width)
    if degrees is None:
        return None
    longitude, latitude = np.radians(degrees)
    normal = _EQUATOR_M / np.sqrt(1 - _ECCENTRICITY_2 * np.sin(latitude) ** 2)
    east, north = (normal * np.cos(latitude) * turned for turned in (np.cos(longitude), np.sin(longitude)))
    points = np.array([east, north, normal * (1 - _ECCENTRICITY_2) * np.sin(latitude)])
    sides: NDArray[np.float64] = (points[:, 1:] - points[:, :1]).T
    return sides


def _centre_in(
    place: Georeference, height: int, width: int, crs: CRS
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The points of `_centre` in the CRS of a raster and in another one; None where the raster has no place there."""
    own, affine = _placed(place)
    if own is None or affine is None:
        return None
    points = _centre(affine, height, width)
    there = points if own == crs else moved(points, own, crs)
    return None if there is None or not np.isfinite(there).all() else (points, there)


def pixel_in(place: Georeference, height: int, width: int, crs: CRS) -> float | None:
    """The longer side of a pixel at the centre of a raster, in the units of a CRS: as the transform of the raster
    states it, where that is right to 1 %. None where the raster has no place there.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> turned = Affine.translation(5e5, 5e6) @ Affine.rotation(45) @ Affine.scale(10)
    >>> place = Georeference(CRS.from_epsg(32632), turned)
    >>> [round(pixel_in(place, 100, 100, CRS.from_epsg(code)), 3) for code in (32632, 32633, 3857)]
    [10.0, 10.0, 14.187]
    """
    if (centre := _centre_in(place, height, width, crs)) is None:
        return None
    stated, found = (max(map(math.hypot, *(one[:, 1:] - one[:, :1]))) for one in centre)
    return stated if abs(stated / found - 1.0) < NOMINAL else found


def pixels_spanned(
    place: Georeference, height: int, width: int, crs: CRS, transform: Affine
) -> tuple[float, float] | None:
    """Rows and columns of a raster that a pixel of a grid spans at the centre of the raster; None where the raster has
    no place in the CRS of the grid.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> utm = CRS.from_epsg(32632)
    >>> place = Georeference(utm, Affine(10, 0, 5e5, 0, -20, 5e6))
    >>> pixels_spanned(place, 100, 100, utm, Affine(40, 0, 5e5, 0, -40, 5e6))
    (2.0, 4.0)
    """
    if (centre := _centre_in(place, height, width, crs)) is None:
        return None
    _, there = centre
    if crs.is_geographic:
        there[0] = unwrapped(there[0].tolist())
    columns, rows = np.stack(~transform @ (there[0], there[1]))
    steps = np.array([columns[1:] - columns[0], rows[1:] - rows[0]])
    if abs(np.linalg.det(steps)) < np.finfo(np.float64).tiny:
        return None
    across, down = (nearly_whole(float(np.hypot(*moves))) for moves in np.linalg.inv(steps))
    return down, across


def nearly_whole(ratio: float) -> float:
    """The whole number that a ratio is within .1 of; other ratios as they are.

    >>> nearly_whole(3.96), nearly_whole(2.5)
    (4.0, 2.5)
    """
    return float(round(ratio)) if abs(ratio - round(ratio)) < _WHOLE else ratio


def other_pixel_metres(place: Georeference, height: int, width: int, gsd_m: float) -> float | None:
    """The side in metres of a raster's pixels where it is 1.5 times larger or smaller than `gsd_m`; None where it is
    not, or where the raster has no place on the globe.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> place = Georeference(CRS.from_epsg(32611), Affine(1, 0, 5e5, 0, -1, 4e6))
    >>> other_pixel_metres(place, 100, 100, 1.2), round(other_pixel_metres(place, 100, 100, 10.0), 2)
    (None, 1.0)
    """
    pixel = pixel_metres(place, height, width)
    return None if pixel is None or 1.0 / _OTHER_RATIO <= pixel / gsd_m <= _OTHER_RATIO else pixel


def is_coarser(one: Framed, than: Framed | float) -> bool:
    """Whether the pixels of a raster are larger than those of another, by over 1 %; not where one has no place.

    Args:
        than: the other raster, or the side of its pixels in metres.

    >>> from rasterio.crs import CRS
    >>> from affine import Affine
    >>> from saropt.scenes.grid import Grid
    >>> small, large = (Grid(CRS.from_epsg(32611), Affine(side, 0, 5e5, 0, -side, 4e6), 9, 9) for side in (10, 20))
    >>> is_coarser(large, small), is_coarser(small, large), is_coarser(small, small)
    (True, False, False)
    """
    large = pixel_metres(one.georeference, one.height, one.width)
    small = than if isinstance(than, float) else pixel_metres(than.georeference, than.height, than.width)
    return large is not None and small is not None and large > _COARSER * small


def check_ground(place: Georeference, height: int, width: int, source: str | Path, gsd_m: float | None = None) -> None:
    """Refuse a georeference that no image of the ground has. A raster without one is not refused.

    Args:
        gsd_m: pixel size in metres that is looked for; 10 m when None. One 1,000 times larger or smaller is refused.

    Raises:
        InputError: the centre of the raster lies nowhere on Earth, or its pixels are impossibly large or small.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> check_ground(Georeference(CRS.from_epsg(4326), Affine(1e-4, 0, 10.0, 0, -1e-4, 95.0)), 50, 50, "a.tif")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: a.tif: lies nowhere on Earth (its centre is at 10.0025, 94.9975): mend its georeference
    """
    crs, affine = _placed(place)
    if crs is None or affine is None:
        return
    centre = _centre(affine, height, width)
    x, y = centre[:, 0]
    if _is_nowhere(crs, centre[:, :1]):
        raise InputError(source, f"lies nowhere on Earth (its centre is at {x:.9g}, {y:.9g}): mend its georeference")
    pixel, wanted = pixel_metres(place, height, width), gsd_m or _USUAL_GSD_M
    if pixel is not None and not 1.0 / _IMPOSSIBLE_RATIO <= pixel / wanted <= _IMPOSSIBLE_RATIO:
        shown = f"{pixel:,.0f}" if pixel >= 1000.0 else f"{pixel:.3g}"
        reason = f"its pixels are {shown} m wide, where about {wanted:g} m are looked for"
        raise InputError(source, f"{reason}: mend its georeference or its pixel size")


def pixels_apart(one: Georeference, other: Georeference, height: int, width: int) -> float | None:
    """How far the corners of two rasters of one size lie apart on the ground at most, in pixels of the first; infinite
    where the second has no place in the first one's CRS. None where one lacks a CRS or a transform, or where the two
    CRS have no relation.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> here, there = (Georeference(CRS.from_epsg(32611), Affine(10, 0, x, 0, -10, 4e6)) for x in (5e5, 500035))
    >>> pixels_apart(here, there, 64, 64)
    3.5
    """
    if one.crs is None or one.transform is None or other.crs is None or other.transform is None:
        return None
    if one.transform == other.transform and (one.crs is other.crs or one.crs == other.crs):
        return 0.0
    corners = [(0, 0), (width, 0), (0, height), (width, height)]
    points: NDArray[np.float64] | None = np.array([other.transform @ corner for corner in corners]).T
    if one.crs != other.crs and points is not None:
        points = moved(points, other.crs, one.crs)
    if points is None:
        return None
    if not np.isfinite(points).all():
        return math.inf
    if one.crs.is_geographic:
        turns = np.rint((points[0, 0] - one.transform.c) / 360.0)
        points = points - np.array([[360.0 * turns], [0.0]])
    found = [~one.transform @ (float(x), float(y)) for x, y in points.T]
    return max(math.dist(place, corner) for place, corner in zip(found, corners, strict=True))


def unwrapped(longitudes: Sequence[float]) -> list[float]:
    """Longitudes without a jump at 180 degrees: those of the western hemisphere are raised by 360 where others are far.

    >>> unwrapped([179.5, -179.5])
    [179.5, 180.5]
    """
    if max(longitudes) - min(longitudes) <= 180.0:
        return list(longitudes)
    return [value + 360.0 if value < 0.0 else value for value in longitudes]


def unwrapped_gcps(points: Sequence[GroundControlPoint], crs: CRS | None) -> list[GroundControlPoint]:
    """Control points whose longitudes have no jump at 180 degrees; those in other coordinates as they are.

    >>> from rasterio.control import GroundControlPoint
    >>> from rasterio.crs import CRS
    >>> points = [GroundControlPoint(0, 0, 179.5, 10), GroundControlPoint(0, 9, -179.5, 10)]
    >>> [point.x for point in unwrapped_gcps(points, CRS.from_epsg(4326))]
    [179.5, 180.5]
    """
    from rasterio.control import GroundControlPoint

    if crs is None or not crs.is_geographic or not points:
        return list(points)
    return [
        GroundControlPoint(point.row, point.col, x, point.y, point.z, point.id)
        for point, x in zip(points, unwrapped([point.x for point in points]), strict=True)
    ]


def _placed(place: Georeference) -> tuple[CRS | None, Affine | None]:
    """CRS and transform of a raster; those of its control points where it has only these."""
    from rasterio.transform import from_gcps

    if place.transform is None and len(place.gcps) >= 3:
        return place.gcp_crs, from_gcps(unwrapped_gcps(place.gcps, place.gcp_crs))
    return place.crs, place.transform


def _centre(affine: Affine, height: int, width: int) -> NDArray[np.float64]:
    """Coordinates (2, 3) of the centre of a raster, and of a pixel to its right and one below."""
    moves = ((0, 0), (1, 0), (0, 1))
    return np.array([affine @ (width / 2 + right, height / 2 + down) for right, down in moves]).T


def moved(points: NDArray[np.float64], crs: CRS | str, other: CRS | str) -> NDArray[np.float64] | None:
    """Points (2, n) in another CRS, infinite where they have no place there; None where the two have no relation.

    >>> moved(np.array([[15.0], [0.0]]), "EPSG:4326", "EPSG:32633").round(3).tolist()
    [[500000.0], [0.0]]
    """
    from rasterio._err import CPLE_BaseError, CPLE_NotSupportedError
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    for _ in range(2):  # GDAL refuses all points for one outside a projection, and then gives that one as infinite
        try:
            return np.array(transform(crs, other, *points.tolist()))
        except (RasterioError, CPLE_NotSupportedError):
            return None
        except CPLE_BaseError:
            continue
    return np.full(points.shape, np.inf)


def _is_nowhere(crs: CRS, points: NDArray[np.float64]) -> bool:
    """Whether points (2, n) are beyond a pole, beyond one and a half turns, or outside the domain of the projection."""
    if crs.is_geographic:
        longitude, latitude = np.abs(points).max(axis=1)
        return bool(latitude > 90.0 or longitude > _MOST_DEGREES)
    degrees = moved(points, crs, _WGS84)
    if degrees is None:
        return False
    again = moved(degrees, _WGS84, crs) if np.isfinite(degrees).all() else None
    # A northing beyond the pole comes back as another one; an easting beyond 180 degrees may come back a turn lower.
    return again is None or not bool((np.abs(again[1] - points[1]) <= _SAME).all())
