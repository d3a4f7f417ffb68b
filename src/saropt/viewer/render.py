"""Pixels of a layer as pictures and numbers: tiles, thumbnails, one point."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform
from rio_tiler.errors import PointOutsideBounds, TileOutsideBounds
from rio_tiler.io import ImageReader, Reader
from rio_tiler.models import ImageData, PointData

from saropt.domain import canonical_bands
from saropt.errors import InputError
from saropt.evaluation.gallery import ERROR_TOP, heat
from saropt.scenes.metadata import apply_scaling
from saropt.viewer.beyond_180 import beside, is_beyond_180
from saropt.viewer.catalogue import Layer
from saropt.viewer.pyramids import open_for_display
from saropt.viewer.rasters import TILE, environment, open_raster
from saropt.viewer.styles import Floats, Style, in_db
from saropt.viewer.tiles import FAR, far_tile

_THIN = 8
"""Pixels of a tile: a raster of fewer is looked up, for warping takes up to a pixel from each edge."""
_EMPTY = Image.new("LA", (TILE, TILE), 0)


def tile_png(layer: Layer, z: int, x: int, y: int, style: Style) -> bytes:
    """A tile of 256 pixels, transparent outside the scene and where it is not valid."""

    def read(reader: Reader, indexes: tuple[int, ...]) -> ImageData:
        method = _resampling(layer, z <= layer.info.maxzoom)
        is_thin = min(layer.info.width, layer.info.height) < _THIN << max(layer.info.maxzoom - z, 0)
        if layer.info.grid == "map" and (layer.info.maxzoom - z > FAR or is_thin or is_beyond_180(reader.dataset)):
            return far_tile(reader, z, x, y, indexes, method)
        options: dict[str, Any] = {"reproject_method": method} if layer.info.grid == "map" else {}
        return reader.tile(x, y, z, tilesize=TILE, indexes=indexes, resampling_method=method, **options)

    try:
        return png(_coloured(layer, *values_of(layer, read, style.bands), style))
    except TileOutsideBounds:
        return png(_EMPTY)


def picture(layer: Layer, side: int, style: Style) -> Image.Image:
    """The whole layer in its own grid, reduced so that the longer side is at most `side` pixels."""

    def read(reader: Reader, indexes: tuple[int, ...]) -> ImageData:
        method = _resampling(layer, max(layer.info.width, layer.info.height) > side)
        return reader.preview(indexes=indexes, max_size=side, resampling_method=method)

    return _coloured(layer, *values_of(layer, read, style.bands), style)


def _resampling(layer: Layer, reduced: bool) -> Any:
    return "bilinear" if reduced and not layer.info.coded and not layer.sampled else "nearest"


def thumbnail_png(layer: Layer, style: Style) -> bytes:
    return png(picture(layer, 192, style))


@dataclass(frozen=True)
class Reading:
    """One pixel: its column and row (None in radar geometry), its place in the raster's own coordinate system, and
    each band's number (None where it is not valid)."""

    column: int | None
    row: int | None
    x: float | None
    y: float | None
    values: tuple[float | None, ...]


def read_point(layer: Layer, x: float, y: float) -> Reading | None:
    """The pixel at longitude and latitude, or at column and row of scenes without georeference; None outside.

    Raises:
        InputError: the file cannot be read.
    """
    on_map = layer.info.grid == "map"
    place: tuple[float | None, float | None] = (None, None)
    try:
        with environment(), open_raster(layer.path) as dataset:
            height, width, warped = dataset.height, dataset.width, bool(dataset.gcps[0])
            if on_map:
                with Reader(None, dataset=dataset) as reader:
                    (px,), (py,) = transform("EPSG:4326", reader.dataset.crs, [x], [y])
                    if not (math.isfinite(px) and math.isfinite(py)):
                        return None
                    px = float(beside(np.array(px), reader.dataset))
                    row, column = (int(index) for index in reader.dataset.index(px, py))
                    height, width, place = reader.dataset.height, reader.dataset.width, (px, py)
            else:
                column, row = math.floor(x), math.floor(y)
        if not (0 <= column < width and 0 <= row < height):
            return None

        def read(reader: Reader, indexes: tuple[int, ...]) -> PointData:
            if on_map:
                return reader.point(px, py, coord_crs=reader.crs, indexes=indexes)
            return reader.point(column, row, indexes=indexes)

        values, valid = _numbers(layer, read, tuple(range(1, len(layer.info.bands) + 1)), full=True)
    except (RasterioError, CPLE_BaseError, PointOutsideBounds):
        return None
    numbers = tuple(float(value) if sure else None for value, sure in zip(values.ravel(), valid.ravel(), strict=True))
    return Reading(None if warped else column, None if warped else row, *place, numbers)


Read = Callable[[Reader, tuple[int, ...]], ImageData | PointData]


def values_of(layer: Layer, read: Read, bands: tuple[int, ...], full: bool = False) -> tuple[Floats, NDArray[np.bool_]]:
    """(len(bands), h, w) numbers and (h, w) validity of all these bands; of an error layer its one band.

    Args:
        full: from the file itself at full resolution, not from overviews or a copy made for display.
    """
    values, sure = _numbers(layer, read, bands, full)
    valid: NDArray[np.bool_] = np.asarray(sure.all(axis=0))
    values[:, ~valid] = 0
    return values, valid


def _numbers(layer: Layer, read: Read, bands: tuple[int, ...], full: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Numbers and validity of each band, both (len(bands), h, w)."""
    if layer.pair is None or not (full or layer.sampled):
        return _of_file(layer, read, bands, full)
    guess, truth = layer.pair
    guessed, sure = _of_file(guess, read, tuple(range(1, len(guess.info.bands) + 1)), True)
    true, valid = _of_file(truth, read, _matching(guess, truth), True)
    errors = np.abs(guessed - true).mean(axis=0, keepdims=True) / np.float32(255)
    return errors, np.asarray((sure & valid).all(axis=0, keepdims=True))


def _matching(guess: Layer, truth: Layer) -> tuple[int, ...]:
    """The truth's bands in the order of the guess's: by name where the names agree, else as they stand."""
    wanted, names = (canonical_bands(layer.info.bands) for layer in (guess, truth))
    if set(wanted) == set(names):
        return tuple(names.index(name) + 1 for name in wanted)
    return tuple(range(1, len(names) + 1))


def _of_file(layer: Layer, read: Read, bands: tuple[int, ...], full: bool) -> tuple[Floats, NDArray[np.bool_]]:
    info = layer.info
    indexes = info.indexes if info.palette else tuple(info.indexes[band - 1] for band in bands)
    kind = Reader if info.grid == "map" else ImageReader
    try:
        with environment(), ExitStack() as stack:
            opened = open_raster(layer.path, overviews=False) if full else open_for_display(layer.path, layer.display)
            dataset = stack.enter_context(opened)
            reader = stack.enter_context(kind(None, dataset=dataset))
            shown = read(reader, indexes)
            array = shown.array
            table = dataset.colormap(indexes[0]) if info.palette else None
    except RasterioError as error:
        raise InputError(layer.name, "cannot be read here: truncated or damaged") from error
    data, mask = np.ma.getdata(array), np.ma.getmaskarray(array)
    if data.ndim == 1:
        data, mask = data[:, None, None], mask[:, None, None]
    valid: NDArray[np.bool_] = ~mask
    alpha = getattr(shown, "alpha_mask", None)
    if alpha is not None and data.dtype.kind == "f":  # the mask that was made of a float alpha band is none
        valid = np.broadcast_to(alpha > 0, data.shape)
    values = data.astype(np.result_type(data.dtype, np.float32))
    if table is not None:
        colours = np.zeros((256, 4), np.float32)
        for entry, colour in table.items():
            colours[min(entry, 255)] = colour
        looked_up = colours[data[0].astype(np.int64).clip(0, 255)]
        values = np.moveaxis(looked_up, -1, 0)[[band - 1 for band in bands]]
        valid = np.broadcast_to(valid[0] & (looked_up[..., 3] > 0), values.shape)
    if info.scaling is not None:
        values = apply_scaling(values, [info.scaling[band - 1] for band in bands])
    return values, valid & np.isfinite(values)


def _coloured(layer: Layer, values: Floats, valid: NDArray[np.bool_], style: Style) -> Image.Image:
    if style.decibels is not None:
        values = in_db(values, style.decibels)
    low = np.array(style.low, np.float32).reshape(-1, 1, 1)
    high = np.array(style.high, np.float32).reshape(-1, 1, 1)
    unit = np.clip((values - low) / np.maximum(high - low, np.float32(1e-12)), 0, 1)
    if style.least is not None:
        valid = valid & (values[0] >= np.float32(style.least))
    if style.most is not None:
        valid = valid & (values[0] <= np.float32(style.most))
    alpha = np.where(valid, 255, 0).astype(np.uint8)
    if layer.kind in ("product", "error"):
        return Image.fromarray(np.dstack([heat(unit[0] * ERROR_TOP), alpha]), "RGBA")
    shown = np.rint(unit * 255).astype(np.uint8)
    return Image.fromarray(np.dstack([*shown, alpha]), "LA" if len(shown) == 1 else "RGBA")


def png(image: Image.Image, text: PngImagePlugin.PngInfo | None = None) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, pnginfo=text)
    return buffer.getvalue()
