"""Fill that a file does not declare has no part in the pixels beside it, on whatever grid a fetch writes."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from saropt.curation.fetching import Request, fetch
from saropt.radiometry import from_power, to_power
from saropt.roots import DataRoot
from saropt.scenes import Scene
from stac_world import SIDE

START, END = datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)
OTHER_GRID = Request(START, END, min_cover=0.3, pixel_m=7.0, split="test")


def optical(values, classes):
    layers = {key: np.full((SIDE, SIDE), 3000, np.uint16) for key in ("B04", "B03", "B02")}
    for layer in layers.values():
        layer[values] = 0
    return {**layers, "SCL": np.full((SIDE, SIDE), classes, np.uint8)}


def with_side(service, side, **changes):
    return service.model_copy(update={side: getattr(service, side).model_copy(update=changes)})


def read(root, role):
    opened = DataRoot.open(root)
    with Scene.open(opened.raster(role, next(iter(opened.splits)))) as scene:
        return scene.read()


@pytest.mark.parametrize("mask", ["SCL", ""])
def test_optical_zeros_do_not_darken_the_pixels_beside_them(tmp_path, world, service, area, mask):
    world.add("rtc", 12, {key: np.full((SIDE, SIDE), 0.1, np.float32) for key in ("vv", "vh")})
    world.add("s2", 11, optical(np.s_[:, 50:], 4), cloud=3.0, **{"s2:processing_baseline": "05.09"})
    own = with_side(service, "optical", mask=mask)
    values, valid = read(fetch(area, OTHER_GRID, tmp_path / "root", own, own), "optical")
    assert 0.3 < valid.mean() < 0.7
    assert np.unique(values[:, valid]).tolist() == [2000]


@pytest.mark.parametrize("units", ["gamma0", "amplitude", "gamma0_db"])
def test_sar_zeros_do_not_change_the_pixels_beside_them(tmp_path, world, service, area, units):
    levels = {"vv": 0.1, "vh": 0.02}
    layers = {key: from_power(np.full((SIDE, SIDE), level, np.float32), units) for key, level in levels.items()}
    for layer in layers.values():
        layer[:, 50:] = 0
    world.add("rtc", 12, layers)
    world.add("s2", 11, optical(np.s_[:0], 4), cloud=3.0)
    own = with_side(service, "sar", units=units)
    root = fetch(area, OTHER_GRID, tmp_path / "root", own, own)
    values, valid = read(root, "sar")
    assert 0.3 < valid.mean() < 0.7
    power = to_power(values[:, valid], DataRoot.open(root).images["sar"].units)
    np.testing.assert_allclose(power, np.broadcast_to([[0.1], [0.02]], power.shape), rtol=1e-3)


def test_zero_decibels_of_one_band_are_a_measurement(tmp_path, world, service, area):
    layers = {key: np.full((SIDE, SIDE), level, np.float32) for key, level in (("vv", -10.0), ("vh", -16.0))}
    layers["vv"][45:60, 30:60] = 0
    world.add("rtc", 12, layers)
    world.add("s2", 11, optical(np.s_[:0], 4), cloud=3.0)
    own = with_side(service, "sar", units="gamma0_db")
    (vv, vh), valid = read(fetch(area, OTHER_GRID, tmp_path / "root", own, own), "sar")
    assert valid.all()
    assert (np.abs(vv) < 1e-4).sum() > 400
    assert (vv < -9.9).sum() > 2000
    np.testing.assert_allclose(vh, -16.0, atol=1e-3)


def test_decibels_are_resampled_by_their_power(tmp_path, world, service, area):
    power = np.random.default_rng(0).exponential(0.1, (2, SIDE, SIDE)).astype(np.float32)
    world.add("rtc", 12, dict(zip(("vv", "vh"), from_power(power, "gamma0_db"), strict=True)))
    world.add("s2", 11, optical(np.s_[:0], 4), cloud=3.0)
    own = with_side(service, "sar", units="gamma0_db")
    coarse = Request(START, END, pixel_m=40.0, split="test")
    values, valid = read(fetch(area, coarse, tmp_path / "root", own, own), "sar")
    assert to_power(values[:, valid], "gamma0_db").mean() == pytest.approx(0.1, rel=0.1)
