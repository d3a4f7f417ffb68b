"""Whether the deviation of a sampler's samples says where their mean is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.evaluation.conformal import conformal_factor, held_out_coverage, least_scenes
from saropt.evaluation.metric import Metric, Subject, Tile, register_metric

BLOCK = 8
ALPHA = 0.1
PIXELS_PER_SCENE = 1 << 14
PIXELS_PER_TILE = 1 << 10
_LEAST_DEVIATION = 1e-6


def block_means(maps: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Means (C, n) of maps (C, H, W) over the wholly valid blocks of 8x8 pixels, side by side from the upper left.

    >>> block_means(np.ones((2, 16, 20)), np.ones((16, 20), bool)).shape
    (2, 4)
    """
    rows, cols = (side // BLOCK for side in valid.shape)
    area = np.s_[..., : rows * BLOCK, : cols * BLOCK]
    blocks = np.where(valid, maps, np.nan)[area].reshape(len(maps), rows, BLOCK, cols, BLOCK).mean((2, 4))
    return blocks[:, np.isfinite(blocks[0])]


class _Correlation:
    """Pearson's correlation of a stream of pairs, from sums in double precision."""

    def __init__(self) -> None:
        self._sums = np.zeros(6)

    def add(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
        self._sums += [a.size, a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()]

    @property
    def count(self) -> float:
        return float(self._sums[0])

    @property
    def means(self) -> tuple[float, float]:
        count, a, b, *_ = self._sums
        return (a / count, b / count) if count else (math.nan, math.nan)

    @property
    def value(self) -> float:
        count, a, b, aa, bb, ab = self._sums
        spread = (count * aa - a * a) * (count * bb - b * b)
        return float((count * ab - a * b) / math.sqrt(spread)) if spread > 0.0 else math.nan


class DeviationQuality:
    """Sums over the tiles of a split, of `samples` samples of noise `seed`."""

    def __init__(self, samples: int, seed: int) -> None:
        self.samples, self.seed = samples, seed
        self._pixels, self._blocks = _Correlation(), _Correlation()
        self._ratios: dict[str, NDArray[np.float32]] = {}
        self._keys: dict[str, NDArray[np.float64]] = {}

    @classmethod
    def of(cls, subject: Subject) -> DeviationQuality | None:
        """None for a subject that draws no samples."""
        return None if subject.samples is None else cls(subject.samples, subject.seed)

    def add(self, tile: Tile) -> None:
        """See `Accumulator`."""
        assert tile.deviation is not None
        self.take(tile.deviation, np.abs(tile.output.values - tile.truth.values), tile.truth.mask, tile.scene)

    def take(self, deviation: NDArray[Any], error: NDArray[Any], valid: NDArray[np.bool_], scene: str = "") -> None:
        """Take deviation and absolute error (C, H, W) in [0, 1], validity (H, W)."""
        pair = np.stack([deviation.mean(0, dtype=np.float64), error.mean(0, dtype=np.float64)])
        self._pixels.add(*pair[:, valid])
        self._blocks.add(*block_means(pair, valid))
        ratios = (error / np.maximum(deviation, _LEAST_DEVIATION))[:, valid].astype(np.float32)
        rng = np.random.default_rng(int(self._pixels.count))
        chosen = ratios[:, rng.permutation(ratios.shape[1])[:PIXELS_PER_TILE]]
        known = self._ratios.get(scene, chosen[:, :0])
        keys = np.concatenate([self._keys.get(scene, np.empty(0)), rng.random(chosen.shape[1])])
        least = np.argsort(keys)[:PIXELS_PER_SCENE]  # a sample of all tiles up to now, each pixel as likely
        self._ratios[scene] = np.concatenate([known, chosen], axis=1)[:, least]
        self._keys[scene] = keys[least]

    def _calibration(self) -> dict[str, Any]:
        """The factors that make half-widths of the deviation, and their coverage of scenes that were left out."""
        scenes = len(self._ratios)
        if scenes < least_scenes(ALPHA) or "" in self._ratios:
            return {}
        bands = range(len(next(iter(self._ratios.values()))))
        coverage = held_out_coverage(self._ratios, ALPHA)
        return {
            "alpha": ALPHA,
            "scenes": scenes,
            "factor": [conformal_factor([one[band] for one in self._ratios.values()], ALPHA) for band in bands],
            "coverage": float(np.mean(coverage)),
            "least_coverage": float(np.min(coverage)),
        }

    def figures(self) -> dict[str, Any]:
        """All figures under `deviation`."""
        mean, error = self._pixels.means
        found = {
            "samples": self.samples,
            "seed": self.seed,
            "mean_deviation": mean,
            "mean_error": error,
            "correlation": self._pixels.value,
            f"correlation_{BLOCK}px": self._blocks.value,
        }
        return {"deviation": found | {"calibration": self._calibration()}}


register_metric(
    Metric(
        "deviation",
        "deviation of the samples",
        "per pixel, mean over bands: standard deviation of the samples (N - 1) against |their mean - truth|, in "
        f"[0, 1]; Pearson's correlation over all valid pixels of the split, and over means of {BLOCK}x{BLOCK} wholly "
        f"valid pixels. `calibration`, of {least_scenes(ALPHA)} scenes or more: for each band the factor by which the "
        f"deviation holds {1 - ALPHA:.0%} of the truth, by conformal risk control over scenes, and the coverage of "
        f"scenes that were left out in turn, mean and least; of {PIXELS_PER_TILE:,} random pixels of each tile, and of "
        f"{PIXELS_PER_SCENE:,} of a scene at most",
        needs=("a model that draws samples",),
        shown=False,
        split=DeviationQuality.of,
    )
)
