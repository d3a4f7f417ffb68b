"""Pauli colour: the same from every form, canonical scatterers in their own colours."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.radiometry import dual_pol_power, pauli_needs, pauli_power, to_colour


@pytest.fixture(scope="module")
def matrix():
    rng = np.random.default_rng(0)
    return {p: rng.normal(size=(5, 6)) + 1j * rng.normal(size=(5, 6)) for p in ("HH", "HV", "VV")}


def test_every_form_gives_the_same_picture(matrix):
    hh, hv, vv = matrix["HH"], matrix["HV"], matrix["VV"]
    lexicographic = [hh, np.sqrt(2) * hv, vv]
    covariance = {f"C{i + 1}{j + 1}": lexicographic[i] * lexicographic[j].conj() for i in range(3) for j in range(3)}
    pauli = [(hh + vv) / np.sqrt(2), (hh - vv) / np.sqrt(2), np.sqrt(2) * hv]
    coherency = {f"T{i + 1}{i + 1}": np.abs(part) ** 2 for i, part in enumerate(pauli)}
    products = {"HHHH": abs(hh) ** 2, "HVHV": abs(hv) ** 2, "VVVV": abs(vv) ** 2, "HHVV": hh * vv.conj()}
    expected = np.stack([abs(hh - vv) ** 2 / 2, 2 * abs(hv) ** 2, abs(hh + vv) ** 2 / 2])
    for form in (matrix, covariance, coherency, products, {**matrix, "VH": hv}, {"HH": hh, "VH": hv, "VV": vv}):
        np.testing.assert_allclose(pauli_power(form), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(expected.sum(axis=0), abs(hh) ** 2 + 2 * abs(hv) ** 2 + abs(vv) ** 2)


@pytest.mark.parametrize(("hh", "hv", "vv", "channel"), [(1, 0, 1, 2), (1, 0, -1, 0), (0, 1, 0, 1)])
def test_canonical_scatterers(hh, hv, vv, channel):
    """Sphere blue, dihedral red, dihedral at 45 degrees green."""
    power = pauli_power({"HH": np.full((1,), hh + 0j), "HV": np.full((1,), hv + 0j), "VV": np.full((1,), vv + 0j)})
    np.testing.assert_allclose(power[:, 0], np.eye(3)[channel] * 2)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"T3 lacks T33.*products lacks HHHH"):
        pauli_needs({"T11", "T22"})
    with pytest.raises(ValueError, match="HH is not complex"):
        pauli_power({p: np.ones(3) for p in ("HH", "HV", "VV")})


def test_pictures():
    power = dual_pol_power(np.array([[4.0, 9.0]]), np.array([[1.0, 0.0]]))
    np.testing.assert_array_equal(power, [[[4, 9]], [[1, 0]], [[4, 0]]])
    grey = to_colour(np.array([[[0.0, 4.0]]]), np.array([2.0]))
    np.testing.assert_array_equal(grey, [[[0, 255]]] * 3)
    with pytest.raises(ValueError, match="1 or 3"):
        to_colour(np.ones((2, 3, 3)))
