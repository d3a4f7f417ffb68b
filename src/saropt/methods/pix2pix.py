"""pix2pix (Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017).

loss_G = BCE(D(x, G(x)), 1) + 100 L1(G(x), y); the discriminator, conditioned on x, steps first
with half the sum of its two terms. The published code keeps dropout and batch statistics on at test time; a
translator file is run with dropout off and the running statistics, so that a scene does not change from run to run.

With `discriminator_scales` and `lambda_feature` it has the discriminators and the feature matching loss of pix2pixHD
(Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", CVPR 2018, eq. 3 to 5):
the preset pix2pixhd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.domain import SAR_TO_OPTICAL, Direction, Role
from saropt.losses import feature_matching, gan_loss
from saropt.methods.base import Batch, MethodConfig, OneDirection, Update, frozen
from saropt.methods.registry import register
from saropt.networks import MultiScalePatchGAN, build_network


class Pix2PixConfig(MethodConfig):
    """Config of `pix2pix`; defaults are the paper's.

    Attributes:
        discriminator_scales: discriminators, each on an image of half the size of the one before; losses are summed.
        lambda_feature: weight of feature matching, the mean absolute difference of the discriminators' features of
            truth and translation. The mean is over layers and scales, where pix2pixHD's code sums the four layers: its
            10 is 40.
    """

    direction: Direction = SAR_TO_OPTICAL
    network: str = "unet_256"
    network_arguments: dict = Field(default_factory=dict)
    discriminator_width: int = Field(64, ge=1)
    discriminator_scales: int = Field(1, ge=1)
    discriminator_norm: Literal["batch", "instance", "none"] = "batch"
    gan_mode: Literal["vanilla", "lsgan"] = "vanilla"
    lambda_l1: float = Field(100.0, ge=0.0)
    lambda_feature: float = Field(0.0, ge=0.0)
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
        self.discriminator = MultiScalePatchGAN(
            sum(self.channels(config.direction)),
            config.discriminator_width,
            scales=config.discriminator_scales,
            norm=config.discriminator_norm,
        )

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        return [("discriminator", self.discriminator, sum(self.channels(self.config.direction)))]

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
        judged = self.discriminator(torch.cat([real_pair, fake_pair.detach()]))
        real_logits, fake_logits = zip(*(scale[-1].chunk(2) for scale in judged), strict=True)
        yield "discriminator", {"real": 0.5 * self._gan(real_logits, True), "fake": 0.5 * self._gan(fake_logits, False)}
        with frozen(self.discriminator):
            judged = self.discriminator(fake_pair)
            losses = {
                "gan": self._gan([scale[-1] for scale in judged], True),
                "l1": config.lambda_l1 * functional.l1_loss(fake, target),
            }
            if config.lambda_feature > 0.0:
                with torch.no_grad():
                    real = self.discriminator(real_pair)
                losses["feature"] = config.lambda_feature * feature_matching(judged, real)
            yield "generator", losses

    def _gan(self, logits: Sequence[Tensor], real: bool) -> Tensor:
        """The loss of the logits of all scales against one label."""
        return torch.stack([gan_loss(scale, real, self.config.gan_mode) for scale in logits]).sum()
