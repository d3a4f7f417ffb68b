"""Configurations of version 1, whose keys named the SAR and the optical side: run folders and presets that have them
are read for ever."""

from __future__ import annotations

from typing import Any

_KEYS = {
    f"{role}_{old}": (new, role)
    for old, new in (("split", "splits"), ("bands", "bands"), ("recipe", "recipes"))
    for role in ("sar", "optical")
}


def upgrade_data(values: Any) -> Any:
    """A section `data` with mappings by role (`bands`, `recipes`, `splits`) in place of the keys of version 1.

    Where both a key of version 1 and a new one name a role, the old key wins: it was given later, by `--set`.

    >>> upgrade_data({"crop": 64, "sar_bands": ["VV"], "optical_bands": None, "sar_split": "val"})
    {'crop': 64, 'splits': {'sar': 'val'}, 'bands': {'sar': ['VV']}}
    """
    if not isinstance(values, dict) or not _KEYS.keys() & values.keys():
        return values
    upgraded = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for old, (new, role) in _KEYS.items():
        if old not in upgraded:
            continue
        value = upgraded.pop(old)
        section = upgraded.setdefault(new, {}) if value is not None else upgraded.get(new)
        if not isinstance(section, dict):
            continue
        if value is None:
            section.pop(role, None)
        else:
            section[role] = value
    return upgraded


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """A whole configuration whose section `data` has the current keys."""
    return {**values, "data": upgrade_data(values["data"])} if "data" in values else values
