"""The configuration of one run of `saropt match train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from saropt.files import read_yaml, validated
from saropt.training.config import (
    Bands,
    CardConfig,
    KnownRole,
    Section,
    SupervisedEngineConfig,
    apply_settings,
)
from saropt.training.config_version_1 import upgrade, upgrade_data


class MatchingDataConfig(Section):
    """Pairs of windows; keys shared with `DataConfig` mean what they mean there.

    Attributes:
        keypoints: largest number of pseudo-labels per window and image.
        warp: largest shift of a corner of the second window along an axis, as a share of `crop`.
    """

    crop: int = Field(256, ge=32, multiple_of=8)
    batch_size: int = Field(16, ge=1)
    bands: dict[KnownRole, Bands] = Field(default_factory=dict)
    flips: bool = True
    speckle_probability: float = Field(0.0, ge=0.0, le=1.0)
    keypoints: int = Field(300, ge=1)
    warp: float = Field(0.12, ge=0.0, le=0.3)

    _version_1 = model_validator(mode="before")(upgrade_data)


class MatchingConfig(Section):
    """A whole run.

    Attributes:
        width: of the encoder (`saropt.networks.KeypointCNN`).
        learning_rate: of Adam; 1e-4 as in XPoint.
        lambda_detector, lambda_descriptor, lambda_homography: weights of the three losses.
        positive_margin, negative_margin, positive_weight, near: of the descriptor loss.

    >>> MatchingConfig(width=16).learning_rate
    0.0001
    """

    width: int = Field(32, ge=4)
    learning_rate: float = Field(1e-4, gt=0.0)
    lambda_detector: float = Field(1.0, ge=0.0)
    lambda_descriptor: float = Field(1.0, ge=0.0)
    lambda_homography: float = Field(1.0, ge=0.0)
    positive_margin: float = 1.0
    negative_margin: float = 0.2
    positive_weight: float = Field(250.0, gt=0.0)
    near: float = Field(4.0, gt=0.0)
    data: MatchingDataConfig = MatchingDataConfig()
    engine: SupervisedEngineConfig = SupervisedEngineConfig()
    card: CardConfig = CardConfig()


def read_matching_config(path: Path | None, settings: Sequence[str]) -> MatchingConfig:
    """The configuration of `saropt match train`: the file, with the settings of the command line on top.

    Raises:
        InputError: unreadable file, unknown key or unfit value; one line.

    >>> read_matching_config(None, ["width=16"]).width
    16
    """
    values: dict[str, Any] = {} if path is None else upgrade(read_yaml(path))
    apply_settings(values, settings)
    return validated(MatchingConfig, values, path or "configuration")
