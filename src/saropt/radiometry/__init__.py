"""SAR units, normalisation recipes and speckle (numpy only)."""

from saropt.radiometry.recipes import (
    DbClip,
    EightBit,
    MultipleOfMean,
    Normaliser,
    Q99Amplitude,
    Recipe,
    Reflectance,
    recipe_from_dict,
)
from saropt.radiometry.speckle import add_speckle, speckle_gain_db
from saropt.radiometry.units import SAR_UNITS, apply_gain, check_units, convert, from_db, to_db

__all__ = [
    "SAR_UNITS",
    "DbClip",
    "EightBit",
    "MultipleOfMean",
    "Normaliser",
    "Q99Amplitude",
    "Recipe",
    "Reflectance",
    "add_speckle",
    "apply_gain",
    "check_units",
    "convert",
    "from_db",
    "recipe_from_dict",
    "speckle_gain_db",
    "to_db",
]
