"""Tiny training configurations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from saropt.data import DataRoot
from saropt.training import TrainingConfig

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "networks")]

NETWORK = {"width": 8, "encoder": [1], "decoder": [1], "middle": 1, "unshuffle": 2}
CYCLE = {"network_arguments": {"width": 4, "blocks": 1}, "discriminator_width": 4}
CONTRAST = {"network_arguments": {"width": 4, "blocks": 5}, "discriminator_width": 4, "projection_width": 8}
METHODS = {
    "con-diffusion": {
        "network_arguments": {
            **{"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [], "heads": 2},
            **{"times": 20, "steps": 2, "sampler": "ddim"},
        }
    },
    "bridge": {
        "network_arguments": {"width": 8, "encoder": [1], "middle": 1, "decoder": [1]},
        "discriminator_width": 4,
        "adversarial_start": 0.5,
    },
    "regression": {"network_arguments": NETWORK},
    "compact": {"network_arguments": NETWORK, "discriminator_width": 4, "adversarial_start": 0.5, "penalty_every": 2},
    "pix2pix": {"network": "naf_unet", "network_arguments": NETWORK, "discriminator_width": 4},
    "cyclegan": {**CYCLE, "pool_size": 5},
    "sgcl": {**CONTRAST, "pool_size": 5, "guidance": "kmeans", "classes": 3},
    "shift-cyclegan": {**CYCLE, "pool_size": 5},
    "tuigan": {"scales": 3, "width": 4, "inner_steps": 1},
    "cut": CONTRAST,
    "fastcut": CONTRAST,
    "qs-attn": CONTRAST,
    "unet-dsd": {"network": "naf_unet", "network_arguments": NETWORK, "semantic_arguments": {"width": 4}},
    "cran": {"network_arguments": {"width": 2}, "discriminator_width": 4},
    "cran-refine": {"discriminator_width": 4},
}


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
