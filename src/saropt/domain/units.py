"""Units of pixels, in one list: a new SAR unit is one line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Scale = Literal["decibels", "power", "amplitude", "complex", "stretch", "reflectance"]
"""How a number relates to what was measured. `complex` pixels have power as their squared modulus; `stretch` is an
8-bit picture whose scale the publisher did not state."""


@dataclass(frozen=True)
class Unit:
    """A unit of pixels.

    Attributes:
        name: as it stands in dataset.yaml, in cards and after `--units`.
        scale: how the numbers relate to backscatter or reflectance.
        calibration: of calibrated backscatter, what it is per unit area of: "sigma0" (ground) or "gamma0" (the plane
            across the line of sight). The two differ by the incidence angle and are not converted into each other.
        factor: of reflectance, what it is multiplied by.

    >>> Unit("sigma0_db", "decibels", "sigma0").scale
    'decibels'
    """

    name: str
    scale: Scale
    calibration: str | None = None
    factor: float = 1.0


_SAR: Final = (
    Unit("sigma0_db", "decibels", "sigma0"),
    Unit("gamma0_db", "decibels", "gamma0"),
    Unit("sigma0", "power", "sigma0"),
    Unit("gamma0", "power", "gamma0"),
    Unit("amplitude", "amplitude"),
    Unit("uint8", "stretch"),
    Unit("complex", "complex"),
)
SAR_UNITS: Final[tuple[str, ...]] = tuple(unit.name for unit in _SAR)
_BY_NAME: Final = {unit.name: unit for unit in _SAR}


def describe_units(name: str) -> Unit:
    """What is known of units by name.

    Optical units are free text in data roots: a text with "10000" is reflectance times 10,000, "reflectance" is
    reflectance itself.

    Raises:
        ValueError: the units are unknown; the message lists the SAR units.

    >>> describe_units("sigma0_db").scale
    'decibels'
    >>> describe_units("surface reflectance x 10000").factor
    10000.0
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if "10000" in name:
        return Unit(name, "reflectance", factor=10000.0)
    if name == "reflectance":
        return Unit(name, "reflectance")
    raise ValueError(f"unknown units {name!r}; known: {', '.join(SAR_UNITS)}")
