"""Pictures of a layer, or of several of one grid, to keep: under their names, with the notice and a scale bar."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin
from rio_tiler.io import Reader

from saropt.inference import NOTICE
from saropt.viewer.catalogue import Layer
from saropt.viewer.rasters import environment, open_raster
from saropt.viewer.render import picture, png
from saropt.viewer.styles import Style
from saropt.viewer.tiles import eastward

_NARROWEST, _SLIMMEST = 360, 8
_DARK, _WHITE = (20, 24, 28, 255), (255, 255, 255, 255)
_FRAMES, _FRAME_MS = 32, 90


def exported_png(layer: Layer, side: int, style: Style) -> bytes:
    """A picture to keep; what a model guessed says so in its pixels and in its text field."""
    image = picture(layer, side, style)
    text = PngImagePlugin.PngInfo()
    if layer.guess:
        image = labelled(image, layer)
        text.add_text("Notice", NOTICE)
    return png(image, text)


def labelled(image: Image.Image, layer: Layer) -> Image.Image:
    """The picture over a strip with the notice and the translator; small pictures are enlarged to make room."""
    image = _broad(image)
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


def _margin(size: tuple[int, int]) -> int:
    """Columns that are missing on either side of a picture (width, height) to an eighth of its height: enlarged until
    text fits, a picture of few columns would be too high to be held."""
    width, height = size
    return max(0, math.ceil((height / _SLIMMEST - width) / 2))


def _broad(image: Image.Image) -> Image.Image:
    """The picture between its margins, which are transparent."""
    margin = _margin(image.size)
    if margin == 0:
        return image
    broad = Image.new("RGBA", (image.width + 2 * margin, image.height))
    broad.paste(image.convert("RGBA"), (margin, 0))
    return broad


def _titled(layer: Layer) -> str:
    """What stands above a layer's picture: its kind and date, then its translator or file."""
    date = "" if layer.info.acquired is None or layer.guess else f" {layer.info.acquired[:10]}"
    return f"{layer.kind}{date}: {layer.translator or layer.name.rsplit('/', 1)[-1]}"


def _foot(layers: Sequence[Layer], width: int, whole: int, shown: int) -> Image.Image | None:
    """The line below pictures of layers that are each `width` pixels wide, `shown` without their margins, `whole`
    together: the notice where one is a guess, and a scale bar where the size of a pixel is known; None where it would
    be empty."""
    guess = next((layer for layer in layers if layer.guess), None)
    row_m = layers[0].info.row_m
    if guess is None and row_m is None:
        return None
    size, strip = _line_of_text(width)
    image = Image.new("RGBA", (whole, strip), _DARK)
    draw, font, room = ImageDraw.Draw(image), ImageFont.load_default(size), whole - size
    if row_m is not None:
        metres_a_pixel = row_m / shown
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
    columns, shown = shown.width, _broad(shown)
    factor = math.ceil(_NARROWEST / shown.width)
    width, height = factor * shown.width, factor * shown.height
    foot = _foot(layers, width, width, factor * columns)
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
    columns, margin = pictures[0].width, _margin(pictures[0].size)
    pictures = [_broad(image) for image in pictures]
    factor = math.ceil(_NARROWEST / pictures[0].width)
    width, height = (factor * extent for extent in pictures[0].size)
    pictures = [image.resize((width, height), Image.Resampling.NEAREST) for image in pictures]
    line = size, strip = _line_of_text(width)
    gap = max(2, size // 5)
    whole_width = width if cuts is not None else len(layers) * (width + gap) - gap
    foot = _foot(layers, width, whole_width, factor * columns)
    whole = Image.new("RGBA", (whole_width, height + strip * (1 if foot is None else 2)), _DARK)
    if cuts is None:
        for index, (layer, image) in enumerate(zip(layers, pictures, strict=True)):
            whole.alpha_composite(image, (index * (width + gap), strip))
            _name(whole, layer, (index * (width + gap), 0, width), line)
    else:
        numbers = np.searchsorted(cuts, _shares(layers[0], factor * columns, height), side="right")
        numbers = np.pad(numbers, ((0, 0), (factor * margin, factor * margin)), mode="edge")
        whole.alpha_composite(_cut(pictures, numbers, gap // 2), (0, strip))
        for index, layer in enumerate(layers):
            _name_part(whole, layer, numbers == index, line)
    text = PngImagePlugin.PngInfo()
    if foot is not None:
        whole.paste(foot, (0, height + strip))
    if any(layer.guess for layer in layers):
        text.add_text("Notice", NOTICE)
    return png(whole, text)


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
