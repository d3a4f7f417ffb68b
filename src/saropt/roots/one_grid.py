"""Whether two rasters are on one grid."""

from __future__ import annotations

import math
from pathlib import Path

from saropt.errors import InputError
from saropt.scenes.georeference import Framed, Georeference, pixels_apart

MOST_PIXELS_APART = 0.1
"""Rounded geotransforms move a corner by less; any shift that can be seen is more."""


def grid_difference(first: Framed, other: Framed) -> str | None:
    """Why two rasters are not on one grid, in words; None where they are.

    Their places on the ground are compared where both have a CRS and a transform.

    >>> from saropt.scenes import Scene, write_array
    >>> import numpy as np
    >>> paths = [write_array(f"{side}.tif", np.ones((1, side, 8), np.float32)) for side in (8, 9)]
    >>> with Scene.open(paths[0]) as first, Scene.open(paths[1]) as other:
    ...     grid_difference(first, first), grid_difference(first, other)
    (None, '8x8 and 8x9 pixels')
    """
    if (other.height, other.width) != (first.height, first.width):
        return f"{first.width}x{first.height} and {other.width}x{other.height} pixels"
    one, two = first.georeference, other.georeference
    apart = pixels_apart(one, two, first.height, first.width)
    if apart is None or apart <= MOST_PIXELS_APART or one.transform is None or two.transform is None:
        return None
    if one.crs == two.crs and one.transform.determinant * two.transform.determinant < 0:
        return "one is stored upside down or mirrored"
    distance = "far" if math.isinf(apart) else f"{apart:,.1f} pixels" if apart < 100.0 else f"{apart:,.0f} pixels"
    systems = "" if one.crs == two.crs else f", in {_short(one)} and {_short(two)}"
    return f"{distance} apart on the ground{systems}"


def _short(place: Georeference) -> str:
    code = None if place.crs is None else place.crs.to_epsg()
    return "another CRS" if code is None else f"EPSG:{code}"


def check_one_grid(path: Path, titles: str, first: Framed, other: Framed) -> None:
    """Refuse a raster that is not on the grid of another one.

    Args:
        path: the raster to name.
        titles: what the two are, as "SAR and optical".

    Raises:
        InputError: the two differ in size or in their place on the ground (`grid_difference`).

    >>> from saropt.scenes import Scene, write_array
    >>> import numpy as np
    >>> with Scene.open(write_array("sar.tif", np.ones((1, 8, 8), np.float32))) as scene:
    ...     check_one_grid(scene.path, "SAR and optical", scene, scene)
    """
    difference = grid_difference(first, other)
    if difference is not None:
        raise InputError(path, f"{titles} are not on one grid: {difference}")
