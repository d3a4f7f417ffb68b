"""SAR units and the conversions between them.

Backscatter is carried as power (sigma0 or gamma0, linear), as its decibels, as amplitude (the square root of
power, up to the calibration constant) or as a complex pixel whose squared modulus is power. `uint8` names an
8-bit stretch whose decibel scale the publisher did not state: it converts to nothing else.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAR_UNITS: Final = ("sigma0_db", "gamma0_db", "sigma0", "gamma0", "amplitude", "uint8", "complex")
DB_UNITS: Final = ("sigma0_db", "gamma0_db")
POWER_UNITS: Final = ("sigma0", "gamma0")
POWER_FLOOR: Final = 1e-10
"""Power below which decibels are not followed (-100 dB): zeros stay finite."""
UINT8_SPAN_DB: Final = 30.0
"""Decibel span assumed for an 8-bit stretch when a gain in dB has to be imitated on it."""


def to_db(values: NDArray, units: str) -> NDArray[np.float32]:
    """Decibels 10 log10(power) of values in `units`, same shape; zeros become -100 dB.

    Raises:
        ValueError: `units` is unknown, or is `uint8`, which has no stated decibel scale.
    """
    if units in DB_UNITS:
        return np.asarray(values, np.float32)
    if units in POWER_UNITS:
        power = np.asarray(values, np.float32)
    elif units == "amplitude":
        power = np.square(np.asarray(values, np.float32))
    elif units == "complex":
        values = np.asarray(values)
        power = (np.square(values.real) + np.square(values.imag)).astype(np.float32)
    else:
        raise ValueError(_no_db(units))
    decibels = np.maximum(power, np.float32(POWER_FLOOR))
    np.log10(decibels, out=decibels)
    decibels *= np.float32(10.0)
    return decibels


def from_db(decibels: NDArray, units: str) -> NDArray[np.float32]:
    """Inverse of `to_db` for every real unit.

    Raises:
        ValueError: `units` is `complex` (the phase is lost), `uint8` or unknown.
    """
    decibels = np.asarray(decibels, np.float32)
    if units in DB_UNITS:
        return decibels
    if units in POWER_UNITS:
        return np.power(np.float32(10.0), decibels / 10.0)
    if units == "amplitude":
        return np.power(np.float32(10.0), decibels / 20.0)
    raise ValueError("complex pixels cannot be rebuilt from decibels" if units == "complex" else _no_db(units))


def convert(values: NDArray, source: str, target: str) -> NDArray:
    """Values of unit `source` in unit `target`.

    sigma0 and gamma0 differ by the cosine of the local incidence angle, which a raster does not carry, so they are
    not converted into each other.

    Raises:
        ValueError: the conversion does not exist.
    """
    if source == target:
        return values
    if {source.removesuffix("_db"), target.removesuffix("_db")} == {"sigma0", "gamma0"}:
        raise ValueError("sigma0 and gamma0 differ by the incidence angle: calibrate to the one that is needed")
    return from_db(to_db(values, source), target)


def apply_gain(values: NDArray[np.float32], units: str, gain_db: float | NDArray) -> NDArray[np.float32]:
    """Values after a calibration gain of `gain_db` decibels; 8-bit stretches are taken to span 30 dB."""
    if units in DB_UNITS:
        return values + np.float32(gain_db)
    if units == "uint8":
        return values + np.float32(gain_db) * np.float32(255.0 / UINT8_SPAN_DB)
    exponent = 10.0 if units in POWER_UNITS else 20.0
    return values * np.power(10.0, np.asarray(gain_db) / exponent).astype(np.float32)


def check_units(values: NDArray, units: str, dtype: np.dtype | str | None = None) -> None:
    """Refuse values that contradict their declared units.

    Args:
        values: a sample of valid pixels, any shape.
        units: the declared SAR units.
        dtype: the raster's own data type, when `values` were converted from it.

    Raises:
        ValueError: one line that says what was found and which units would fit.
    """
    if units not in SAR_UNITS:
        raise ValueError(f"unknown units {units!r}; known: {', '.join(SAR_UNITS)}")
    if values.size == 0:
        raise ValueError("holds no valid pixel")
    is_complex = np.iscomplexobj(values)
    if is_complex != (units == "complex"):
        found = "complex" if is_complex else "real"
        raise ValueError(f"units are declared as {units} but the pixels are {found}")
    if is_complex:
        return
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    span = f"0.5 % to 99.5 % of the pixels lie in {low:.4g}..{high:.4g}"
    if units in DB_UNITS and (low < -60.0 or high > 30.0 or str(dtype or values.dtype).startswith("uint")):
        raise ValueError(f"units are declared as {units} but {span}: decibels of backscatter lie in -60..+30")
    if units in (*POWER_UNITS, "amplitude") and float(values.min()) < 0.0:
        raise ValueError(f"units are declared as {units} but {span} with negative values: are these decibels?")
    if units == "uint8" and (low < 0.0 or float(values.max()) > 255.0):
        raise ValueError(f"units are declared as uint8 but {span}")


def _no_db(units: str) -> str:
    if units == "uint8":
        return "an 8-bit stretch has no stated decibel scale"
    return f"unknown units {units!r}; known: {', '.join(SAR_UNITS)}"
