"""Translator files that a method starts from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from saropt.artifacts import DirectionCard, blend, load_weights
from saropt.errors import InputError
from saropt.methods.base import Direction
from saropt.networks import build_network


class Start:
    """A `.safetensors` translator file whose networks a method takes over.

    Args:
        path: the file.
        bands: "sar" and "optical" -> number of bands of the data.
        realism: blend of the file's two ends; the card's own when None.

    Raises:
        InputError: no such file, or other band counts.
    """

    def __init__(self, path: str, bands: Mapping[str, int], realism: float | None = None) -> None:
        self.path = path
        self.card, weights = load_weights(path)
        held = {role: len(image.bands) for role, image in self.card.images.items()}
        if held != bands:
            here, there = ("{sar} SAR and {optical} optical".format(**counts) for counts in (bands, held))
            raise InputError(path, f"translates between {there} bands, the data have {here}")
        self._weights = blend(weights, self.card.realism if realism is None else realism)

    def described(self, direction: Direction) -> DirectionCard:
        """What the card says of a direction.

        Raises:
            InputError: the file lacks it.
        """
        if direction not in self.card.directions:
            raise InputError(self.path, f"translates {', '.join(self.card.directions)}, not {direction}")
        return self.card.directions[direction]

    def network(self, direction: Direction) -> nn.Module:
        """The network of a direction with its weights.

        Raises:
            InputError: the file lacks the direction, or its weights do not fit its card.
        """
        described, prefix = self.described(direction), f"{direction}."
        channels = described.channels
        state = {k.removeprefix(prefix): torch.from_numpy(v) for k, v in self._weights.items() if k.startswith(prefix)}
        try:
            network = build_network(described.network, *channels, **described.arguments)
            network.load_state_dict(state)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(self.path, f"its weights do not fit its card: {str(error).splitlines()[0]}") from error
        return network
