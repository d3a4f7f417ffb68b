"""pix2pix (Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017).

loss_G = BCE(D(x, G(x)), 1) + 100 L1(G(x), y); the discriminator, conditioned on x, steps first
with half the sum of its two terms. The published code keeps dropout and batch statistics on at test time; a
translator file is run with dropout off and the running statistics, so that a scene does not change from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.domain import SAR_TO_OPTICAL, Direction, Role
from saropt.losses import gan_loss
from saropt.methods.base import Batch, MethodConfig, OneDirection, Update, frozen
from saropt.methods.discriminator_terms import discriminator_losses
from saropt.methods.registry import register
from saropt.networks import PatchGAN, build_network


class Pix2PixConfig(MethodConfig):
    """Config of `pix2pix`; defaults are the paper's."""

    direction: Direction = SAR_TO_OPTICAL
    network: str = "unet_256"
    network_arguments: dict = Field(default_factory=dict)
    discriminator_width: int = Field(64, ge=1)
    discriminator_norm: Literal["batch", "instance", "none"] = "batch"
    gan_mode: Literal["vanilla", "lsgan"] = "vanilla"
    lambda_l1: float = Field(100.0, ge=0.0)
    learning_rate: float = Field(2e-4, gt=0.0)
    beta1: float = Field(0.5, ge=0.0, lt=1.0)
    decay_from: float = Field(0.5, ge=0.0, le=1.0)


@register("pix2pix", paper="Isola et al., CVPR 2017")
class Pix2Pix(OneDirection):
    """Conditional GAN with L1, one direction.

    >>> method = Pix2Pix(Pix2PixConfig(network_arguments={"width": 2}), {"sar": 1, "optical": 3})
    >>> sorted(method.optimizers())
    ['discriminator', 'generator']
    """

    config_type = Pix2PixConfig

    def __init__(self, config: Pix2PixConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        self.generator = build_network(config.network, *self.channels(config.direction), **config.network_arguments)
        self.discriminator = PatchGAN(
            sum(self.channels(config.direction)), config.discriminator_width, norm=config.discriminator_norm
        )

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        return {
            name: Adam(network.parameters(), lr=config.learning_rate, betas=(config.beta1, 0.999))
            for name, network in networks.items()
        }

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        """Constant, then linear to zero from `decay_from` on (the code's 100 + 100 epochs)."""
        start = self.config.decay_from
        return 1.0 if progress < start else max(0.0, (1.0 - progress) / max(1.0 - start, 1e-9))

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        config = self.config
        source, target = batch.pair(config.direction)
        fake = self.generator(source)
        real_pair, fake_pair = (torch.cat([source, image], dim=1) for image in (target, fake))
        real_half, fake_half = discriminator_losses(self.discriminator, real_pair, fake_pair, config.gan_mode)
        yield "discriminator", {"real": real_half, "fake": fake_half}
        with frozen(self.discriminator):
            logits = self.discriminator(fake_pair)[-1]
            yield (
                "generator",
                {
                    "gan": gan_loss(logits, True, config.gan_mode),
                    "l1": config.lambda_l1 * functional.l1_loss(fake, target),
                },
            )
