"""Water under wind."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.simulate import COVERS, SceneConfig, simulate_scene
from saropt.simulate.covers import NEAR_INFRARED
from saropt.simulate.places import covers_at, near_infrared_at, water_backscatter


def cmod5n_b0(wind: float, incidence: float) -> float:
    """B0 of CMOD5.N in dB, equations 2 to 8 of Hersbach (2008), step by step."""
    c1, c2, c3, c4, c5, c6 = -0.6878, -0.7957, 0.3380, -0.1728, 0.0, 0.0040
    c7, c8, c9, c10, c11, c12, c13 = 0.1103, 0.0159, 6.7329, 2.7713, -2.2885, 0.4971, -0.7250
    x = (incidence - 40) / 25
    a0, a1, a2 = c1 + c2 * x + c3 * x * x + c4 * x * x * x, c5 + c6 * x, c7 + c8 * x
    gamma, s0 = c9 + c10 * x + c11 * x * x, c12 + c13 * x

    def logistic(s: float) -> float:
        return 1 / (1 + np.exp(-s))

    s = a2 * wind
    value = logistic(s) if s >= s0 else (s / s0) ** (s0 * (1 - logistic(s0))) * logistic(s0)
    return 10 * np.log10(10 ** (a0 + a1 * wind) * value**gamma)


@pytest.mark.parametrize("incidence", [25.0, 38.0, 45.0])
@pytest.mark.parametrize("wind", [1.0, 4.0, 7.0, 12.0, 25.0])
def test_water_follows_the_published_models(wind, incidence):
    vv_db, vh_db = water_backscatter(wind, incidence)
    assert vv_db == pytest.approx(cmod5n_b0(wind, incidence), abs=1e-9)
    assert vh_db == pytest.approx(0.592 * wind - 35.6)


def test_wind_roughens_water_and_nothing_else():
    calm, windy = (
        simulate_scene(256, 4, config=SceneConfig(water=0.4, wind_ms=wind, noise_floor_db=None)) for wind in (2.0, 12.0)
    )
    sea = calm.cover == next(index for index, cover in enumerate(COVERS) if cover.name == "sea")
    rise = 10 * np.log10(windy.sigma0_clean / calm.sigma0_clean)
    expected = np.subtract(water_backscatter(12.0, 38.0), water_backscatter(2.0, 38.0))
    np.testing.assert_allclose(np.median(rise[:, sea], axis=1), expected, atol=0.05)
    land = calm.label != 1
    assert abs(np.median(rise[:, land])) < 0.01
    np.testing.assert_array_equal(calm.optical, windy.optical)
    blue = simulate_scene(256, 4, config=SceneConfig(water=0.4)).optical[2][sea]
    assert np.median(blue) > np.median(windy.optical[2][sea]) + 0.2


def test_a_usual_scene_has_the_covers_of_its_season():
    assert covers_at(SceneConfig()) == COVERS
    assert near_infrared_at(SceneConfig()) == [NEAR_INFRARED[cover.name] for cover in COVERS]


@pytest.mark.parametrize("wind", [0.5, 60.0])
def test_other_winds_are_refused(wind):
    with pytest.raises(ValueError, match="wind_ms"):
        SceneConfig(wind_ms=wind)
