"""CRAN (Fu, Xu & Jin, "Reciprocal translation between SAR and optical remote sensing images with cascaded-residual
adversarial networks", Sci. China Inf. Sci. 2021), and its refinement on unpaired images (sec. 3.4 and 4.4).

L(T) = L_GAN(T) + beta L_L1(T), both summed over the two directions (eq. 2 to 4), beta = 20; each discriminator has
-log D(x) - log(1 - D(T(z))) (eq. 1) and an optimizer of its own. All three step on the same forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.artifacts import ImageCard
from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction, Role
from saropt.errors import InputError
from saropt.losses import gan_loss
from saropt.methods.base import Batch, Method, MethodConfig, Update, frozen
from saropt.methods.discriminator_terms import discriminator_losses
from saropt.methods.pretrained import PretrainedTranslator, images_of_file
from saropt.methods.registry import register
from saropt.networks import PatchGAN, build_network


class ReciprocalConfig(MethodConfig):
    """What `cran` and `cran-refine` have in common; defaults are the paper's.

    Attributes:
        lambda_gan: weight of the GAN terms; 0 builds no discriminators.
    """

    network: str = "cran"
    network_arguments: dict = Field(default_factory=dict)
    discriminator_width: int = Field(64, ge=1)
    discriminator_norm: Literal["batch", "instance", "none"] = "instance"
    gan_mode: Literal["vanilla", "lsgan"] = "vanilla"
    lambda_gan: float = Field(1.0, ge=0.0)
    learning_rate: float = Field(2e-4, gt=0.0)
    beta1: float = Field(0.5, ge=0.0, lt=1.0)


class CRANConfig(ReciprocalConfig):
    """Config of `cran`.

    Attributes:
        lambda_l1: beta.
        lambda_cycle: weight of the L1 between images and their round trips; the paper's supervised "CycleGAN" for
            comparison has 20 here and 40 for lambda_l1.
    """

    lambda_l1: float = Field(20.0, ge=0.0)
    lambda_cycle: float = Field(0.0, ge=0.0)

    @model_validator(mode="after")
    def _something_is_learned(self) -> CRANConfig:
        if not (self.lambda_gan or self.lambda_l1):
            raise ValueError("lambda_gan and lambda_l1 are both 0: nothing ties a translation to the other side")
        return self


class CRANRefineConfig(ReciprocalConfig):
    """Config of `cran-refine`; the paper does not state its weights.

    Attributes:
        start: translator file (.safetensors) that holds both directions; its networks are refined.
        network, network_arguments: must be left alone or agree with the file.
        lambda_cycle: weight of the L1 between images and their round trips.
    """

    start: str | None = None
    lambda_gan: float = Field(1.0, gt=0.0)
    lambda_cycle: float = Field(20.0, gt=0.0)


class Reciprocal(Method):
    """Both directions at once: two translators in one optimizer, a discriminator of each side with one of its own."""

    config: Any

    def __init__(self, config: ReciprocalConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        self._build_translators()
        if not config.lambda_gan:
            return
        width, norm = config.discriminator_width, config.discriminator_norm
        self.optical_discriminator = PatchGAN(bands["optical"], width, norm=norm, init="truncated", same=True)
        self.sar_discriminator = PatchGAN(bands["sar"], width, norm=norm, init="truncated", same=True)

    def _build_translators(self) -> None:
        network, arguments = self.config.network, self.config.network_arguments
        self.sar2opt = build_network(network, *self.channels(SAR_TO_OPTICAL), **arguments)
        self.opt2sar = build_network(network, *self.channels(OPTICAL_TO_SAR), **arguments)

    def generators(self) -> dict[Direction, nn.Module]:
        return {SAR_TO_OPTICAL: self.sar2opt, OPTICAL_TO_SAR: self.opt2sar}

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        return self.config.network, self.config.network_arguments

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        translators = [
            ("translator", self.sar2opt, self.bands["sar"]),
            ("translator", self.opt2sar, self.bands["optical"]),
        ]
        return translators + [
            ("discriminator", judge, self.bands[role]) for role, judge in self._discriminators.items()
        ]

    @property
    def _discriminators(self) -> dict[Role, nn.Module]:
        if not self.config.lambda_gan:
            return {}
        return {"optical": self.optical_discriminator, "sar": self.sar_discriminator}

    def optimizers(self) -> dict[str, Optimizer]:
        groups = {"translators": [*self.sar2opt.parameters(), *self.opt2sar.parameters()]}
        groups |= {f"{role}_discriminator": list(judge.parameters()) for role, judge in self._discriminators.items()}
        rate, beta1 = self.config.learning_rate, self.config.beta1
        return {name: Adam(parameters, lr=rate, betas=(beta1, 0.999)) for name, parameters in groups.items()}

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        config, judges = self.config, self._discriminators
        fakes = {"optical": self.sar2opt(batch["sar"]), "sar": self.opt2sar(batch["optical"])}
        with frozen(*judges.values()):
            losses = {
                f"gan_{role}": config.lambda_gan * gan_loss(judge(fakes[role])[-1], True, config.gan_mode)
                for role, judge in judges.items()
            }
            yield "translators", losses | self._image_losses(batch, fakes["optical"], fakes["sar"])
        for role, judge in judges.items():
            real_half, fake_half = discriminator_losses(judge, batch[role], fakes[role], config.gan_mode)
            yield f"{role}_discriminator", {"real": 2.0 * real_half, "fake": 2.0 * fake_half}

    def _image_losses(self, batch: Batch, fake_optical: Tensor, fake_sar: Tensor) -> dict[str, Tensor]:
        """The terms of the translators besides the GAN terms: the round trips."""
        weight = self.config.lambda_cycle
        if not weight:
            return {}
        return {
            "cycle_sar": weight * functional.l1_loss(self.opt2sar(fake_optical), batch["sar"]),
            "cycle_optical": weight * functional.l1_loss(self.sar2opt(fake_sar), batch["optical"]),
        }


@register("cran", paper="Fu, Xu & Jin, Science China Information Sciences, 2021")
class CRAN(Reciprocal):
    """Both directions at once from pairs: two translators, two discriminators, GAN and L1.

    >>> method = CRAN(CRANConfig(network_arguments={"width": 2}, discriminator_width=2), {"sar": 1, "optical": 3})
    >>> list(method.generators())
    [Direction('sar2opt'), Direction('opt2sar')]
    """

    config_type = CRANConfig

    def _image_losses(self, batch: Batch, fake_optical: Tensor, fake_sar: Tensor) -> dict[str, Tensor]:
        weight, losses = self.config.lambda_l1, {}
        if weight:
            losses["l1_optical"] = weight * functional.l1_loss(fake_optical, batch["optical"])
            losses["l1_sar"] = weight * functional.l1_loss(fake_sar, batch["sar"])
        return losses | super()._image_losses(batch, fake_optical, fake_sar)


@register("cran-refine", paper="Fu, Xu & Jin, Science China Information Sciences, 2021, sec. 4.4")
class CRANRefine(Reciprocal):
    """Goes on from a supervised translator with unpaired SAR and optical images: GAN and cycle loss.

    >>> CRANRefine.unpaired, CRANRefine.paper
    (True, 'Fu, Xu & Jin, Science China Information Sciences, 2021, sec. 4.4')
    """

    config_type = CRANRefineConfig
    unpaired = True
    unsupervised = True

    @classmethod
    def images_of(cls, config: Any) -> Mapping[Role, ImageCard]:
        return images_of_file(config.start)

    def _build_translators(self) -> None:
        if self.config.start is None:
            raise ValueError("start: name the translator file (.safetensors) to refine")
        start = PretrainedTranslator(self.config.start, self.bands)
        if set(start.card.directions) != {SAR_TO_OPTICAL, OPTICAL_TO_SAR}:
            held = ", ".join(start.card.directions)
            raise InputError(start.path, f"translates {held} only; refinement needs both directions")
        chosen = start.card.directions[SAR_TO_OPTICAL]
        for name, value in (("network", chosen.network), ("network_arguments", chosen.arguments)):
            configured = getattr(self.config, name)
            if name in self.config.model_fields_set and configured != value:
                raise InputError(start.path, f"has {name} {value}, the configuration {configured}: leave it out")
        self._card = start.card
        self.sar2opt, self.opt2sar = start.network(SAR_TO_OPTICAL), start.network(OPTICAL_TO_SAR)

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        described = self._card.directions[direction]
        return described.network, described.arguments

    def trained_inputs(self) -> Mapping[Role, ImageCard]:
        return self._card.images
