"""Upgrades cards of format version 1 to version 2, so that published files can always be read.

Version 1 had one image description for each of the two sides, `sar` and `optical`, and directions named sar2opt and
opt2sar; segmenters named their side `modality`.
"""

from __future__ import annotations

from typing import Any

_SIDES = {"sar2opt": ("sar", "optical"), "opt2sar": ("optical", "sar")}


def upgrade(values: Any) -> Any:
    """The fields of a version 1 card of any kind, converted to version 2. Fields that do not fit are kept, for
    validation to report.

    >>> upgrade({"kind": "segmenter", "modality": "sar", "input": {"bands": ["VV"]}})["input"]
    {'role': 'sar', 'bands': ['VV']}
    """
    if not isinstance(values, dict):
        return values
    upgraded = {**values, "format_version": 2}
    kind = values.get("kind", "translator")
    if kind == "segmenter":
        upgraded["input"] = _with_role(upgraded.pop("modality", None), values.get("input"))
    elif kind == "translator":
        sides = {side: upgraded.pop(side, None) for side in ("sar", "optical")}
        directions = values.get("directions")
        if isinstance(directions, dict):
            upgraded["directions"] = {name: _with_images(name, entry, sides) for name, entry in directions.items()}
    return upgraded


def _with_images(name: str, entry: Any, sides: dict[str, Any]) -> Any:
    if name not in _SIDES or not isinstance(entry, dict):
        return entry
    source, target = _SIDES[name]
    return {
        **entry,
        "inputs": [_with_role(source, sides[source])],
        "outputs": [_with_role(target, sides[target])],
    }


def _with_role(role: Any, side: Any) -> Any:
    return {"role": role, **side} if isinstance(side, dict) else side
