"""Which pixels of a grid the scene classification of Sentinel-2 calls clear."""

from __future__ import annotations

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject

from saropt.errors import InputError
from saropt.scenes import Grid, Scene, Window, bounds_in

CLOUDY = (0, 1, 3, 8, 9, 10)
"""Classes that are masked: no data, defective, cloud shadow, clouds, cirrus."""
_CLEAR, _MASKED = 1, 2


def clear_pixels(classes: Scene, grid: Grid) -> NDArray[np.bool_]:
    """Pixels (h, w) of a grid that have a part of the classification, and none that is masked.

    Args:
        classes: the classification, by its stored numbers.

    Raises:
        InputError: it has no place on the ground, or cannot be read.

    >>> from saropt.scenes import Georeference, open_scene, utm_of, write_array
    >>> place = Georeference(utm_of(15.0, 0.0), Affine(20, 0, 0, 0, -20, 40))
    >>> grid = Grid(place.crs, Affine(10, 0, 5, 0, -10, 40), 1, 4)
    >>> with open_scene(write_array("scl.tif", np.uint8([[[4, 9], [4, 4]]]), georeference=place)) as scene:
    ...     clear_pixels(scene, grid).tolist()
    [[True, False, False, False]]
    """
    place, found = classes.georeference, np.zeros((grid.height, grid.width), np.uint8)
    if place.crs is None or place.transform is None:
        raise InputError(classes.source, "has no place on the ground")
    left, bottom, right, top = bounds_in(grid.georeference, grid.height, grid.width, place.crs, classes.source)
    corners = [~place.transform @ (x, y) for x in (left, right) for y in (bottom, top)]
    cols, rows = ([math.floor(one) for one in part] for part in zip(*corners, strict=True))
    col, row = max(min(cols) - 1, 0), max(min(rows) - 1, 0)
    width, height = min(max(cols) + 2, classes.width) - col, min(max(rows) + 2, classes.height) - row
    if width < 1 or height < 1:
        return found == _CLEAR
    (stored,), valid = classes.read_stored(Window(row, col, height, width))
    reproject(
        np.where(valid & ~np.isin(stored, CLOUDY), _CLEAR, _MASKED).astype(np.uint8),
        found,
        src_transform=place.transform @ Affine.translation(col, row),
        src_crs=place.crs,
        src_nodata=0,
        dst_transform=grid.transform,
        dst_crs=grid.crs,
        dst_nodata=0,
        resampling=Resampling.max,
    )
    return found == _CLEAR
