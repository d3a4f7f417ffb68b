"""The words that all rooms share: roles of images, and directions of translation (no other room is needed)."""

from saropt.domain.directions import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction
from saropt.domain.roles import Quantity, Role, RoleInfo, describe_role, is_sar, list_roles, register_role

__all__ = [
    "OPTICAL_TO_SAR",
    "SAR_TO_OPTICAL",
    "Direction",
    "Quantity",
    "Role",
    "RoleInfo",
    "describe_role",
    "is_sar",
    "list_roles",
    "register_role",
]
