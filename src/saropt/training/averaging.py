"""Exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from saropt.domain import Direction

States = dict[str, dict[str, Tensor]]
"""Weights of the generator of each direction, by its name."""


class WeightAverage:
    """Averaged copies of the state of the generators; decay warms up as (1 + s) / (10 + s).

    Integer buffers are copied, not averaged.
    """

    def __init__(self, modules: Mapping[Direction, nn.Module], decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.states: States = {str(name): _copy(module.state_dict()) for name, module in modules.items()}

    @torch.no_grad()
    def update(self, modules: Mapping[Direction, nn.Module]) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for name, module in modules.items():
            averaged = self.states[name]
            for key, value in module.state_dict().items():
                if value.is_floating_point():
                    averaged[key].lerp_(value, 1.0 - decay)
                else:
                    averaged[key].copy_(value)

    def restart(self, modules: Mapping[Direction, nn.Module]) -> None:
        """Begin a new average at the modules' present weights."""
        self.steps = 0
        self.states = {str(name): _copy(module.state_dict()) for name, module in modules.items()}


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in state.items()}
