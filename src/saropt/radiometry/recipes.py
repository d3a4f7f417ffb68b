"""Normalisation recipes: how pixel values become network values in [-1, 1], and back.

A recipe is a small frozen value that travels in the translator file. `recipe.fit(...)` adds the statistics that it
needs from one scene (estimated from a bounded sample) and gives a `Normaliser`, which is a pure pixelwise function:
every tile of a scene is normalised alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from saropt.domain import SAR_UNITS, Scale, Unit, describe_units
from saropt.radiometry.units import POWER_FLOOR, from_db, to_db

Statistics = tuple[float, ...]
_ZERO_AMPLITUDE = 1.001 * POWER_FLOOR**0.5


@dataclass(frozen=True)
class Recipe(ABC):
    """Base of all recipes; subclasses are registered under their `kind`.

    >>> DbClip(low=-25.0).to_dict()
    {'kind': 'db_clip', 'low': -25.0, 'high': 5.0}
    """

    kind: ClassVar[str]
    accepts: ClassVar[tuple[Scale, ...] | None] = None
    """Scales of the units that the recipe can take; None for any (optical recipes do not look at units)."""
    absolute: ClassVar[bool] = False
    """Whether amplitude and complex pixels must be calibrated, because the recipe takes decibels as they are."""
    _kinds: ClassVar[dict[str, type[Recipe]]] = {}

    def __init_subclass__(cls) -> None:
        Recipe._kinds[cls.kind] = cls

    @property
    def needs_statistics(self) -> bool:
        """Whether the recipe takes statistics from a scene; otherwise it is the same function for all scenes."""
        return type(self).statistics is not Recipe.statistics

    def statistics(self, sample: NDArray, units: str, dtype: str) -> Statistics:
        """Per-band scene statistics from a sample (C, n) of valid pixels; empty when the recipe needs none."""
        return ()

    @abstractmethod
    def forward(self, values: NDArray, units: str, statistics: Statistics) -> NDArray[np.float32]:
        """Values (C, h, w) in `units` as network values in [-1, 1]."""

    @abstractmethod
    def inverse(self, network: NDArray[np.float32], units: str, statistics: Statistics) -> NDArray[np.float32]:
        """Network values (C, h, w) in `units`; exact where `forward` did not clip."""

    def fit(self, sample: NDArray, units: str, dtype: np.dtype | str) -> Normaliser:
        """Bind the recipe to one scene.

        Args:
            sample: (C, n) valid pixels of the scene in `units`.
            units: the scene's units.
            dtype: the raster's own data type, by name.

        Raises:
            ValueError: the recipe does not take these units, or the statistics cannot be had.
        """
        if self.accepts is not None and (units not in SAR_UNITS or describe_units(units).scale not in self.accepts):
            taken = [name for name in SAR_UNITS if describe_units(name).scale in self.accepts]
            raise ValueError(f"the recipe takes {' or '.join(taken)}, not {units}")
        return Normaliser(self, units, self.statistics(sample, units, str(dtype)))

    def unit_of(self, units: str, dtype: str) -> Unit | None:
        """What the recipe takes values of these units for; None where nothing is known of them."""
        try:
            return describe_units(units, dtype)
        except ValueError:
            return None

    @abstractmethod
    def span(self, units: str) -> str:
        """What [-1, 1] spans of values in these units, in words, so that figures can be told to be on one scale."""

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}


def recipe_from_dict(data: dict[str, Any]) -> Recipe:
    """The recipe that `to_dict` wrote.

    Raises:
        ValueError: unknown kind or arguments.

    >>> recipe_from_dict({"kind": "db_clip", "low": -25.0, "high": 0.0})
    DbClip(low=-25.0, high=0.0)
    """
    arguments = dict(data)
    kind = arguments.pop("kind", None)
    if kind not in Recipe._kinds:
        raise ValueError(f"unknown recipe {kind!r}; known: {', '.join(sorted(Recipe._kinds))}")
    try:
        return Recipe._kinds[kind](**arguments)
    except TypeError as error:
        raise ValueError(f"recipe {kind!r}: {error}") from error


@dataclass(frozen=True)
class Normaliser:
    """A recipe bound to the units and statistics of one scene.

    >>> Normaliser(DbClip(-30.0, 0.0), "sigma0_db").forward(np.array([[[-30.0, -15.0, 0.0]]])).ravel().tolist()
    [-1.0, 0.0, 1.0]
    """

    recipe: Recipe
    units: str
    statistics: Statistics = ()

    def forward(self, values: NDArray) -> NDArray[np.float32]:
        """Values (C, h, w) as network values in [-1, 1], float32."""
        return self.recipe.forward(values, self.units, self.statistics)

    def inverse(self, network: NDArray[np.float32]) -> NDArray[np.float32]:
        """Network values (C, h, w) in the scene's units, float32."""
        return self.recipe.inverse(network, self.units, self.statistics)


@dataclass(frozen=True)
class EightBit(Recipe):
    """y = x / 127.5 - 1 (as the pix2pix and CycleGAN code does).

    >>> EightBit().forward(np.array([0.0, 127.5, 255.0]), "uint8", ()).tolist()
    [-1.0, 0.0, 1.0]
    """

    kind: ClassVar[str] = "eight_bit"

    def unit_of(self, units: str, dtype: str) -> Unit | None:
        return Unit(units, "stretch")

    def span(self, units: str) -> str:
        return "0..255"

    def forward(self, values: NDArray, units: str, statistics: Statistics) -> NDArray[np.float32]:
        return np.clip(np.asarray(values, np.float32) / 127.5 - 1.0, -1.0, 1.0)

    def inverse(self, network: NDArray[np.float32], units: str, statistics: Statistics) -> NDArray[np.float32]:
        return _from_network(network, 0.0, 255.0)


@dataclass(frozen=True)
class Reflectance(Recipe):
    """Optical reflectance stored as reflectance * `scale`; [0, `high`] becomes [-1, 1].

    >>> Reflectance().forward(np.array([0.0, 2000.0, 4000.0]), "reflectance_10000", ()).tolist()
    [-1.0, 0.0, 1.0]
    """

    scale: float = 10000.0
    high: float = 0.4
    kind: ClassVar[str] = "reflectance"

    def __post_init__(self) -> None:
        if not (self.scale > 0.0 and self.high > 0.0):
            raise ValueError(f"scale {self.scale} and high {self.high} must be positive")

    def unit_of(self, units: str, dtype: str) -> Unit | None:
        known = super().unit_of(units, "")
        return (
            known
            if known is not None and known.scale == "reflectance"
            else Unit(units, "reflectance", None, self.scale)
        )

    def span(self, units: str) -> str:
        return f"reflectance 0..{self.high:g}"

    def taking(self, units: str, own: str) -> Reflectance:
        """The recipe for values in other units of reflectance than its `own`."""
        given, usual = Recipe.unit_of(self, units, ""), Recipe.unit_of(self, own, "")
        if given is None or given.scale != "reflectance" or units == own:
            return self
        factor = usual.factor if usual is not None and usual.scale == "reflectance" else self.scale
        return replace(self, scale=self.scale * given.factor / factor)

    def forward(self, values: NDArray, units: str, statistics: Statistics) -> NDArray[np.float32]:
        return _to_network(np.asarray(values, np.float32), 0.0, self.scale * self.high)

    def inverse(self, network: NDArray[np.float32], units: str, statistics: Statistics) -> NDArray[np.float32]:
        return _from_network(network, 0.0, self.scale * self.high)


@dataclass(frozen=True)
class DbClip(Recipe):
    """Decibels clipped to [`low`, `high`] and mapped to [-1, 1]; takes every unit that has decibels.

    An 8-bit stretch (`uint8`) is taken to span the recipe's own [`low`, `high`].

    >>> DbClip(-20.0, 0.0).forward(np.array([[[0.01, 0.1, 1.0]]]), "sigma0", ()).ravel().tolist()
    [-1.0, 0.0, 1.0]
    """

    low: float = -30.0
    high: float = 5.0
    kind: ClassVar[str] = "db_clip"
    absolute: ClassVar[bool] = True
    accepts: ClassVar[tuple[Scale, ...]] = ("decibels", "power", "amplitude", "complex", "stretch")

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} dB must be below high {self.high} dB")

    def span(self, units: str) -> str:
        return "0..255" if units == "uint8" else f"{self.low:g}..{self.high:g} dB"

    def forward(self, values: NDArray, units: str, statistics: Statistics) -> NDArray[np.float32]:
        if units == "uint8":
            return _to_network(np.asarray(values, np.float32), 0.0, 255.0)
        return _to_network(to_db(values, units), self.low, self.high)

    def inverse(self, network: NDArray[np.float32], units: str, statistics: Statistics) -> NDArray[np.float32]:
        if units == "uint8":
            return _from_network(network, 0.0, 255.0)
        return from_db(_from_network(network, self.low, self.high), units)


@dataclass(frozen=True)
class Q99Amplitude(Recipe):
    """Amplitude over its `quantile` in the scene, clipped at 1; on a linear or a decibel scale.

    An 8-bit amplitude raster is taken to be stretched that way already (255 is the quantile), as in the Los Angeles
    pairs. With `scale="db"` 20 log10 of the ratio, clipped to [`floor_db`, 0], is mapped to [-1, 1].

    >>> recipe = Q99Amplitude(quantile=0.5, scale="linear")
    >>> recipe.statistics(np.array([[1.0, 2.0, 3.0]]), "amplitude", "float32")
    (2.0,)
    """

    quantile: float = 0.99
    scale: str = "db"
    floor_db: float = -36.0
    kind: ClassVar[str] = "q99_amplitude"
    accepts: ClassVar[tuple[Scale, ...]] = ("decibels", "power", "amplitude", "complex")

    def __post_init__(self) -> None:
        if self.scale not in ("db", "linear"):
            raise ValueError(f"scale must be db or linear, not {self.scale!r}")
        if not 0.0 < self.quantile <= 1.0 or not self.floor_db < 0.0:
            raise ValueError(f"quantile {self.quantile} must lie in (0, 1] and floor_db {self.floor_db} below 0")

    def span(self, units: str) -> str:
        if self.scale == "linear":
            return f"amplitude 0..its {self.quantile:.0%} quantile"
        return f"{self.floor_db:g}..0 dB of the {self.quantile:.0%} quantile"

    def statistics(self, sample: NDArray, units: str, dtype: str) -> Statistics:
        if units == "amplitude" and dtype == "uint8":
            return (255.0,) * len(sample)
        amplitude = _amplitude(sample, units)
        quantiles = np.quantile(amplitude, self.quantile, axis=1)
        if not np.all(quantiles > 0.0):
            raise ValueError(f"the {self.quantile:.0%} quantile of the amplitude is zero: nothing to normalise by")
        return tuple(float(q) for q in quantiles)

    def forward(self, values: NDArray, units: str, statistics: Statistics) -> NDArray[np.float32]:
        ratio = _amplitude(values, units) / _per_band(statistics, values)
        if self.scale == "linear":
            return np.clip(ratio * 2.0 - 1.0, -1.0, 1.0)
        return _to_network(to_db(ratio, "amplitude"), self.floor_db, 0.0)

    def inverse(self, network: NDArray[np.float32], units: str, statistics: Statistics) -> NDArray[np.float32]:
        if self.scale == "linear":
            ratio = (np.clip(network, -1.0, 1.0) + 1.0) / 2.0
        else:
            ratio = from_db(_from_network(network, self.floor_db, 0.0), "amplitude")
        amplitude = ratio * _per_band(statistics, network)
        return amplitude if units == "amplitude" else from_db(to_db(amplitude, "amplitude"), units)


@dataclass(frozen=True)
class MultipleOfMean(Recipe):
    """CRAN's normalisation (Fu et al. 2021, eq. 5-6): x over `factor` times the mean of the non-zero pixels.

    y = 2 min(x / (factor * mean), 1) - 1. Zeros count in no unit; in decibels they are -100 dB and below. The paper
    prints factor = 2000, which would map a whole image to -1 and is read as a lost decimal point; the default 3
    saturates 0.09 % of single-look Rayleigh amplitude.

    >>> recipe = MultipleOfMean()
    >>> recipe.statistics(np.array([[0.0, 2.0, 4.0]]), "amplitude", "float32")
    (3.0,)
    >>> recipe.forward(np.array([[[0.0, 4.5, 9.0]]]), "amplitude", (3.0,)).ravel().tolist()
    [-1.0, 0.0, 1.0]
    """

    factor: float = 3.0
    kind: ClassVar[str] = "multiple_of_mean"
    accepts: ClassVar[tuple[Scale, ...]] = ("decibels", "power", "amplitude", "complex", "stretch")

    def __post_init__(self) -> None:
        if not 0.0 < self.factor <= 50.0:
            raise ValueError(f"factor {self.factor} would leave the image without contrast; 2 to 3 is usual")

    def span(self, units: str) -> str:
        return f"0..{self.factor:g} times the mean"

    def statistics(self, sample: NDArray, units: str, dtype: str) -> Statistics:
        return tuple(float(band.mean(dtype=np.float64)) for band in _present(sample, units))

    def forward(self, values: NDArray, units: str, statistics: Statistics) -> NDArray[np.float32]:
        return _multiples(values, units, self.factor, statistics)

    def inverse(self, network: NDArray[np.float32], units: str, statistics: Statistics) -> NDArray[np.float32]:
        return _of_multiples(network, units, self.factor, statistics)


@dataclass(frozen=True)
class MultipleOfQuantile(Recipe):
    """Amplitude, or a stretch of 8 bits, over `factor` times its `quantile` in the scene; zeros do not count.

    For images whose stretch is not known: a high quantile moves less with the share of water than the mean does, so
    water is at the same level in every scene.

    >>> recipe = MultipleOfQuantile(quantile=0.5)
    >>> recipe.statistics(np.array([[0, 40, 80, 160]]), "uint8", "uint8")
    (80.0,)
    >>> recipe.forward(np.array([[[0, 80, 200]]]), "uint8", (80.0,)).ravel().tolist()
    [-1.0, 0.0, 1.0]
    """

    quantile: float = 0.9
    factor: float = 2.0
    kind: ClassVar[str] = "multiple_of_quantile"
    accepts: ClassVar[tuple[Scale, ...]] = MultipleOfMean.accepts

    def __post_init__(self) -> None:
        if not 0.0 < self.quantile <= 1.0 or not 0.0 < self.factor <= 50.0:
            raise ValueError(f"quantile {self.quantile} must lie in (0, 1] and factor {self.factor} in (0, 50]")

    def span(self, units: str) -> str:
        return f"0..{self.factor:g} times the {self.quantile:.0%} quantile"

    def statistics(self, sample: NDArray, units: str, dtype: str) -> Statistics:
        return tuple(float(np.quantile(band, self.quantile)) for band in _present(sample, units))

    def forward(self, values: NDArray, units: str, statistics: Statistics) -> NDArray[np.float32]:
        return _multiples(values, units, self.factor, statistics)

    def inverse(self, network: NDArray[np.float32], units: str, statistics: Statistics) -> NDArray[np.float32]:
        return _of_multiples(network, units, self.factor, statistics)


def _present(sample: NDArray, units: str) -> list[NDArray[np.float32]]:
    """The amplitude of each band of a sample (C, n) without zeros, which in decibels are -100 dB and below."""
    amplitude = _amplitude(sample, units)
    # in units that go through decibels a zero has become the floor
    present = amplitude > (0.0 if units in ("amplitude", "uint8", "complex") else _ZERO_AMPLITUDE)
    if not np.all(present.any(axis=1)):
        raise ValueError("a band holds only zeros: nothing to normalise by")
    return [band[mask] for band, mask in zip(amplitude, present, strict=True)]


def _multiples(values: NDArray, units: str, factor: float, statistics: Statistics) -> NDArray[np.float32]:
    """Network values of amplitudes over `factor` times the level of their band, clipped at 1."""
    ratio = _amplitude(values, units) / (np.float32(factor) * _per_band(statistics, values))
    return np.clip(2.0 * ratio - 1.0, -1.0, 1.0)


def _of_multiples(network: NDArray, units: str, factor: float, statistics: Statistics) -> NDArray[np.float32]:
    ratio = (np.clip(network, -1.0, 1.0) + 1.0) / 2.0
    amplitude = ratio * np.float32(factor) * _per_band(statistics, network)
    return amplitude if units in ("amplitude", "uint8") else from_db(to_db(amplitude, "amplitude"), units)


def _amplitude(values: NDArray, units: str) -> NDArray[np.float32]:
    if units in ("amplitude", "uint8"):
        return np.asarray(values, np.float32)
    if units == "complex":
        return np.abs(values).astype(np.float32)
    return from_db(to_db(values, units), "amplitude")


def _per_band(statistics: Statistics, like: NDArray) -> NDArray[np.float32]:
    return np.asarray(statistics, np.float32).reshape(-1, *(1,) * (like.ndim - 1))


def _to_network(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    network = values - np.float32(low)
    network *= np.float32(2.0 / (high - low))
    network -= np.float32(1.0)
    return np.clip(network, -1.0, 1.0, out=network)


def _from_network(network: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    values = np.clip(network, -1.0, 1.0)
    values += np.float32(1.0)
    values *= np.float32((high - low) / 2.0)
    values += np.float32(low)
    return values
