"""Samples pixels from all parts of a raster, for statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.scenes.georeference import Window
from saropt.scenes.mirroring import Readable

_BLOCK = (512, 4096)
_MOST_SEARCHED = 1 << 31


class Blocks(Readable, Protocol):
    """A raster that reads windows, fastest along its blocks."""

    @property
    def block_shape(self) -> tuple[int, int]: ...


class Padded(Protocol):
    """A raster whose windows may reach beyond its frame."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]: ...


def sample_pixels(raster: Blocks, max_pixels: int = 1 << 20) -> NDArray:
    """Sample valid pixels from all parts of a raster.

    Pixels are drawn with a fixed seed from windows that are spread evenly over the raster, so the same raster always
    gives the same sample. A raster of at most `max_pixels` pixels is read completely. Memory is bounded by `max_pixels`
    and the size of a block.

    Returns:
        (C, n), n <= max_pixels, as `read` gives them; n is 0 when the raster has no valid pixel.

    Raises:
        ValueError: `max_pixels` is not positive.

    >>> from saropt.scenes import Scene, write_array
    >>> with Scene.open(write_array("scene.tif", np.ones((2, 64, 64), np.float32), band_names=["VV", "VH"])) as scene:
    ...     sample_pixels(scene, max_pixels=1000).shape
    (2, 1000)
    """
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be positive, got {max_pixels}")
    if raster.width * raster.height <= max_pixels:
        values, valid = raster.read()
        return values[:, valid]
    frame = raster.height, raster.width
    height, width = (min(sizes) for sizes in zip(raster.block_shape, _BLOCK, frame, strict=True))
    rows, cols = -(-raster.height // height), -(-raster.width // width)
    count = min(max_pixels, int(np.clip(16 * max_pixels // (height * width), 64, 1024)))
    grid_rows = min(rows, count, max(1, round((count * rows / cols) ** 0.5)))
    grid_cols = min(cols, max(1, count // grid_rows))
    spread = (
        Window(row, col, min(height, raster.height - row), min(width, raster.width - col))
        for row in _spread(raster.height, grid_rows, height)
        for col in _spread(raster.width, grid_cols, width)
    )
    picked = _draw(raster, spread, max_pixels / (grid_rows * grid_cols * height * width), max_pixels)
    if picked.shape[1]:
        return picked
    places = [(row, col) for row in range(0, raster.height, height) for col in range(0, raster.width, width)]
    most = max(64, _MOST_SEARCHED // math.prod(raster.block_shape))  # a block is unpacked as a whole
    if len(places) > most:  # a file of few bytes can hold a frame of any size
        places = [places[number * len(places) // most] for number in range(most)]
    everywhere = (
        Window(row, col, min(height, raster.height - row), min(width, raster.width - col)) for row, col in places
    )
    return _draw(raster, everywhere, max(1, max_pixels // 16) / (height * width), max_pixels)


def fills_blocks(raster: Padded, value: float, side: int = 16, windows: int = 256) -> bool:
    """Whether a value fills whole blocks of a raster: looked for in windows that are spread evenly over it.

    >>> from saropt.scenes import Scene, write_array
    >>> with Scene.open(write_array("black.tif", np.zeros((1, 64, 64), np.float32))) as scene:
    ...     fills_blocks(scene, 0.0)
    True
    """
    across = min(max(1, raster.width // side), math.isqrt(windows))
    down = min(max(1, raster.height // side), windows // across)
    for row in np.linspace(0, max(0, raster.height - side), down).astype(int):
        for col in np.linspace(0, max(0, raster.width - side), across).astype(int):
            values, valid = raster.read_padded(Window(int(row), int(col), side, side))
            if valid.all() and bool((values == value).all(axis=(1, 2)).any()):
                return True
    return False


def _draw(raster: Blocks, windows: Iterator[Window], share: float, max_pixels: int) -> NDArray:
    """This share of the valid pixels of each window in turn, until there are enough."""
    generator = np.random.default_rng(0)
    pieces: list[NDArray] = []
    left = max_pixels
    for window in windows:
        values, valid = raster.read(window)
        flat = values.reshape(len(values), -1) if valid.all() else values[:, valid]
        take = min(math.ceil(share * flat.shape[1]), flat.shape[1], left)
        edges = np.arange(take + 1) * flat.shape[1] // max(take, 1)
        pieces.append(flat[:, edges[:-1] + (generator.random(take) * np.diff(edges)).astype(np.intp)])
        left -= take
        if left == 0:
            break
    return np.concatenate(pieces, axis=1)


def _spread(size: int, count: int, length: int) -> list[int]:
    """Starts of `count` blocks of `length` pixels, spread evenly over `size` pixels: blocks are read as wholes."""
    if count == -(-size // length):
        return [number * length for number in range(count)]
    return [(2 * number + 1) * size // (2 * count) // length * length for number in range(count)]
