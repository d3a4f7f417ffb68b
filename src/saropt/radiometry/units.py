"""SAR units and the conversions between them.

Backscatter is carried as power (sigma0 or gamma0, linear), as its decibels, as amplitude (the square root of
power, up to the calibration constant) or as a complex pixel whose squared modulus is power. `uint8` names an
8-bit stretch whose decibel scale the publisher did not state: it converts to nothing else.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from saropt.domain import SAR_UNITS, describe_units

POWER_FLOOR: Final = 1e-10
"""Power below which decibels are not followed (-100 dB): zeros stay finite."""
UINT8_SPAN_DB: Final = 30.0
"""Decibel span assumed for an 8-bit stretch when a gain in dB has to be imitated on it."""
DB_RANGE: Final = (-30.0, 5.0)
RANGES: Final = {
    "8-bit": "value / 255",
    "decibels": "(dB + 30) / 35, clipped; powers, calibrated amplitudes and complex pixels go through decibels",
    "reflectance": "reflectance (x10000: value / 10000), clipped",
}
"""How `to_unit_range` brings values of each kind to [0, 1]."""


def to_db(values: NDArray, units: str) -> NDArray[np.float32]:
    """Decibels 10 log10(power) of values in `units`, same shape; zeros become -100 dB.

    Raises:
        ValueError: `units` is unknown, or is `uint8`, which has no stated decibel scale.

    >>> to_db(np.array([1.0, 0.1]), "sigma0").tolist()
    [0.0, -10.0]
    """
    if describe_units(units).scale == "decibels":
        return np.asarray(values, np.float32)
    power = to_power(values, units)
    decibels = np.maximum(power, np.float32(POWER_FLOOR))
    np.log10(decibels, out=decibels)
    decibels *= np.float32(10.0)
    return decibels


def to_power(values: NDArray, units: str) -> NDArray[np.float32]:
    """Power of values in `units`, same shape: of amplitude and complex pixels up to their calibration constant.

    Raises:
        ValueError: `units` is unknown, or is `uint8`, which has no stated scale.

    >>> to_power(np.array([-10.0, 0.0]), "sigma0_db").round(3).tolist(), to_power(np.array([3.0]), "amplitude").tolist()
    ([0.10000000149011612, 1.0], [9.0])
    """
    scale = describe_units(units).scale
    if scale == "decibels":
        return from_db(values, "sigma0")
    if scale == "power":
        return np.asarray(values, np.float32)
    if scale == "amplitude":
        return np.square(np.asarray(values, np.float32))
    if scale == "complex":
        values = np.asarray(values)
        return (np.square(values.real) + np.square(values.imag)).astype(np.float32)
    raise ValueError(_no_db(units))


def from_power(power: NDArray, units: str) -> NDArray[np.float32]:
    """Inverse of `to_power` for every real unit.

    Raises:
        ValueError: `units` is `complex` (the phase is lost), `uint8` or unknown.

    >>> from_power(np.array([9.0]), "amplitude").tolist(), from_power(np.array([0.1]), "gamma0_db").tolist()
    ([3.0], [-10.0])
    """
    scale = describe_units(units).scale
    if scale == "power":
        return np.asarray(power, np.float32)
    if scale == "amplitude":
        return np.sqrt(np.asarray(power, np.float32))
    return from_db(to_db(power, "sigma0"), units)


def from_db(decibels: NDArray, units: str) -> NDArray[np.float32]:
    """Inverse of `to_db` for every real unit.

    Raises:
        ValueError: `units` is `complex` (the phase is lost), `uint8` or unknown.

    >>> from_db(np.array([0.0, 20.0]), "amplitude").tolist()
    [1.0, 10.0]
    """
    decibels = np.asarray(decibels, np.float32)
    scale = describe_units(units).scale
    if scale == "decibels":
        return decibels
    if scale == "power":
        return np.power(np.float32(10.0), decibels / 10.0)
    if scale == "amplitude":
        return np.power(np.float32(10.0), decibels / 20.0)
    raise ValueError("complex pixels cannot be rebuilt from decibels" if scale == "complex" else _no_db(units))


def convert(values: NDArray, source: str, target: str) -> NDArray:
    """Values of unit `source` in unit `target`.

    sigma0 and gamma0 differ by the cosine of the local incidence angle, which a raster does not carry, so they are
    not converted into each other.

    Raises:
        ValueError: the conversion does not exist.

    >>> convert(np.array([1.0, 0.1]), "sigma0", "sigma0_db").tolist()
    [0.0, -10.0]
    """
    if source == target:
        return values
    calibrations = {describe_units(source).calibration, describe_units(target).calibration} - {None}
    if len(calibrations) > 1:
        raise ValueError("sigma0 and gamma0 differ by the incidence angle: calibrate to the one that is needed")
    return from_db(to_db(values, source), target)


def apply_gain(values: NDArray[np.float32], units: str, gain_db: float | NDArray) -> NDArray[np.float32]:
    """Values after a calibration gain of `gain_db` decibels; 8-bit stretches are taken to span 30 dB.

    >>> apply_gain(np.array([-10.0, -20.0], np.float32), "sigma0_db", 3.0).tolist()
    [-7.0, -17.0]
    """
    scale = describe_units(units).scale
    if scale == "decibels":
        return values + np.float32(gain_db)
    if scale == "stretch":
        return values + np.float32(gain_db) * np.float32(255.0 / UINT8_SPAN_DB)
    exponent = 10.0 if scale == "power" else 20.0
    return values * np.power(10.0, np.asarray(gain_db) / exponent).astype(np.float32)


def to_unit_range(
    values: NDArray[Any], units: str, dtype: np.dtype[Any] | str, declared: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """Values in [0, 1] by the range that is declared for them or else the fixed range of their units (`RANGES`), the
    same for every scene.

    Args:
        values: any shape, in `units`.
        units: SAR units, or the text by which a data root names its optical units.
        dtype: the data type of the raster that `values` come from or are compared with.
        declared: lowest and highest value, in `units`.

    Raises:
        ValueError: the units have no fixed range, as amplitudes without calibration have none.

    >>> to_unit_range(np.array([-30.0, 5.0]), "sigma0_db", "float32")
    array([0., 1.], dtype=float32)
    """
    if declared is not None:
        low, high = declared
        return np.clip((np.asarray(values, np.float32) - low) / (high - low), 0.0, 1.0)
    if np.dtype(dtype) == np.uint8 or units == "uint8":
        return np.clip(np.asarray(values, np.float32) / 255.0, 0.0, 1.0)
    try:
        unit = describe_units(units)
    except ValueError:
        raise ValueError(f"no fixed range to [0, 1] is known for units {units!r} of type {np.dtype(dtype)}") from None
    if unit.scale == "reflectance":
        return np.clip(np.asarray(values, np.float32) / unit.factor, 0.0, 1.0)
    decibels = to_db(values, units)
    low, high = DB_RANGE
    if unit.scale == "amplitude" and decibels.size and float(np.median(decibels)) > high + 10.0:
        raise ValueError("amplitudes without calibration (medians far above 1) have no fixed range to [0, 1]")
    return np.clip((decibels - low) / (high - low), 0.0, 1.0)


def describe_range(units: str, dtype: np.dtype[Any] | str, declared: tuple[float, float] | None = None) -> str:
    """The range of `to_unit_range` in words, so that figures can be told to be on one scale.

    >>> describe_range("sigma0", "float32"), describe_range("reflectance x 10000", "uint16")
    ('-30..5 dB', 'reflectance 0..1')
    """
    if declared is not None:
        return f"{declared[0]:g}..{declared[1]:g}"
    if np.dtype(dtype) == np.uint8 or units == "uint8":
        return "0..255"
    if describe_units(units).scale == "reflectance":
        return "reflectance 0..1"
    return f"{DB_RANGE[0]:g}..{DB_RANGE[1]:g} dB"


def _no_db(units: str) -> str:
    if describe_units(units).scale == "stretch":
        return "an 8-bit stretch has no stated decibel scale"
    return f"{units} is no unit of backscatter; these are: {', '.join(SAR_UNITS)}"
