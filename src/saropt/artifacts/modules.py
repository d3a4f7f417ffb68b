"""Builds torch modules from cards and weights (torch is imported when a function is called)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saropt.artifacts.card import Card, MatcherCard, SegmenterCard
from saropt.domain import Direction
from saropt.errors import InputError, OptionError

if TYPE_CHECKING:
    from torch import nn

Weights = Mapping[str, np.ndarray]


def load_translator_module(
    path: str | Path, card: Card, direction: Direction, weights: Weights, steps: int | None = None
) -> nn.Module:
    """The network of one direction of a translator file.

    Args:
        path: the file, for errors.
        card: its card; it must hold the direction.
        direction: the direction.
        weights: one end's weights, with keys `DIRECTION.KEY` (`saropt.artifacts.blend`).
        steps: steps of a sampler; the card's when None.

    Raises:
        InputError: there is no such network, the weights do not fit it, or it cannot take this number of steps.

    >>> from saropt.domain import Direction
    >>> from saropt.inference.bundled import card_of, find_translator
    >>> card = card_of(find_translator("s1-losangeles"))
    >>> load_translator_module("empty.safetensors", card, Direction.parse("sar2opt"), {})
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: empty.safetensors: its weights do not fit its card: Error(s) in loading state_dict for
    NAFUNet:
    """
    from saropt.networks import build_network

    described, prefix = card.directions[direction], f"{direction}."
    arguments = described.arguments if steps is None else {**described.arguments, "steps": steps}

    def build() -> nn.Module:
        try:
            return build_network(described.network, *described.channels, **arguments)
        except ValueError as error:
            raise error if steps is None else OptionError("steps", steps, str(error)) from error

    own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    return _filled(path, build, own)


def load_segmenter_module(path: str | Path, card: SegmenterCard, weights: Weights) -> nn.Module:
    """The network of a segmenter file: images (N, bands, H, W) to logits (N, classes, H, W).

    Raises:
        InputError: there is no such network, or the weights do not fit it.

    >>> from saropt.artifacts import ImageCard, SegmenterCard, TrainingCard
    >>> from saropt.networks import build_segmenter
    >>> image = ImageCard(role="sar", bands=("VV",), units="sigma0_db", dtype="float32", recipe={"kind": "db_clip"})
    >>> training = TrainingCard(data="simulated", split="train", steps=100, seed=0, licence="Apache-2.0")
    >>> fields = {"network": "compact", "stride": 8, "input": image, "gsd_m": 10.0, "training": training}
    >>> card = SegmenterCard(name="land", classes={1: "water", 2: "forest"}, **fields)
    >>> weights = {key: value.numpy() for key, value in build_segmenter("compact", 1, 2).state_dict().items()}
    >>> type(load_segmenter_module("land.safetensors", card, weights)).__name__
    'CompactSegmenter'
    """
    from saropt.networks import build_segmenter

    bands, classes = len(card.input.bands), len(card.classes)
    return _filled(path, lambda: build_segmenter(card.network, bands, classes, **card.arguments), weights)


def load_matcher_module(path: str | Path, card: MatcherCard, weights: Weights) -> nn.Module:
    """The keypoint network of a matcher file.

    Raises:
        InputError: the card's arguments are no network's, or the weights do not fit it.

    >>> from saropt.artifacts import MatcherCard, TrainingCard
    >>> from saropt.networks import KeypointCNN
    >>> training = TrainingCard(data="simulated", split="train", steps=100, seed=0, licence="Apache-2.0")
    >>> card = MatcherCard(name="points", arguments={"width": 8}, receptive_field=65, gsd_m=10.0, training=training)
    >>> weights = {key: value.numpy() for key, value in KeypointCNN(width=8).state_dict().items()}
    >>> type(load_matcher_module("points.safetensors", card, weights)).__name__
    'KeypointCNN'
    """
    from saropt.networks import KeypointCNN

    return _filled(path, lambda: KeypointCNN(**card.arguments), weights)


def _filled(path: str | Path, build: Callable[[], nn.Module], weights: Weights) -> nn.Module:
    import torch

    try:
        module = build()
        module.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise InputError(path, f"its weights do not fit its card: {str(error).splitlines()[0]}") from error
    return module
