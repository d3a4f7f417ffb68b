"""The tile engine: read ahead, run the network, write behind; memory does not grow with the scene."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from saropt.inference.reader import TileReader
from saropt.inference.runtimes import Backend
from saropt.inference.tiling import Strip, Tile, halo_of, plan_strips, plan_tiles
from saropt.processors import map_ahead
from saropt.progress import Progress
from saropt.scenes import Window

Put = Callable[[int, int, NDArray[np.float32], NDArray[np.bool_], int], None]
"""Receives row, col, network values (C, h, w), validity (h, w) and the key of a finished block."""
Run = Callable[[NDArray[np.float32], Sequence[Window]], NDArray[np.float32]]
"""Network outputs (N, C', h, w) of a batch (N, C, h, w), whose items lie at these windows of the scene."""

Item = TypeVar("Item")
_BATCH_PIXELS = 1 << 19
_AHEAD = 2
_OVERLAP = 4


class TiledNetwork(Protocol):
    """What a card says of a network's tiling (`saropt.networks.Generator`)."""

    @property
    def stride(self) -> int: ...
    @property
    def receptive_field(self) -> int | None: ...
    @property
    def tile(self) -> int: ...


def plain(backend: Backend) -> Run:
    """A network whose outputs do not depend on the place."""
    return lambda batch, windows: backend(batch)


def run_tiles(
    network: TiledNetwork,
    read: TileReader,
    run: Run,
    tile: int | None,
    put: Put,
    progress: Progress,
    completed: set[int],
) -> float | None:
    """Run a network over a scene: exactly where its receptive field is finite, else in blended windows.

    Args:
        tile: side of the windows in pixels; the network's own when None.

    Returns:
        None where exact, else the seam of `run_blended`.
    """
    height, width = read.height, read.width
    if network.receptive_field is not None:
        halo = halo_of(network.receptive_field, network.stride)
        tiles = plan_tiles(height, width, tile or network.tile, halo, network.stride)
        run_exact(tiles, read, run, put, progress, completed)
        return None
    side = math.ceil((tile or network.tile) / network.stride) * network.stride
    overlap = side // _OVERLAP
    strips = plan_strips(height, width, side, overlap)
    return run_blended(strips, side, overlap, read, run, put, progress, completed)


def run_exact(tiles: list[Tile], read: TileReader, run: Run, put: Put, progress: Progress, completed: set[int]) -> None:
    """Translate tile by tile with a halo that covers the receptive field: as exact as one pass over the scene.

    Tiles without a valid pixel are not run. Small tiles are run in batches; a batch is repeated whole unless all of
    its tiles are `completed`, so that a resumed scene has the bytes of an uninterrupted one.
    """
    channels = 0
    size = max(1, _BATCH_PIXELS // (tiles[0].read.height * tiles[0].read.width))
    batches = [tiles[start : start + size] for start in range(0, len(tiles), size)]
    todo = [tile for batch in batches if not completed.issuperset(t.index for t in batch) for tile in batch]
    done = len(tiles) - len(todo)

    def load(tile: Tile) -> tuple[Tile, NDArray[np.float32], NDArray[np.bool_]]:
        network, valid = read(tile.read)
        return tile, network, _core(valid, tile)

    with _Behind(put) as behind:
        for group in _grouped(map_ahead(load, todo, 1, _AHEAD, "reader"), size):
            busy = [item for item in group if item[2].any()]
            if busy:
                inputs = [network for _, network, _ in busy]
                batch = np.stack(inputs) if len(inputs) > 1 else inputs[0][None]
                outputs = run(batch, [tile.read for tile, _, _ in busy])
                channels = outputs.shape[1]
                for (tile, _, valid), output in zip(busy, outputs, strict=True):
                    behind(tile.core.row, tile.core.col, _core(output, tile), valid, tile.index)
            for tile, _, valid in group:
                if not valid.any():
                    empty = np.zeros((max(channels, 1), *valid.shape), np.float32)
                    behind(tile.core.row, tile.core.col, empty, valid, tile.index)
            done += len(group)
            progress(done, len(tiles), "tiles")


def run_blended(
    strips: list[Strip],
    tile: int,
    overlap: int,
    read: TileReader,
    run: Run,
    put: Put,
    progress: Progress,
    completed: set[int],
) -> float:
    """Translate overlapping windows and blend them linearly, for networks that see the whole window.

    Returns:
        The seam: mean absolute difference between neighbouring windows where they overlap, in [-1, 1] units.
    """
    width = read.width
    ramp = _ramp(tile, overlap)
    seam = _Mean()
    above: tuple[int, NDArray[np.float32]] | None = None

    def translate(strip: Strip) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        windows = [Window(strip.row, col, tile, tile) for col in strip.columns]
        pieces = []
        valids = []
        for window, (network, valid) in zip(windows, map_ahead(read, windows, 1, _AHEAD, "reader"), strict=True):
            pieces.append(run(network[None], [window])[0] if valid.any() else None)
            valids.append(valid)
        channels = next((piece.shape[0] for piece in pieces if piece is not None), 1)
        total = np.zeros((channels, tile, strip.columns[-1] + tile), np.float32)
        weight = np.zeros((tile, strip.columns[-1] + tile), np.float32)
        seen = np.zeros(weight.shape, bool)
        previous: NDArray[np.float32] | None = None
        for col, piece, valid in zip(strip.columns, pieces, valids, strict=True):
            place = slice(col, col + tile)
            seen[:, place] |= valid
            if piece is None:
                previous = None
                continue
            if previous is not None:
                seam.add(np.abs(previous[:, :, tile - overlap :] - piece[:, :, :overlap]))
            total[:, :, place] += piece * ramp
            weight[:, place] += ramp
            previous = piece
        return (total / np.maximum(weight, np.float32(1e-6))).astype(np.float32), seen

    with _Behind(put) as behind:
        for number, strip in enumerate(strips):
            if strip.index in completed:
                above = None
                continue
            if above is None and number > 0:
                above = (strips[number - 1].row, translate(strips[number - 1])[0])
            image, valid = translate(strip)
            blended = image.copy()
            if above is not None:
                old = above[1][:, strip.row - above[0] :]
                if old.shape[0] == image.shape[0]:
                    seam.add(np.abs(old[:, :overlap] - image[:, :overlap]))
                    down = _fade(overlap)[:, None]
                    blended[:, :overlap] = down * image[:, :overlap] + (1.0 - down) * old[:, :overlap]
            behind(strip.row, 0, blended[:, : strip.height, :width], valid[: strip.height, :width], strip.index)
            above = (strip.row, image)
            progress(number + 1, len(strips), "strips")
    return seam.value


def _core(array: NDArray, tile: Tile) -> NDArray:
    top, left = tile.core.row - tile.read.row, tile.core.col - tile.read.col
    return array[..., top : top + tile.core.height, left : left + tile.core.width]


def _fade(overlap: int) -> NDArray[np.float32]:
    return ((np.arange(overlap, dtype=np.float32) + 0.5) / max(overlap, 1)).astype(np.float32)


def _ramp(tile: int, overlap: int) -> NDArray[np.float32]:
    """(1, tile) weights across the columns; neighbouring windows add up to one."""
    weights = np.ones(tile, np.float32)
    weights[:overlap] = _fade(overlap)
    weights[tile - overlap :] = _fade(overlap)[::-1]
    return weights[None]


class _Mean:
    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, values: NDArray[np.float32]) -> None:
        self._sum += float(values.sum(dtype=np.float64))
        self._count += values.size

    @property
    def value(self) -> float:
        return self._sum / self._count if self._count else 0.0


def _grouped(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


class _Behind:
    """Calls `put` in a writer thread through a bounded queue; its error surfaces at the next call or at the end."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._queue: queue.Queue = queue.Queue(maxsize=_AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def __enter__(self) -> _Behind:
        self._thread.start()
        return self

    def __call__(self, *block: object) -> None:
        self._raise()
        self._queue.put(block)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (block := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._put(*block)
                except BaseException as error:
                    self._error = error
