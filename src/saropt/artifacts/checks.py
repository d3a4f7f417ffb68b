"""What the fields of a card may be, beyond their types."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from saropt.domain import SAR_UNITS, Role, describe_units, is_sar
from saropt.radiometry import Recipe, recipe_from_dict

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Stride = Annotated[int, Field(ge=1, le=1024)]
ReceptiveField = Annotated[int, Field(ge=1, le=8192)]
"""A window is as large, at least; of what a larger one needs no machine has the memory."""
OUTPUT_TYPES = ("uint8", "uint16", "uint32", "int16", "int32", "float32", "float64")
"""Data types of the rasters that a run writes."""
_SATURATED = 1.5
"""How far beyond its type a recipe may reach: that of 8-bit reflectance does, whose pixels end at 1 (`check_units`)."""
_FEWEST_STEPS = 10


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be one line of printable text")
    return value


def _known_type(value: str) -> str:
    try:
        known = np.dtype(value).kind in ("u", "i", "f", "c")
    except (TypeError, ValueError, SyntaxError):
        known = False
    if not known:
        raise ValueError(f"{value!r} is no data type of pixels")
    return value


def _known_recipe(value: dict[str, Any]) -> dict[str, Any]:
    recipe_from_dict(value)
    for name, number in value.items():
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"{name} {number} is not finite")
    return value


def _known_product(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", value):
        raise ValueError(f"{value!r} is no name of a product: one word")
    return value


OneLine = Annotated[str, AfterValidator(_one_line)]
PixelType = Annotated[str, AfterValidator(_known_type)]
RecipeFields = Annotated[dict[str, Any], AfterValidator(_known_recipe)]
ProductName = Annotated[str, AfterValidator(_known_product)]


def check_image(role: Role, bands: Sequence[str], units: str, recipe: Mapping[str, Any]) -> None:
    """Check that the fields of an image go together.

    Optical units are free text, as in data roots.

    Raises:
        ValueError: a band stands twice, or the units are none of the role or of the recipe.

    >>> check_image("sar", ["VV"], "bananas", {"kind": "db_clip"})
    Traceback (most recent call last):
    ...
    ValueError: units 'bananas' are none of SAR; known: sigma0_db, gamma0_db, sigma0, gamma0, amplitude, uint8, complex
    """
    if len(set(bands)) < len(bands):
        raise ValueError(f"bands {', '.join(bands)}: one stands twice")
    if is_sar(role) and units not in SAR_UNITS:
        raise ValueError(f"units {units!r} are none of SAR; known: {', '.join(SAR_UNITS)}")
    accepts = recipe_from_dict(dict(recipe)).accepts
    if accepts is not None and (units not in SAR_UNITS or describe_units(units).scale not in accepts):
        raise ValueError(f"recipe {recipe['kind']} does not take {units}")


def check_output(dtype: str, units: str, bands: int, recipe: Mapping[str, Any], statistics: Sequence[float]) -> None:
    """Check that a network's values can be written as an image: data type, units, statistics and range of the recipe.

    Raises:
        ValueError: they cannot.

    >>> check_output("complex64", "complex", 1, {"kind": "db_clip"}, ())
    Traceback (most recent call last):
    ...
    ValueError: complex64 is not written; outputs are uint8, uint16, uint32, int16, int32, float32, float64
    """
    if np.dtype(dtype).name not in OUTPUT_TYPES:
        raise ValueError(f"{dtype} is not written; outputs are {', '.join(OUTPUT_TYPES)}")
    if units == "complex":
        raise ValueError("complex pixels are not written")
    if recipe_from_dict(dict(recipe)).needs_statistics and len(statistics) != bands:
        raise ValueError(
            f"recipe {recipe['kind']} needs a statistic for each of the {bands} bands, not {len(statistics)}"
        )
    if np.dtype(dtype).kind in "iu":
        _check_range(np.dtype(dtype), units, recipe_from_dict(dict(recipe)), tuple(statistics))


def _check_range(dtype: np.dtype, units: str, recipe: Recipe, statistics: tuple[float, ...]) -> None:
    """Refuse an integer type in which an image would be saturated, or be left without steps."""
    if recipe.needs_statistics and units not in ("amplitude", "uint8"):
        return
    limits, ends = np.iinfo(dtype), np.array([[-1.0, 1.0]], np.float32)
    found = np.array(statistics or recipe.inverse(ends, units, ()), np.float64)
    low, high = (0.0 if recipe.needs_statistics else float(found.min())), float(found.max())
    gives = f"the recipe gives {low:.4g}..{high:.4g} in {units}"
    if low < limits.min or high > _SATURATED * limits.max:
        raise ValueError(f"{dtype} holds {limits.min}..{limits.max}, {gives}")
    if not recipe.needs_statistics and high - low < _FEWEST_STEPS:
        raise ValueError(f"{dtype} holds whole numbers only, {gives}")
