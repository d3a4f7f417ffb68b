"""Drawing rasters at random, larger ones more often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np


class WeightedChoice:
    """Random indices with shares by weight, by binary search.

    One draw gives the index that `Generator.choice(len(weights), p=weights / weights.sum())` gives, from one number of
    the same stream; `choice` adds up all weights at each draw.

    >>> choice = WeightedChoice([1.0, 3.0])
    >>> choice.draw(np.random.default_rng(0)), int(np.random.default_rng(0).choice(2, p=[0.25, 0.75]))
    (1, 1)
    """

    def __init__(self, weights: Sequence[float] | np.ndarray) -> None:
        shares = np.asarray(weights, np.float64)
        self._cumulative = (shares / shares.sum()).cumsum()
        self._cumulative /= self._cumulative[-1]

    def draw(self, rng: np.random.Generator) -> int:
        """A random index."""
        return int(self._cumulative.searchsorted(rng.random(), side="right"))


def balanced_areas(areas: Sequence[float], groups: Sequence[str], balance: float) -> np.ndarray:
    """Weights of rasters by area, with the groups' shares brought towards each other.

    Args:
        areas: of the rasters, in pixels.
        groups: the group of each raster.
        balance: 0 leaves the groups' shares by area, 1 makes them equal: shares are areas to the power of 1 - balance.

    >>> balanced_areas([1.0, 1.0, 2.0], ["a", "b", "b"], 1.0).round(3).tolist()
    [1.0, 0.333, 0.667]
    """
    totals: defaultdict[str, float] = defaultdict(float)
    for area, group in zip(areas, groups, strict=True):
        totals[group] += area
    return np.asarray(areas, np.float64) / np.array([totals[group] ** balance for group in groups])
