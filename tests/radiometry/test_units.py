"""Units: conversions both ways, what is refused, and contradictions between declared units and pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from saropt.radiometry import SAR_UNITS, apply_gain, check_units, convert, from_db, from_power, to_db, to_power

POWER = np.array([1e-4, 3e-3, 0.02, 0.5, 1.0, 7.5])
IN_UNITS = {
    "sigma0_db": 10 * np.log10(POWER),
    "gamma0_db": 10 * np.log10(POWER),
    "sigma0": POWER,
    "gamma0": POWER,
    "amplitude": np.sqrt(POWER),
    "complex": np.sqrt(POWER) * np.exp(1j * np.arange(6)),
}


def crosses_angle(source: str, target: str) -> bool:
    return {source.removesuffix("_db"), target.removesuffix("_db")} == {"sigma0", "gamma0"}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(SAR_UNITS, SAR_UNITS)))
def test_every_pair_of_units(source, target):
    """Each pair either gives the same power in the other unit, or is refused."""
    if source == target:
        values = IN_UNITS.get(source, np.arange(6.0))
        assert convert(values, source, target) is values
        return
    if crosses_angle(source, target):
        with pytest.raises(ValueError, match="incidence angle"):
            convert(IN_UNITS[source], source, target)
        return
    if "uint8" in (source, target):
        with pytest.raises(ValueError, match="8-bit stretch"):
            convert(IN_UNITS.get(source, np.arange(6.0)), source, target)
        return
    if target == "complex":
        with pytest.raises(ValueError, match="cannot be rebuilt"):
            convert(IN_UNITS[source], source, target)
        return
    converted = convert(IN_UNITS[source], source, target)
    assert converted.dtype == np.float32
    np.testing.assert_allclose(converted, IN_UNITS[target], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("units", ["sigma0_db", "gamma0_db", "sigma0", "gamma0", "amplitude"])
def test_decibels_and_back(units):
    values = IN_UNITS[units].astype(np.float32)
    np.testing.assert_allclose(from_db(to_db(values, units), units), values, rtol=1e-5)


@pytest.mark.parametrize("units", ["sigma0", "gamma0", "amplitude", "complex"])
def test_zero_power_is_minus_100_db(units):
    np.testing.assert_allclose(to_db(np.zeros(3), units), -100.0, rtol=1e-6)


@pytest.mark.parametrize("function", [to_db, from_db])
def test_unknown_units_are_named(function):
    with pytest.raises(ValueError, match="unknown units 'beta0'"):
        function(np.ones(2), "beta0")


@pytest.mark.parametrize("units", list(IN_UNITS))
def test_gain_adds_its_decibels(units):
    values = IN_UNITS[units].astype(np.complex64 if units == "complex" else np.float32)
    louder = apply_gain(values, units, 3.0)
    np.testing.assert_allclose(to_db(louder, units) - to_db(values, units), 3.0, atol=1e-4)
    per_pixel = np.linspace(-6, 6, 6)
    np.testing.assert_allclose(
        to_db(apply_gain(values, units, per_pixel), units) - to_db(values, units), per_pixel, atol=1e-4
    )


def test_gain_on_eight_bits_spans_thirty_db():
    np.testing.assert_allclose(apply_gain(np.float32([10.0]), "uint8", 30.0), 265.0)


GOOD = {
    "sigma0_db": np.linspace(-35, 5, 500),
    "gamma0_db": np.linspace(-35, 5, 500),
    "sigma0": np.linspace(0, 2, 500),
    "gamma0": np.linspace(0, 2, 500),
    "amplitude": np.linspace(0, 4000, 500),
    "uint8": np.linspace(0, 255, 500),
    "complex": np.exp(1j * np.linspace(0, 6, 500)),
}
X10000 = "reflectance x 10000"


@pytest.mark.parametrize("units", SAR_UNITS)
def test_fitting_values_pass(units):
    check_units(GOOD[units], units)


@pytest.mark.parametrize(
    ("values", "units", "message"),
    [
        (GOOD["sigma0_db"], "amplitude", "negative values: are these decibels"),
        (GOOD["sigma0_db"], "sigma0", "negative values"),
        (GOOD["sigma0_db"], "gamma0", "negative values"),
        (np.linspace(0, 400, 500), "sigma0_db", r"-60\.\.\+30"),
        (np.linspace(-300, 0, 500), "gamma0_db", r"-60\.\.\+30"),
        (np.linspace(-0.01, 0.4, 500), "sigma0_db", "and most below 0"),
        (np.append(np.linspace(-8, 12, 500), [0.0] * 900), "gamma0_db", "and most below 0"),
        (np.linspace(0, 20, 500).astype(np.uint8), "sigma0_db", r"-60\.\.\+30"),
        (np.linspace(0, 4000, 500), "uint8", "declared as uint8"),
        (np.linspace(-20, 100, 500), "uint8", "declared as uint8"),
        (GOOD["complex"], "amplitude", "pixels are complex"),
        (GOOD["amplitude"], "complex", "pixels are real"),
        (np.empty((2, 0)), "sigma0", "no valid pixel"),
        (GOOD["amplitude"], "dn", "unknown units 'dn'"),
        (np.linspace(0.01, 0.4, 500), X10000, r"0\.3981: is this reflectance of 0\.\.1\? Multiply it by 10000$"),
        (np.linspace(0.7, 44, 500), X10000, r"is this reflectance in per cent\? Multiply it by 100$"),
        (np.append(np.linspace(0.7, 44, 500), [0.0] * 500), X10000, "per cent"),
        (np.append(np.linspace(0.7, 95, 5000), [140.0] * 5), X10000, "per cent"),
        (np.linspace(0, 255, 500).astype(np.uint8), X10000, "8 bits hold a picture, no reflectance"),
        (np.zeros(500), X10000, "reflectance times 10000 lies in"),
    ],
)
def test_contradictions_are_refused(values, units, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_units(values, units)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(50, 300, 500),
        np.linspace(8000, 11000, 500),
        np.linspace(-30, 40, 500),
        np.random.default_rng(0).normal(0, 20, 500),
        np.arange(1, 90).astype(np.float32),
        np.arange(1, 90).astype(np.uint16),
    ],
    ids=["dark water", "snow", "black water", "night", "water in whole numbers", "water as it is stored"],
)
def test_dark_and_bright_reflectance_passes(values):
    check_units(values, X10000)


def test_numbers_of_landsat_are_no_reflectance():
    reflectance = np.linspace(0.01, 0.4, 500)
    stored = np.rint((reflectance + 0.2) / 2.75e-5).astype(np.uint16)
    scaled = np.rint(reflectance * 10000).astype(np.uint16)
    names = ["SR_B4", "SR_B3", "SR_B2", "SR_B5"]
    for dtype in ("uint16", "int32", "float32"):
        with pytest.raises(ValueError, match=r"numbers of Landsat\? Reflectance is 0\.0000275 times"):
            check_units(stored.astype(dtype), X10000, names=names)
        check_units(scaled.astype(dtype), X10000, names=names)
    check_units(np.linspace(7500.1, 8499.9, 500), X10000, names=names)
    for others in (["B4", "B3", "B2", "B8"], ["red", "green", "blue", "nir08"]):
        check_units(stored, X10000, names=others)
        check_units(np.arange(7500, 8500).astype(np.uint16), X10000, names=others)


def test_stored_type_counts_when_values_were_converted():
    values = np.linspace(-10, 10, 500)
    check_units(values, "sigma0_db", "float32")
    with pytest.raises(ValueError, match="declared as sigma0_db"):
        check_units(values, "sigma0_db", "uint16")


def test_few_outliers_do_not_refuse_decibels():
    values = np.full(10_000, -12.0)
    values[:20] = -90.0
    check_units(values, "sigma0_db")


def test_a_new_sar_unit_is_one_line(monkeypatch):
    """Conversions, recipes, checks and ranges follow from its scale."""
    from saropt.domain import units as module

    beta = module.Unit("beta0", "power", "beta0")
    monkeypatch.setitem(module._BY_NAME, "beta0", beta)
    values = np.array([[0.01, 0.1]], np.float32)
    np.testing.assert_allclose(to_db(values, "beta0"), [[-20.0, -10.0]], atol=1e-5)
    np.testing.assert_allclose(from_db(to_db(values, "beta0"), "beta0"), values, rtol=1e-5)
    with pytest.raises(ValueError, match="incidence angle"):
        convert(values, "beta0", "sigma0")


@pytest.mark.parametrize("units", ["sigma0_db", "gamma0_db", "sigma0", "gamma0", "amplitude"])
def test_power_and_back(units: str) -> None:
    np.testing.assert_allclose(to_power(IN_UNITS[units], units), POWER, rtol=2e-6)
    np.testing.assert_allclose(from_power(POWER, units), IN_UNITS[units], rtol=2e-6, atol=2e-6)


def test_power_keeps_values_below_zero_and_refuses_what_has_none() -> None:
    assert to_power(np.array([-0.01]), "sigma0") == from_power(np.array([-0.01]), "sigma0") == np.float32(-0.01)
    assert to_power(np.array([3 + 4j]), "complex") == 25.0
    with pytest.raises(ValueError, match="no stated decibel scale"):
        to_power(np.ones(1), "uint8")
    for units, message in (("uint8", "no stated decibel scale"), ("complex", "cannot be rebuilt")):
        with pytest.raises(ValueError, match=message):
            from_power(np.ones(1), units)
