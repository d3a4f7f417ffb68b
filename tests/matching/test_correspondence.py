from __future__ import annotations

import numpy as np
import pytest

from saropt.matching.correspondence import mutual_matches
from saropt.matching.features import Features, surrounded


def random_features(count: int, seed: int) -> Features:
    random = np.random.default_rng(seed)
    return Features(random.uniform(0, 50, (count, 2)), random.normal(size=(count, 8)).astype(np.float32))


def naive(a: Features, b: Features, ratio: float | None, radius: float | None) -> list[tuple[int, int]]:
    def distance(i: int, j: int) -> float:
        if radius is not None and np.hypot(*(a.points[i] - b.points[j])) > radius:
            return np.inf
        return float(np.linalg.norm(a.descriptors[i].astype(float) - b.descriptors[j]))

    found = []
    for i in range(len(a)):
        row = [distance(i, j) for j in range(len(b))]
        j = int(np.argmin(row))
        column = [distance(k, j) for k in range(len(a))]
        near_enough = ratio is None or row[j] <= ratio * sorted(row)[1]
        if np.isfinite(row[j]) and int(np.argmin(column)) == i and near_enough:
            found.append((i, j))
    return found


@pytest.mark.parametrize("ratio", [None, 0.8])
@pytest.mark.parametrize("radius", [None, 12.0])
def test_as_naive_loops_say(ratio: float | None, radius: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saropt.matching.correspondence._ROWS", 7)
    a, b = random_features(40, 0), random_features(30, 1)
    expected = naive(a, b, ratio, radius)
    assert len(expected) > 3
    assert [tuple(pair) for pair in mutual_matches(a, b, ratio, radius)] == expected


def test_nothing_matches_nothing() -> None:
    empty = Features(np.zeros((0, 2)), np.zeros((0, 8), np.float32))
    assert mutual_matches(empty, random_features(3, 0)).shape == (0, 2)
    assert mutual_matches(random_features(3, 0), empty).shape == (0, 2)


def test_surrounded_as_naive_loops_say() -> None:
    valid = np.random.default_rng(0).random((20, 23)) > 0.02
    expected = np.zeros_like(valid)
    for row in range(3, 18):
        for column in range(3, 21):
            expected[row, column] = valid[row - 3 : row + 3, column - 3 : column + 3].all()
    assert expected.any()
    assert not expected.all()
    assert (surrounded(valid, 3) == expected).all()
    assert not surrounded(np.ones((5, 9), bool), 3).any()
