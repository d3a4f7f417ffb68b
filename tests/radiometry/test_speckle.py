"""Speckle has mean power 1 and variance 1/L, whatever the units it is applied in."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.radiometry import add_speckle, convert, speckle_gain_db

COUNT = 400_000


@pytest.mark.parametrize("looks", [1.0, 4.4, 20.0])
def test_moments(looks):
    power = 10.0 ** (speckle_gain_db((COUNT,), looks, np.random.default_rng(0)).astype(np.float64) / 10.0)
    assert power.mean() == pytest.approx(1.0, abs=0.01)
    assert power.var() == pytest.approx(1.0 / looks, rel=0.03)


@pytest.mark.parametrize("units", ["sigma0_db", "sigma0", "amplitude", "complex"])
def test_moments_in_units(units):
    level = 0.05
    start = np.full(COUNT, level, np.float32)
    values = np.sqrt(start).astype(np.complex64) if units == "complex" else convert(start, "sigma0", units)
    noisy = add_speckle(values, units, 3.0, np.random.default_rng(1))
    power = convert(noisy, units, "sigma0").astype(np.float64)
    assert power.mean() == pytest.approx(level, rel=0.01)
    assert power.var() == pytest.approx(level**2 / 3.0, rel=0.03)


def test_pixels_are_independent_and_the_generator_decides():
    first = speckle_gain_db((64, 64), 1.0, np.random.default_rng(5))
    np.testing.assert_array_equal(first, speckle_gain_db((64, 64), 1.0, np.random.default_rng(5)))
    assert abs(np.corrcoef(first[:, :-1].ravel(), first[:, 1:].ravel())[0, 1]) < 0.05
