"""Intervals and paired tests over scenes.

Tiles of one scene resemble each other, so they do not count as independent measurements. All resampling here takes
whole scenes: the tiles of a scene, or of all scenes of a group, move together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saropt.errors import counted

LEAST_SCENES = 5
LEVEL = 0.95
RESAMPLES = 4000
_LEAST_SPREAD = 0.2
_WEIGHTS_AT_ONCE = 1 << 20
CONVENTION = (
    "95 % bootstrap-t interval of the mean over tiles (Efron and Tibshirani 1993, section 12.5). Scenes are drawn with "
    f"replacement, {RESAMPLES} times with a fixed seed, and all tiles of a scene move together; scenes that share a "
    f"group in splits.csv are drawn together. Fewer than {LEAST_SCENES} scenes have no interval, nor do scenes that "
    f"count as fewer than {LEAST_SCENES} by their tiles: (sum c)^2 / sum c^2 for c tiles. Where more than 2.5 % "
    "of the draws have less than a fifth of the standard error of the scenes (one scene differs from the others), "
    "Student's t interval over scenes stands instead. Intervals end at the limits of a metric"
)
Limits = tuple[float, float]
UNLIMITED: Limits = (-math.inf, math.inf)
SHARE: Limits = (0.0, 1.0)
TESTS_CONVENTION = (
    "the interval of the difference of two rows over the same scenes. An interval that holds 0: not distinguishable. "
    "No correction for the number of pairs that are compared"
)


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes:
        low, high: its ends, in the unit of the figure.
        scenes: how many scenes were drawn from.
        effective_tiles: how many independent tiles would have this standard error; NaN where it is not known.

    >>> Interval(-1.0, 2.0, 8).holds(0.0)
    True
    """

    low: float
    high: float
    scenes: int
    effective_tiles: float = math.nan

    def holds(self, value: float) -> bool:
        """Whether a value lies in the interval, its ends included."""
        return self.low <= value <= self.high


def interval(
    sums: ArrayLike,
    counts: ArrayLike,
    squares: float | None = None,
    *,
    weights: ArrayLike | None = None,
    limits: Limits = UNLIMITED,
    seed: int = 0,
) -> Interval | None:
    """The 95 % bootstrap-t interval of `sum(sums) / sum(counts)`, drawn over scenes.

    The standard error of a resample is that of a ratio of means (Cochran 1977, eq. 6.13) without its correction for
    finite populations. A resample that lacks the one scene that differs from all others has next to no standard error,
    and its t means nothing. Where such resamples, with less than a fifth of the standard error of the scenes, are more
    than the 2.5 % that decide an end, the interval is Student's t with n - 1 degrees of freedom: its width follows from
    the standard error alone, and it is exact where scenes are normal and of one size.

    Args:
        sums: (n,), the sum over the tiles of each scene.
        counts: (n,), the number of tiles of each scene; scenes without a tile are left out.
        squares: population variance of single tiles, for `effective_tiles`.
        weights: (n,), the share that each scene has in the figure, where that is not its `counts`.
        limits: lowest and highest possible value of the figure; the interval ends there.
        seed: of the draws.

    Returns:
        None for fewer than `LEAST_SCENES` scenes (`effective_scenes`), or sums that are not finite.

    >>> found = interval([10.0, 11.0, 12.0, 13.0, 14.0, 15.0], [1, 1, 1, 1, 1, 1])
    >>> found.low < 12.5 < found.high, interval([1.0, 2.0], [1, 1])
    (True, None)
    >>> found = interval([1.0, 1.0, 1.0, 1.0, 1.0, 0.625], [1, 1, 1, 1, 1, 1], limits=SHARE)
    >>> round(found.low, 3), found.high
    (0.777, 1.0)
    """
    total, count = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    few = _are_few(count if weights is None else np.asarray(weights, np.float64))
    total, count = total[count > 0], count[count > 0]
    scenes = len(total)
    if few or not np.isfinite(total).all():
        return None
    mean = total.sum() / count.sum()
    residual = total - mean * count
    error = _standard_error(np.array([(residual**2).sum()]), np.array([count.sum()]), scenes)[0]
    moments = np.stack([residual, count, residual**2, residual * count, count**2], axis=1)
    low, high = _quantiles_of_t(moments, error, seed)
    effective = math.nan if squares is None or error == 0.0 else min(squares / error**2 + 1.0, float(count.sum()))
    ends = np.clip([mean - high * error, mean - low * error], min(limits[0], mean), max(limits[1], mean))
    return Interval(float(ends[0]), float(ends[1]), scenes, float(effective))


def _quantiles_of_t(moments: NDArray[np.float64], error: float, seed: int) -> tuple[float, float]:
    """What 2.5 % of t lie below and above; t is that of the resamples, or Student's where too many have no spread.

    Args:
        moments: (n, 5), of each scene residual, count, and their squares and product (residual^2, both, count^2).
        error: standard error of the scenes.
    """
    scenes, tail = len(moments), (1.0 - LEVEL) / 2.0
    shifts, errors = [], []
    for drawn in _all_draws(scenes, seed):
        r, c, rr, rc, cc = (drawn @ moments).T
        shift = r / c
        shifts.append(shift)
        errors.append(_standard_error(np.maximum(rr - 2 * shift * rc + shift**2 * cc, 0.0), c, scenes))
    drawn_errors = np.concatenate(errors)
    if np.mean(drawn_errors <= _LEAST_SPREAD * error) > tail:
        from scipy.special import stdtrit

        end = float(stdtrit(scenes - 1, 1.0 - tail))
        return -end, end
    floor = max(error * 1e-9, np.finfo(np.float64).tiny)
    low, high = np.quantile(np.concatenate(shifts) / np.maximum(drawn_errors, floor), [tail, 1.0 - tail])
    return float(low), float(high)


def _standard_error(squares: NDArray[Any], counts: NDArray[Any], scenes: int) -> NDArray[np.float64]:
    """Standard error of a mean over tiles, from the sum over scenes of squared residuals and the number of tiles."""
    return np.asarray(np.sqrt(squares * scenes / (scenes - 1)) / counts, np.float64)


def _draws(scenes: int, seed: int) -> Iterable[NDArray[np.float64]]:
    """How often each scene is drawn, (m, scenes) at a time, `RESAMPLES` rows in all."""
    generator = np.random.default_rng([seed, scenes])
    left = RESAMPLES
    while left:
        rows = min(left, max(1, _WEIGHTS_AT_ONCE // scenes))
        left -= rows
        yield generator.multinomial(scenes, np.full(scenes, 1.0 / scenes), size=rows).astype(np.float64)


@lru_cache(maxsize=4)
def _kept_draws(scenes: int, seed: int) -> tuple[NDArray[np.float64], ...]:
    return tuple(_draws(scenes, seed))


def _all_draws(scenes: int, seed: int) -> Iterable[NDArray[np.float64]]:
    """The same draws for every figure; kept where they are few enough."""
    return _kept_draws(scenes, seed) if scenes * RESAMPLES <= _WEIGHTS_AT_ONCE else _draws(scenes, seed)


class SceneSums:
    """Sum and number of the numbers of each scene; NaN is not counted.

    >>> sums = SceneSums()
    >>> for scene, value in (("a", 1.0), ("a", 3.0), ("b", 5.0)):
    ...     sums.add(scene, value)
    >>> sums.means(), sums.mean, sums.n
    ({'a': 2.0, 'b': 5.0}, 3.0, 3)
    """

    def __init__(self) -> None:
        self._of: dict[str, list[float]] = {}
        self._square = 0.0

    def add(self, scene: str, value: float) -> None:
        """Take the number of one tile."""
        if math.isnan(value):
            return
        own = self._of.setdefault(scene, [0.0, 0.0])
        own[0] += value
        own[1] += 1
        self._square += value * value

    @property
    def n(self) -> int:
        """How many numbers were counted."""
        return round(sum(count for _, count in self._of.values()))

    @property
    def mean(self) -> float:
        """The mean of all numbers; NaN before the first."""
        return sum(total for total, _ in self._of.values()) / self.n if self._of else math.nan

    def means(self) -> dict[str, float]:
        """The mean of each scene."""
        return {scene: total / count for scene, (total, count) in self._of.items()}

    def interval(self, limits: Limits = UNLIMITED) -> Interval | None:
        """See `interval`."""
        if not self._of:
            return None
        totals, counts = np.array(list(self._of.values())).T
        if not np.isfinite(totals).all():
            return None
        mean = totals.sum() / counts.sum()
        return interval(totals, counts, max(self._square / counts.sum() - mean**2, 0.0), limits=limits)

    def as_dict(self) -> dict[str, list[float]]:
        """Scene -> [sum, number], as reports hold it."""
        return {scene: list(own) for scene, own in self._of.items()}


class SceneShares:
    """Parts and wholes of each scene, by figure; a figure is the sum of its parts over the sum of its wholes.

    >>> shares = SceneShares()
    >>> for scene, right in zip("abcdef", (7, 8, 9, 8, 7, 9), strict=True):
    ...     shares.add(scene, "accuracy", right, 10)
    >>> low, high = shares.intervals()["accuracy"]
    >>> low < 0.8 < high
    True
    """

    def __init__(self) -> None:
        self._of: dict[str, dict[str, list[float]]] = {}

    def add(self, scene: str, figure: str, part: float, whole: float) -> None:
        """Take the part and the whole of one tile."""
        own = self._of.setdefault(figure, {}).setdefault(scene, [0.0, 0.0])
        own[0] += part
        own[1] += whole

    def intervals(self) -> dict[str, list[float] | None]:
        """The ends of the interval of each figure; None where there are too few scenes (`interval`)."""
        return {
            figure: ends(interval(*np.array(list(own.values())).T, limits=SHARE)) for figure, own in self._of.items()
        }

    def mean_interval(self, figures: Sequence[str]) -> list[float] | None:
        """The ends of the interval of the mean of some figures, each linearised at its value (the delta method)."""
        wholes = ((scene, whole) for figure in figures for scene, (_, whole) in self._of[figure].items())
        scenes = list(dict.fromkeys(scene for scene, whole in wholes if whole > 0))
        if not scenes:
            return None
        known = [np.array([self._of[figure].get(scene, [0.0, 0.0]) for scene in scenes]) for figure in figures]
        known = [own for own in known if own[:, 1].sum() > 0]
        weights = np.sum([own[:, 1] / own[:, 1].sum() for own in known], axis=0)
        ratios = [own[:, 0].sum() / own[:, 1].sum() for own in known]
        residuals = [
            (own[:, 0] - ratio * own[:, 1]) / own[:, 1].sum() for own, ratio in zip(known, ratios, strict=True)
        ]
        values = np.mean(ratios) + len(scenes) * np.mean(residuals, axis=0)
        return ends(interval(values, np.ones(len(scenes)), weights=weights, limits=SHARE))


def ends(found: Interval | None) -> list[float] | None:
    """[low, high] of an interval, as reports hold it.

    >>> ends(Interval(-1.0, 2.0, 8))
    [-1.0, 2.0]
    """
    return None if found is None else [found.low, found.high]


def with_ends(text: str, span: Sequence[float] | None, digits: int) -> str:
    """A figure as tables show it, with its interval where there is one.

    >>> with_ends("0.80", [0.71, 0.9], 2), with_ends("0.80", None, 2)
    ('0.80 (0.71 to 0.90)', '0.80')
    """
    return text if span is None else f"{text} ({span[0]:.{digits}f} to {span[1]:.{digits}f})"


Sums = Mapping[str, Sequence[float]]


def difference(one: Sums, other: Sums) -> Interval | None:
    """The interval of the mean of one row minus that of another, over the scenes that both have.

    Args:
        one, other: scene -> [sum, number of tiles], as `SceneSums.as_dict` gives it.

    Returns:
        None for fewer than `LEAST_SCENES` common scenes (`effective_scenes`), or where a scene has other numbers of
        tiles in the two rows.

    >>> one = {name: [float(k), 1] for k, name in enumerate("abcdef")}
    >>> other = {name: [k + 0.5 + 0.1 * (k % 2), 1] for k, name in enumerate("abcdef")}
    >>> difference(one, other).high < 0.0
    True
    """
    shared = [scene for scene in one if scene in other]
    if any(one[scene][1] != other[scene][1] for scene in shared) or not _finite(one, other, shared):
        return None
    return interval([one[s][0] - other[s][0] for s in shared], [one[s][1] for s in shared])


def shared_means(one: Sums, other: Sums) -> tuple[float, float, int] | None:
    """The means of two rows over the scenes that have equal numbers of tiles in both, and the number of these tiles;
    None where there is no such scene.

    Args:
        one, other: as for `difference`.

    >>> shared_means({"a": [20.0, 1], "b": [10.0, 1]}, {"a": [19.0, 1]})
    (20.0, 19.0, 1)
    """
    shared = [scene for scene in one if scene in other and one[scene][1] == other[scene][1]]
    tiles = round(sum(one[scene][1] for scene in shared))
    if not tiles:
        return None
    sums = (sum(math.inf if row[s][0] is None else row[s][0] for s in shared) for row in (one, other))
    mine, theirs = (total / tiles for total in sums)
    return mine, theirs, tiles


def _finite(one: Sums, other: Sums, scenes: Iterable[str]) -> bool:
    return all(rows[s][0] is not None and math.isfinite(rows[s][0]) for s in scenes for rows in (one, other))


def effective_scenes(counts: ArrayLike) -> float:
    """How many scenes of one size decide a mean over tiles as scenes of these numbers of tiles do: (sum c)^2 / sum c^2.

    The residual of a scene that decides the mean is next to nothing, and with it the standard error.

    >>> effective_scenes([3, 3, 3, 3, 3]), round(effective_scenes([64, 1, 1, 1, 1, 1]), 2)
    (5.0, 1.16)
    """
    count = np.asarray(counts, np.float64)
    return float(count.sum() ** 2 / (count**2).sum()) if count.any() else 0.0


def _are_few(counts: ArrayLike) -> bool:
    return effective_scenes(counts) < LEAST_SCENES - 1e-9


def few_scenes(scenes: int, counts: Sequence[float] = ()) -> str:
    """Why there is no interval; empty where there are enough scenes.

    Args:
        counts: the number of tiles of each scene; scenes of one size where there is none.

    >>> few_scenes(3)
    'no intervals and no tests: 3 scenes, and at least 5 are needed'
    >>> few_scenes(6, [64, 1, 1, 1, 1, 1])
    'no intervals and no tests: 6 scenes that count as 1.2 by their tiles, and at least 5 are needed'
    """
    if not _are_few(counts or [1.0] * scenes):
        return ""
    uneven = f" that count as {effective_scenes(counts):.1f} by their tiles" if scenes >= LEAST_SCENES else ""
    return f"no intervals and no tests: {counted(scenes, 'scene')}{uneven}, and at least {LEAST_SCENES} are needed"


def in_words(found: Interval, digits: int, better: int) -> str:
    """A paired test in words, of the row that comes first in the difference.

    Args:
        digits: decimals.
        better: +1 where more is better, -1 where less is.

    >>> in_words(Interval(-0.2, 0.4, 8), 2, better=1)
    'not distinguishable (-0.20 to +0.40)'
    >>> in_words(Interval(0.2, 0.4, 8), 2, better=1)
    'better (+0.20 to +0.40)'
    """
    span = f"({found.low:+.{digits}f} to {found.high:+.{digits}f})"
    if found.holds(0.0):
        return f"not distinguishable {span}"
    return f"{'better' if (found.low > 0) == (better > 0) else 'worse'} {span}"
