"""Conformal risk control over scenes: the factor that makes half-widths of predicted errors or deviations.

Angelopoulos et al., ICLR 2024. The unit that is exchanged is the scene, never the pixel: with n scenes of which the
mean share of pixels outside is R, the smallest factor with (n R + 1) / (n + 1) <= alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saropt.errors import counted


def least_scenes(alpha: float) -> int:
    """How many scenes a factor needs.

    >>> least_scenes(0.1)
    10
    """
    return math.ceil(1.0 / alpha)


def conformal_factor(ratios: Sequence[ArrayLike], alpha: float) -> float:
    """The smallest factor whose conformal risk is at most alpha.

    Args:
        ratios: of each scene, the errors over the predicted errors of its pixels; infinite where no factor suffices.

    Raises:
        ValueError: too few scenes for any factor.

    >>> conformal_factor([np.arange(100)] * 99, alpha=0.1)
    90.0
    """
    count = len(ratios)
    share = (alpha * (count + 1) - 1.0) / count
    if share < 0.0:
        raise ValueError(f"{counted(count, 'scene')}: too few for alpha {alpha:g}")
    values = np.concatenate([np.asarray(one, np.float64) for one in ratios])
    weights = np.concatenate([np.full(np.size(one), 1.0 / (count * np.size(one))) for one in ratios])
    order = np.argsort(values)[::-1]
    above = np.cumsum(weights[order])  # mean share of pixels at or above each value, from the largest
    first = int(np.searchsorted(above, share * (1.0 + 1e-9), side="right"))
    return float(values[order[min(first, len(order) - 1)]])


def held_out_coverage(ratios: Mapping[str, NDArray[np.floating]], alpha: float) -> list[float]:
    """Of each scene the share of pixels inside their half-width, where the factors come from all other scenes.

    Args:
        ratios: scene -> errors over predicted errors (B, n), with a factor for each band; infinite ones are outside.

    >>> coverage = held_out_coverage({str(k): np.arange(1.0, 101.0)[None] for k in range(20)}, alpha=0.1)
    >>> len(coverage), coverage[0]
    (20, 0.95)
    """
    found = []
    for scene, own in ratios.items():
        others = [one for name, one in ratios.items() if name != scene]
        allowed = max(alpha, 1.0 / (len(others) + 1))
        inside = [
            (np.isfinite(own[band]) & (own[band] <= conformal_factor([one[band] for one in others], allowed))).mean()
            for band in range(len(own))
        ]
        found.append(float(np.mean(inside)))
    return found
