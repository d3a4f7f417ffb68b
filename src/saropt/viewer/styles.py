"""How a layer's numbers become colours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saropt.domain import describe_units, rgb_bands
from saropt.domain.stated_units import stated_units
from saropt.domain.units import named_quantity
from saropt.evaluation.gallery import ERROR_TOP
from saropt.radiometry import to_db
from saropt.viewer.catalogue import Layer

Decibels = Literal["amplitude", "power"]
PERCENTILES = (0.0, 0.5, 1.0, 2.0, 5.0, 25.0, 50.0, 75.0, 95.0, 98.0, 99.0, 99.5, 100.0)
Floats = NDArray[np.float32]
_OF_SOURCE = re.compile(r"\b(?:db|power|linear)\b|decibel")


@dataclass(frozen=True)
class Style:
    """How numbers become colours.

    Attributes:
        bands: one band as grey, or three as red, green, blue; numbers from 1.
        low, high: one pair for all bands or one for each; black and full brightness.
        decibels: the numbers are amplitude or power and are shown in dB; all limits are in dB, too.
        least, most: pixels whose first band lies beyond them are transparent.
    """

    bands: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    decibels: Decibels | None = None
    least: float | None = None
    most: float | None = None


def default_style(layer: Layer, percentiles: NDArray[np.float64]) -> Style:
    """Colours as stored for 8-bit optical images, else 2 to 98 % of the pixels; amplitude and power in dB."""
    bands = _default_bands(layer)
    if layer.kind == "error":
        return Style(bands, (0.0,), (ERROR_TOP,))
    if layer.info.dtype == "uint8" and layer.role == "optical":
        return Style(bands, (0.0,), (255.0,))
    decibels = decibels_of(layer) if layer.kind != "product" else None
    chosen = percentiles[[band - 1 for band in bands]]
    low, high = chosen[:, PERCENTILES.index(2.0)], chosen[:, PERCENTILES.index(98.0)]
    if layer.kind == "product":
        low = np.zeros_like(low)
    if decibels is not None:
        floor = chosen[:, PERCENTILES.index(5.0)]
        low = np.where(low > 0, low, floor)
        low, high = (in_db(edge, decibels).astype(np.float64) for edge in (low, high))
    low, high = np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=1.0)
    high = np.where(high > low, high, low + 1.0)
    return Style(bands, tuple(map(float, low)), tuple(map(float, high)), decibels)


def in_db(values: NDArray, decibels: Decibels) -> Floats:
    """Amplitude or power as decibels."""
    return to_db(values, "amplitude" if decibels == "amplitude" else "sigma0")


def decibels_of(layer: Layer) -> Decibels | None:
    """Whether the pixels are amplitude or power, from which decibels follow."""
    try:
        scale = None if layer.units is None else describe_units(layer.units).scale
    except ValueError:
        return None
    return "amplitude" if scale == "amplitude" else "power" if scale == "power" else None


def unit_texts(layer: Layer) -> list[str | None]:
    """What stands behind the numbers of each band: the unit that the file gives for it, else that of the layer's folder
    or tags; None where nothing is known, and of errors, which have none."""
    if layer.kind == "error":
        return [None] * len(layer.info.bands)
    product = "%" if layer.product == "origin" else ""
    info = layer.info
    said = stated_units(info.tags, info.bands if layer.role == "sar" else (), info.dtype)
    tag, *stated = [
        "" if info.dtype == "uint8" and _is_of_source(text) else text
        for text in (info.tags.get("UNITS", ""), *info.band_units)
    ]
    known = product or layer.units or (said and said.units) or tag
    stated = stated if len(stated) == len(info.bands) else [""] * len(info.bands)
    return [_unit_text(unit or known, info.scaling is not None) for unit in stated]


def _is_of_source(units: str) -> bool:
    """Whether 8 bits cannot hold these units, so that they are of what a picture was made of."""
    name = units.strip().lower()
    try:
        if named_quantity([units]) not in (None, "amplitude") or _OF_SOURCE.search(name):
            return True
        return describe_units(name).scale in ("decibels", "power", "reflectance")
    except ValueError:
        return False


def _unit_text(units: str, scaled: bool) -> str | None:
    try:
        unit = describe_units(units)
    except ValueError:
        return units.strip()[:24] or None
    if unit.scale == "reflectance":
        return "reflectance" if unit.factor == 1 or scaled else f"reflectance × {unit.factor:,.0f}"
    return {"decibels": "dB", "stretch": None}.get(unit.scale, unit.name)


def _default_bands(layer: Layer) -> tuple[int, ...]:
    names = layer.info.bands
    if layer.kind in ("product", "error") or len(names) < 3 or layer.role == "sar":
        return (1,)
    found = rgb_bands(names)
    return tuple(place + 1 for place in found) if found != (0, 0, 0) else (1, 2, 3)
