"""Exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

States = dict[str, dict[str, Tensor]]
"""Weights of the networks that are shipped, by name; a generator's name is its direction."""


class WeightAverage:
    """Averaged copies of the states of networks; decay warms up as (1 + s) / (10 + s).

    Integer buffers are copied, not averaged.

    Args:
        modules: networks by name.
        decay: of the average; at 0 there are no copies, and the average is the networks' own weights.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self._modules = {str(name): module for name, module in modules.items()}
        self.decay = decay
        self.steps = 0
        self._copies = copy_states(self._own()) if decay > 0.0 else None

    @property
    def states(self) -> States:
        """The averaged weights, not to be changed."""
        return self._own() if self._copies is None else self._copies

    @torch.no_grad()
    def update(self) -> None:
        """Take the networks' present weights into the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        if self._copies is None:
            return
        for name, module in self._modules.items():
            averaged = self._copies[name]
            for key, value in module.state_dict().items():
                if value.is_floating_point():
                    averaged[key].lerp_(value, 1.0 - decay)
                else:
                    averaged[key].copy_(value)

    def restart(self, states: States | None = None, steps: int = 0) -> None:
        """Begin a new average at the networks' present weights, or go on with one that was saved."""
        self.steps = steps
        if self._copies is not None:
            self._copies = copy_states(self._own()) if states is None else states

    @contextmanager
    def in_networks(self) -> Iterator[None]:
        """The networks hold the averaged weights inside the block."""
        if self._copies is None:
            yield
            return
        saved = copy_states(self._own())
        self._load(self._copies)
        try:
            yield
        finally:
            self._load(saved)

    def _own(self) -> States:
        return {name: dict(module.state_dict()) for name, module in self._modules.items()}

    def _load(self, states: States) -> None:
        for name, module in self._modules.items():
            module.load_state_dict(states[name])


def copy_states(states: States) -> States:
    """Copies of the weights, without gradients."""
    return {name: {key: value.detach().clone() for key, value in state.items()} for name, state in states.items()}
