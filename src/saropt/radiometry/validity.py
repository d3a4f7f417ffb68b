"""Whether numbers can be what their units say: the bulk of an image decides on the units, each pixel on itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from saropt.domain import SAR_UNITS, Unit, are_of_landsat, describe_units

_FEW = 0.005
_NEARLY_ALL = 0.999
_REPEATED = 0.002
_ALONE_DB = 3.0
_LOWEST_LAND_M = -500.0
_LANDSAT_ZERO = 6500.0
"""Of Collection 2, 7273 stands for no reflectance."""


@dataclass(frozen=True)
class ValueRule:
    """Which values are measurements.

    Attributes:
        unit: units of the values; None where nothing is known of them.
        dtype: stored type of the raster, by name.
        calibrated: see `saropt.domain.Unit.plausible`.
        fill: further values that are no measurement.
        all_bands: whether a fill value counts only where all bands have it.

    >>> ValueRule.of("sigma0", "float32").measured(np.array([[[0.0, 0.1, np.nan, -9999.0]]]))
    array([[False,  True, False, False]])
    """

    unit: Unit | None
    dtype: str = ""
    calibrated: bool = False
    fill: tuple[float, ...] = ()
    all_bands: bool = False

    @classmethod
    def of(cls, units: str, dtype: str) -> ValueRule:
        """The rule of units by name; without effect where they are unknown."""
        try:
            return cls(describe_units(units, dtype), dtype)
        except ValueError:
            return cls(None, dtype)

    @property
    def zero_is_fill(self) -> bool:
        """Whether exactly 0 is no measurement: in power, amplitude and complex pixels, unless they are 8-bit pictures,
        where dark pixels are rounded to 0."""
        return self.unit is not None and self.unit.scale in ("power", "amplitude", "complex") and self.dtype != "uint8"

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value that a measurement of the stored type can have."""
        low, high = (-np.inf, np.inf) if self.unit is None else self.unit.plausible(self.calibrated).possible
        if not self.is_whole:
            return low, high
        kind = np.iinfo(self.dtype)
        return max(low, kind.min), min(high, kind.max)

    @property
    def is_whole(self) -> bool:
        """Whether the stored type holds whole numbers."""
        return self.dtype.startswith(("uint", "int"))

    def kept_measured(self, values: NDArray) -> NDArray:
        """Values (C, ...) that were computed of measurements, so that they stay such: none is beyond the limits, and
        no pixel of reflectance in whole numbers is 0 in all bands, which is fill.

        >>> rule = ValueRule.of("reflectance x 10000", "uint16")
        >>> rule.kept_measured(np.array([[-9.0, 7.0], [0.0, 70000.0]])).tolist()
        [[1.0, 7.0], [1.0, 65535.0]]
        """
        values = values.clip(*self.limits)
        if self.unit is not None and self.unit.scale == "reflectance" and self.is_whole:
            values[:, (values == 0).all(axis=0)] = 1
        return values

    def with_fill(self, value: float, all_bands: bool = False) -> ValueRule:
        """The rule with one more fill value."""
        return replace(self, fill=(*self.fill, value), all_bands=all_bands)

    def measured(self, values: NDArray) -> NDArray[np.bool_]:
        """(...) of values (C, ...): whether all bands hold a measurement."""
        keep = np.ones(values.shape[1:], bool)
        numbers = np.abs(values) if np.iscomplexobj(values) else values
        low, high = (-np.inf, np.inf) if self.unit is None else self.unit.plausible(self.calibrated).possible
        for band in numbers:
            if numbers.dtype.kind == "f" and not np.isfinite(high):
                keep &= np.isfinite(band)
            if self.zero_is_fill:
                keep &= band != 0
            if self.unit is not None and numbers.dtype != np.uint8:
                keep &= band >= low
                keep &= band <= high
        for value in self.fill:
            differs = values != value
            keep &= differs.any(axis=0) if self.all_bands else differs.all(axis=0)
        return keep


def repeated_value(sample: NDArray, rule: ValueRule) -> float | None:
    """A value that is so often repeated in a band of a sample (C, n) that it may be fill; None where there is none.

    Speckle makes equal measurements rare, and whole decibels have others near them. So has a limit to which values were
    clipped, which is no fill. In bands that hold one value each nothing is repeated.

    >>> sample = np.append(np.random.default_rng(0).normal(-15, 3, 1000), np.zeros(100))[None]
    >>> repeated_value(sample, ValueRule.of("sigma0_db", "float64"))
    0.0
    """
    unit = rule.unit
    if unit is None or unit.scale in ("complex", "stretch") or not sample.size:
        return None
    if unit.scale == "height":
        return most_common_outside(sample, _LOWEST_LAND_M * unit.factor, np.inf)
    if unit.scale == "reflectance":
        return 0.0 if float((sample == 0).all(axis=0).mean()) > _REPEATED else None
    if rule.is_whole and unit.scale != "decibels":
        return 0.0 if float((sample == 0).mean()) > _REPEATED else None
    if bool((sample == sample[:, :1]).all()):
        return None
    found: dict[float, int] = {}
    for band in sample:
        values, counts = np.unique(band, return_counts=True)
        few = np.minimum(counts, band.size - counts) // 20
        alone = (values == 0.0) | ((counts >= 64) & (_counts_near(values, counts, unit) <= few))
        found |= {
            float(values[at]): int(counts[at]) for at in np.flatnonzero(alone & (counts >= _REPEATED * band.size))
        }
    return max(found, key=found.__getitem__, default=None)


def most_common_outside(values: NDArray, low: float, high: float) -> float | None:
    """The most frequent value outside limits, where it may be fill; None where there is none.

    >>> most_common_outside(np.append(np.arange(1000.0), np.full(100, -9999.0)), -500, 9000)
    -9999.0
    """
    found, counts = np.unique(values[(values < low) | (values > high)], return_counts=True)
    common = counts.size and counts.max() >= max(_REPEATED * values.size, 2)
    return float(found[counts.argmax()]) if common else None


def _counts_near(values: NDArray, counts: NDArray, unit: Unit) -> NDArray:
    """How many pixels lie within 3 dB of each of these different values, which are sorted, without its own."""
    values = values.astype(np.float64)
    if unit.scale == "decibels":
        edges = values - _ALONE_DB, values + _ALONE_DB
    else:
        ratio = 10.0 ** (_ALONE_DB / (10.0 if unit.scale == "power" else 20.0))
        edges = np.minimum(values / ratio, values * ratio), np.maximum(values / ratio, values * ratio)
    below = np.append(0, np.cumsum(counts))
    return below[np.searchsorted(values, edges[1], "right")] - below[np.searchsorted(values, edges[0])] - counts


def fitting_units(values: NDArray, dtype: np.dtype | str | None = None) -> list[str]:
    """The SAR units that a sample of valid pixels, any shape, can be in, as far as `check_units` says; none where it is
    empty.

    >>> fitting_units(np.random.default_rng(0).normal(-12, 4, 1000))
    ['sigma0_db', 'gamma0_db']
    """
    found = []
    for units in SAR_UNITS if values.size else ():
        try:
            check_units(values, units, dtype)
        except ValueError:
            continue
        found.append(units)
    return found


def check_units(
    values: NDArray,
    units: str | Unit,
    dtype: np.dtype | str | None = None,
    *,
    calibrated: bool = False,
    stated: bool = True,
    names: Sequence[str] = (),
) -> None:
    """Refuse values that contradict their declared units. The bulk of the values decides; few impossible ones do not.

    Args:
        values: a sample of valid pixels, any shape.
        units: the declared units.
        dtype: the raster's own data type, when `values` were converted from it.
        calibrated: of amplitude and complex pixels, whether their square must be backscatter.
        stated: whether a person or the file states the units; for the error.
        names: of the bands, where they are known: those of Landsat may be without scale and offset.

    Raises:
        ValueError: one line that says what was found and what these units hold.

    >>> check_units(np.linspace(0, 3500, 1000), "uint8")
    Traceback (most recent call last):
    ...
    ValueError: units are declared as uint8 but 0.5 % to 99.5 % of the pixels lie in 17.5..3483: 8 bits hold 0..255
    """
    stored = str(dtype or values.dtype)
    unit = units if isinstance(units, Unit) else describe_units(units, stored)
    if values.size == 0:
        raise ValueError("holds no valid pixel")
    if np.iscomplexobj(values) != (unit.scale == "complex"):
        found = "complex" if np.iscomplexobj(values) else "real"
        raise ValueError(f"units are declared as {unit.name} but the pixels are {found}")
    numbers = np.abs(values).ravel() if np.iscomplexobj(values) else values.ravel()
    if unit.scale in ("decibels", "power", "amplitude", "complex") and numbers.any():
        numbers = numbers[numbers != 0]
    negative = unit.scale in ("power", "amplitude") and float(np.median(numbers)) < 0.0
    other = _other_reflectance(numbers, unit, stored, names)
    if negative or other or _contradicts(numbers, unit, stored, calibrated):
        low, high = (float(q) for q in np.quantile(numbers, [_FEW, 1.0 - _FEW]))
        span = f"0.5 % to 99.5 % of the pixels lie in {low:.4g}..{high:.4g}"
        why = " with negative values: are these decibels?" if negative else f": {other or _holds(unit, calibrated)}"
        if not stated:
            raise ValueError(f"nothing states its units, and {unit.name} does not fit: {span}{why}")
        raise ValueError(f"units are declared as {unit.name} but {span}{why}")


def _contradicts(numbers: NDArray, unit: Unit, dtype: str, calibrated: bool) -> bool:
    plausible = unit.plausible(calibrated)
    possible = (numbers >= plausible.possible[0]) & (numbers <= plausible.possible[1])
    inside = numbers[possible]
    if not inside.size or _is_scattered(numbers[~possible], numbers.size):
        return True
    middle, high = (float(q) for q in np.quantile(inside, [0.5, 1.0 - _FEW]))
    if not plausible.median[0] <= middle <= plausible.median[1] or high > plausible.highest:
        return True
    if unit.scale == "decibels":
        return dtype.startswith("uint")
    if unit.scale == "stretch":
        return dtype.startswith("float") and high <= 1.5 and bool((numbers != np.rint(numbers)).any())
    return unit.scale == "reflectance" and unit.factor >= 255.0 and high < 2.0


def _other_reflectance(numbers: NDArray, unit: Unit, dtype: str, names: Sequence[str]) -> str | None:
    """What values that are declared as reflectance times a large factor look like instead; None where nothing tells.

    Per cent have fractions and lie in 0..100. Of values times 10,000 only night and the darkest water lie there, and
    those are whole numbers, or about 0."""
    if unit.scale != "reflectance" or unit.factor < 255.0:
        return None
    if dtype == "uint8":
        return "8 bits hold a picture, no reflectance"
    low, high = unit.plausible().possible
    values = numbers[(numbers >= low) & (numbers <= high) & (numbers != 0)]
    if not values.size:
        return None
    if 0.0 < float(np.quantile(values, 1.0 - _FEW)) < 2.0:
        return f"is this reflectance of 0..1? Multiply it by {unit.factor:g}"
    whole = float((values == np.rint(values)).mean())
    if are_of_landsat(names) and whole >= _NEARLY_ALL and float(np.quantile(values, _FEW)) > _LANDSAT_ZERO:
        return "are these numbers of Landsat? Reflectance is 0.0000275 times the number less 0.2"
    inside = float(((values > 0) & (values <= 100)).mean()) >= _NEARLY_ALL
    if inside and dtype.startswith("float") and whole < 0.5 and float(np.median(values)) >= 1.0:
        return f"is this reflectance in per cent? Multiply it by {unit.factor / 100.0:g}"
    return None


def _is_scattered(impossible: NDArray, total: int) -> bool:
    """Whether impossible values are too many and too different to be fill."""
    if impossible.size <= _FEW * total:
        return False
    counts = np.unique(impossible, return_counts=True)[1]
    return int(counts.max()) < 0.9 * impossible.size


def _holds(unit: Unit, calibrated: bool) -> str:
    """What values in these units are, for errors."""
    if unit.scale == "decibels":
        return "decibels of backscatter lie in -60..+30, and most below 0"
    if unit.scale in ("power", "amplitude", "complex"):
        kind = {"power": "backscatter", "amplitude": "its square root", "complex": "its modulus"}[unit.scale]
        low, high = unit.plausible(calibrated).median
        question = "are these digital numbers? saropt data calibrate makes backscatter of products"
        return f"{kind} has a median in {low:g}..{high:.3g}; {question}"
    if unit.scale == "stretch":
        return "8 bits hold 0..255"
    if unit.scale == "height":
        low, high = unit.plausible(calibrated).possible
        return f"heights in {unit.name} lie in {low:g}..{high:g}"
    return f"reflectance times {unit.factor:g} lies in {-0.1 * unit.factor:g}..{1.5 * unit.factor:g}"
