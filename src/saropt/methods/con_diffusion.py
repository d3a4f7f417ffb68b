"""Conditional diffusion (Bai, Pu & Xu, "Conditional Diffusion for SAR to Optical Image Translation", IEEE GRSL 2023).

A guided-diffusion U-Net sees x_t and the noise-free source side by side and predicts the noise, under a linear
schedule of 2000 times; loss E |eps - eps(x_t, source, t)|^2 over uniform t (Ho et al., 2020, eq. 14). Samples come from
250 respaced ancestral steps with the large variance, or from DDIM, with the source at every step. Predicting v or x_0,
and a schedule whose x_T holds nothing of the image, are options (docs/methods/con-diffusion.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from saropt.domain import SAR_TO_OPTICAL, Direction, Role
from saropt.methods.base import Batch, MethodConfig, OneDirection, Update
from saropt.methods.registry import register
from saropt.networks import DiffusionUNet, build_network, diffuse, regression_target


class ConDiffusionConfig(MethodConfig):
    """Config of `con-diffusion`; defaults are the paper's.

    Attributes:
        network_arguments: sizes, schedule, prediction and sampler (`saropt.networks.DiffusionUNet`).
    """

    direction: Direction = SAR_TO_OPTICAL
    network: Literal["diffusion_unet"] = "diffusion_unet"
    network_arguments: dict = Field(default_factory=dict)
    learning_rate: float = Field(1e-4, gt=0.0)
    weight_decay: float = Field(0.0, ge=0.0)


@register("con-diffusion", paper="Bai, Pu & Xu, IEEE Geoscience and Remote Sensing Letters, 2023")
class ConDiffusion(OneDirection):
    """A diffusion model of the target, conditioned on the source.

    >>> network = {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": ()}
    >>> method = ConDiffusion(ConDiffusionConfig(network_arguments=network), {"sar": 1, "optical": 3})
    >>> list(method.generators())
    [Direction('sar2opt')]
    """

    config_type = ConDiffusionConfig
    generator: DiffusionUNet

    def __init__(self, config: ConDiffusionConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        network = build_network(config.network, *self.channels(config.direction), **config.network_arguments)
        self.generator = cast("DiffusionUNet", network)
        self.prediction, self.schedule = self.generator.prediction, self.generator.schedule

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        optimizer = AdamW(self.generator.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        return {"generator": optimizer}

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        yield "generator", {self.prediction: diffusion_loss(self.generator, *batch.pair(self.config.direction))}


def diffusion_loss(network: DiffusionUNet, source: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of what the network predicts of targets (N, C, H, W) under noise of random times.

    >>> network = DiffusionUNet(1, 3, width=8, multipliers=(1, 2), blocks=1, attention=())
    >>> diffusion_loss(network, torch.zeros(1, 1, 16, 16), torch.zeros(1, 3, 16, 16)).shape
    torch.Size([])
    """
    schedule = network.schedule
    time = torch.randint(len(schedule.signal), (len(target),), device=target.device)
    signal = torch.from_numpy(schedule.signal).to(target)[time, None, None, None]
    noise = torch.randn_like(target)
    output = network(torch.cat([diffuse(target, noise, signal), source], dim=1), time)
    return functional.mse_loss(output, regression_target(network.prediction, target, noise, signal))
