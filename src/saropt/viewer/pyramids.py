"""Reduced copies of large rasters that have none, so that a map of them is quick to draw."""

from __future__ import annotations

from rasterio.io import DatasetReader

from saropt.viewer.catalogue import Layer
from saropt.viewer.rasters import open_raster


def display_file(layer: Layer) -> DatasetReader:
    return open_raster(layer.path)
