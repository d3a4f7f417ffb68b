"""Whether the half-widths of a map of reliability hold, and whether they say where the errors are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from saropt.evaluation.deviation import BLOCK, block_means
from saropt.evaluation.metric import Metric, Subject, Tile, register_metric

PIXELS_PER_TILE = 256
RIVALS = ("gradient of the input", "local variation of the input", "brightness of the output")


def ause(uncertainty: NDArray[Any], error: NDArray[Any]) -> float:
    """Area under the sparsification error (Ilg et al., ECCV 2018), over the mean error.

    Pixels are taken away from the most to the least uncertain; the mean error of those that remain is compared with
    that where they are taken away by their true error. 0 is perfect. Pixels of equal uncertainty are taken away in no
    particular order: each has their mean error.

    Args:
        uncertainty, error: (n,).

    >>> ause(np.array([3.0, 1.0, 2.0]), np.array([0.3, 0.1, 0.2]))
    0.0
    >>> ause(np.ones(3), np.array([0.3, 0.1, 0.2])) == ause(np.ones(3), np.array([0.1, 0.2, 0.3]))
    True
    """
    if len(error) < 2 or not error.mean() > 0.0:
        return math.nan
    kept = np.arange(len(error), 0, -1)

    def remaining(ascending: NDArray[np.float64]) -> NDArray[np.float64]:
        return ascending.cumsum()[::-1] / kept

    own = error.astype(np.float64)
    _, place, sizes = np.unique(uncertainty, return_inverse=True, return_counts=True)
    by_map = remaining(np.repeat(np.bincount(place, own) / sizes, sizes))
    best = remaining(np.sort(own))
    return float((by_map - best).mean() / error.mean())


class ReliabilityQuality:
    """Sums over the tiles of a split, of half-widths that hold for 1 - `alpha` of the pixels."""

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        self._inside: list[float] = []
        self._widths: list[float] = []
        self._pixels: list[NDArray[np.float32]] = []
        self._blocks: list[NDArray[np.float32]] = []

    @classmethod
    def of(cls, subject: Subject) -> ReliabilityQuality | None:
        """None for a subject that gives no half-widths."""
        card = None if subject.model is None else subject.model.reliability
        return None if card is None else cls(card.alpha)

    def add(self, tile: Tile) -> None:
        """See `Accumulator`."""
        assert tile.half_width is not None
        valid = tile.truth.mask
        error = np.abs(tile.output.values - tile.truth.values)
        self._inside.append(float((error <= tile.half_width)[:, valid].mean()))
        self._widths.append(float(tile.half_width[:, valid].mean()))
        maps = np.stack([error.mean(axis=0), tile.half_width.mean(axis=0), *_rivals(tile)]).astype(np.float32)
        some = maps[:, valid]
        chosen = np.random.default_rng(len(self._inside)).permutation(some.shape[1])[:PIXELS_PER_TILE]
        self._pixels.append(some[:, chosen])
        self._blocks.append(block_means(maps, valid))

    def figures(self) -> dict[str, Any]:
        """All figures under `reliability`."""
        names = ("reliability", *RIVALS)
        by_scale = {
            "ause": np.concatenate(self._pixels, axis=1),
            f"ause_{BLOCK}px": np.concatenate(self._blocks, axis=1),
        }
        found: dict[str, Any] = {
            "alpha": self.alpha,
            "coverage": float(np.mean(self._inside)),
            "least_coverage": float(np.min(self._inside)),
            "half_width": float(np.mean(self._widths)),
        }
        for key, (error, *maps) in by_scale.items():
            found[key] = {name: ause(one, error) for name, one in zip(names, maps, strict=True)}
        return {"reliability": found}


def _rivals(tile: Tile) -> list[NDArray[np.float32]]:
    """The trivial maps of `RIVALS`, (h, w) each."""
    source = tile.source.mean(axis=0).astype(np.float64)
    mean = ndimage.uniform_filter(source, BLOCK + 1)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(source**2, BLOCK + 1) - mean**2, 0.0))
    gradient = ndimage.gaussian_gradient_magnitude(source, 1.0)
    return [gradient, spread / np.maximum(mean, 1e-3), tile.output.values.mean(axis=0)]


register_metric(
    Metric(
        "reliability",
        "map of reliability",
        "coverage: share of pixels and bands with |output - truth| within the half-width, mean over tiles and least. "
        "AUSE: area between the mean error of what remains when pixels are taken away by the map and when they are "
        f"taken away by their true error, over the mean error; 0 is perfect; pixels of equal values go in no order; "
        f"over {PIXELS_PER_TILE} random pixels of "
        f"each tile, and over means of {BLOCK}x{BLOCK} wholly valid pixels. Beside it trivial maps: "
        f"{', '.join(RIVALS)}",
        needs=("a model with a map of reliability",),
        shown=False,
        split=ReliabilityQuality.of,
    )
)
