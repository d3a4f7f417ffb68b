"""Keypoints that have nothing in common are refused, wherever they lie; those that have are found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saropt.matching.chance import Compared, chance_of_accident
from saropt.matching.correspondence import mutual_matches
from saropt.matching.features import Features
from saropt.matching.geometry import SAMPLE, TOLERANCE, Kind, fit_transform, log_false_alarms
from saropt.matching.scene_matching import MAX_LOG_FALSE_ALARMS, SEARCH

SIDE, COUNT = 420, 600


def keypoints(rng: np.random.Generator, spacing: int) -> np.ndarray:
    """Some points of a lattice; anywhere in the image with a spacing of 1."""
    cells = np.mgrid[: SIDE // spacing, : SIDE // spacing].reshape(2, -1).T
    return spacing * rng.permutation(cells)[:COUNT] + (0.5, 3.5)


def described(rng: np.random.Generator, points: np.ndarray, smooth: bool) -> Features:
    """Descriptors by chance: of every keypoint by itself, or alike where keypoints lie near one another, as those of
    a network that has learned little are."""
    words = rng.normal(size=(len(points), 32))
    if smooth:
        words = np.cos(points @ rng.normal(size=(2, 32)) / 40.0 + rng.uniform(0, 2 * np.pi, 32))
    return Features(points, (words / np.linalg.norm(words, axis=1, keepdims=True)).astype(np.float32))


def alarms(first: Features, second: Features, kind: Kind, search: float | None = SEARCH) -> float:
    pairs = mutual_matches(first, second, None, search)
    a, b = first.points[pairs[:, 0]], second.points[pairs[:, 1]]
    fit = fit_transform(a, b, kind)
    assert fit is not None
    area = SIDE**2 if search is None else math.pi * search**2
    chance = chance_of_accident([Compared(a, b, second.points)], fit, area, search)
    return log_false_alarms(len(a), int(fit.inliers.sum()), SAMPLE[kind], chance)


@pytest.mark.parametrize(
    ("spacing", "smooth", "kind", "search", "seeds"),
    [
        (8, False, "translation", SEARCH, 100),
        (8, True, "translation", SEARCH, 100),
        (12, False, "translation", SEARCH, 100),
        (1, False, "translation", SEARCH, 100),
        (1, True, "translation", SEARCH, 100),
        (8, True, "affine", SEARCH, 20),
        (12, False, "affine", SEARCH, 20),
        (8, False, "translation", None, 20),
    ],
)
def test_unrelated_keypoints_are_refused(
    spacing: int, smooth: bool, kind: Kind, search: float | None, seeds: int
) -> None:
    accepted = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        first, second = (described(rng, keypoints(rng, spacing), smooth) for _ in "ab")
        accepted += alarms(first, second, kind, search) <= MAX_LOG_FALSE_ALARMS
    assert accepted <= seeds / 100


@pytest.mark.parametrize("spacing", [8, 1])
@pytest.mark.parametrize("shift", [0, 24])
def test_related_keypoints_are_found(spacing: int, shift: int) -> None:
    """One keypoint of five stands in both images."""
    rng = np.random.default_rng(0)
    first, second = (described(rng, keypoints(rng, spacing), False) for _ in "ab")
    same = np.arange(COUNT) < COUNT // 5
    points = np.where(same[:, None], first.points + np.array([shift, 0]), second.points)
    words = np.where(same[:, None], first.descriptors, second.descriptors)
    assert alarms(first, Features(points, words), "affine") < -20


def test_matches_near_the_border_of_the_search_count_for_less() -> None:
    """Half of the matches lie anywhere in the disc of the search, half of them within 3 pixels of its border."""
    rng = np.random.default_rng(0)
    a, candidates = rng.uniform(0, SIDE, (400, 2)), rng.uniform(-40, SIDE + 40, (3000, 2))
    angles = rng.uniform(0, 2 * np.pi, 400)
    lengths = np.where(np.arange(400) % 2, SEARCH * np.sqrt(rng.uniform(0, 1, 400)), rng.uniform(28.9, 31.9, 400))
    b = a + lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    b[:30] = a[:30] + np.array([30.0, 0.0])
    fit = fit_transform(a, b, "translation")
    assert fit is not None
    length = float(np.linalg.norm(fit.matrix[:2, 2]))
    distances = np.linalg.norm(a[:, None] - candidates, axis=2)
    compared = distances[distances <= SEARCH]
    found = np.mean(np.abs(np.linalg.norm(b - a, axis=1) - length) < TOLERANCE)
    border = found / np.mean(np.abs(compared - length) < TOLERANCE)
    assert border > 1.5
    chance = chance_of_accident([Compared(a, b, candidates)], fit, math.pi * SEARCH**2, SEARCH)
    assert chance == pytest.approx((TOLERANCE / SEARCH) ** 2 * border)


def test_scattered_keypoints_have_the_chance_of_an_area() -> None:
    rng = np.random.default_rng(0)
    a, others = rng.uniform(0, 420, (200, 2)), rng.uniform(0, 420, (600, 2))
    b = a + rng.uniform(-20, 20, a.shape)
    b[:30] = a[:30] + np.array([5.0, 3.0])
    fit = fit_transform(a, b, "translation")
    assert fit is not None
    chance = chance_of_accident([Compared(a, b, np.concatenate([b, others]))], fit, math.pi * SEARCH**2, SEARCH)
    assert chance == pytest.approx((TOLERANCE / SEARCH) ** 2)
