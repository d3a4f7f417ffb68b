"""Tiles of the Web Mercator quad that are far coarser than a raster, or beyond 180 degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from rio_tiler.reader import read

from saropt.scenes.georeference import moved
from saropt.viewer.beyond_180 import beside
from saropt.viewer.rasters import MERCATOR, TILE, WORLD

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

FAR = 3
"""Zooms below full resolution beyond which tiles are not warped at full resolution: one could have 10^13 pixels."""
_MOST_SIDE = 8192


def far_tile(reader: Reader, z: int, x: int, y: int, indexes: tuple[int, ...], method: Any) -> ImageData:
    """A tile of 256 pixels, looked up in a reduced copy of the part of the raster that lies in it.

    Args:
        method: how the copy is reduced, by rio-tiler's name.

    Raises:
        TileOutsideBounds: no pixel of the tile has its middle in the raster.

    >>> import rasterio
    >>> from saropt.scenes import Georeference, write_array
    >>> place = Georeference(rasterio.CRS.from_epsg(32611), rasterio.Affine(10, 0, 5e5, 0, -10, 4e6))
    >>> path = write_array("a.tif", np.full((1, 512, 512), 7, np.uint8), georeference=place)
    >>> with Reader(str(path)) as reader:
    ...     int(far_tile(reader, 10, 179, 401, (1,), "nearest").array.max())
    7
    """
    dataset: Any = reader.dataset
    columns, rows = _looked_up(dataset, z, x, y)
    with np.errstate(invalid="ignore"):
        inside = (columns >= 0) & (columns < dataset.width) & (rows >= 0) & (rows < dataset.height)
    if not inside.any():
        raise TileOutsideBounds
    left, width, to_column = _reduced(columns, inside)
    top, height, to_row = _reduced(rows, inside)
    wide, high = (min(math.ceil(side), _MOST_SIDE) for side in (width / to_column, height / to_row))
    window = Window(left, top, width, height)
    part = read(dataset, indexes=indexes, window=window, width=wide, height=high, resampling_method=method)
    column = ((columns[inside] - left) * (wide / width)).astype(np.intp)
    row = ((rows[inside] - top) * (high / height)).astype(np.intp)
    values = np.ma.masked_all((len(indexes), TILE, TILE), part.array.dtype)
    values[:, inside] = part.array[:, row, column]
    alpha = None
    if part.alpha_mask is not None:
        alpha = np.zeros((TILE, TILE), part.alpha_mask.dtype)
        alpha[inside] = part.alpha_mask[row, column]
    return ImageData(values, alpha_mask=alpha)


def eastward(dataset: DatasetReader, extent: Sequence[float], width: int, height: int) -> NDArray[np.float64]:
    """How far east on the map the pixels of a picture of a whole raster lie, (height, width): 0 at the left edge of its
    extent, 1 at the right one. In a raster that is not north up, equal shares are a slanted line.

    Args:
        extent: left, bottom, right and top in Web Mercator metres.

    >>> import rasterio
    >>> from saropt.scenes import Georeference, write_array
    >>> place = Georeference(rasterio.CRS.from_epsg(4326), rasterio.Affine(0, 1, 0, -1, 0, 10))
    >>> path = write_array("turned.tif", np.ones((1, 10, 10), np.uint8), georeference=place)
    >>> with rasterio.open(path) as dataset:
    ...     eastward(dataset, (0, 0, WORLD / 18, WORLD / 18), 3, 2).tolist()
    [[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
    """
    columns, rows = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    x, y = dataset.transform @ (columns.ravel() * dataset.width, rows.ravel() * dataset.height)
    found = moved(np.stack([x, y]), dataset.crs, "EPSG:4326")
    if found is None:
        return columns
    west, east = (extent[side] * 180.0 / WORLD for side in (0, 2))
    with np.errstate(invalid="ignore"):
        longitudes = found[0] - 360.0 * np.rint((found[0] - (west + east) / 2) / 360.0)
    shares: NDArray[np.float64] = ((longitudes - west) / (east - west)).reshape(height, width)
    return shares


def _looked_up(dataset: Any, z: int, x: int, y: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows (256, 256) of a raster under the middles of a tile's pixels; not finite where it has none."""
    side = 2 * WORLD / 2**z
    steps = (np.arange(TILE) + 0.5) / TILE * side
    east, north = np.meshgrid(x * side - WORLD + steps, WORLD - y * side - steps)
    found = moved(np.stack([east.ravel(), north.ravel()]), MERCATOR, dataset.crs)
    if found is None:
        raise TileOutsideBounds
    with np.errstate(invalid="ignore"):
        found[0] = beside(found[0], dataset)
        columns, rows = ~dataset.transform @ (found[0], found[1])
    return columns.reshape(TILE, TILE), rows.reshape(TILE, TILE)


def _reduced(places: NDArray[np.float64], inside: NDArray[np.bool_]) -> tuple[int, int, float]:
    """First column (or row) in a tile, how many from there on, and how many of them lie under a pixel of the tile."""
    first, last = math.floor(places[inside].min()), math.floor(places[inside].max())
    with np.errstate(invalid="ignore"):
        steps = np.hypot(*np.gradient(places))[inside]
    known = steps[np.isfinite(steps)]
    return first, last - first + 1, max(float(np.median(known)), 1.0) if known.size else float(last - first + 1)
