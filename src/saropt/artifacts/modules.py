"""From a card and weights to a torch module (needs torch, which is imported when a function is called)."""

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
    """
    from saropt.networks import build_segmenter

    bands, classes = len(card.input.bands), len(card.classes)
    return _filled(path, lambda: build_segmenter(card.network, bands, classes, **card.arguments), weights)


def load_matcher_module(path: str | Path, card: MatcherCard, weights: Weights) -> nn.Module:
    """The keypoint network of a matcher file.

    Raises:
        InputError: the card's arguments are no network's, or the weights do not fit it.
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
