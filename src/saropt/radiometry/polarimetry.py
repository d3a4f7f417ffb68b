"""Colour pictures of one, two or four polarisations.

Quad-polarised data come as a scattering matrix (complex HH, HV, VH, VV), as the covariance C3 of the lexicographic
vector [HH, sqrt(2) HV, VV], as the coherency T3 of the Pauli vector, or as the products of a multilooked file
(HHHH, HVHV, VVVV, HHVV as UAVSAR writes them). Monostatic reciprocity HV = VH is assumed (Lee & Pottier,
Polarimetric Radar Imaging, CRC 2009, ch. 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

PAULI_BANDS: Final = ("HH-VV", "HV", "HH+VV")
_FORMS: Final[dict[str, tuple[str, ...]]] = {
    "scattering": ("HH", "HV", "VV"),
    "scattering (VH)": ("HH", "VH", "VV"),
    "C3": ("C11", "C22", "C33", "C13"),
    "T3": ("T11", "T22", "T33"),
    "products": ("HHHH", "HVHV", "VVVV", "HHVV"),
}


def pauli_needs(available: Mapping[str, object] | set[str]) -> tuple[str, ...]:
    """The components that `pauli_power` takes out of those available (upper-case names); VH as well as HV where given.

    Raises:
        ValueError: no complete form is there; the message says what each form lacks.

    >>> pauli_needs({"C11", "C22", "C33", "C13", "C12"})
    ('C11', 'C22', 'C33', 'C13')
    """
    names = set(available)
    for form, needed in _FORMS.items():
        if set(needed) <= names:
            return (*needed, "VH") if form == "scattering" and "VH" in names else needed
    lacking = "; ".join(f"{form} lacks {', '.join(sorted(set(need) - names))}" for form, need in _FORMS.items())
    raise ValueError(f"no complete polarimetric form: {lacking}")


def pauli_power(components: Mapping[str, NDArray]) -> NDArray[np.float32]:
    """Power of the three Pauli components, (3, ...) float32 in the order red, green, blue.

    Red |HH - VV|^2 / 2 (double bounce), green 2 |HV|^2 (volume), blue |HH + VV|^2 / 2 (surface); the three sum to the
    span. The diagonal of T3 is blue, red, green.

    Args:
        components: name -> array, in one of the forms of this module; C13 and HHVV complex.

    Raises:
        ValueError: no form is complete, or C13, HHVV or the scattering matrix is not complex.

    >>> odd = {"HH": np.array([1 + 0j]), "HV": np.array([0j]), "VV": np.array([1 + 0j])}
    >>> pauli_power(odd).ravel().tolist()
    [0.0, 0.0, 2.0]
    """
    needed = pauli_needs(components)
    part = {name: np.asarray(components[name]) for name in needed}
    for name in needed:
        if name in ("HH", "HV", "VH", "VV", "C13", "HHVV") and not np.iscomplexobj(part[name]):
            raise ValueError(f"{name} is not complex: Pauli colour needs the phase between HH and VV")
    if "HH" in part:
        cross = part["HV"] if "VH" not in part else part["VH"] if "HV" not in part else (part["HV"] + part["VH"]) / 2
        powers = [_power(part["HH"] - part["VV"]) / 2, 2 * _power(cross), _power(part["HH"] + part["VV"]) / 2]
    elif "T11" in part:
        powers = [part[name].real for name in ("T22", "T33", "T11")]
    else:
        hh, cross, vv, both = (part[name] for name in needed)
        volume = cross.real if "C22" in part else 2 * cross.real
        even = (hh.real + vv.real) / 2
        powers = [even - both.real, volume, even + both.real]
    return np.maximum(np.stack(powers), 0).astype(np.float32)


def dual_pol_power(co: NDArray, cross: NDArray) -> NDArray[np.float32]:
    """Red, green, blue of two polarisations: co-polarised power, cross-polarised power, their ratio co / cross.

    Args:
        co, cross: power of one shape, such as sigma0 of VV and VH, or C11 and C22 of C2.

    Returns:
        (3, ...) float32; the ratio is 0 where `cross` is.

    >>> dual_pol_power(np.array([0.25]), np.array([0.0625])).ravel().tolist()
    [0.25, 0.0625, 4.0]
    """
    co, cross = np.asarray(co, np.float32), np.asarray(cross, np.float32)
    return np.stack([co, cross, np.divide(co, cross, out=np.zeros_like(co), where=cross > 0)])


def to_colour(power: NDArray, quantiles: NDArray | None = None) -> NDArray[np.uint8]:
    """8-bit picture of powers (C, H, W), C of 1 or 3: amplitude over its 99 % quantile per band; one band becomes grey.

    Args:
        quantiles: (C,) amplitudes that become 255, for tiles of one picture; from the array itself when None.

    >>> to_colour(np.array([[[1.0, 0.25]]]), quantiles=np.array([1.0]))[:, 0].tolist()
    [[255, 128], [255, 128], [255, 128]]
    """
    amplitude = np.sqrt(np.maximum(power, 0))
    if len(amplitude) not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 bands, not {len(amplitude)}")
    if quantiles is None:
        quantiles = np.quantile(amplitude.reshape(len(amplitude), -1), 0.99, axis=1)
    scale = 255.0 / np.maximum(np.asarray(quantiles, np.float64), 1e-30)
    picture = np.clip(np.rint(amplitude * scale[:, None, None]), 0, 255).astype(np.uint8)
    return np.repeat(picture, 3, axis=0) if len(picture) == 1 else picture


def _power(values: NDArray) -> NDArray:
    return np.square(values.real) + np.square(values.imag)
