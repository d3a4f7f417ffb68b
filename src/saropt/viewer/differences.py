"""Errors of translations as rasters of their own: reduced after the difference is taken, not before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rasterio.windows import Window
from rio_tiler.io import ImageReader, Reader
from rio_tiler.models import ImageData
from rio_tiler.reader import read

from saropt.scenes import Georeference, SceneWriter
from saropt.viewer import pyramids
from saropt.viewer.catalogue import Layer
from saropt.viewer.rasters import environment, open_raster
from saropt.viewer.render import values_of

_SLAB_PIXELS = 1 << 21


def with_differences(layer: Layer, made: pyramids.Pyramids) -> Layer:
    """An error layer with the raster of its differences, others as they are. That of a small raster is made at once;
    that of a large one in the background, and until then the layer is `sampled`.

    >>> from saropt.scenes import write_array
    >>> from saropt.viewer.catalogue import Catalogue
    >>> from saropt.viewer.rasters import Limits
    >>> Path("scenes").mkdir()
    >>> _ = write_array("scenes/a.tif", np.full((1, 8, 8), 90, np.uint8))
    >>> catalogue = Catalogue(Path("scenes"), Limits())
    >>> catalogue.scan({}, [])
    >>> (layer,) = catalogue.layers.values()
    >>> with_differences(layer, pyramids.Pyramids(Path("made"), lambda: None)) is layer
    True
    """
    if layer.pair is None:
        return layer
    path = made.folder / f"{layer.id}-{layer.info.version}.tif"
    at_once = layer.info.width * layer.info.height <= pyramids.LARGE_PIXELS
    return replace(layer, display=made.have(path, partial(_write, layer, path), at_once))


def _write(layer: Layer, path: Path) -> None:
    """The mean over the bands of each pixel's absolute difference, NaN where it is not valid; a COG with overviews."""
    kind = Reader if layer.info.grid == "map" else ImageReader
    with environment(), open_raster(layer.path) as dataset, kind(None, dataset=dataset) as reader:
        height, width = reader.dataset.height, reader.dataset.width
        place = Georeference(reader.dataset.crs, reader.dataset.transform) if kind is Reader else None
    rows = max(1, _SLAB_PIXELS // width)
    frame = {"width": width, "height": height, "georeference": place}
    with SceneWriter(path, **frame, band_names=["error"], dtype="float32", nodata=float("nan")) as writer:
        for top in range(0, height, rows):
            window = Window(0, top, width, min(rows, height - top))
            values, valid = values_of(layer, partial(_slab, window=window), (1,), full=True)
            values[:, ~valid] = np.nan
            writer.write(top, 0, values)
        writer.finish()


def _slab(reader: Reader | ImageReader, indexes: tuple[int, ...], window: Window) -> ImageData:
    return read(reader.dataset, indexes=indexes, window=window)
