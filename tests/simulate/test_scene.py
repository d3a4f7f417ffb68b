"""Simulated scenes: shapes, determinism, class statistics, speckle and likeness to Sentinel-1."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from saropt.simulate import (
    CLASSES,
    COVER_INDEX,
    COVERS,
    SceneConfig,
    amplitude_q99,
    gamma_speckle,
    simulate_scene,
    slope_gain,
)

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "s1s2-losangeles"
ARRAYS = ("sigma0", "sigma0_clean", "optical", "label", "cover", "elevation")


@pytest.fixture(scope="module")
def scene():
    return simulate_scene(640, 3)


@pytest.mark.parametrize("size", [32, 64, (97, 150), (200, 40)])
def test_shapes_types_and_ranges(size):
    s = simulate_scene(size, 5)
    shape = (size, size) if isinstance(size, int) else size
    assert s.sigma0.shape == s.sigma0_clean.shape == (2, *shape)
    assert s.optical.shape == (3, *shape)
    assert s.label.shape == s.cover.shape == s.elevation.shape == shape
    assert s.sigma0.dtype == s.sigma0_clean.dtype == s.optical.dtype == s.elevation.dtype == np.float32
    assert s.label.dtype == s.cover.dtype == np.uint8
    assert all(np.isfinite(getattr(s, name)).all() for name in ARRAYS)
    assert s.sigma0.min() > 0
    assert s.sigma0_clean.min() > 0
    assert 0 <= s.optical.min() < s.optical.max() <= 1
    assert set(np.unique(s.label)) <= set(CLASSES)


def test_same_seed_same_arrays_other_seed_other_scene():
    a, b, c = simulate_scene(128, 11), simulate_scene(128, 11), simulate_scene(128, 12)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.label != c.label).mean() > 0.1


def test_radar_settings_leave_the_ground_alone():
    a = simulate_scene(128, 4)
    b = simulate_scene(128, 4, looks=20, sar_gain_db=3.0, config=SceneConfig(speckle=False, noise_floor_db=None))
    for name in ("sigma0_clean", "optical", "label", "elevation"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_allclose(b.sigma0, a.sigma0_clean * 10**0.3, rtol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_every_class_is_there(seed):
    label = simulate_scene(256, seed).label
    assert set(np.unique(label)) == set(CLASSES)


def test_fractions_follow_the_config():
    s = simulate_scene(400, 2, config=SceneConfig(hills=0.5, water=0.2, river=False, highways=False))
    assert (s.cover == COVER_INDEX["sea"]).mean() == pytest.approx(0.2, abs=0.02)
    hills = np.isin(s.cover, [COVER_INDEX["forest"], COVER_INDEX["dry shrub"]])
    assert hills.mean() == pytest.approx(0.5, abs=0.08)
    dry = simulate_scene(200, 2, config=SceneConfig(hills=0, water=0, river=False, highways=False))
    assert not np.isin(dry.cover, [COVER_INDEX["sea"], COVER_INDEX["forest"]]).any()


@pytest.mark.parametrize(
    "name", ["sea", "forest", "dry shrub", "ploughed field", "green crop", "houses", "road", "orchard"]
)
def test_backscatter_of_covers(name):
    """Away from edges and on nearly level ground, each cover's mean sigma0 is the configured level."""
    s = simulate_scene(1024, 8, config=SceneConfig(relief_m=15.0))
    here = ndimage.binary_erosion(s.cover == COVER_INDEX[name], iterations=2 if name == "road" else 3)
    if name == "road":
        here = ndimage.binary_dilation(here) & (s.cover == COVER_INDEX[name])
    assert here.sum() > 100
    level_db = 10 * np.log10(s.sigma0_clean[:, here].mean(axis=1, dtype=np.float64))
    cover = COVERS[COVER_INDEX[name]]
    np.testing.assert_allclose(level_db, [cover.vv_db, cover.vh_db], atol=1.5 if name == "road" else 0.6)


def test_published_ranges_of_classes(scene):
    """Class means over everything, slopes and mixed pixels included, stay in the usual Sentinel-1 VH ranges."""
    ranges = {1: (-29, -23), 2: (-17.5, -13.5), 3: (-21, -16), 4: (-16, -10), 5: (-25, -17), 6: (-24, -18)}
    for value, (low, high) in ranges.items():
        level_db = 10 * np.log10(scene.sigma0_clean[1][scene.label == value].mean(dtype=np.float64))
        assert low < level_db < high, CLASSES[value]


@pytest.mark.parametrize("looks", [1.0, 4.4, 20.0])
@pytest.mark.parametrize("psf_px", [0.0, 0.9])
def test_speckle_is_gamma(looks, psf_px):
    from scipy.stats import gamma

    field = gamma_speckle(np.random.default_rng(0), (1024, 1024), looks, psf_px)
    assert field.mean(dtype=np.float64) == pytest.approx(1.0, abs=0.01)
    assert 1 / field.var(dtype=np.float64) == pytest.approx(looks, rel=0.05)
    points = [0.1, 0.5, 0.9, 0.99]
    np.testing.assert_allclose(np.quantile(field, points), gamma.ppf(points, looks, scale=1 / looks), atol=0.035)
    neighbours = np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1]
    assert neighbours == pytest.approx(0.72 if psf_px else 0.0, abs=0.05)


@pytest.mark.parametrize("looks", [4.4, 12.0])
def test_equivalent_number_of_looks_over_water(looks):
    s = simulate_scene(512, 3, looks=looks)
    water = ndimage.binary_erosion(s.cover == COVER_INDEX["sea"], iterations=6)
    assert water.sum() > 5000
    for band in s.sigma0:
        values = band[water].astype(np.float64)
        assert values.mean() ** 2 / values.var() == pytest.approx(looks, rel=0.12)


def test_slopes_towards_the_radar_are_brighter():
    config = SceneConfig(look_azimuth_deg=90.0)
    towards, level, away = slope_gain(np.float32([0.3, 0.0, -0.3]), np.zeros(3, np.float32), config)
    assert towards > 1.4 > level
    assert level == pytest.approx(1.0, abs=1e-6)
    assert away < 0.75


def test_sun_side_is_brighter(scene):
    from saropt.simulate.terrain import slopes

    east, north = slopes(scene.elevation, 10.0)
    towards_sun = -(np.sin(np.deg2rad(160)) * east + np.cos(np.deg2rad(160)) * north)
    forest = scene.cover == COVER_INDEX["forest"]
    green = scene.optical[1]
    assert green[forest & (towards_sun > 0.15)].mean() > 1.2 * green[forest & (towards_sun < -0.15)].mean()


def test_amplitude_q99():
    power = np.random.default_rng(1).gamma(4.4, 0.02, (300, 300)).astype(np.float32)
    eight_bit = amplitude_q99(power)
    assert eight_bit.dtype == np.uint8
    assert (eight_bit == 255).mean() == pytest.approx(0.01, abs=0.002)
    np.testing.assert_array_equal(eight_bit, amplitude_q99(np.stack([power * 9, power])))
    np.testing.assert_array_equal(eight_bit, amplitude_q99(power * 4))
    for bad in (-power, np.zeros((8, 8)), np.zeros((3, 8, 8)), power[:, :1] * np.nan):
        with pytest.raises(ValueError, match="sigma0"):
            amplitude_q99(bad)


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": 16},
        {"size": (64, 8)},
        {"size": 1 << 20},
        {"seed": -1},
        {"looks": 0.5},
        {"looks": float("nan")},
        {"gsd_m": 0.0},
        {"sar_gain_db": 90.0},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        simulate_scene(**{"size": 64, "seed": 0, **arguments})


@pytest.mark.parametrize(
    "settings", [{"hills": -0.1}, {"water": 1.2}, {"hills": 0.8, "water": 0.4}, {"incidence_deg": 5.0}, {"psf_px": -1}]
)
def test_bad_config(settings):
    with pytest.raises(ValueError, match=r"must|fraction"):
        SceneConfig(**settings)


def test_speed():
    start = time.process_time()
    simulate_scene(1024, 0)
    assert time.process_time() - start < 4.0


def test_amplitude_resembles_sentinel_1():
    """Mean, spread, median and neighbour correlation of 8-bit VH amplitude against real fragments."""
    if not REAL.is_dir():
        pytest.skip(f"no real data at {REAL.name}")
    import rasterio

    def statistics(image):
        values = image.astype(np.float64)
        correlation = np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]
        return [values.mean(), values.std(), np.median(values), correlation]

    train = [line.split(",")[0] for line in (REAL / "splits.csv").read_text().split() if line.endswith(",train")]
    real = []
    for name in train:
        with rasterio.open(REAL / "sar" / f"{name}.tif") as source:
            real.append(statistics(source.read(1)))
    simulated = [statistics(amplitude_q99(simulate_scene(768, seed).sigma0)) for seed in range(4)]
    np.testing.assert_allclose(np.mean(simulated, axis=0), np.mean(real, axis=0), rtol=0.15)


@pytest.mark.parametrize(
    "settings",
    [
        {"hills": 1.0, "water": 0.0},
        {"hills": 0.0, "water": 1.0},
        {"fields": 1.0, "commerce": 0.0},
        {"fields": 0.0, "commerce": 1.0},
        {"forest": 0.0},
        {"forest": 1.0, "psf_px": 0.0, "relief_m": 0.0},
    ],
)
@pytest.mark.parametrize("gsd_m", [1.0, 10.0, 100.0])
def test_extreme_configs_stay_finite(settings, gsd_m):
    s = simulate_scene((48, 90), 1, gsd_m=gsd_m, config=SceneConfig(**settings))
    assert all(np.isfinite(getattr(s, name)).all() for name in ARRAYS)
    assert s.sigma0.min() > 0
