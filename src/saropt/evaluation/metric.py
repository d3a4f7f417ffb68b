"""Metrics, their inputs, and their registry.

A new metric is one module that registers a `Metric`. Accumulation, report.json, report.html, the tables of the command
line and of benchmark suites, and the list of conventions iterate the registry. Other packages add metrics through the
entry point group `saropt.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saropt.evaluation.intervals import UNLIMITED, Limits
from saropt.evaluation.tile_image import TileImage, as_pair, read_only
from saropt.registry import Registry

if TYPE_CHECKING:
    from saropt.evaluation.extractors import Weights
    from saropt.inference import Translator

Result = TypeVar("Result")


@dataclass(frozen=True)
class Tile:
    """One tile of a comparison, all images in [0, 1]. Metrics share its arrays, which are read-only.

    Attributes:
        source: (C, h, w), the input; of several inputs, the first.
        output, truth: (B, h, w) as `TileImage`, with one mask.
        deviation: (B, h, w), the standard deviation of the samples of a sampler; None for other models.
        half_width: (B, h, w), of the map of reliability; None where a model gives none.
        scene: the scene that the tile belongs to.
    """

    source: NDArray[Any]
    output: TileImage
    truth: TileImage
    deviation: NDArray[np.float32] | None = None
    half_width: NDArray[np.float32] | None = None
    scene: str = ""
    _results: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("source", "deviation", "half_width"):
            if (array := getattr(self, name)) is not None:
                object.__setattr__(self, name, read_only(array))

    @classmethod
    def of(
        cls,
        output: ArrayLike | TileImage,
        source: ArrayLike,
        truth: ArrayLike | TileImage,
        valid: ArrayLike | None = None,
    ) -> Tile:
        """A tile of arrays (C, h, w).

        Args:
            valid: (h, w), True where a pixel counts; the mask of `truth` where that is a `TileImage`.

        Raises:
            ValueError: see `saropt.evaluation.metrics`.

        >>> tile = Tile.of(np.full((1, 2, 2), 0.5), np.zeros((1, 2, 2)), np.ones((1, 2, 2)))
        >>> tile.truth.means
        array([1.])
        """
        return cls(np.asarray(source), *as_pair(output, truth, valid))

    def once(self, function: Callable[[TileImage, TileImage], Result]) -> Result:
        """`function(output, truth)`, computed once: metrics that share work share it through this."""
        if function not in self._results:
            self._results[function] = function(self.output, self.truth)
        found: Result = self._results[function]
        return found


@dataclass
class Subject:
    """The subject of a measurement over a split: a model or a trivial baseline, in one direction.

    Attributes:
        bands: names of the output bands.
        model: the translator; None for a baseline.
        weights: extractors and published weights for the metrics that need them; None for none.
        samples, seed: of a model that draws, how many samples are averaged and their noise; one sample when None.
        seconds, pixels: time that translation has taken, and for how many pixels.

    >>> Subject(bands=("B4", "B3", "B2"), samples=8).samples
    8
    """

    bands: Sequence[str]
    model: Translator | None = None
    weights: Weights | None = None
    samples: int | None = None
    seed: int = 0
    seconds: float = 0.0
    pixels: int = 0

    @property
    def draws(self) -> bool:
        """Whether the output depends on the seed: that of a sampler, or with speckle."""
        return self.model is not None and (self.model.sampler is not None or self.model.speckle is not None)


class Accumulator(Protocol):
    """Gathers what a metric of a whole split needs, in constant memory."""

    def add(self, tile: Tile) -> None:
        """Take one tile."""

    def figures(self) -> dict[str, Any]:
        """Figures by key; one accumulator may serve several metrics, and give details beside them."""


@dataclass(frozen=True)
class Metric:
    """A metric, how it is printed and how it is measured.

    Exactly one of `tile`, `split` and `section` says how it is measured.

    Attributes:
        key: name in report.json and in the columns of suites.
        title: heading in tables.
        convention: one sentence that says how it is computed.
        digits: decimals in tables.
        better: +1 where more is better, -1 where less is, 0 where neither.
        limits: lowest and highest possible value, for intervals.
        needs: its requirements in words, such as "three bands" or "weights file".
        shown: whether the main tables of the report and of the command line have a column for it.
        tile: measures one tile; the figure is the mean over tiles. NaN leaves a tile out.
        per_band: whether `tile` gives an array (B,) with a number for each band.
        split: makes the accumulator of a subject, None where the subject cannot be measured. Metrics that name the same
            function share one accumulator.
        section: the section of the report that measures it (`saropt.evaluation.section`).
        warning: text that explains what is wrong with the figure of a model; empty where nothing is.
    """

    key: str
    title: str
    convention: str
    digits: int = 3
    better: Literal[-1, 0, 1] = 0
    limits: Limits = UNLIMITED
    needs: tuple[str, ...] = ()
    shown: bool = True
    tile: Callable[[Tile], Any] | None = None
    per_band: bool = False
    split: Callable[[Subject], Accumulator | None] | None = None
    section: str = ""
    warning: Callable[[float], str] | None = None

    def __post_init__(self) -> None:
        if (self.tile is not None) + (self.split is not None) + bool(self.section) != 1:
            raise ValueError(f"metric {self.key!r} must have one of tile, split and section")

    def text(self, value: float | None) -> str:
        """A figure as tables show it.

        >>> METRICS["psnr"].text(16.604)
        '16.60'
        """
        return "–" if value is None else f"{value:.{self.digits}f}"


METRICS: Registry[Metric] = Registry("metric", "saropt.metrics")
RESERVED = frozenset({"n", "std", "intervals", "by_scene", "psnr_histogram", "warnings", "seed"})
"""Keys that a report has beside the metrics of a row."""


def register_metric(metric: Metric) -> Metric:
    """Register a metric, so that measurements, reports and tables include it.

    Raises:
        ValueError: the key is taken, or a report uses it for something else.

    >>> register_metric(METRICS["psnr"])
    Traceback (most recent call last):
    ...
    ValueError: metric 'psnr' is registered twice
    """
    if metric.key in RESERVED:
        raise ValueError(f"metric {metric.key!r} needs another name: reports use this one for something else")
    METRICS.add(metric.key, metric)
    return metric


def metrics_in(entries: Iterable[Mapping[str, Any]], section: str = "", *, shown: bool = True) -> list[Metric]:
    """The registered metrics that have a column in a table of these entries: those with a single number in one.

    Args:
        entries: figures by key.
        section: the section of the report; "" for the main tables.
        shown: whether the columns of the tables themselves are asked for, or those of the details below.

    >>> [metric.key for metric in metrics_in([{"psnr": 15.0, "sam": 4.0, "std": {}}])]
    ['psnr']
    """
    entries = list(entries)
    return [
        metric
        for key, metric in METRICS.items()
        if metric.section == section
        and metric.shown == shown
        and any(key in figures and not isinstance(figures[key], Mapping) for figures in entries)
    ]


def metric_of(column: str) -> Metric | None:
    """The metric of a column: of a key, or of a key and what it is split by ("class_iou.water"); None if there is none.

    >>> metric_of("rmse_per_band.B4").key
    'rmse_per_band'
    """
    key = column.partition(".")[0]
    if key not in METRICS:
        return None
    return METRICS[key]


def column_title(column: str) -> str:
    """The heading of a column.

    >>> column_title("psnr"), column_title("pmr.sift")
    ('PSNR dB', 'PMR, sift')
    """
    metric, part = metric_of(column), column.partition(".")[2]
    if metric is None:
        return column
    return f"{metric.title}, {part}" if part else metric.title
