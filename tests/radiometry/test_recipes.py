"""Normalisation recipes: ranges, inverses, statistics, refusals, the form in which they travel."""

from __future__ import annotations

import json

import numpy as np
import pytest

from saropt.domain import describe_units
from saropt.radiometry import (
    SAR_UNITS,
    DbClip,
    EightBit,
    MultipleOfMean,
    MultipleOfQuantile,
    Q99Amplitude,
    Reflectance,
    convert,
    recipe_from_dict,
)

RECIPES = [
    EightBit(),
    Reflectance(),
    Reflectance(scale=1.0, high=0.3),
    DbClip(),
    DbClip(-25.0, 0.0),
    Q99Amplitude(),
    Q99Amplitude(scale="linear", quantile=0.95),
    MultipleOfMean(),
    MultipleOfMean(2.0),
    MultipleOfQuantile(),
    MultipleOfQuantile(0.5, 3.0),
]


def values_in(units: str) -> np.ndarray:
    """(2, 64, 64) values in SAR units from -65 to +15 dB, 8-bit values or reflectances."""
    rng = np.random.default_rng(0)
    db = rng.uniform(-65.0, 15.0, (2, 64, 64)).astype(np.float32)
    if units == "uint8":
        return rng.integers(0, 256, db.shape).astype(np.float32)
    if units == "reflectance":
        return rng.uniform(0.0, 0.6, db.shape).astype(np.float32)
    if units == "reflectance_10000":
        return rng.uniform(0.0, 6000.0, db.shape).astype(np.float32)
    if units == "complex":
        return (convert(db, "sigma0_db", "amplitude") * np.exp(1j * rng.uniform(0, 6, db.shape))).astype(np.complex64)
    return convert(db, "gamma0_db" if units.startswith("gamma0") else "sigma0_db", units)


OPTICAL_UNITS = {EightBit(): "uint8", Reflectance(): "reflectance_10000", Reflectance(1.0, 0.3): "reflectance"}


def taken(recipe) -> list[str]:
    """Units that a recipe takes."""
    if recipe.accepts is None:
        return [OPTICAL_UNITS[recipe]]
    return [units for units in SAR_UNITS if describe_units(units).scale in recipe.accepts]


CASES = [(recipe, units) for recipe in RECIPES for units in taken(recipe)]


@pytest.mark.parametrize(("recipe", "units"), CASES, ids=lambda case: str(case))
def test_forward_stays_in_range(recipe, units):
    values = values_in(units)
    network = recipe.fit(values.reshape(2, -1), units, "float32").forward(values)
    assert network.dtype == np.float32
    assert network.shape == values.shape
    assert network.min() >= -1.0
    assert network.max() <= 1.0
    assert np.ptp(network) > 0.1


@pytest.mark.parametrize(("recipe", "units"), [case for case in CASES if case[1] != "complex"], ids=str)
def test_inverse_is_exact_where_nothing_was_clipped(recipe, units):
    values = values_in(units)
    normaliser = recipe.fit(values.reshape(2, -1), units, "float32")
    network = normaliser.forward(values)
    inside = (network > -0.999) & (network < 0.999)
    assert 100 < inside.sum() < inside.size
    back = normaliser.inverse(network)
    assert back.dtype == np.float32
    tolerance = {"atol": 5e-5 * 40} if units.endswith("_db") else {"rtol": 1e-3}
    np.testing.assert_allclose(back[inside], values[inside], **tolerance)
    np.testing.assert_allclose(normaliser.forward(back), network, atol=2e-5)


@pytest.mark.parametrize(("recipe", "units"), [case for case in CASES if case[1] != "complex"], ids=str)
def test_inverse_clamps_what_a_network_overshoots(recipe, units):
    values = values_in(units)
    normaliser = recipe.fit(values.reshape(2, -1), units, "float32")
    ends = np.stack([np.float32([[-1.0, 1.0]])] * 2)
    np.testing.assert_array_equal(normaliser.inverse(3.0 * ends), normaliser.inverse(ends))


def test_the_same_power_gives_the_same_network_value_in_every_unit():
    db = values_in("sigma0_db")
    for recipe in (DbClip(), Q99Amplitude(), Q99Amplitude(scale="linear"), MultipleOfMean()):
        results = []
        for units in ("sigma0_db", "sigma0", "amplitude"):
            values = convert(db, "sigma0_db", units)
            results.append(recipe.fit(values.reshape(2, -1), units, "float32").forward(values))
        np.testing.assert_allclose(results[1], results[0], atol=1e-4)
        np.testing.assert_allclose(results[2], results[0], atol=1e-4)


def test_eight_bit_is_the_published_formula():
    values = np.float32([0, 127.5, 255])[None, None]
    np.testing.assert_array_equal(EightBit().fit(values[0], "uint8", "uint8").forward(values), [[[-1, 0, 1]]])


def test_db_clip_ends():
    values = np.float32([-99, -30, -12.5, 5, 20])[None, None]
    forward = DbClip().fit(values[0], "sigma0_db", "float32").forward(values)
    np.testing.assert_allclose(forward, [[[-1, -1, 0, 1, 1]]], atol=1e-6)


def test_reflectance_ends():
    values = np.float32([0, 2000, 4000, 9000])[None, None]
    forward = Reflectance().fit(values[0], "reflectance", "uint16").forward(values)
    np.testing.assert_allclose(forward, [[[-1, 0, 1, 1]]], atol=1e-6)


def test_q99_statistics():
    rng = np.random.default_rng(0)
    sample = rng.rayleigh(1.0, (2, 50_000)) * [[1.0], [30.0]]
    expected = np.quantile(sample, 0.99, axis=1)
    np.testing.assert_allclose(Q99Amplitude().fit(sample, "amplitude", "float32").statistics, expected, rtol=1e-6)
    assert Q99Amplitude().fit(sample, "amplitude", "uint8").statistics == (255.0, 255.0)
    from_power = Q99Amplitude().fit(sample**2, "sigma0", "float32").statistics
    np.testing.assert_allclose(from_power, expected, rtol=1e-4)


def test_q99_normalises_each_band_by_its_own_quantile():
    sample = np.float32([[1.0, 2.0, 4.0], [100.0, 200.0, 400.0]])
    normaliser = Q99Amplitude(quantile=1.0).fit(sample, "amplitude", "float32")
    network = normaliser.forward(sample[:, None])
    np.testing.assert_allclose(network[0], network[1], atol=1e-6)
    expected = 2.0 * (20 * np.log10([0.25, 0.5, 1.0]) + 36.0) / 36.0 - 1.0
    np.testing.assert_allclose(network[0, 0], expected, atol=1e-5)


def test_mean_leaves_zero_pixels_out():
    sample = np.float32([[0, 0, 0, 2, 4], [1, 1, 1, 1, 1]])
    statistics = MultipleOfMean().fit(sample, "amplitude", "float32").statistics
    assert statistics == (3.0, 1.0)
    assert MultipleOfMean().fit(sample, "uint8", "uint8").statistics == (3.0, 1.0)


@pytest.mark.parametrize(("factor", "share"), [(2.0, 0.0432), (3.0, 0.00085)])
def test_share_of_saturated_rayleigh_amplitude(factor, share):
    """P(x > f mean) = exp(-pi f^2 / 4) for single-look amplitude."""
    sample = np.random.default_rng(3).rayleigh(25.0, (1, 1_000_000))
    network = MultipleOfMean(factor).fit(sample, "amplitude", "float32").forward(sample[:, None])
    assert np.exp(-np.pi * factor**2 / 4) == pytest.approx(share, rel=0.005)
    assert np.mean(network == 1.0) == pytest.approx(share, rel=0.1)


@pytest.mark.parametrize("recipe", [MultipleOfMean(), MultipleOfQuantile(), Q99Amplitude()])
def test_a_band_of_zeros_is_refused(recipe):
    sample = np.ones((2, 100), np.float32)
    sample[1] = 0.0
    with pytest.raises(ValueError, match="to normalise by"):
        recipe.fit(sample, "amplitude", "float32")


@pytest.mark.parametrize(("recipe", "units"), [(r, u) for r in RECIPES if r.accepts for u in SAR_UNITS], ids=str)
def test_units_outside_the_list_are_refused(recipe, units):
    sample = np.ones((1, 10))
    if units in taken(recipe):
        recipe.fit(sample, units, "float32")
    else:
        with pytest.raises(ValueError, match=f"not {units}"):
            recipe.fit(sample, units, "float32")


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_dictionary_round_trip(recipe):
    assert recipe_from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("units", ["amplitude", "uint8", "complex", "sigma0", "gamma0", "sigma0_db", "gamma0_db"])
def test_zeros_have_no_part_in_the_level_in_any_unit(units):
    """CRAN's eq. 6: the sum over the pixels that are not zero, divided by their number."""
    random = np.random.default_rng(0)
    amplitude = random.uniform(0.1, 0.5, 4000) if units != "uint8" else random.uniform(1.0, 255.0, 4000)
    zeros = np.zeros_like(amplitude)
    both = np.concatenate([amplitude, zeros])[None]
    power = np.square(both)
    with np.errstate(divide="ignore"):
        stored = {"sigma0": power, "gamma0": power, "sigma0_db": 10 * np.log10(power), "complex": both * (0.6 + 0.8j)}
    stored["gamma0_db"] = np.maximum(stored["sigma0_db"], -100.0)
    sample = stored.get(units, both)
    (mean,) = MultipleOfMean().statistics(sample, units, "float32")
    assert mean == pytest.approx(amplitude.sum() / np.count_nonzero(both), rel=1e-5)
    (median,) = MultipleOfQuantile(0.5).statistics(sample, units, "float32")
    assert median == pytest.approx(np.median(amplitude), rel=1e-5)
    for recipe in (MultipleOfMean(), MultipleOfQuantile()):
        with pytest.raises(ValueError, match="only zeros"):
            recipe.statistics(sample[:, len(amplitude) :], units, "float32")


def test_a_quantile_takes_the_gain_of_a_stretch_away():
    """y = 2 min(x / (f q), 1) - 1: images that differ in a gain alone become the same."""
    image = np.random.default_rng(4).integers(1, 200, (1, 64, 64)).astype(np.float64)
    made = []
    for gain in (1.0, 1.25):
        sample = gain * image.reshape(1, -1)
        made.append(MultipleOfQuantile(0.8, 1.5).fit(sample, "uint8", "uint8").forward(gain * image))
    level = np.sort(image.ravel())[int(0.8 * (image.size - 1))]
    np.testing.assert_allclose(made[0], made[1], atol=1e-6)
    np.testing.assert_allclose(made[0], 2 * np.minimum(image / (1.5 * level), 1) - 1, atol=1e-2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "unknown recipe None"),
        ({"kind": "z_score"}, "unknown recipe 'z_score'"),
        ({"kind": "db_clip", "middle": 3}, "middle"),
        ({"kind": "multiple_of_mean", "factor": 2000.0}, "without contrast"),
        ({"kind": "multiple_of_mean", "factor": 0.0}, "without contrast"),
        ({"kind": "multiple_of_quantile", "quantile": 90}, "quantile"),
        ({"kind": "multiple_of_quantile", "factor": 0.0}, "factor"),
        ({"kind": "db_clip", "low": 5.0, "high": -30.0}, "low"),
        ({"kind": "db_clip", "low": "x"}, "db_clip"),
        ({"kind": "q99_amplitude", "scale": "log"}, "scale"),
        ({"kind": "q99_amplitude", "quantile": 99}, "quantile"),
        ({"kind": "q99_amplitude", "floor_db": 24.0}, "floor_db"),
        ({"kind": "reflectance", "scale": 0}, "scale"),
    ],
)
def test_unfit_dictionaries_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        recipe_from_dict(data)
