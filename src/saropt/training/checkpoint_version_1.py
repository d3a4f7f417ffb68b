"""Upgrades checkpoints of version 1, so that old runs can always be resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def upgrade(values: dict[str, Any], score: Callable[[Mapping[str, float]], float]) -> dict[str, Any]:
    """Convert the values of a checkpoint to those of `RunState`; values of the current version are returned unchanged.

    Args:
        values: what the file holds.
        score: of validation figures; lower is better.
    """
    if "network" in values:
        return _upgrade_one_network(values, score)
    values = {"waited": 0, "seconds": 0.0, "figures": {}, "data": None, "data_use": None, "share": None} | values
    if isinstance(values["best"], tuple):
        best_score, states = values["best"]
        values["best"] = {"score": best_score, "states": states, "figures": {}}
    return values


def _upgrade_one_network(values: dict[str, Any], score: Callable[[Mapping[str, float]], float]) -> dict[str, Any]:
    """Of a segmenter or a matcher: its one network and optimizer had no names."""
    best = values["best"]
    if best is not None:
        best = {
            "score": score(best["figures"]),
            "states": {"network": best["state"]},
            "figures": best["figures"],
        }
    return {
        "method": values["method"],
        "step": values["step"],
        "seconds": 0.0,
        "modules": {f"network.{key}": value for key, value in values["network"].items()},
        "optimizers": {"network": values["optimizer"]},
        "average": {"network": values["network"]},
        "average_steps": values["step"],
        "kept": {},
        "best": best,
        "waited": 0,
        "figures": values["figures"],
        "data": None,
        "data_use": None,
        "share": None,
    }
