"""Tiny training configurations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from saropt.roots import DataRoot
from saropt.training import TrainingConfig

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "networks")]

from training_runs import METHODS  # noqa: E402


def make_config(method: str = "regression", **changes) -> TrainingConfig:
    """A run of six steps; `arguments`, `data`, `engine` and `card` update its sections."""
    values = {
        "method": method,
        "arguments": METHODS[method],
        "data": {"crop": 64 if method != "regression" else 32, "batch_size": 2, "sar_gain_db": 2.0},
        "engine": {
            "max_steps": 6,
            "log_every": 1,
            "validate_every": 2,
            "validation_windows": 3,
            "sample_every": 3,
            "checkpoint_every": 3,
        },
    }
    for section, update in changes.items():
        values[section] = {**values.get(section, {}), **update}
    return TrainingConfig.model_validate(values)


@pytest.fixture(scope="session")
def new_config():
    """`make_config`."""
    return make_config


@pytest.fixture(scope="session")
def root(db_root: Path) -> DataRoot:
    """The data root in decibels."""
    return DataRoot.open(db_root)
