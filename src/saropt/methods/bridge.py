"""A few-step bridge from a regression translator to the truth (docs/methods/bridge.md).

Phase 1 is a posterior-mean rectified flow (Ohayon, Michaeli & Elad, ICLR 2025), conditioned on the regression mu and on
the source: the network estimates the truth y at z_t = (1 - t) (mu + sigma eps) + t y; its squared error is weighted by
min(1 / (1 - t)^2, 25), so that it is the error of the velocity up to t = 0.8. Phase 2 rolls out the very Euler steps
that translate, with their gradients, under the pixel, adversarial and feature matching losses of `compact`. The weights
at the end of phase 1 are the fidelity end of the translator file, those of phase 2 the realism end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor

from saropt.artifacts import ImageCard
from saropt.domain import Direction, Role
from saropt.methods.base import Batch, Update
from saropt.methods.compact import Compact, CompactConfig
from saropt.methods.pretrained import PretrainedTranslator, images_of_file
from saropt.methods.registry import register
from saropt.networks import Bridge as BridgeNetwork
from saropt.networks.sampling import draw

LARGEST_WEIGHT = 25.0


class BridgeConfig(CompactConfig):
    """Config of `bridge`.

    Attributes:
        start: translator file (.safetensors) of the regression; its fidelity end is taken where it holds two. With
            `no_band`, one that was trained with it, and with the same `band_difference`.
        network_arguments: of `saropt.networks.Bridge`, without the regressor, which is the file's.
        adversarial_start: share of the training after which phase 2 begins.
    """

    start: str | None = None
    network: Literal["bridge"] = "bridge"
    learning_rate: float = Field(5e-4, gt=0.0)
    adversarial_start: float = Field(0.75, gt=0.0, le=1.0)


@register("bridge", paper="ours: posterior-mean rectified flow from a regression, then a GAN through its few steps")
class Bridge(Compact):
    """Two-phase training of a sampler that starts from a regression's output.

    >>> Bridge.name, Bridge.roles_of(BridgeConfig())
    ('bridge', ('sar', 'optical'))
    """

    config_type = BridgeConfig
    goes_on = False
    config: BridgeConfig

    def __init__(self, config: BridgeConfig, bands: Mapping[Role, int]) -> None:
        if config.scene_inputs:
            raise ValueError("scene_inputs: a bridge takes none; leave them out")
        super().__init__(config, bands)
        self.check_lacks_bands(self._start)
        network = cast("BridgeNetwork", self.generator)
        network.regressor.load_state_dict(self._start.network(config.direction).state_dict())

    @classmethod
    def images_of(cls, config: Any) -> Mapping[Role, ImageCard]:
        return images_of_file(config.start)

    @cached_property
    def _start(self) -> PretrainedTranslator:
        if self.config.start is None:
            raise ValueError("start: name the regression's translator file (.safetensors)")
        return PretrainedTranslator(self.config.start, self.bands, realism=0.0)

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        regression = self._start.described(direction)
        regressor = {"regressor": regression.network, "regressor_arguments": regression.arguments}
        return self.config.network, {**self.config.network_arguments, **regressor}

    def trained_inputs(self) -> Mapping[Role, ImageCard]:
        return self._start.card.images

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        if progress >= self.config.adversarial_start:
            yield from super().updates(batch, progress)
            return
        source, target = self.without_a_band(batch).pair(self.config.direction)
        count = len(target)
        time = (torch.arange(count, device=target.device) + torch.rand(count, device=target.device)) / count
        estimate = self.generator(torch.cat([source, torch.randn_like(target), target], dim=1), time)
        weight = (1.0 - time).pow(-2.0).clamp_max(LARGEST_WEIGHT)
        error = (estimate - target).square().mean(dim=(1, 2, 3))
        yield "generator", {"velocity": (weight * error).mean()}

    def translate(self, source: Tensor) -> Tensor:
        return draw(cast("BridgeNetwork", self.generator), source)
