"""The figures of one model or baseline over the tiles of a split; memory follows the number of scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.domain import listed
from saropt.errors import InputError, counted
from saropt.evaluation.intervals import SceneSums
from saropt.evaluation.metric import METRICS, RESERVED, Metric, Subject, Tile
from saropt.evaluation.running import RunningStatistics

HISTOGRAM_STEP_DB = 0.5
HISTOGRAM_TOP_DB = 60.0


class PsnrHistogram:
    """Counts of tiles by PSNR, in bins of 0.5 dB from 0 to 60 dB. The outermost bins also count values beyond them."""

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


class _Mean:
    """A metric of single tiles: its mean over tiles, of each band where it has a number for each."""

    def __init__(self, metric: Metric, bands: Sequence[str]) -> None:
        self.metric = metric
        self._bands = list(bands) if metric.per_band else []
        self._running = [RunningStatistics() for _ in self._bands or (metric.key,)]
        self.scenes = SceneSums()

    def add(self, tile: Tile, scene: str) -> float:
        """Measure one tile; NaN where there is a number for each band.

        Raises:
            InputError: the metric gives something else than its numbers.
        """
        assert self.metric.tile is not None
        values = self._numbers(self.metric.tile(tile))
        for running, value in zip(self._running, values, strict=True):
            running.add(value)
        if not self.metric.per_band:
            self.scenes.add(scene, values[0])
        return math.nan if self.metric.per_band else values[0]

    def _numbers(self, measured: Any) -> list[float]:
        numbers: list[float] = []
        if not isinstance(measured, str | Mapping):
            with suppress(TypeError, ValueError):
                numbers = [float(value) for value in (measured if self.metric.per_band else [measured])]
        if len(numbers) != len(self._running):
            wanted = (
                f"{counted(len(self._bands), 'number')} (one for each band)" if self.metric.per_band else "one number"
            )
            given = f"an array of shape {measured.shape}" if isinstance(measured, np.ndarray) else repr(measured)[:60]
            raise InputError(f"metric {self.metric.key}", f"must give {wanted} for a tile, not {given}")
        return numbers

    @property
    def figure(self) -> float | dict[str, float]:
        means = [running.mean for running in self._running]
        return dict(zip(self._bands, means, strict=True)) if self.metric.per_band else means[0]

    @property
    def spread(self) -> float:
        return self._running[0].std


def _check_figures(metric: str, found: Any, taken: Set[str]) -> None:
    if not isinstance(found, Mapping):
        raise InputError(metric, f"its accumulator must give figures by name, not {repr(found)[:60]}")
    if twice := sorted(found.keys() & taken):
        raise InputError(metric, f"its accumulator gives {listed(twice)}, which the report has already")
    for key, value in found.items():
        if key in METRICS and not isinstance(value, Real | Mapping | None):
            raise InputError(metric, f"its accumulator must give a number for {key}, not {repr(value)[:60]}")


class ImageQuality:
    """All registered metrics of one subject over the tiles of a split.

    A metric of single tiles becomes its mean over tiles, with the population standard deviation under `std`; a metric
    of a whole split comes from its accumulator. A metric of single tiles with one number has an interval over scenes
    (`saropt.evaluation.intervals`).

    >>> quality = ImageQuality(Subject(["grey"]))
    >>> numbers = quality.add(Tile.of(np.full((1, 16, 16), 0.5), np.zeros((1, 16, 16)), np.ones((1, 16, 16))))
    >>> round(numbers["psnr"], 2), quality.figures()["mae"]
    (6.02, 0.5)
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.n = 0
        self._histogram = PsnrHistogram()
        metrics = [metric for _, metric in METRICS.items()]
        self._means = {metric.key: _Mean(metric, subject.bands) for metric in metrics if metric.tile}
        makers = {metric.split: metric.key for metric in metrics if metric.split}
        made = [(key, make(subject)) for make, key in makers.items()]
        self._accumulators = [(key, accumulator) for key, accumulator in made if accumulator is not None]

    def add(self, tile: Tile, scene: str = "") -> dict[str, float]:
        """Take one tile, and give its own numbers by metric; NaN where a metric cannot measure it.

        Args:
            scene: the scene, or the group of scenes, that the tile belongs to.

        Raises:
            InputError: a metric gives something else than its numbers.
            ValueError: see `saropt.evaluation.metrics`.
        """
        self.n += 1
        numbers = {key: mean.add(tile, scene) for key, mean in self._means.items()}
        for _, accumulator in self._accumulators:
            accumulator.add(tile)
        self._histogram.add(numbers["psnr"])
        return numbers

    @property
    def scenes(self) -> int:
        """How many scenes, or groups of scenes, the tiles came from."""
        return len(self.tiles_by_scene)

    @property
    def tiles_by_scene(self) -> list[float]:
        """The number of tiles of each scene."""
        counts = ([count for _, count in mean.scenes.as_dict().values()] for mean in self._means.values())
        return max(counts, key=len, default=[])

    def figures(self) -> dict[str, Any]:
        """The figures by key, `std` by key, `n` tiles and the histogram of PSNR.

        `intervals` maps keys to [low, high, effective number of tiles], where there are scenes enough; `by_scene` maps
        keys to scene -> [sum, number of tiles].

        Raises:
            InputError: an accumulator gives no figures, or one of another metric or of the report.
        """
        figures: dict[str, Any] = {key: mean.figure for key, mean in self._means.items()}
        for key, accumulator in self._accumulators:
            more = accumulator.figures()
            _check_figures(f"metric {key}", more, figures.keys() | RESERVED)
            figures |= more
        scalars = {key: mean for key, mean in self._means.items() if not mean.metric.per_band}
        figures["std"] = {key: mean.spread for key, mean in scalars.items()}
        figures["intervals"] = {
            key: [found.low, found.high, found.effective_tiles]
            for key, mean in scalars.items()
            if (found := mean.scenes.interval(mean.metric.limits)) is not None
        }
        figures["by_scene"] = {key: mean.scenes.as_dict() for key, mean in scalars.items() if mean.scenes.as_dict()}
        return figures | {"n": self.n, "psnr_histogram": self._histogram.as_dict()}
