"""Units of pixels, in one list: a new SAR unit is one line here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Scale = Literal["decibels", "power", "amplitude", "complex", "stretch", "reflectance", "height"]
"""How a number relates to what was measured. `complex` pixels have power as their squared modulus; `stretch` is an
8-bit picture whose scale the publisher did not state."""


@dataclass(frozen=True)
class Plausible:
    """Which numbers pixels of a scale can be.

    Attributes:
        possible: a single value outside is no measurement.
        median: the median of an image lies inside.
        highest: at most 0.5 % of an image lie above.

    >>> describe_units("sigma0_db").plausible().median
    (-60.0, 0.0)
    """

    possible: tuple[float, float]
    median: tuple[float, float]
    highest: float

    def times(self, factor: float) -> Plausible:
        """The same of values multiplied by a factor."""
        (least, most), (low, high) = self.possible, self.median
        return Plausible((factor * least, factor * most), (factor * low, factor * high), factor * self.highest)


_INFINITE: Final = float("inf")
_PLAUSIBLE: Final[dict[Scale, Plausible]] = {
    "decibels": Plausible((-120.0, 60.0), (-60.0, 0.0), 30.0),
    "power": Plausible((-1.0, 1e6), (1e-6, 10.0), 1e3),
    "amplitude": Plausible((0.0, 1e3), (1e-3, 10.0**0.5), 10.0**1.5),
    "complex": Plausible((0.0, 1e3), (1e-3, 10.0**0.5), 10.0**1.5),
    "stretch": Plausible((0.0, 255.0), (0.0, 255.0), 255.0),
    "reflectance": Plausible((-0.5, 10.0), (-0.1, 1.5), 4.0),
    "height": Plausible((-12e3, 9e3), (-12e3, 9e3), 9e3),
}
"""Calibrated backscatter has a median in -60..+10 dB, and 99.5 % of it lie below +30 dB; of complex pixels the modulus
counts."""
_UNCALIBRATED: Final = Plausible((0.0, _INFINITE), (0.0, _INFINITE), _INFINITE)


@dataclass(frozen=True)
class Unit:
    """A unit of pixels.

    Attributes:
        name: as it stands in dataset.yaml, in cards and after `--units`.
        scale: how the numbers relate to backscatter or reflectance.
        calibration: of calibrated backscatter, what it is per unit area of: "sigma0" (ground) or "gamma0" (the plane
            across the line of sight). The two differ by the incidence angle and are not converted into each other.
        factor: of reflectance, what it is multiplied by; of heights, how many of the unit are a metre.

    >>> Unit("sigma0_db", "decibels", "sigma0").scale
    'decibels'
    """

    name: str
    scale: Scale
    calibration: str | None = None
    factor: float = 1.0

    def plausible(self, calibrated: bool = True) -> Plausible:
        """Which numbers the pixels can be.

        Args:
            calibrated: of amplitude and complex pixels, whether their square is backscatter; without calibration it is
                so up to a constant.

        >>> describe_units("reflectance x 10000").plausible().median
        (-1000.0, 15000.0)
        """
        if self.scale in ("amplitude", "complex") and not calibrated:
            return _UNCALIBRATED
        return _PLAUSIBLE[self.scale].times(self.factor)


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
_FOOT: Final = 1 / 0.3048
_LENGTHS: Final = (
    dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0)
    | dict.fromkeys(("ft", "foot", "feet"), _FOOT)
    | {"km": 1e-3, "dm": 10.0, "cm": 100.0, "mm": 1000.0}
)


def describe_units(name: str, dtype: str | None = None) -> Unit:
    """What is known of units by name.

    Optical units are free text in data roots: a text with "10000" is reflectance times 10,000, "reflectance" is
    reflectance itself, units of length are of heights, and other texts of 8-bit rasters are an 8-bit picture.

    Args:
        dtype: data type of the raster, by name; None where it does not matter.

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
    if (factor := _LENGTHS.get(name.strip().lower())) is not None:
        return Unit(name, "height", factor=factor)
    if dtype == "uint8":
        return Unit(name, "stretch")
    raise ValueError(f"unknown units {name!r}; known: {', '.join(SAR_UNITS)}")


_CALIBRATION: Final = re.compile(r"(?<![A-Z0-9])(SIGMA|GAMMA|BETA)[ _-]?(?:0|NOUGHT|NAUGHT)(?![A-Z0-9])")
_UNCALIBRATED_WORD: Final = re.compile(r"(?<![A-Z0-9])(AMPLITUDE|INTENSITY)(?![A-Z0-9])")
_DECIBELS: Final = re.compile(r"(?<![A-Z0-9])DB(?![A-Z0-9])")


def named_quantity(names: Sequence[str]) -> str | None:
    """What names of SAR bands say that the pixels are: a SAR unit, or a quantity that is none, such as beta0 or
    intensity (power without calibration); several joined by "and". None where they say nothing.

    >>> [named_quantity([name]) for name in ("Sigma0_VV", "Sigma0_VV_db", "Beta0_VV", "VV amplitude", "VV")]
    ['sigma0', 'sigma0_db', 'beta0', 'amplitude', None]
    >>> named_quantity(["Sigma0_VV", "Gamma0_VH"])
    'gamma0 and sigma0'
    """
    found = set()
    for name in names:
        text = name.upper()
        if (match := _CALIBRATION.search(text)) is not None:
            quantity = f"{match[1].lower()}0"
        elif (match := _UNCALIBRATED_WORD.search(text)) is not None:
            quantity = match[1].lower()
        else:
            continue
        found.add(f"{quantity}_db" if _DECIBELS.search(text) else quantity)
    return " and ".join(sorted(found)) or None
