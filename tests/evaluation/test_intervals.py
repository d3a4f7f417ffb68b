"""Intervals over scenes against simulations with a known truth, and against bootstrap code written plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from saropt.evaluation import METRICS
from saropt.evaluation.intervals import (
    RESAMPLES,
    SceneShares,
    SceneSums,
    difference,
    effective_scenes,
    few_scenes,
    interval,
)


def _share_of_hits(scenes: int, trials: int, seed: int, skewed: bool) -> float:
    """How often the interval holds the true mean, where tiles of a scene share most of their deviation."""
    generator = np.random.default_rng(seed)
    hits = held = 0
    for _ in range(trials):
        tiles = generator.integers(2, 9, scenes).astype(float)
        own = generator.gamma(4.0, 1.0, scenes) if skewed else generator.normal(4.0, 2.0, scenes)
        sums = tiles * own + generator.normal(0.0, 1.0, scenes) * np.sqrt(tiles)
        found = interval(sums, tiles)
        assert (found is None) == (effective_scenes(tiles) < 5)
        held += found is not None
        hits += found is not None and found.holds(4.0)
    return hits / held


@pytest.mark.parametrize(("scenes", "skewed"), [(6, False), (8, False), (20, False), (20, True)])
def test_the_interval_covers_the_true_mean_in_95_of_100_simulations(scenes: int, skewed: bool) -> None:
    assert 0.93 <= _share_of_hits(scenes, 1500, 5, skewed) <= 0.97


@pytest.mark.parametrize("tiles", [[64, 1, 1, 1, 1, 1], [1444, *[4] * 9], [16, 16, 1, 1, 1, 1], [16, *[1] * 19]])
def test_where_a_scene_holds_most_tiles_there_is_no_interval_and_no_test(tiles: list[int]) -> None:
    """What such an interval would hold is the true mean in 2 to 86 of 100 simulations."""
    own = np.random.default_rng(4).normal(20.0, 2.0, len(tiles))
    assert interval(own * tiles, tiles) is None
    one, other = (
        {str(k): [shift + v * t, t] for k, (v, t) in enumerate(zip(own, tiles, strict=True))} for shift in (0, 1)
    )
    assert difference(one, other) is None
    assert f"{len(tiles)} scenes that count as {effective_scenes(tiles):.1f} by" in few_scenes(len(tiles), tiles)
    shares = SceneShares()
    for scene, (value, whole) in enumerate(zip(own, tiles, strict=True)):
        for figure in ("x", "y"):
            shares.add(str(scene), figure, value / 40 * whole, whole)
    assert shares.intervals() == {"x": None, "y": None}
    assert shares.mean_interval(["x", "y"]) is None


@pytest.mark.parametrize("tiles", [[8, *[2] * 7], [8, 8, *[1] * 12], [16, *[1] * 30], [20] * 5])
def test_scenes_of_unequal_size_that_have_an_interval_keep_most_of_its_coverage(tiles: list[int]) -> None:
    generator, counts = np.random.default_rng(11), np.array(tiles, float)
    held = 0
    for _ in range(600):
        own = generator.normal(4.0, 2.0, len(tiles))
        found = interval(counts * own + generator.normal(0.0, 1.0, len(tiles)) * np.sqrt(counts), counts)
        assert found is not None
        held += found.holds(4.0)
    assert 0.87 <= held / 600 <= 0.975


def test_tiles_as_independent_measurements_would_cover_far_too_seldom() -> None:
    generator = np.random.default_rng(6)
    hits = 0
    for _ in range(200):
        own = generator.normal(4.0, 2.0, 10)
        values = np.repeat(own, 8) + generator.normal(0.0, 0.5, 80)
        found = interval(values, np.ones(80))
        assert found is not None
        hits += found.holds(4.0)
    assert hits / 200 < 0.7


def test_interval_is_the_bootstrap_t_written_plainly() -> None:
    generator = np.random.default_rng(1)
    counts = generator.integers(1, 6, 9).astype(float)
    sums = counts * generator.normal(15.0, 2.0, 9)

    def mean_and_error(s: np.ndarray, c: np.ndarray) -> tuple[float, float]:
        mean = s.sum() / c.sum()
        return mean, math.sqrt(9 / 8 * ((s - mean * c) ** 2).sum()) / c.sum()

    mean, error = mean_and_error(sums, counts)
    drawn = np.random.default_rng([0, 9]).multinomial(9, np.full(9, 1 / 9), size=RESAMPLES)
    studentised = []
    for times in drawn:
        index = np.repeat(np.arange(9), times)
        own, own_error = mean_and_error(sums[index], counts[index])
        studentised.append((own - mean) / own_error)
    low, high = np.quantile(studentised, [0.025, 0.975])
    found = interval(sums, counts)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((mean - high * error, mean - low * error), rel=1e-9)


def test_effective_tiles_are_as_many_as_scenes_where_a_scene_has_equal_tiles() -> None:
    sums = SceneSums()
    for scene, value in enumerate(np.random.default_rng(2).normal(15.0, 2.0, 40)):
        for _ in range(10):
            sums.add(str(scene), float(value))
    found = sums.interval()
    assert found is not None
    assert found.effective_tiles == pytest.approx(40.0)


def test_a_small_but_steady_difference_is_told_and_a_random_one_is_not() -> None:
    generator = np.random.default_rng(3)
    base = generator.normal(15.0, 3.0, 12)
    one = {str(k): [4 * value, 4.0] for k, value in enumerate(base)}
    steady = {str(k): [4 * (value - 0.2 + 0.05 * generator.normal()), 4.0] for k, value in enumerate(base)}
    random = {str(k): [4 * (value + 2 * generator.normal()), 4.0] for k, value in enumerate(base)}
    told, not_told = difference(one, steady), difference(one, random)
    assert told is not None
    assert not_told is not None
    assert told.low > 0.0
    assert not_told.holds(0.0)
    assert difference(one, {str(k): [1.0, 3.0] for k in range(12)}) is None


@pytest.mark.parametrize("scenes", [6, 20])
def test_where_one_scene_differs_the_interval_is_students(scenes: int) -> None:
    """A third of the draws lack the scene, and have no spread."""
    values = np.full(scenes, 1.0)
    values[-1] = 0.4
    found = interval(values, np.ones(scenes))
    assert found is not None
    half = float(stats.t.ppf(0.975, scenes - 1)) * values.std(ddof=1) / math.sqrt(scenes)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    nearly = interval(values + np.random.default_rng(9).normal(0.0, 0.01, scenes), np.ones(scenes))
    assert nearly is not None
    assert 1.5 * half < nearly.high - nearly.low < 2.5 * half


def test_no_interval_is_wild_and_few_scenes_keep_their_coverage() -> None:
    """Five and six scenes of one size, normal and in steps of an eighth as shares of eight answers are."""
    rng = np.random.default_rng(10)
    for scenes in (5, 6):
        held, repetitions = 0, 600
        for _ in range(repetitions):
            for stepped in (False, True):
                values = rng.binomial(8, 0.6, scenes) / 8 if stepped else rng.normal(0.6, 0.2, scenes)
                found = interval(values, np.ones(scenes))
                assert found is not None
                assert found.high - found.low <= 20 * values.std(ddof=1)
                held += not stepped and found.holds(0.6)
        assert 0.93 <= held / repetitions <= 0.97, (scenes, held)


def test_ends_are_within_the_limits_of_the_figure() -> None:
    shares, sums = SceneShares(), SceneSums()
    for scene, value in enumerate([1.0, 1.0, 1.0, 1.0, 1.0, 0.625]):
        shares.add(str(scene), "figure", 8 * value, 8)
        sums.add(str(scene), value)
    for found in (shares.intervals()["figure"], shares.mean_interval(["figure"])):
        assert found is not None
        assert found[1] == 1.0
        assert 0.7 < found[0] < 0.8
    free, held = sums.interval(), sums.interval((0.8, 1.0))
    assert free is not None
    assert held is not None
    assert free.low < 0.8
    assert free.high > 1.0
    assert (held.low, held.high) == (0.8, 1.0)


@pytest.mark.parametrize("usual", ["psnr", "mae"])
def test_variants_of_a_metric_have_its_limits(usual: str) -> None:
    for name in (f"{usual}_shift", f"{usual}_colour_free"):
        assert METRICS[name].limits == METRICS[usual].limits


def test_independent_tiles_count_each() -> None:
    sums = SceneSums()
    for scene, value in enumerate([1.0, 2.0, 4.0, 3.0, 5.0, 2.5]):
        sums.add(str(scene), value)
    found = sums.interval()
    assert found is not None
    assert found.effective_tiles == pytest.approx(6.0)


def test_four_scenes_and_infinite_sums_have_no_interval() -> None:
    assert interval([1.0, 2.0, 3.0, 4.0], [1, 1, 1, 1]) is None
    assert interval([1.0, 2.0, 3.0, 4.0, math.inf], [1, 1, 1, 1, 1]) is None


def test_intervals_of_shares_hold_the_truth() -> None:
    """Two classes of scenes of unequal size, whose accuracy differs from scene to scene: 93 to 97 of 100 are asked
    for, and 300 repetitions tell no finer."""
    rng = np.random.default_rng(8)
    held = {"first": 0, "mean": 0}
    repetitions = 300
    for _ in range(repetitions):
        shares = SceneShares()
        for scene in range(14):
            for figure, middle in (("first", 0.6), ("second", 0.3)):
                own = middle + rng.normal(0, 0.08)
                for _ in range(3):
                    whole = int(rng.integers(50, 400))
                    share = np.clip(own + rng.normal(0, 0.03), 0, 1)
                    shares.add(str(scene), figure, rng.binomial(whole, share), whole)
        for key, span, true in (
            ("first", shares.intervals()["first"], 0.6),
            ("mean", shares.mean_interval(["first", "second"]), 0.45),
        ):
            assert span is not None
            held[key] += span[0] <= true <= span[1]
    assert all(0.91 <= count / repetitions <= 0.985 for count in held.values()), held


@pytest.mark.parametrize(("labelled", "known"), [(3, False), (6, True)])
def test_scenes_without_a_labelled_pixel_have_no_part_in_an_interval(labelled: int, known: bool) -> None:
    alone, padded = SceneShares(), SceneShares()
    for shares, extra in ((alone, 0), (padded, 10)):
        for scene in range(labelled + extra):
            for figure, part in (("x", 70 + 5 * scene), ("y", 40 + 3 * scene)):
                shares.add(str(scene), figure, *((part, 100) if scene < labelled else (0, 0)))
    assert (padded.mean_interval(["x", "y"]) is not None) == known
    assert padded.mean_interval(["x", "y"]) == alone.mean_interval(["x", "y"])


def test_shares_of_one_size_have_the_interval_of_their_mean() -> None:
    shares, values = SceneShares(), [0.2, 0.5, 0.4, 0.9, 0.7, 0.6]
    for scene, value in enumerate(values):
        shares.add(str(scene), "figure", 10 * value, 10)
    wanted = interval(values, np.ones(6))
    assert wanted is not None
    assert shares.intervals()["figure"] == pytest.approx([wanted.low, wanted.high])
    assert shares.mean_interval(["figure", "figure"]) == pytest.approx([wanted.low, wanted.high])
    shares.add("0", "few", 1, 2)
    assert shares.intervals()["few"] is None
    shares.add("0", "nothing", 0, 0)
    assert shares.mean_interval(["nothing"]) is None
