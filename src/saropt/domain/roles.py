"""Roles: what an image is for, by name.

A role is a plain string such as "sar" or "optical_reference". It names a folder and an entry of `dataset.yaml` in a
data root, an input or output in a translator's card, and an array in a sample. The set is open: `register_role`
adds one. Other packages add theirs through the entry point group `saropt.roles`, in a module that needs `saropt.domain`
alone: roles are looked up while other rooms are imported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from saropt.registry import Registry

Role = str
Quantity = Literal["backscatter", "reflectance", "classes", "mask", "elevation"]
"""What the pixels of a role measure. It decides which units are checked and how values are normalised and shown."""


@dataclass(frozen=True)
class RoleInfo:
    """What is known of a role.

    Attributes:
        name: the role itself, lower case with underscores.
        title: how people call it, for tables and pages.
        quantity: what its pixels measure.
        short: how `Direction` writes it in file names and report keys.

    >>> RoleInfo("thermal", "thermal", "optical", "thermal").title
    'thermal'
    """

    name: Role
    title: str
    quantity: Quantity
    short: str


_ROLES = Registry[RoleInfo]("role", "saropt.roles")


def register_role(name: Role, title: str, quantity: Quantity, short: str | None = None) -> RoleInfo:
    """Make a role known.

    Args:
        name: lower-case letters, digits and underscores; the digit 2 alone separates inputs and output in directions.
        title: how people call it.
        quantity: what its pixels measure.
        short: name in directions; `name` without underscores when None.

    Raises:
        ValueError: the name is malformed, or another role has it or its short name.

    >>> register_role("night_lights", "night-time lights", "reflectance").short
    'nightlights'
    """
    short = name.replace("_", "") if short is None else short
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not re.fullmatch(r"[a-z]+", short):
        raise ValueError(
            f"role {name!r} (short {short!r}) must be lower-case letters, with digits and _ in the name only"
        )
    info = RoleInfo(name, title, quantity, short)
    known = _ROLES.registered()
    if any(one != info and (one.name == name or one.short == short) for one in known.values()):
        raise ValueError(f"role {name!r} (short {short!r}) is taken")
    if name not in known:
        _ROLES.add(name, info)
    return info


def describe_role(name: Role) -> RoleInfo:
    """What is known of a role.

    Raises:
        ValueError: there is no such role; the message lists the known ones.

    >>> describe_role("sar").quantity
    'backscatter'
    """
    if (known := _ROLES.registered().get(name)) is not None:
        return known
    if name not in _ROLES:
        raise ValueError(f"unknown role {name!r}; known: {', '.join(_ROLES)}")
    return _ROLES[name]


def list_roles() -> list[Role]:
    """Names of all roles, in the order in which they were registered.

    >>> list_roles()[:2]
    ['sar', 'optical']
    """
    return list(_ROLES)


def is_sar(role: Role) -> bool:
    """Whether the pixels of a role are radar backscatter, so that SAR units hold for them.

    Raises:
        ValueError: there is no such role.

    >>> is_sar("sar_reference"), is_sar("optical")
    (True, False)
    """
    return describe_role(role).quantity == "backscatter"


register_role("sar", "SAR", "backscatter")
register_role("optical", "optical", "reflectance", short="opt")
register_role("sar_reference", "earlier SAR", "backscatter", short="sarref")
register_role("optical_reference", "earlier optical", "reflectance", short="optref")
register_role("optical_reference_2", "optical of a further date", "reflectance", short="optrefb")
register_role("mask", "mask", "mask")
register_role("dem", "elevation model", "elevation")
register_role("label", "class labels", "classes")
register_role("origin", "map of origin", "mask")
