"""The configuration of one run of `saropt segment train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from saropt.files import read_yaml, validated
from saropt.training.config import (
    Bands,
    CardConfig,
    KnownRole,
    Section,
    SupervisedEngineConfig,
    apply_settings,
)


class SegmentationDataConfig(Section):
    """Windows of one role; the keys mean what they mean in `DataConfig`.

    Attributes:
        oversample: name of a class that more windows are to hold.
        oversample_share: share of the windows that hold it for certain.
    """

    crop: int = Field(256, ge=8)
    batch_size: int = Field(8, ge=1)
    bands: Bands | None = None
    recipe: dict[str, Any] | None = None
    flips: bool = True
    sar_gain_db: float = Field(0.0, ge=0.0, le=20.0)
    speckle_probability: float = Field(0.0, ge=0.0, le=1.0)
    optical_gain: float = Field(1.0, ge=1.0, le=4.0)
    oversample: str | None = None
    oversample_share: float = Field(0.5, gt=0.0, le=1.0)


class SegmentationConfig(Section):
    """A whole run.

    Attributes:
        modality: role of the images that are segmented.
        network, arguments: a segmenter (`saropt.networks.list_segmenters`) and its arguments, such as `encoder`.
        optimizer: "adam" at a constant rate, or "sgd" with momentum 0.9 and the rate falling as (1 - progress)^0.9
            (the "poly" policy of DeepLab, Chen et al., arXiv:1606.00915, sec. 4.1).
        learning_rate: 1e-4 for adam and 0.01 for sgd when None.
        class_weights: "none", "inverse" frequency or "median" frequency balancing (`saropt.roots.class_weights`).

    >>> SegmentationConfig(modality="sar", network="unet").optimizer
    'adam'
    """

    modality: KnownRole
    network: str = "deeplabv3"
    arguments: dict[str, Any] = Field(default_factory=dict)
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float | None = Field(None, gt=0.0)
    weight_decay: float = Field(0.0, ge=0.0)
    class_weights: Literal["none", "inverse", "median"] = "none"
    data: SegmentationDataConfig = SegmentationDataConfig()
    engine: SupervisedEngineConfig = SupervisedEngineConfig()
    card: CardConfig = CardConfig()


def read_segmentation_config(
    modality: str | None, network: str | None, path: Path | None, settings: Sequence[str]
) -> SegmentationConfig:
    """The configuration of `saropt segment train`: the file, with the settings of the command line on top.

    Raises:
        InputError: unreadable file, unknown key, unfit value, or no modality anywhere; one line.

    >>> read_segmentation_config("sar", "unet", None, ["engine.max_steps=10"]).engine.max_steps
    10
    """
    values: dict[str, Any] = {} if path is None else read_yaml(path)
    given = {"modality": modality, "network": network}
    values |= {key: value for key, value in given.items() if value is not None}
    apply_settings(values, settings)
    return validated(SegmentationConfig, values, path or "configuration")
