"""Trivial translators with which every real translator must be compared. All images are (C, H, W) in [0, 1].

They are fitted on the train split alone, except the copy of the input; the last looks at the truth of each tile and
is an oracle.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saropt.domain import Role

Float = NDArray[np.float64]
Image = NDArray[np.floating[Any]]
Pair = tuple[ArrayLike, ArrayLike, ArrayLike | None]

LEVELS = 16 * 255 + 1  # every 8-bit level lies exactly on one of these


class Baseline(ABC):
    """A trivial translator: `update` with train pairs one by one (or `fit`), `finish`, then `predict`.

    >>> source, target = np.ones((1, 8, 8)), np.full((3, 8, 8), 0.25)
    >>> TrainMean().fit([(source, target, None)]).predict(source, target)[:, 0, 0].tolist()
    [0.25, 0.25, 0.25]
    """

    name: ClassVar[str]
    fitted: ClassVar[bool] = True
    oracle: ClassVar[bool] = False
    """Whether it looks at the truth."""
    one_input: ClassVar[bool] = False
    """Whether it is for directions with one input alone."""
    looks_at: ClassVar[tuple[Role, ...]] = ()
    """Roles of its input, in order; empty for all inputs of the direction that no raster lacks."""
    further: ClassVar[tuple[Role, ...]] = ()
    """Roles behind them that no model need take."""
    fills: ClassVar[bool] = False
    """Whether it fills holes of its input itself: they are NaN. For the others they have the mean of their band."""

    def take_dates(self, scene: datetime | None, inputs: Sequence[datetime | None]) -> bool:
        """Take the dates of the scene that is measured next and of the roles that this looks at.

        Returns:
            whether it can translate this scene.
        """
        return True

    @abstractmethod
    def update(self, source: Float, target: Float) -> None:
        """Take the valid pixels of one train pair: (C, n) of the input, (B, n) of the target."""

    @abstractmethod
    def finish(self) -> None:
        """Turn what `update` gathered into the fit.

        Raises:
            ValueError: no valid train pixel was given.
        """

    @abstractmethod
    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        """Translate (C, H, W) to (B, H, W), single precision if the input is. Only an oracle looks at `target`."""

    def fit(self, pairs: Iterable[Pair]) -> Self:
        """Fit on pairs of (input (C, H, W), target (B, H, W), mask (H, W) or None), one pass, bounded memory."""
        fit_all([self], pairs)
        return self


class Unfitted(Baseline):
    """A baseline that learns nothing from the train split."""

    fitted = False

    def update(self, source: Float, target: Float) -> None:
        """Nothing is learned."""

    def finish(self) -> None:
        """Nothing is learned."""


def fit_all(baselines: Iterable[Baseline], pairs: Iterable[Pair]) -> None:
    """Fit several baselines in one pass over the train pairs.

    Raises:
        ValueError: `pairs` holds no valid pixel.

    >>> baselines = [TrainMean(), Linear()]
    >>> fit_all(baselines, [(np.ones((1, 8, 8)), np.full((3, 8, 8), 0.5), None)])
    >>> [baseline.predict(np.ones((1, 2, 2)), np.ones((3, 2, 2))).shape for baseline in baselines]
    [(3, 2, 2), (3, 2, 2)]
    """
    baselines = list(baselines)
    for source, target, valid in pairs:
        x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
        mask = np.ones(y.shape[1:], bool) if valid is None else np.asarray(valid, bool)
        if mask.any():
            for baseline in baselines:
                baseline.update(x[:, mask], y[:, mask])
    for baseline in baselines:
        baseline.finish()


class TrainMean(Baseline):
    """Predicts the mean colour of the train split everywhere.

    >>> source, target = np.ones((1, 8, 8)), np.full((3, 8, 8), 0.25)
    >>> TrainMean().fit([(source, target, None)]).predict(source, target)[:, 0, 0].tolist()
    [0.25, 0.25, 0.25]
    """

    name = "train_mean"

    def __init__(self) -> None:
        self._sum: Float | None = None
        self._pixels = 0

    def update(self, source: Float, target: Float) -> None:
        total = target.sum(1)
        self._sum = total if self._sum is None else self._sum + total
        self._pixels += target.shape[1]

    def finish(self) -> None:
        if self._sum is None:
            raise ValueError("no valid pixel to fit on")
        self.colour: Float = self._sum / self._pixels

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        x = _image(source)
        return np.broadcast_to(self.colour.astype(x.dtype)[:, None, None], (len(self.colour), *x.shape[1:])).copy()


class CopyInput(Unfitted):
    """The mean of the input bands in every target band: the input again.

    >>> CopyInput().predict(np.full((2, 8, 8), 0.5), np.ones((3, 8, 8))).shape
    (3, 8, 8)
    """

    name = "copy_input"
    one_input = True

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        return np.repeat(_image(source).mean(0, keepdims=True), len(np.asarray(target)), 0)


class Linear(Baseline):
    """Predicts the target bands from the input bands of the same pixel by linear least squares, clipped to [0, 1].

    >>> source = np.linspace(0.0, 1.0, 64).reshape(1, 8, 8)
    >>> predicted = Linear().fit([(source, 0.5 * source, None)]).predict(source, source)
    >>> round(float(predicted.max()), 3)
    0.5
    """

    name = "linear"

    def __init__(self) -> None:
        self._gram: Float | None = None
        self._moment: Float | None = None

    def update(self, source: Float, target: Float) -> None:
        x = np.concatenate([source, np.ones((1, source.shape[1]))])
        gram, moment = x @ x.T, x @ target.T
        self._gram = gram if self._gram is None else self._gram + gram
        self._moment = moment if self._moment is None else self._moment + moment

    def finish(self) -> None:
        if self._gram is None or self._moment is None:
            raise ValueError("no valid pixel to fit on")
        solution = np.linalg.lstsq(self._gram, self._moment, rcond=None)[0]
        self.weights: Float = np.asarray(solution[:-1].T, np.float64)
        self.constant: Float = np.asarray(solution[-1], np.float64)

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        x = _image(source)
        weights, constant = self.weights.astype(x.dtype), self.constant.astype(x.dtype)
        return np.clip(np.tensordot(weights, x, 1) + constant[:, None, None], 0.0, 1.0)


def _image(values: ArrayLike) -> Image:
    given = np.asarray(values)
    return given if given.dtype == np.float32 else given.astype(np.float64)


def _levels(values: Image) -> NDArray[np.intp]:
    return np.rint(np.clip(values, 0.0, 1.0) * (LEVELS - 1)).astype(np.intp)


class HistogramMatch(Baseline):
    """The monotone map of the input's grey level (mean over bands) that gives each target band its histogram over the
    train split: Gonzalez & Woods' histogram specification, interpolated between levels as scikit-image does.

    >>> source = np.linspace(0.0, 1.0, 64).reshape(1, 8, 8)
    >>> predicted = HistogramMatch().fit([(source, source**2, None)]).predict(source, source)
    >>> bool(np.abs(predicted - source**2).max() < 0.05)
    True
    """

    name = "histogram_match"

    def __init__(self) -> None:
        self._source = np.zeros(LEVELS, np.int64)
        self._targets: NDArray[np.int64] | None = None

    def update(self, source: Float, target: Float) -> None:
        self._source += np.bincount(_levels(source.mean(0)), minlength=LEVELS)
        counts = np.stack([np.bincount(_levels(band), minlength=LEVELS) for band in target])
        self._targets = counts if self._targets is None else self._targets + counts

    def finish(self) -> None:
        if self._targets is None:
            raise ValueError("no valid pixel to fit on")
        quantiles = np.cumsum(self._source) / self._source.sum()
        self.tables: Float = np.stack([self._table(counts, quantiles) for counts in self._targets])

    @staticmethod
    def _table(counts: NDArray[np.int64], quantiles: Float) -> Float:
        present = np.flatnonzero(counts)
        return np.asarray(
            np.interp(quantiles, np.cumsum(counts[present]) / counts.sum(), present / (LEVELS - 1)), np.float64
        )

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        x = _image(source)
        return np.take(self.tables.astype(x.dtype), _levels(x.mean(0)), axis=1)


class ImageMeanOracle(Unfitted):
    """Predicts the true mean colour of each tile: the best result (in MSE) that is possible without any texture.

    >>> source, target = np.ones((1, 2, 2)), np.array([[[0.0, 1.0], [0.0, 1.0]]])
    >>> ImageMeanOracle().predict(source, target).ravel().tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    name = "image_mean_oracle"
    oracle = True

    def predict(self, source: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> Image:
        truth = _image(target)
        complete = valid is None or np.all(valid)
        pixels = truth.reshape(len(truth), -1) if complete else truth[:, np.asarray(valid, bool)]
        colour = pixels.mean(1, dtype=np.float64).astype(truth.dtype)
        return np.broadcast_to(colour[:, None, None], truth.shape).copy()


BASELINES: tuple[type[Baseline], ...] = (TrainMean, CopyInput, Linear, HistogramMatch, ImageMeanOracle)
