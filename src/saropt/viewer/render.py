"""Pixels of a layer as pictures and numbers: tiles, thumbnails, exported pictures, statistics, one point."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform
from rio_tiler.errors import PointOutsideBounds, TileOutsideBounds
from rio_tiler.io import ImageReader, Reader
from rio_tiler.models import ImageData, PointData

from saropt.domain import canonical_bands
from saropt.errors import InputError
from saropt.evaluation.gallery import ERROR_TOP, heat
from saropt.inference import NOTICE
from saropt.scenes.metadata import apply_scaling
from saropt.viewer.beyond_180 import beside, is_beyond_180
from saropt.viewer.catalogue import Layer
from saropt.viewer.pyramids import open_for_display
from saropt.viewer.rasters import TILE, environment, open_raster
from saropt.viewer.styles import Floats, Style, in_db
from saropt.viewer.tiles import FAR, eastward, far_tile

_NARROWEST = 360
_DARK, _WHITE = (20, 24, 28, 255), (255, 255, 255, 255)
_FRAMES, _FRAME_MS = 32, 90
_EMPTY = Image.new("LA", (TILE, TILE), 0)


def tile_png(layer: Layer, z: int, x: int, y: int, style: Style) -> bytes:
    """A tile of 256 pixels, transparent outside the scene and where it is not valid."""

    def read(reader: Reader, indexes: tuple[int, ...]) -> ImageData:
        method = _resampling(layer, z <= layer.info.maxzoom)
        if layer.info.grid == "map" and (layer.info.maxzoom - z > FAR or is_beyond_180(reader.dataset)):
            return far_tile(reader, z, x, y, indexes, method)
        options: dict[str, Any] = {"reproject_method": method} if layer.info.grid == "map" else {}
        return reader.tile(x, y, z, tilesize=TILE, indexes=indexes, resampling_method=method, **options)

    try:
        return _png(_coloured(layer, *values_of(layer, read, style.bands), style))
    except TileOutsideBounds:
        return _png(_EMPTY)


def picture(layer: Layer, side: int, style: Style) -> Image.Image:
    """The whole layer in its own grid, reduced so that the longer side is at most `side` pixels."""

    def read(reader: Reader, indexes: tuple[int, ...]) -> ImageData:
        method = _resampling(layer, max(layer.info.width, layer.info.height) > side)
        return reader.preview(indexes=indexes, max_size=side, resampling_method=method)

    return _coloured(layer, *values_of(layer, read, style.bands), style)


def _resampling(layer: Layer, reduced: bool) -> Any:
    return "bilinear" if reduced and not layer.info.coded and not layer.sampled else "nearest"


def thumbnail_png(layer: Layer, style: Style) -> bytes:
    return _png(picture(layer, 192, style))


def exported_png(layer: Layer, side: int, style: Style) -> bytes:
    """A picture to keep; what a model guessed says so in its pixels and in its text field."""
    image = picture(layer, side, style)
    text = PngImagePlugin.PngInfo()
    if layer.guess:
        image = labelled(image, layer)
        text.add_text("Notice", NOTICE)
    return _png(image, text)


def labelled(image: Image.Image, layer: Layer) -> Image.Image:
    """The picture over a strip with the notice and the translator; small pictures are enlarged to make room."""
    factor = math.ceil(_NARROWEST / image.width)
    if factor > 1:
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    size, strip = _line_of_text(image.width)
    whole = Image.new("RGBA", (image.width, image.height + strip), _DARK)
    whole.paste(image.convert("RGBA"), (0, 0))
    what = f" ({layer.translator})" if layer.translator else ""
    font, text = ImageFont.load_default(size), f"{NOTICE}{what}"
    if font.getlength(text) > image.width - size:
        text = NOTICE
    ImageDraw.Draw(whole).text((size // 2, image.height + strip // 2), text, _WHITE, font, anchor="lm")
    return whole


def _titled(layer: Layer) -> str:
    """What stands above a layer's picture: its kind and date, then its translator or file."""
    date = "" if layer.info.acquired is None or layer.guess else f" {layer.info.acquired[:10]}"
    return f"{layer.kind}{date}: {layer.translator or layer.name.rsplit('/', 1)[-1]}"


def _foot(layers: Sequence[Layer], width: int, whole: int) -> Image.Image | None:
    """The line below pictures of layers that are each `width` pixels wide, `whole` together: the notice where one is a
    guess, and a scale bar where the size of a pixel is known; None where it would be empty."""
    guess = next((layer for layer in layers if layer.guess), None)
    row_m = layers[0].info.row_m
    if guess is None and row_m is None:
        return None
    size, strip = _line_of_text(width)
    image = Image.new("RGBA", (whole, strip), _DARK)
    draw, font, room = ImageDraw.Draw(image), ImageFont.load_default(size), whole - size
    if row_m is not None:
        metres_a_pixel = row_m / width
        longest = width / 6 * metres_a_pixel
        power = 10.0 ** math.floor(math.log10(longest))
        length = max(step * power for step in (1, 2, 5) if step * power <= longest)
        right, middle = whole - size // 2, strip // 2
        left = right - round(length / metres_a_pixel)
        top = middle - size // 3
        draw.line([(left, top), (left, middle), (right, middle), (right, top)], _WHITE, 2)
        text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
        draw.text((left - size // 2, middle), text, _WHITE, font, anchor="rm")
        room = left - 2 * size - round(font.getlength(text))
    if guess is not None:
        text = f"{NOTICE} ({guess.translator})" if guess.translator else NOTICE
        draw.text((size // 2, strip // 2), text if font.getlength(text) <= room else NOTICE, _WHITE, font, anchor="lm")
    return image


def _line_of_text(width: int) -> tuple[int, int]:
    """Size of the letters and height of the strip for a line of text on a picture of this width."""
    size = max(14, width // 45)
    return size, round(size * 1.8)


def swipe_gif(layers: tuple[Layer, Layer], styles: tuple[Style, Style], side: int) -> bytes:
    """An animation of a divider that runs over two layers of one grid and back, under their names; where one of them is
    a guess, every frame says so."""
    pictures = [_frame(layers, picture(layer, side, style)) for layer, style in zip(layers, styles, strict=True)]
    both = Image.fromarray(np.hstack([np.asarray(one) for one in pictures]))
    palette = both.quantize(255, dither=Image.Dither.NONE)
    left, right = np.hsplit(np.asarray(palette), 2)
    line = int(np.argmax(np.array(palette.getpalette()).reshape(-1, 3).sum(axis=1)))
    differ = (left != right).any(axis=1)  # the divider leaves the strips free
    frames = []
    for share in (1 + np.cos(np.linspace(0, 2 * np.pi, _FRAMES, endpoint=False))) / 2:
        at = round(share * left.shape[1])
        frame = np.where(np.arange(left.shape[1]) < at, left, right)
        frame[differ, max(at - 1, 0) : at + 1] = line
        image = Image.fromarray(frame, "P")
        image.putpalette(palette.getpalette() or [])
        frames.append(image)
    buffer = io.BytesIO()
    text = {"comment": NOTICE.encode()} if any(layer.guess for layer in layers) else {}
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=_FRAME_MS, loop=0, **text)
    return buffer.getvalue()


def _frame(layers: tuple[Layer, Layer], shown: Image.Image) -> Image.Image:
    """A picture between the names of both layers and the foot, which stay as they are when the divider moves."""
    factor = math.ceil(_NARROWEST / shown.width)
    width, height = factor * shown.width, factor * shown.height
    foot = _foot(layers, width, width)
    size, strip = _line_of_text(width)
    whole = Image.new("RGBA", (width, strip + height + (0 if foot is None else strip)), _DARK)
    whole.alpha_composite(shown.convert("RGBA").resize((width, height), Image.Resampling.NEAREST), (0, strip))
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size)
    for layer, x, anchor in zip(layers, (size // 2, width - size // 2), ("lm", "rm"), strict=True):
        draw.text((x, strip // 2), _fitting(_titled(layer), font, width / 2 - size), _WHITE, font, anchor)
    if foot is not None:
        whole.paste(foot, (0, strip + height))
    return whole.convert("RGB")


def compared_png(layers: Sequence[Layer], styles: Sequence[Style], side: int, cuts: Sequence[float] | None) -> bytes:
    """Layers of one grid in one picture under their names; what a model guessed says so in pixels and text field.

    Args:
        side: longest side of one layer's picture, in pixels.
        cuts: shares of the extent from west to east (of the width, where there is no map) where the next layer begins,
            ascending; None lays the layers side by side.
    """
    pictures = [picture(layer, side, style).convert("RGBA") for layer, style in zip(layers, styles, strict=True)]
    factor = math.ceil(_NARROWEST / pictures[0].width)
    width, height = (factor * extent for extent in pictures[0].size)
    pictures = [image.resize((width, height), Image.Resampling.NEAREST) for image in pictures]
    line = size, strip = _line_of_text(width)
    gap = max(2, size // 5)
    whole_width = width if cuts is not None else len(layers) * (width + gap) - gap
    foot = _foot(layers, width, whole_width)
    whole = Image.new("RGBA", (whole_width, height + strip * (1 if foot is None else 2)), _DARK)
    if cuts is None:
        for index, (layer, image) in enumerate(zip(layers, pictures, strict=True)):
            whole.alpha_composite(image, (index * (width + gap), strip))
            _name(whole, layer, (index * (width + gap), 0, width), line)
    else:
        numbers = np.searchsorted(cuts, _shares(layers[0], width, height), side="right")
        whole.alpha_composite(_cut(pictures, numbers, gap // 2), (0, strip))
        for index, layer in enumerate(layers):
            _name_part(whole, layer, numbers == index, line)
    text = PngImagePlugin.PngInfo()
    if foot is not None:
        whole.paste(foot, (0, height + strip))
    if any(layer.guess for layer in layers):
        text.add_text("Notice", NOTICE)
    return _png(whole, text)


def _shares(layer: Layer, width: int, height: int) -> NDArray[np.float64]:
    """How far right in the viewer the pixels of a layer's picture lie, from 0 to 1."""
    if layer.info.grid == "pixels":
        return np.tile((np.arange(width) + 0.5) / width, (height, 1))
    with environment(), open_raster(layer.path) as dataset, Reader(None, dataset=dataset) as reader:
        return eastward(reader.dataset, layer.info.extent, width, height)


def _cut(pictures: Sequence[Image.Image], numbers: NDArray[np.intp], line: int) -> Image.Image:
    """Of each pixel the picture with its number, with a dark line of this width where the number changes."""
    pixels = np.stack([np.asarray(image) for image in pictures])
    chosen = np.take_along_axis(pixels, numbers[None, ..., None], axis=0)[0]
    changes = np.zeros(numbers.shape, bool)
    changes[:, :-line] = numbers[:, :-line] != numbers[:, line:]
    changes[:-line] |= numbers[:-line] != numbers[line:]
    chosen[changes] = _DARK
    return Image.fromarray(chosen)


def _name_part(whole: Image.Image, layer: Layer, part: NDArray[np.bool_], line: tuple[int, int]) -> None:
    """The name of a layer above its part of a picture; in the picture, where that part hardly reaches the top."""
    size, strip = line
    widths = part.sum(axis=1)
    needed = min(ImageFont.load_default(size).getlength(_titled(layer)) + size, int(widths.max()))
    row = 0 if 2 * widths[0] >= needed else int(np.argmax(widths >= needed))
    top = strip + max(0, min(row, len(part) - strip)) if row else 0
    if needed > 0:
        _name(whole, layer, (int(np.argmax(part[row])), top, int(widths[row])), line)


def _name(whole: Image.Image, layer: Layer, place: tuple[int, int, int], line: tuple[int, int]) -> None:
    """The name of a layer at a place (left, top, width), on a dark ground."""
    (left, top, width), (size, strip) = place, line
    font, draw = ImageFont.load_default(size), ImageDraw.Draw(whole)
    name = _fitting(_titled(layer), font, width - size)
    if name:
        draw.rectangle((left, top, left + round(font.getlength(name)) + size, top + strip - 1), _DARK)
        draw.text((left + size // 2, top + strip // 2), name, _WHITE, font, anchor="lm")


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text, cut where it is wider."""
    while text and font.getlength(text) > width:
        text = text.rstrip("…")[:-1] + "…" if len(text) > 2 else ""
    return text


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


def _png(image: Image.Image, text: PngImagePlugin.PngInfo | None = None) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, pnginfo=text)
    return buffer.getvalue()
