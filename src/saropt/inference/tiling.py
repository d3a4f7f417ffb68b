"""Which windows of a scene are read, and which part of each goes into the output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from saropt.scenes import Window

_WINDOWS, _SIDE = 16, 256
_LATTICE, _LATTICE_SIDE, _SMALL = 8, 64, 1 << 20


@dataclass(frozen=True)
class Tile:
    """One unit of work.

    Attributes:
        index: number of the tile; the key under which its completion is recorded.
        core: the pixels it contributes to the output, inside the frame.
        read: the pixels the network sees; it may reach outside the frame, where the scene is mirrored.

    >>> plan_tiles(100, 100, 64, 16, 16)[0].core
    Window(row=0, col=0, height=64, width=64)
    """

    index: int
    core: Window
    read: Window


def halo_of(receptive_field: int, stride: int) -> int:
    """Smallest multiple of the stride that covers half of the receptive field.

    >>> halo_of(receptive_field=70, stride=16)
    48
    """
    return math.ceil((receptive_field // 2) / stride) * stride


def plan_tiles(height: int, width: int, tile: int, halo: int, stride: int) -> list[Tile]:
    """Tiles that cover a frame without overlap, each read with a halo.

    Tile origins are multiples of `stride`, and all reads have one shape: the tile side is rounded up to the stride
    and then evened out over the frame, so that the last tile of a row is not a sliver.

    Args:
        height, width: frame in pixels.
        tile: largest wanted core side in pixels.
        halo: pixels read beyond the core on each side; a multiple of `stride`.

    Raises:
        ValueError: halo not a multiple of the stride, or a tile below 1.

    >>> [tile.core.col for tile in plan_tiles(64, 160, 64, 16, 16)]
    [0, 64, 128]
    """
    if tile < 1 or halo % stride:
        raise ValueError(f"tile {tile} must be positive and halo {halo} a multiple of the stride {stride}")
    side_rows, side_cols = _even_side(height, tile, stride), _even_side(width, tile, stride)
    tiles: list[Tile] = []
    for row in range(0, height, side_rows):
        for col in range(0, width, side_cols):
            core = Window(row, col, min(side_rows, height - row), min(side_cols, width - col))
            read = Window(row - halo, col - halo, side_rows + 2 * halo, side_cols + 2 * halo)
            tiles.append(Tile(len(tiles), core, read))
    return tiles


def _even_side(size: int, tile: int, stride: int) -> int:
    parts = math.ceil(size / (math.ceil(tile / stride) * stride))
    return math.ceil(size / parts / stride) * stride


@dataclass(frozen=True)
class Strip:
    """A row of overlapping windows of a network with a global view.

    Attributes:
        index: number of the strip.
        row: first row of its windows.
        height: rows of the frame that are final once this strip and the one above are blended.
        columns: first columns of its windows.

    >>> [strip.height for strip in plan_strips(500, 256, 256, 64)]
    [192, 192, 116]
    """

    index: int
    row: int
    height: int
    columns: Sequence[int]


def plan_strips(height: int, width: int, tile: int, overlap: int) -> list[Strip]:
    """Rows of windows of side `tile` that overlap by `overlap` pixels; the last ones may reach outside the frame.

    >>> plan_strips(256, 500, 256, 64)[0].columns
    [0, 192, 384]
    """
    step = tile - overlap
    columns = list(range(0, max(width - overlap, 1), step))
    rows = list(range(0, max(height - overlap, 1), step))
    last = len(rows) - 1
    return [Strip(i, row, height - row if i == last else step, columns) for i, row in enumerate(rows)]


def spread_windows(height: int, width: int, stride: int = 1) -> list[Window]:
    """At most 16 square windows of at most 256 pixels a side, spread evenly over a frame.

    Args:
        stride: the side is a multiple of it.

    >>> len(spread_windows(5000, 7000)), spread_windows(100, 60)
    (16, [Window(row=20, col=0, height=60, width=60)])
    """
    side = max(stride, min(_SIDE, height, width) // stride * stride)
    across = max(1, min(math.isqrt(_WINDOWS), width // side))
    down = max(1, min(_WINDOWS // across, height // side))
    return _spread(height, width, side, down, across)


def lattice_windows(height: int, width: int) -> list[Window]:
    """Windows that tell which share of a frame holds something: all of it where it is small, else at most 64 square
    ones of at most 64 pixels a side, spread evenly.

    >>> len(lattice_windows(5000, 7000)), lattice_windows(100, 60)
    (64, [Window(row=0, col=0, height=100, width=60)])
    """
    if height * width <= _SMALL:
        return [Window(0, 0, height, width)]
    side = min(_LATTICE_SIDE, height, width)
    down, across = (min(_LATTICE, length // side) for length in (height, width))
    return _spread(height, width, side, down, across)


def _spread(height: int, width: int, side: int, down: int, across: int) -> list[Window]:
    """Square windows in rows and columns, spread evenly over a frame."""
    return [
        Window((height - side) * (2 * i + 1) // (2 * down), (width - side) * (2 * j + 1) // (2 * across), side, side)
        for i in range(down)
        for j in range(across)
    ]
