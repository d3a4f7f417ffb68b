"""Rasters whose place on the ground, or whose bands, are changed for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

OFF_GRID = {
    "far": "20,000 pixels apart",
    "zone": "in EPSG:",
    "shift": "3.5 pixels apart",
    "south-up": "one is stored upside down or mirrored",
}


def move(path: Path, how: str) -> None:
    """Give a raster of a simulated root another place: see `OFF_GRID`; "near", "same ground" and "no CRS" are none that
    contradicts its own."""
    with rasterio.open(path) as dataset:
        values, names, own = dataset.read(), dataset.descriptions, dataset.transform
    if how == "zone":
        write_again(path, values, names, crs="EPSG:32612")
    elif how == "same ground":
        write_again(path, values, names, crs="EPSG:26911")  # NAD 83, the zone of simulated roots
    elif how == "south-up":
        turned = own @ Affine.translation(0, values.shape[1]) @ Affine.scale(1, -1)
        write_again(path, values[:, ::-1], names, transform=turned)
    else:
        pixels = {"far": 20_000.0, "no CRS": 20_000.0, "shift": 3.5, "near": 0.05}[how]
        place = {"crs": None} if how == "no CRS" else {}
        write_again(path, values, names, transform=own @ Affine.translation(pixels, 0), **place)


def rename(path: Path, names: Sequence[str], order: Sequence[int]) -> None:
    """Store the bands of a raster in another order, under these names."""
    with rasterio.open(path) as dataset:
        values = dataset.read()
    write_again(path, values[list(order)], names)


def write_again(path: Path, values: NDArray[Any], names: Sequence[str | None], **changed: Any) -> None:
    """Replace a raster by other pixels, names and properties."""
    with rasterio.open(path) as dataset:
        place = {"crs": dataset.crs, "transform": dataset.transform, "nodata": dataset.nodata}
        tags = dataset.tags()
    count, height, width = values.shape
    form = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype}
    path.unlink()
    with rasterio.open(path, "w", **{**form, **place, **changed}) as dataset:
        dataset.write(np.ascontiguousarray(values))
        dataset.update_tags(**tags)
        for number, name in enumerate(names, start=1):
            dataset.set_band_description(number, name or "")
