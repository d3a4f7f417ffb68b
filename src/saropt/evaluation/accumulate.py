"""Sums over many tiles in constant memory: running mean and spread, histogram, the quality of a whole split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saropt.evaluation import metrics
from saropt.evaluation.distributions import SMALLEST_SIDE, Distribution, Extractor, Lpips
from saropt.evaluation.tile_image import TileImage

HISTOGRAM_STEP_DB = 0.5
HISTOGRAM_TOP_DB = 60.0


class RunningStatistics:
    """Mean and population standard deviation of a stream of numbers (Welford 1962); NaN is not counted."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = math.nan
        self._squares = 0.0

    def add(self, value: float) -> None:
        """Take one number."""
        if math.isnan(value):
            return
        self.n += 1
        if self.n == 1:
            self.mean = value
            return
        delta = value - self.mean
        if math.isinf(value) or math.isinf(self.mean):
            self.mean, self._squares = self.mean + value, math.nan
            return
        self.mean += delta / self.n
        self._squares += delta * (value - self.mean)

    @property
    def std(self) -> float:
        """Population standard deviation; NaN before the first number and when one was infinite."""
        return math.sqrt(self._squares / self.n) if self.n and not math.isinf(self.mean) else math.nan


class PsnrHistogram:
    """Counts of tiles by PSNR, in bins of 0.5 dB from 0 to 60 dB; the outer bins take what lies beyond."""

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(round(HISTOGRAM_TOP_DB / HISTOGRAM_STEP_DB), np.int64)

    def add(self, psnr: float) -> None:
        """Take the PSNR of one tile, dB."""
        self.counts[int(np.clip(psnr / HISTOGRAM_STEP_DB, 0, len(self.counts) - 1))] += 1

    def as_dict(self) -> dict[str, Any]:
        """First occupied bin's lower edge, the bin width (both dB) and the counts up to the last occupied bin."""
        occupied = np.flatnonzero(self.counts)
        if not len(occupied):
            return {"start_db": 0.0, "step_db": HISTOGRAM_STEP_DB, "counts": []}
        first, last = int(occupied[0]), int(occupied[-1])
        return {
            "start_db": first * HISTOGRAM_STEP_DB,
            "step_db": HISTOGRAM_STEP_DB,
            "counts": [int(c) for c in self.counts[first : last + 1]],
        }


class ImageQuality:
    """Quality of one translator over the tiles of a split: the mean over tiles of each metric, with spread and N.

    `collapse_ratio` is the ratio of the two means over the split, so that a single perfect tile does not decide it.
    Distances between sets of tiles and LPIPS are of wholly valid tiles.
    """

    SCALARS = (
        *("psnr", "ssim", "ms_ssim", "mae", "sam", "ergas"),
        *("psnr_shift", "mae_shift", "psnr_colour_free", "mae_colour_free"),
    )

    def __init__(self, bands: Sequence[str], extractors: Sequence[Extractor] = (), lpips: Lpips | None = None) -> None:
        self.bands = list(bands)
        self.distributions = [Distribution(extractor) for extractor in extractors]
        self.lpips = lpips
        self.histogram = PsnrHistogram()
        self._running = {name: RunningStatistics() for name in (*self.SCALARS, "lpips", "to_source")}
        self._rmse = [RunningStatistics() for _ in self.bands]
        self._bias = [RunningStatistics() for _ in self.bands]

    @property
    def n(self) -> int:
        """Tiles taken."""
        return self._running["mae"].n

    def add(
        self, output: ArrayLike, source: ArrayLike, truth: ArrayLike | TileImage, valid: ArrayLike | None = None
    ) -> dict[str, float]:
        """Take one tile, (C, H, W) in [0, 1], and give its own numbers.

        SSIM is left out (NaN) for tiles smaller than its window, the shift-tolerant metrics for tiles smaller than
        their shifts.

        Args:
            truth: as `TileImage` where several outputs are compared with it; then its mask counts, not `valid`.

        Raises:
            ValueError: see `saropt.evaluation.metrics`.
        """
        a, b = metrics.as_pair(output, truth, valid)
        shifted = metrics.Errors(math.nan, math.nan)
        if b.mask[metrics.SHIFT_RADIUS : -metrics.SHIFT_RADIUS, metrics.SHIFT_RADIUS : -metrics.SHIFT_RADIUS].any():
            shifted = metrics.shift_tolerant(a, b)
        recoloured = metrics.colour_free(a, b)
        structure = metrics.structure(a, b)
        tile = {
            "psnr": metrics.psnr(a, b),
            "ssim": structure.ssim,
            "ms_ssim": structure.ms_ssim,
            "mae": metrics.mae(a, b),
            "sam": metrics.sam(a, b),
            "ergas": metrics.ergas(a, b),
            "psnr_shift": shifted.psnr,
            "mae_shift": shifted.mae,
            "psnr_colour_free": recoloured.psnr,
            "mae_colour_free": recoloured.mae,
            "lpips": self.lpips(a.values, b.values) if self.lpips is not None and b.complete else math.nan,
            "to_source": metrics.source_distance(a, source),
        }
        if b.complete and min(b.mask.shape) >= SMALLEST_SIDE:
            for distribution in self.distributions:
                distribution.add(a, b)
        for name, value in tile.items():
            self._running[name].add(value)
        for running, value in zip(self._rmse, metrics.rmse_per_band(a, b), strict=True):
            running.add(float(value))
        for running, value in zip(self._bias, metrics.bias_per_band(a, b), strict=True):
            running.add(float(value))
        self.histogram.add(tile["psnr"])
        return tile

    def summary(self) -> dict[str, Any]:
        """The report's numbers for one translator and direction."""
        truth_error, source_error = self._running["mae"].mean, self._running["to_source"].mean
        ratio = source_error / truth_error if truth_error else (math.inf if source_error else math.nan)
        return {
            **{name: self._running[name].mean for name in self.SCALARS},
            **({} if self.lpips is None else {"lpips": self._running["lpips"].mean}),
            **{key: value for d in self.distributions for key, value in d.distances().items()},
            "distributions": [distribution.summary() for distribution in self.distributions],
            "collapse_ratio": ratio,
            "rmse_per_band": {band: r.mean for band, r in zip(self.bands, self._rmse, strict=True)},
            "bias_per_band": {band: r.mean for band, r in zip(self.bands, self._bias, strict=True)},
            "std": {name: self._running[name].std for name in self.SCALARS},
            "n": self.n,
            "psnr_histogram": self.histogram.as_dict(),
        }
