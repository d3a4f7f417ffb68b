"""The tile engine: one thread reads ahead, the network runs, and another thread writes. Memory does not grow with
the scene."""

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

Put = Callable[[int, int, NDArray[np.float32], NDArray[np.bool_], int | None], None]
"""Receives row, col, network values (C, h, w) and validity (h, w) of a finished block. The last block of a unit of work
brings the unit's key, all others None."""
Run = Callable[[NDArray[np.float32], Sequence[Window]], NDArray[np.float32]]
"""Network outputs of a batch (N, C, h, w), whose items lie at these windows of the scene; their shape is that of a
`Backend`."""

Item = TypeVar("Item")
_BATCH_PIXELS = 1 << 19
_AHEAD = 2
_OVERLAP = 4


class TiledNetwork(Protocol):
    """How a network is tiled, according to its card (see `saropt.networks.Generator`)."""

    @property
    def stride(self) -> int: ...
    @property
    def receptive_field(self) -> int | None: ...
    @property
    def tile(self) -> int: ...


def plain(backend: Backend) -> Run:
    """Runs of a network whose output does not depend on the position in the scene.

    >>> run = plain(lambda batch: 2.0 * batch)
    >>> float(run(np.ones((1, 1, 2, 2), np.float32), []).max())
    2.0
    """
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
    """Run a network over a scene: in exact tiles where its receptive field is finite, otherwise in blended windows.

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

    Memory holds a few windows, and of two strips the rows in which they overlap.

    Returns:
        The seam: mean absolute difference between neighbouring windows where they overlap, in [-1, 1] units.
    """
    width = read.width
    ramp, fade = _ramp(tile, overlap), _fade(overlap)[:, None]
    seam = _Mean()
    lowest: dict[int, NDArray[np.float32] | None] = {}
    """Strip -> its last rows (C, overlap, width), which the next strip is blended with; None without a valid pixel."""

    def translate(strip: Strip) -> Iterator[tuple[int, NDArray[np.float32] | None, NDArray[np.bool_]]]:
        """The columns of a strip that no further window changes, window by window: first column, values (C, tile, w),
        and validity (tile, w). The values are None until a window has had a valid pixel."""
        windows = [Window(strip.row, col, tile, tile) for col in strip.columns]
        total: NDArray[np.float32] | None = None
        rows: NDArray[np.float32] | None = None
        weight, seen = np.zeros((1, tile), np.float32), np.zeros((tile, tile), bool)
        previous = lowest[strip.index] = None
        for window, (network, valid) in zip(windows, map_ahead(read, windows, 1, _AHEAD, "reader"), strict=True):
            piece = run(network[None], [window])[0] if valid.any() else None
            seen |= valid
            if piece is not None:
                if previous is not None:
                    seam.add(np.abs(previous[:, :, tile - overlap :] - piece[:, :, :overlap]))
                if total is None:
                    total = np.zeros(piece.shape, np.float32)
                    rows = np.zeros((len(piece), overlap, strip.columns[-1] + tile), np.float32)
                    lowest[strip.index] = rows
                total += piece * ramp
                weight += ramp
            previous = piece
            final = tile if window is windows[-1] else tile - overlap
            image = None
            if total is not None and rows is not None:
                image = np.divide(total[..., :final], np.maximum(weight[:, :final], 1e-6), dtype=np.float32)
                rows[..., window.col : window.col + final] = image[:, tile - overlap :]
                total = _moved(total, final)
            yield window.col, image, seen[:, :final]
            weight, seen = _moved(weight, final), _moved(seen, final)

    with _Behind(put) as behind:
        for number, strip in enumerate(strips):
            if strip.index in completed:
                continue
            if number > 0 and number - 1 not in lowest:
                for _ in translate(strips[number - 1]):
                    pass
            above = lowest.get(number - 1)
            for col, image, valid in translate(strip):
                part = np.s_[..., : strip.height, : width - col]
                if image is None:
                    image = np.zeros((1, *valid.shape), np.float32)
                elif above is not None:
                    old, new = above[..., col : col + valid.shape[1]], image[:, :overlap]
                    seam.add(np.abs(old - new))
                    image[:, :overlap] = fade * new + (1.0 - fade) * old
                last = col == strip.columns[-1]
                behind(strip.row, col, image[part], valid[part], strip.index if last else None)
            lowest.pop(number - 1, None)
            progress(number + 1, len(strips), "strips")
    return seam.value


def _core(array: NDArray, tile: Tile) -> NDArray:
    """The tile's own pixels of an array of what was read, which may lack as many pixels at each side."""
    absent = (tile.read.height - array.shape[-2]) // 2
    top, left = tile.core.row - tile.read.row - absent, tile.core.col - tile.read.col - absent
    return array[..., top : top + tile.core.height, left : left + tile.core.width]


def _fade(overlap: int) -> NDArray[np.float32]:
    return ((np.arange(overlap, dtype=np.float32) + 0.5) / max(overlap, 1)).astype(np.float32)


def _moved(array: NDArray, columns: int) -> NDArray:
    """The array without its first columns, zeros behind the others."""
    moved = np.zeros_like(array)
    moved[..., : array.shape[-1] - columns] = array[..., columns:]
    return moved


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
