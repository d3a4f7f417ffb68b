"""CycleGAN (Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017).

loss_G = GAN(D_opt(G(sar))) + GAN(D_sar(F(opt))) + 10 L1(F(G(sar)), sar) + 10 L1(G(F(opt)), opt)
       + 5 L1(G(opt), opt) + 5 L1(F(sar), sar); then both discriminators step on pooled fakes, half the sum of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction, Role
from saropt.losses import gan_loss
from saropt.methods.bands import adapt_bands
from saropt.methods.base import Batch, Method, MethodConfig, Update, frozen
from saropt.methods.discriminator_terms import discriminator_losses
from saropt.methods.image_pool import ImagePool
from saropt.methods.learning_rates import epoch_decay, some_epochs
from saropt.methods.registry import register
from saropt.networks import PatchGAN, build_network


class CycleGANConfig(MethodConfig):
    """Config of `cyclegan`; defaults are the paper's.

    Attributes:
        lambda_cycle: weight of both cycle losses; 0 leaves them out.
        lambda_identity: weight of both identity losses; 0 leaves them out. The published code states 0.5 relative to
            lambda_cycle, which is 5.0 here. Where the two roles have different band counts, the identity image enters
            the generator through `adapt_bands`: averaged from many bands to few, repeated from few to many.
        pool_size: generated images that each discriminator's history holds.
        constant_epochs, decay_epochs: shape of the learning rate schedule, `epoch_decay`.
    """

    network: str = "resnet"
    network_arguments: dict = Field(default_factory=dict)
    discriminator_width: int = Field(64, ge=1)
    discriminator_norm: Literal["batch", "instance", "none"] = "instance"
    gan_mode: Literal["lsgan", "vanilla"] = "lsgan"
    lambda_cycle: float = Field(10.0, ge=0.0)
    lambda_identity: float = Field(5.0, ge=0.0)
    pool_size: int = Field(50, ge=0)
    learning_rate: float = Field(2e-4, gt=0.0)
    beta1: float = Field(0.5, ge=0.0, lt=1.0)
    constant_epochs: int = Field(100, ge=0)
    decay_epochs: int = Field(100, ge=0)

    _some_epochs = model_validator(mode="after")(some_epochs)


@dataclass(frozen=True)
class Side:
    """What one step makes of the images of one role, all (N, bands, H, W), and the features that the passes left at the
    method's taps.

    Attributes:
        real: the images of the batch.
        fake: translations of the other role's images into this role.
        reconstructed: the real images, translated to the other role and back.
        identity: the real images, given to the generator that makes images of this role; None where no loss needs it.
        features: of `real`, in the generator that translates it.
        fake_features: of `fake`, in the generator that takes it back.
        identity_features: of `real`, in the generator that makes images of this role.
        discriminator: judges images of this role.
    """

    real: Tensor
    fake: Tensor
    reconstructed: Tensor
    identity: Tensor | None
    features: list[Tensor]
    fake_features: list[Tensor]
    identity_features: list[Tensor]
    discriminator: nn.Module


Sides = Mapping[Role, Side]


def l_gan(sides: Sides, mode: str) -> dict[str, Tensor]:
    """The generators' part of L_gan, without a weight: D(fake) against the label "real", by role."""
    return {f"gan_{role}": gan_loss(side.discriminator(side.fake)[-1], True, mode) for role, side in sides.items()}


def l_cyc(sides: Sides) -> dict[str, Tensor]:
    """The parts of L_cyc, without weights: mean |reconstructed - real| and mean |identity - real|, by role."""
    terms = {f"cycle_{role}": functional.l1_loss(side.reconstructed, side.real) for role, side in sides.items()}
    for role, side in sides.items():
        if side.identity is not None:
            terms[f"identity_{role}"] = functional.l1_loss(side.identity, side.real)
    return terms


def weighted(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Terms named KIND_... times the weight of their kind; those of weight 0 are left out.

    >>> weighted({"gan_sar": torch.tensor(3.0), "cycle_sar": torch.tensor(1.0)}, {"gan": 2.0, "cycle": 0.0})
    {'gan_sar': tensor(6.)}
    """
    kinds = {name: name.partition("_")[0] for name in terms}
    return {name: weights[kinds[name]] * term for name, term in terms.items() if weights[kinds[name]] > 0.0}


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
        sides = self.translate(batch)
        with frozen(self.optical_discriminator, self.sar_discriminator):
            yield "generators", self.generator_losses(sides)
        terms = {}
        for role, pool in (("optical", self.optical_pool), ("sar", self.sar_pool)):
            side = sides[role]
            pooled = pool(side.fake)
            terms[f"real_{role}"], terms[f"fake_{role}"] = discriminator_losses(
                side.discriminator, side.real, pooled, config.gan_mode
            )
        yield "discriminators", terms

    def translate(self, batch: Batch) -> dict[Role, Side]:
        """All translations of a step; an identity image shares the forward pass of the image it comes with."""
        sar, optical = batch["sar"], batch["optical"]
        fake_optical, identity_optical, sar_features, kept_optical = self._with_identity(self.sar2opt, sar, optical)
        fake_sar, identity_sar, optical_features, kept_sar = self._with_identity(self.opt2sar, optical, sar)
        cycled_sar, fake_optical_features = self._run(self.opt2sar, fake_optical)
        cycled_optical, fake_sar_features = self._run(self.sar2opt, fake_sar)
        return {
            "optical": Side(
                real=optical,
                fake=fake_optical,
                reconstructed=cycled_optical,
                identity=identity_optical,
                features=optical_features,
                fake_features=fake_optical_features,
                identity_features=kept_optical,
                discriminator=self.optical_discriminator,
            ),
            "sar": Side(
                real=sar,
                fake=fake_sar,
                reconstructed=cycled_sar,
                identity=identity_sar,
                features=sar_features,
                fake_features=fake_sar_features,
                identity_features=kept_sar,
                discriminator=self.sar_discriminator,
            ),
        }

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        sar, optical = self.bands["sar"], self.bands["optical"]
        return [
            ("generator", self.sar2opt, sar),
            ("generator", self.opt2sar, optical),
            ("discriminator", self.optical_discriminator, optical),
            ("discriminator", self.sar_discriminator, sar),
        ]

    def needs_identity(self) -> bool:
        """Whether images of a generator's own target role are translated too."""
        return self.config.lambda_identity > 0.0

    def _run(self, generator: nn.Module, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        return generator(image, taps=self.taps) if self.taps else (generator(image), [])

    def _with_identity(
        self, generator: nn.Module, source: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor | None, list[Tensor], list[Tensor]]:
        """Translation of `source`, identity image of `target`, and the features of both."""
        if not self.needs_identity():
            fake, features = self._run(generator, source)
            return fake, None, features, []
        count = len(source)
        outputs, features = self._run(generator, torch.cat([source, adapt_bands(target, source.shape[1])]))
        return outputs[:count], outputs[count:], [f[:count] for f in features], [f[count:] for f in features]

    def weights(self) -> dict[str, float]:
        """The weight of each kind of term."""
        return {"gan": 1.0, "cycle": self.config.lambda_cycle, "identity": self.config.lambda_identity}

    def generator_losses(self, sides: Sides) -> dict[str, Tensor]:
        """Weighted losses of both generators by name."""
        return weighted(l_gan(sides, self.config.gan_mode) | l_cyc(sides), self.weights())
