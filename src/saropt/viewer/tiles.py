"""Tiles of the Web Mercator quad that are far coarser than a raster: from as many of its pixels as they show."""

from __future__ import annotations

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.transform import from_bounds
from rasterio.warp import Resampling, reproject, transform
from rasterio.windows import Window
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from rio_tiler.reader import read

from saropt.viewer.rasters import MERCATOR, TILE

FAR = 3
"""Zooms below full resolution from which on a tile is not warped from the raster's own pixels: they would be billions."""
_WORLD = 20_037_508.342789244
_MOST_SIDE = 8192
_STEPS = 22


def far_tile(reader: Reader, z: int, x: int, y: int, indexes: tuple[int, ...]) -> ImageData:
    """A tile of 256 pixels, from a reduced copy of the part of the raster that lies in it.

    Raises:
        TileOutsideBounds: nothing of the raster lies in it.
    """
    side = 2 * _WORLD / 2**z
    left, top = x * side - _WORLD, _WORLD - y * side
    place = from_bounds(left, top - side, left + side, top, TILE, TILE)
    dataset = reader.dataset
    found = _seen(reader, place)
    if found is None:
        raise TileOutsideBounds(f"Tile {z}/{x}/{y} is outside bounds")
    window, per_pixel = found
    width, height = (
        min(max(math.ceil(length / step), 1), _MOST_SIDE)
        for length, step in zip((window.width, window.height), per_pixel, strict=True)
    )
    shown = read(dataset, indexes=indexes, window=window, width=width, height=height, resampling_method="nearest")
    own = dataset.transform @ Affine.translation(window.col_off, window.row_off)
    own = own @ Affine.scale(window.width / width, window.height / height)
    how = {"src_transform": own, "src_crs": dataset.crs, "dst_transform": place, "dst_crs": MERCATOR}
    data, mask = np.ma.getdata(shown.array), np.ma.getmaskarray(shown.array)
    values = np.zeros((len(data), TILE, TILE), data.dtype)
    valid = np.zeros((TILE, TILE), np.uint8)
    seen = np.ascontiguousarray(~mask.any(axis=0), np.uint8)
    if shown.alpha_mask is not None:
        seen = (shown.alpha_mask > 0).astype(np.uint8)
    reproject(np.ascontiguousarray(data), values, resampling=Resampling.nearest, **how)
    reproject(seen, valid, resampling=Resampling.nearest, **how)
    return ImageData(np.ma.MaskedArray(values, np.broadcast_to(valid == 0, values.shape)))
