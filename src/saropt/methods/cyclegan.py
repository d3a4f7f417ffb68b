"""CycleGAN (Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017).

loss_G = GAN(D_opt(G(sar))) + GAN(D_sar(F(opt))) + 10 L1(F(G(sar)), sar) + 10 L1(G(F(opt)), opt)
       + 5 L1(G(opt), opt) + 5 L1(F(sar), sar); then both discriminators step on pooled fakes, half the sum of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction, Role
from saropt.losses import gan_loss
from saropt.methods.bands import adapt_bands
from saropt.methods.base import Batch, Method, MethodConfig, Update, frozen
from saropt.methods.discriminator_terms import discriminator_losses
from saropt.methods.image_pool import ImagePool
from saropt.methods.learning_rates import epoch_decay
from saropt.methods.registry import register
from saropt.networks import PatchGAN, build_network


class CycleGANConfig(MethodConfig):
    """Config of `cyclegan`; defaults are the paper's.

    Attributes:
        lambda_cycle: weight of both cycle losses.
        lambda_identity: weight of the identity losses relative to `lambda_cycle`; 0 leaves them out. Where the
            two roles have different band counts, the identity image enters the generator through `adapt_bands`:
            averaged from many bands to few, repeated from few to many.
        pool_size: generated images that each discriminator's history holds.
        constant_epochs, decay_epochs: shape of the learning rate schedule, `epoch_decay`.
    """

    network: str = "resnet"
    network_arguments: dict = Field(default_factory=dict)
    discriminator_width: int = Field(64, ge=1)
    discriminator_norm: Literal["batch", "instance", "none"] = "instance"
    gan_mode: Literal["lsgan", "vanilla"] = "lsgan"
    lambda_cycle: float = Field(10.0, ge=0.0)
    lambda_identity: float = Field(0.5, ge=0.0)
    pool_size: int = Field(50, ge=0)
    learning_rate: float = Field(2e-4, gt=0.0)
    beta1: float = Field(0.5, ge=0.0, lt=1.0)
    constant_epochs: int = Field(100, ge=0)
    decay_epochs: int = Field(100, ge=0)


@dataclass(frozen=True)
class Cycle:
    """What one step translates, and the features that the passes left at the method's taps.

    Attributes:
        sar_features, optical_features: of the real images, in the generators that translate them.
        fake_sar_features, fake_optical_features: of the fakes, in the generators that take them back.
        identity_sar_features, identity_optical_features: of the real images, in the generators that keep them.
    """

    fake_optical: Tensor
    fake_sar: Tensor
    cycled_sar: Tensor
    cycled_optical: Tensor
    identity_optical: Tensor | None
    identity_sar: Tensor | None
    sar_features: list[Tensor]
    optical_features: list[Tensor]
    fake_sar_features: list[Tensor]
    fake_optical_features: list[Tensor]
    identity_sar_features: list[Tensor]
    identity_optical_features: list[Tensor]


@register("cyclegan", paper="Zhu et al., ICCV 2017")
class CycleGAN(Method):
    """Two generators, two discriminators, cycle consistency; both directions, no pairs needed.

    >>> config = CycleGANConfig(network_arguments={"width": 8}, discriminator_width=8)
    >>> method = CycleGAN(config, {"sar": 1, "optical": 3})
    >>> sorted(method.optimizers())
    ['discriminators', 'generators']
    """

    config_type = CycleGANConfig
    config: CycleGANConfig
    unpaired = True
    taps: tuple[int, ...] = ()
    """Layers of the generators whose features `translate` keeps."""

    def __init__(self, config: CycleGANConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        self.sar2opt, self.opt2sar = (self._build(direction) for direction in (SAR_TO_OPTICAL, OPTICAL_TO_SAR))
        width, norm = config.discriminator_width, config.discriminator_norm
        self.optical_discriminator = PatchGAN(bands["optical"], width, norm=norm)
        self.sar_discriminator = PatchGAN(bands["sar"], width, norm=norm)
        self.optical_pool = ImagePool(config.pool_size)
        self.sar_pool = ImagePool(config.pool_size)

    def _build(self, direction: Direction) -> nn.Module:
        network, arguments = self.network_of(direction)
        return build_network(network, *self.channels(direction), **arguments)

    def generators(self) -> dict[Direction, nn.Module]:
        return {SAR_TO_OPTICAL: self.sar2opt, OPTICAL_TO_SAR: self.opt2sar}

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        return self.config.network, self.config.network_arguments

    def optimizers(self) -> dict[str, Optimizer]:
        groups = {
            "generators": (self.sar2opt, self.opt2sar),
            "discriminators": (self.optical_discriminator, self.sar_discriminator),
        }
        return {
            name: Adam(
                [p for network in networks for p in network.parameters()],
                lr=self.config.learning_rate,
                betas=(self.config.beta1, 0.999),
            )
            for name, networks in groups.items()
        }

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        return epoch_decay(progress, self.config.constant_epochs, self.config.decay_epochs)

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        config = self.config
        cycle = self.translate(batch)
        with frozen(self.optical_discriminator, self.sar_discriminator):
            yield "generators", self.generator_losses(batch, cycle)
        pooled_optical, pooled_sar = self.optical_pool(cycle.fake_optical), self.sar_pool(cycle.fake_sar)
        names = ("real_optical", "fake_optical", "real_sar", "fake_sar")
        terms = (
            *discriminator_losses(self.optical_discriminator, batch["optical"], pooled_optical, config.gan_mode),
            *discriminator_losses(self.sar_discriminator, batch["sar"], pooled_sar, config.gan_mode),
        )
        yield "discriminators", dict(zip(names, terms, strict=True))

    def translate(self, batch: Batch) -> Cycle:
        """All translations of a step; an identity image shares the forward pass of the image it comes with."""
        count = len(batch["sar"])
        fake_optical, identity_optical, features = self._with_identity(self.sar2opt, batch["sar"], batch["optical"])
        fake_sar, identity_sar, back_features = self._with_identity(self.opt2sar, batch["optical"], batch["sar"])
        cycled_sar, fake_optical_features = self._run(self.opt2sar, fake_optical)
        cycled_optical, fake_sar_features = self._run(self.sar2opt, fake_sar)
        return Cycle(
            fake_optical,
            fake_sar,
            cycled_sar,
            cycled_optical,
            identity_optical,
            identity_sar,
            [feature[:count] for feature in features],
            [feature[:count] for feature in back_features],
            fake_sar_features,
            fake_optical_features,
            [feature[count:] for feature in back_features],
            [feature[count:] for feature in features],
        )

    def needs_identity(self) -> bool:
        """Whether images of a generator's own target role are translated too."""
        return self.config.lambda_identity > 0.0

    def _run(self, generator: nn.Module, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        return generator(image, taps=self.taps) if self.taps else (generator(image), [])

    def _with_identity(
        self, generator: nn.Module, source: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        if not self.needs_identity():
            fake, features = self._run(generator, source)
            return fake, None, features
        count = len(source)
        outputs, features = self._run(generator, torch.cat([source, adapt_bands(target, source.shape[1])]))
        return outputs[:count], outputs[count:], features

    def generator_losses(self, batch: Batch, cycle: Cycle) -> dict[str, Tensor]:
        """Weighted losses of both generators by name."""
        config = self.config
        losses = {
            "gan_optical": gan_loss(self.optical_discriminator(cycle.fake_optical)[-1], True, config.gan_mode),
            "gan_sar": gan_loss(self.sar_discriminator(cycle.fake_sar)[-1], True, config.gan_mode),
            "cycle_sar": config.lambda_cycle * functional.l1_loss(cycle.cycled_sar, batch["sar"]),
            "cycle_optical": config.lambda_cycle * functional.l1_loss(cycle.cycled_optical, batch["optical"]),
        }
        if cycle.identity_optical is not None and cycle.identity_sar is not None:
            weight = config.lambda_cycle * config.lambda_identity
            losses["identity_optical"] = weight * functional.l1_loss(cycle.identity_optical, batch["optical"])
            losses["identity_sar"] = weight * functional.l1_loss(cycle.identity_sar, batch["sar"])
        return losses
