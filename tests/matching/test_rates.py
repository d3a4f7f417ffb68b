"""The three rates, counted by hand."""

from __future__ import annotations

import numpy as np

from saropt.matching import Features, Rates, match_pair

BLANK, VALID = np.zeros((4, 4), np.float32), np.ones((4, 4), bool)


class Told:
    """A matcher that has been told what to find, first in one image, then in the other."""

    name, margin, ratio = "told", 0, None

    def __init__(self, *found: tuple[list[tuple[float, float]], list[int]]) -> None:
        self._found = iter(found)

    def detect(self, image: np.ndarray, valid: np.ndarray, limit: int) -> Features:
        points, words = next(self._found)
        return Features(np.array(points, float).reshape(-1, 2), np.eye(12, dtype=np.float32)[words].reshape(-1, 12))


def test_by_hand() -> None:
    """Ten keypoints and eight; words 0-5 in both: six matches. Four lie on one translation by (2, 1), less than 3 px;
    one is 2.9 px off by itself, one 3 px, which is not less.
    """
    corners = [(0, 0), (100, 0), (0, 100), (100, 100), (40, 30), (70, 60)]
    a = [*corners, (5, 5), (6, 6), (7, 7), (8, 8)]
    b = [*[(x + 2, y + 1) for x, y in corners[:4]], (40, 27.1), (70, 63), (90, 1), (91, 2)]
    found = match_pair(Told((a, list(range(10))), (b, [0, 1, 2, 3, 4, 5, 10, 11])), BLANK, BLANK, VALID)
    # words 6-9 of A and 10, 11 of B are equally far from everything: each has the first as its nearest, which is taken
    assert found.keypoints == 8
    assert len(found.a) == 6
    assert found.correct.tolist() == [True] * 4 + [True, False]
    rates = Rates()
    rates.add(found)
    summary = rates.summary()
    assert summary["pmr"] == 6 / 8
    assert summary["ir_ed"] == 5 / 6
    assert summary["ir"] == found.inliers.sum() / 6


def test_sums_come_before_quotients() -> None:
    rates = Rates()
    square = [(0.0, 0.0), (50.0, 0.0), (0.0, 50.0), (50.0, 50.0), (20.0, 10.0)]
    rates.add(match_pair(Told((square, [0, 1, 2, 3, 4]), (square, [0, 1, 2, 3, 4])), BLANK, BLANK, VALID))
    away = [(x + 9, y) for x, y in square[:1]]
    rates.add(match_pair(Told((square[:1], [0]), (away, [0])), BLANK, BLANK, VALID))
    rates.add(match_pair(Told(([], []), (square, [0, 1, 2, 3, 4])), BLANK, BLANK, VALID))
    assert (rates.tiles, rates.keypoints, rates.putative, rates.correct) == (3, 6, 6, 5)
    assert rates.inliers == 5
    assert rates.summary()["ir_ed"] == 5 / 6
    assert rates.summary()["ir"] == 5 / 6
    assert rates.summary()["pmr"] == 1.0


def test_nothing_is_no_rate() -> None:
    assert Rates().summary() == {"pmr": None, "ir": None, "ir_ed": None, "keypoints": 0, "matches": 0, "tiles": 0}
