"""Finds rasters that show the same ground: equal pixels, similar blocks, overlapping footprints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saropt.scenes import Scene
from saropt.scenes.footprints import Footprint, footprint_of, overlaps

BLOCK = 128
CELLS = 16
SIMILAR = 0.95
_CHUNK = 2048


@dataclass(frozen=True)
class Signature:
    """What is kept of a raster to compare it with others.

    Attributes:
        digest: hash of the stored pixel values.
        blocks: (n, 256) float32, unit vectors: blocks of 128x128 pixels, averaged to 16x16, with their mean subtracted.
        footprint: where the raster lies; None where it has no place on the ground.
    """

    digest: str
    blocks: NDArray[np.float32]
    footprint: Footprint | None


def signature(scene: Scene, values: NDArray, valid: NDArray[np.bool_]) -> Signature:
    """The signature of a raster that has been read completely.

    Blocks begin at multiples of 128 pixels, so that patches of 256 pixels that were cut at a stride of 128 share
    blocks. Because mean and length are removed, blocks can be compared after a linear stretch; speckle makes each block
    unique.
    """
    height, width = valid.shape
    image = np.abs(values).mean(axis=0) if np.iscomplexobj(values) else values.mean(axis=0)
    side = min(BLOCK, height, width)
    cell = max(1, side // CELLS)
    used = cell * min(CELLS, side // cell)
    blocks = []
    for row in range(0, height - side + 1, side):
        for col in range(0, width - side + 1, side):
            part = np.s_[row : row + used, col : col + used]
            if not valid[part].all():
                continue
            small = image[part].reshape(used // cell, cell, used // cell, cell).mean(axis=(1, 3), dtype=np.float64)
            small -= small.mean()
            length = float(np.sqrt((small * small).sum()))
            if length > 1e-3 * max(float(np.abs(image[part]).max()), 1e-12) * small.size**0.5:
                vector = np.zeros(CELLS * CELLS, np.float32)
                vector[: small.size] = (small / length).ravel()
                blocks.append(vector)
    digest = hashlib.sha256(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()
    stacked = np.stack(blocks) if blocks else np.zeros((0, CELLS * CELLS), np.float32)
    return Signature(digest, stacked, footprint_of(scene.georeference, height, width))


def equal_pairs(signatures: Sequence[Signature]) -> list[tuple[int, int]]:
    """Pairs (first, later) of rasters with equal pixels."""
    first: dict[str, int] = {}
    seen = [first.setdefault(own.digest, number) for number, own in enumerate(signatures)]
    return [(earlier, number) for number, earlier in enumerate(seen) if earlier != number]


def similar_pairs(signatures: Sequence[Signature], threshold: float = SIMILAR) -> list[tuple[int, int, float]]:
    """Pairs of rasters that have a block in common, each with the correlation of the most similar blocks."""
    owner = np.concatenate([np.full(len(own.blocks), number) for number, own in enumerate(signatures)] or [np.zeros(0)])
    blocks = np.concatenate([own.blocks for own in signatures]) if signatures else np.zeros((0, 1), np.float32)
    best: dict[tuple[int, int], float] = {}
    for first, second in _chunks(len(blocks)):
        correlation = blocks[first] @ blocks[second].T
        for i, j in np.argwhere(correlation >= threshold):
            one, other = int(owner[first.start + i]), int(owner[second.start + j])
            if one < other:
                best[one, other] = max(best.get((one, other), 0.0), float(correlation[i, j]))
    return [(one, other, value) for (one, other), value in sorted(best.items())]


def overlapping_pairs(signatures: Sequence[Signature]) -> list[tuple[int, int, float]]:
    """Pairs whose footprints overlap by more than a pixel in both directions, in whatever coordinate systems, each with
    the share of the smaller footprint that overlaps."""
    placed = [(number, own.footprint) for number, own in enumerate(signatures) if own.footprint is not None]
    numbers = [number for number, _ in placed]
    return [(numbers[one], numbers[other], share) for one, other, share in overlaps([own for _, own in placed])]


def _chunks(count: int) -> Iterator[tuple[slice, slice]]:
    starts = range(0, count, _CHUNK)
    for first in starts:
        for second in starts:
            if second >= first:
                yield slice(first, first + _CHUNK), slice(second, second + _CHUNK)
