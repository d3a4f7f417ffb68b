"""The words that all rooms share: roles of images, directions of translation, band names and units (no numpy)."""

from saropt.domain.bands import (
    PAULI_COMPONENTS,
    POLARISATIONS,
    canonical_band,
    is_known,
    match_bands,
    match_some_bands,
    rgb_bands,
)
from saropt.domain.directions import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction
from saropt.domain.roles import Quantity, Role, RoleInfo, describe_role, is_sar, list_roles, register_role
from saropt.domain.units import SAR_UNITS, Plausible, Scale, Unit, describe_units

__all__ = [
    "OPTICAL_TO_SAR",
    "PAULI_COMPONENTS",
    "POLARISATIONS",
    "SAR_TO_OPTICAL",
    "SAR_UNITS",
    "Direction",
    "Plausible",
    "Quantity",
    "Role",
    "RoleInfo",
    "Scale",
    "Unit",
    "canonical_band",
    "describe_role",
    "describe_units",
    "is_known",
    "is_sar",
    "list_roles",
    "match_bands",
    "match_some_bands",
    "register_role",
    "rgb_bands",
]
