"""The words that all rooms share: roles of images, directions of translation, band names and units (no numpy)."""

from saropt.domain.bands import (
    PAULI_COMPONENTS,
    POLARISATIONS,
    arrange_bands,
    canonical_band,
    described_bands,
    is_known,
    listed,
    match_bands,
    match_some_bands,
    polarisation_in,
    replaced_bands,
    rgb_bands,
)
from saropt.domain.directions import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction
from saropt.domain.roles import Quantity, Role, RoleInfo, describe_role, is_sar, list_roles, register_role
from saropt.domain.scene_inputs import (
    SCENE_INPUTS,
    check_scene_input,
    encode_scene_inputs,
    known_scene_inputs,
    scene_bands,
    season,
)
from saropt.domain.units import SAR_UNITS, Plausible, Scale, Unit, describe_units, named_quantity

__all__ = [
    "OPTICAL_TO_SAR",
    "PAULI_COMPONENTS",
    "POLARISATIONS",
    "SAR_TO_OPTICAL",
    "SAR_UNITS",
    "SCENE_INPUTS",
    "Direction",
    "Plausible",
    "Quantity",
    "Role",
    "RoleInfo",
    "Scale",
    "Unit",
    "arrange_bands",
    "canonical_band",
    "check_scene_input",
    "describe_role",
    "describe_units",
    "described_bands",
    "encode_scene_inputs",
    "is_known",
    "is_sar",
    "known_scene_inputs",
    "list_roles",
    "listed",
    "match_bands",
    "match_some_bands",
    "named_quantity",
    "polarisation_in",
    "register_role",
    "replaced_bands",
    "rgb_bands",
    "scene_bands",
    "season",
]
