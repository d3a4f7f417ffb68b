from __future__ import annotations

import math

import numpy as np
import pytest

from saropt.evaluation import (
    ImageQuality,
    RunningStatistics,
    Subject,
    Tile,
    collapse_ratio,
    colour_free,
    mae,
    psnr,
    rmse_per_band,
    shift_tolerant,
    ssim,
)
from saropt.evaluation.accumulate import PsnrHistogram


def tiles(n: int = 7) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    shape = (2, 24, 20)
    return [
        (random.random(shape), random.random((1, 24, 20)), random.random(shape), random.random((24, 20)) > 0.02 * i)
        for i in range(n)
    ]


def test_running_statistics_are_those_of_the_batch() -> None:
    values = np.random.default_rng(0).normal(1e6, 1.0, 500)
    running = RunningStatistics()
    for value in [*values[:10], math.nan, *values[10:]]:
        running.add(value)
    assert running.n == 500
    assert running.mean == pytest.approx(values.mean(), rel=1e-14)
    assert running.std == pytest.approx(values.std(), rel=1e-8)


def test_running_statistics_of_nothing_and_of_infinity() -> None:
    running = RunningStatistics()
    assert running.n == 0
    assert math.isnan(running.mean)
    assert math.isnan(running.std)
    for value in (math.inf, 20.0, math.inf):
        running.add(value)
    assert running.mean == math.inf
    assert math.isnan(running.std)


def test_streaming_is_the_batch() -> None:
    quality = ImageQuality(Subject(["a", "b"]))
    for tile in tiles():
        quality.add(Tile.of(*tile))
    summary = quality.figures()
    batch = {
        "psnr": [psnr(o, t, v) for o, _, t, v in tiles()],
        "ssim": [ssim(o, t, v) for o, _, t, v in tiles() if not math.isnan(ssim(o, t, v))],
        "mae": [mae(o, t, v) for o, _, t, v in tiles()],
        "psnr_shift": [shift_tolerant(o, t, v).psnr for o, _, t, v in tiles()],
        "mae_shift": [shift_tolerant(o, t, v).mae for o, _, t, v in tiles()],
        "psnr_colour_free": [colour_free(o, t, v).psnr for o, _, t, v in tiles()],
        "mae_colour_free": [colour_free(o, t, v).mae for o, _, t, v in tiles()],
    }
    for name, values in batch.items():
        assert summary[name] == pytest.approx(np.mean(values), abs=1e-12), name
        assert summary["std"][name] == pytest.approx(np.std(values), abs=1e-9), name
    assert list(summary["rmse_per_band"].values()) == pytest.approx(
        np.mean([rmse_per_band(o, t, v) for o, _, t, v in tiles()], axis=0)
    )
    to_source = np.mean([mae(o, np.repeat(s, 2, 0), v) for o, s, _, v in tiles()])
    assert summary["collapse_ratio"] == pytest.approx(to_source / np.mean(batch["mae"]))
    assert summary["n"] == sum(summary["psnr_histogram"]["counts"]) == 7


def test_collapse_ratio_of_one_tile_is_the_metric() -> None:
    quality = ImageQuality(Subject(["a", "b"]))
    tile = tiles(1)[0]
    quality.add(Tile.of(*tile))
    assert quality.figures()["collapse_ratio"] == pytest.approx(collapse_ratio(*tile))


def test_tiles_too_small_for_a_window_leave_ssim_and_shift_undefined() -> None:
    quality = ImageQuality(Subject(["grey"]))
    quality.add(Tile.of(np.full((1, 1, 1), 0.5), np.zeros((1, 1, 1)), np.zeros((1, 1, 1))))
    summary = quality.figures()
    assert summary["mae"] == 0.5
    assert math.isnan(summary["ssim"])
    assert math.isnan(summary["psnr_shift"])


def test_histogram_keeps_its_outer_bins() -> None:
    histogram = PsnrHistogram()
    for value in (10.0, 10.49, 10.5, math.inf, -3.0):
        histogram.add(value)
    found = histogram.as_dict()
    assert found["start_db"] == 0.0
    assert found["counts"][0] == 1
    assert found["counts"][20:22] == [2, 1]
    assert found["counts"][-1] == 1
    assert len(found["counts"]) == 120
    assert PsnrHistogram().as_dict()["counts"] == []
