"""SAR units, normalisation recipes, speckle and its filters, polarimetry (numpy only)."""

from saropt.domain import SAR_UNITS
from saropt.radiometry.composite import sar_composite
from saropt.radiometry.filters import FILTERS, SpeckleFilter, edge_preservation, equivalent_looks
from saropt.radiometry.harmonising import gain_and_offset, is_flat, trimmed_gain_and_offset
from saropt.radiometry.noise import position_noise
from saropt.radiometry.polarimetry import PAULI_BANDS, dual_pol_power, pauli_needs, pauli_power, to_colour
from saropt.radiometry.recipes import (
    DbClip,
    EightBit,
    MultipleOfMean,
    MultipleOfQuantile,
    Normaliser,
    Q99Amplitude,
    Recipe,
    Reflectance,
    recipe_from_dict,
)
from saropt.radiometry.speckle import add_speckle, position_speckle_db, speckle_gain_db
from saropt.radiometry.units import (
    RANGES,
    apply_gain,
    convert,
    describe_range,
    from_db,
    from_power,
    to_db,
    to_power,
    to_unit_range,
)
from saropt.radiometry.validity import ValueRule, check_units, fitting_units, most_common_outside, repeated_value

__all__ = [
    "FILTERS",
    "PAULI_BANDS",
    "RANGES",
    "SAR_UNITS",
    "DbClip",
    "EightBit",
    "MultipleOfMean",
    "MultipleOfQuantile",
    "Normaliser",
    "Q99Amplitude",
    "Recipe",
    "Reflectance",
    "SpeckleFilter",
    "ValueRule",
    "add_speckle",
    "apply_gain",
    "check_units",
    "convert",
    "describe_range",
    "dual_pol_power",
    "edge_preservation",
    "equivalent_looks",
    "fitting_units",
    "from_db",
    "from_power",
    "gain_and_offset",
    "is_flat",
    "most_common_outside",
    "pauli_needs",
    "pauli_power",
    "position_noise",
    "position_speckle_db",
    "recipe_from_dict",
    "repeated_value",
    "sar_composite",
    "speckle_gain_db",
    "to_colour",
    "to_db",
    "to_power",
    "to_unit_range",
    "trimmed_gain_and_offset",
]
