"""Rasters that reach beyond 180 degrees east or west, and places on them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from saropt.scenes.georeference import moved

if TYPE_CHECKING:
    from rasterio.io import DatasetReader


def is_beyond_180(dataset: DatasetReader) -> bool:
    """Whether a raster reaches beyond 180 degrees east or west, where rio-tiler and GDAL do not find it.

    >>> import rasterio
    >>> from saropt.scenes import Georeference, write_array
    >>> place = Georeference(rasterio.CRS.from_epsg(4326), rasterio.Affine(0.1, 0, 179.5, 0, -0.1, 10))
    >>> path = write_array("b.tif", np.ones((1, 10, 10), np.uint8), georeference=place)
    >>> with rasterio.open(path) as dataset:
    ...     is_beyond_180(dataset)
    True
    """
    left, bottom, right, top = dataset.bounds
    if dataset.crs.is_geographic:
        return bool(left < -180.0 or right > 180.0)
    west, _, east, _ = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds, densify_pts=21)
    turn = turn_of(dataset.crs)
    if west > east or not turn:
        return bool(west > east)
    sides = np.array([[left, right], [(bottom + top) / 2] * 2])
    found = moved(sides, dataset.crs, "EPSG:4326")
    back = None if found is None else moved(found, "EPSG:4326", dataset.crs)
    if back is None:
        return False
    return bool((np.isfinite(back[0]) & (np.abs(back[0] - sides[0]) > turn / 2)).any())


@lru_cache
def turn_of(crs: CRS) -> float:
    """How far a whole turn of the Earth leads to the east: 360 in degrees, and the width of the world in cylindrical
    projections, which go on beyond their edges. 0 in all others.

    >>> turn_of(CRS.from_epsg(4326)), turn_of(CRS.from_epsg(32611))
    (360.0, 0.0)
    >>> round(turn_of(CRS.from_epsg(3857)))
    40075017
    """
    if crs.is_geographic:
        return 360.0
    longitudes = np.arange(-175.0, 180.0, 10.0)
    low, high = (moved(np.stack([longitudes, np.full_like(longitudes, at)]), "EPSG:4326", crs) for at in (0.0, 40.0))
    if low is None or high is None or not (np.isfinite(low).all() and np.isfinite(high).all()):
        return 0.0
    steps = np.diff(low[0])
    step = float(np.median(steps))
    is_cylinder = np.allclose(low[0], high[0]) and np.ptp(low[1]) < 1.0 and (np.abs(steps - step) < 1e-3).sum() > 33
    return 36.0 * abs(step) if is_cylinder else 0.0


def beside(places: NDArray[np.float64], dataset: DatasetReader) -> NDArray[np.float64]:
    """Longitudes, or places from west to east in a cylindrical projection, by whole turns east of the west edge of a
    raster, which may reach beyond 180 degrees; in other projections as they are.

    >>> import rasterio
    >>> from saropt.scenes import Georeference, write_array
    >>> place = Georeference(rasterio.CRS.from_epsg(4326), rasterio.Affine(0.1, 0, 179.5, 0, -0.1, 10))
    >>> path = write_array("c.tif", np.ones((1, 10, 10), np.uint8), georeference=place)
    >>> with rasterio.open(path) as dataset:
    ...     beside(np.array([-179.75, 179.75]), dataset).tolist()
    [180.25, 179.75]
    """
    west, turn = dataset.bounds.left, turn_of(dataset.crs)
    turned: NDArray[np.float64] = west + (places - west) % turn if turn else places
    return turned
