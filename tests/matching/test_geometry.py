from __future__ import annotations

from math import comb, log10

import numpy as np
import pytest

from saropt.matching.geometry import fit_transform, inverted, log_false_alarms, transformed

MATRICES = {
    "translation": np.array([[1.0, 0, 7.3], [0, 1, -4.2], [0, 0, 1]]),
    "affine": np.array([[1.02, 0.03, 3.0], [-0.02, 0.98, -5.0], [0, 0, 1]]),
    "homography": np.array([[1.02, 0.03, 3.0], [-0.02, 0.98, -5.0], [1e-4, -5e-5, 1]]),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_found_among_wrong_matches(kind: str) -> None:
    random = np.random.default_rng(0)
    a = random.uniform(0, 256, (90, 2))
    b = transformed(MATRICES[kind], a) + random.normal(0, 0.3, a.shape)
    b[:40] = random.uniform(0, 256, (40, 2))
    fit = fit_transform(a, b, kind)
    assert fit is not None
    corners = np.array([[0.0, 0], [256, 0], [0, 256], [256, 256]])
    assert np.abs(transformed(fit.matrix, corners) - transformed(MATRICES[kind], corners)).max() < 0.5
    assert fit.inliers[40:].all()
    assert fit.inliers[:40].sum() < 5
    assert np.allclose(fit.residuals, np.linalg.norm(transformed(fit.matrix, a) - b, axis=1))
    again = fit_transform(a, b, kind)
    assert again is not None
    assert (again.matrix == fit.matrix).all()


@pytest.mark.parametrize(("kind", "count"), [("translation", 0), ("affine", 3), ("homography", 4)])
def test_too_few(kind: str, count: int) -> None:
    points = np.random.default_rng(0).uniform(0, 9, (count, 2))
    assert fit_transform(points, points, kind) is None


def test_points_on_one_line_fix_no_homography() -> None:
    points = np.column_stack([np.arange(20.0), 2.0 * np.arange(20.0)])
    fit = fit_transform(points, points + 1.0, "homography")
    assert fit is None or np.isfinite(fit.matrix).all()


def test_inverse() -> None:
    points = np.random.default_rng(0).uniform(0, 99, (5, 2))
    there = transformed(MATRICES["homography"], points)
    assert np.allclose(transformed(inverted(MATRICES["homography"]), there), points)


def test_false_alarms_by_the_formula() -> None:
    n, k, m, p = 60, 12, 3, 0.009
    assert log_false_alarms(n, k, m, p) == pytest.approx(log10((n - m) * comb(n, k) * comb(k, m) * p ** (k - m)))
    assert log_false_alarms(60, 3, 3, p) == np.inf


def test_random_matches_are_told_apart() -> None:
    """Over random matches no affine map may pass for a find."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        a, shift = random.uniform(0, 500, (150, 2)), random.uniform(-32, 32, (150, 2))
        fit = fit_transform(a, a + shift, "affine")
        assert fit is not None
        assert log_false_alarms(150, int(fit.inliers.sum()), 3, (3 / 32) ** 2) > -2
