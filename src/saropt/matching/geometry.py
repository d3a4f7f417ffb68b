"""Transforms between matched points, robust against wrong matches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from saropt.matching.features import Mask, Points

Kind = Literal["translation", "affine", "homography"]
SAMPLE: dict[Kind, int] = {"translation": 1, "affine": 3, "homography": 4}
"""Matches that fix a transform of each kind."""
TOLERANCE = 3.0
_CONFIDENCE, _ITERATIONS = 0.9999, 10000


@dataclass(frozen=True)
class Fit:
    """A transform and the matches that agree with it.

    Attributes:
        matrix: (3, 3), maps (column, row, 1) of the first image to the second.
        inliers: (n,) matches whose residual is below the tolerance.
        residuals: (n,) distances in pixels of the second image, outliers included.
    """

    kind: Kind
    matrix: NDArray[np.float64]
    inliers: Mask
    residuals: NDArray[np.float64]


def transformed(matrix: NDArray[np.float64], points: Points) -> Points:
    """Points (n, 2) after a projective map (3, 3).

    >>> transformed(np.array([[1.0, 0.0, 5.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]]), np.array([[1.0, 1.0]])).tolist()
    [[6.0, -1.0]]
    """
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def inverted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a projective map (3, 3), scaled so that its last entry is 1.

    >>> inverted(np.diag([2.0, 2.0, 1.0])).diagonal().tolist()
    [0.5, 0.5, 1.0]
    """
    inverse = np.asarray(np.linalg.inv(matrix), np.float64)
    return inverse / inverse[2, 2]


def fit_transform(a: Points, b: Points, kind: Kind, tolerance: float = TOLERANCE) -> Fit | None:
    """The transform that most of the matches (n, 2) -> (n, 2) agree with, within `tolerance` pixels.

    Affine and projective maps by MAGSAC++ (Barath et al., CVPR 2020) as OpenCV has it, with confidence .9999 and at
    most 10,000 iterations; a translation by counting the matches around every match's own shift. Always the same result
    for the same matches.

    Returns:
        None when there are too few matches, or none of the maps holds.

    >>> a = np.random.default_rng(0).uniform(0, 100, (50, 2))
    >>> fit_transform(a, a + [3.0, -2.0], "affine").matrix.round(2).tolist()
    [[1.0, -0.0, 3.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]]
    """
    if len(a) < SAMPLE[kind] or (kind != "translation" and len(a) <= SAMPLE[kind]):
        return None
    if kind == "translation":
        matrix = _translation(b - a, tolerance)
    else:
        found = _consensus(a, b, kind, tolerance)
        if found is None or not np.isfinite(found).all():
            return None
        matrix = found
    residuals = np.linalg.norm(transformed(matrix, a) - b, axis=1)
    residuals[~np.isfinite(residuals)] = np.inf
    return Fit(kind, matrix, residuals < tolerance, residuals)


def _translation(shifts: Points, tolerance: float) -> NDArray[np.float64]:
    counts = [int((np.linalg.norm(shifts - shift, axis=1) < tolerance).sum()) for shift in shifts]
    agreeing = np.linalg.norm(shifts - shifts[int(np.argmax(counts))], axis=1) < tolerance
    matrix = np.eye(3)
    matrix[:2, 2] = shifts[agreeing].mean(0)
    return matrix


def _consensus(a: Points, b: Points, kind: Kind, tolerance: float) -> NDArray[np.float64] | None:
    import cv2

    estimate: Any = cv2.findHomography if kind == "homography" else cv2.estimateAffine2D
    try:
        matrix, _ = estimate(
            a,
            b,
            method=cv2.USAC_MAGSAC,
            ransacReprojThreshold=tolerance,
            maxIters=_ITERATIONS,
            confidence=_CONFIDENCE,
        )
    except cv2.error:  # all points on one line
        return None
    if matrix is None:
        return None
    return np.asarray(matrix if len(matrix) == 3 else np.vstack([matrix, [0.0, 0.0, 1.0]]), np.float64)


def log_false_alarms(matches: int, inliers: int, sample: int, chance: float) -> float:
    """Decimal logarithm of the expected number of transforms that have as many inliers by chance alone.

    NFA = (n - m) C(n, k) C(k, m) p^(k - m) (Moisan & Stival, IJCV 2004, eq. 8): n matches, k inliers, m matches fix
    the transform, p is the chance that a random match lies within the tolerance. Below 0 a transform is no accident.

    >>> log_false_alarms(matches=100, inliers=30, sample=3, chance=0.001) < -30
    True
    """
    if inliers <= sample:
        return math.inf
    log = math.log(max(matches - sample, 1)) + _log_choose(matches, inliers) + _log_choose(inliers, sample)
    return (log + (inliers - sample) * math.log(min(chance, 1.0))) / math.log(10.0)


def _log_choose(n: int, k: int) -> float:
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
