"""Translators under a Deep Semantic Discriminator (Fu et al., IGARSS 2024, and slides on S2OFormer).

A segmentation network learns land cover from the input and the real target,

    L_DSD = CE(D(x, y), c) + Dice(D(x, y), c),

and judges the translator, frozen, by its logits and by its deepest feature map f:

    L_G = lambda_l1 L1(G(x), y) + lambda_feature MSE(f(x, G(x)), f(x, y)) + lambda_semantic CE(D(x, G(x)), c).

An adversarial term by a PatchGAN is optional. Labels c are needed to train, never to translate. The slides state
networks, the feature loss and the training parameters; the rest is in docs/methods/dsd.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from saropt.domain import SAR_TO_OPTICAL, Direction, Role
from saropt.losses import dice_loss, gan_loss, segmentation_cross_entropy
from saropt.methods.base import Batch, MethodConfig, OneDirection, Update, frozen
from saropt.methods.discriminator_terms import discriminator_losses
from saropt.methods.registry import register
from saropt.networks import PatchGAN, build_network, build_semantic_discriminator


class DSDConfig(MethodConfig):
    """Config of the DSD methods; rate and optimizer are the slides'.

    Attributes:
        network, network_arguments: of the translator.
        semantic_network, semantic_arguments: "snunet" or a segmenter of `saropt segment train`.
        feature: map of the feature loss: "deepest" (SNUNet's x4_0, which sees the target only) or "fused" (its
            x3_1, the deepest that sees both images).
        semantic_statistics: what the DSD's BatchNorm goes by while it judges the translator: "batch", the statistics of
            the images that it sees, as in its own step, or "running", those gathered from real targets.
        lambda_feature, lambda_semantic: weights of the DSD's terms; 0 for both builds no DSD and needs no labels.
        lambda_gan: weight of the adversarial term; 0 builds no PatchGAN.
    """

    direction: Direction = SAR_TO_OPTICAL
    network: str
    network_arguments: dict = Field(default_factory=dict)
    semantic_network: str = "snunet"
    semantic_arguments: dict = Field(default_factory=dict)
    feature: Literal["deepest", "fused"] = "deepest"
    semantic_statistics: Literal["batch", "running"] = "batch"
    lambda_l1: float = Field(100.0, ge=0.0)
    lambda_feature: float = Field(10.0, ge=0.0)
    lambda_semantic: float = Field(1.0, ge=0.0)
    lambda_dice: float = Field(1.0, ge=0.0)
    lambda_gan: float = Field(0.0, ge=0.0)
    gan_mode: Literal["vanilla", "lsgan"] = "vanilla"
    discriminator_width: int = Field(64, ge=1)
    learning_rate: float = Field(3e-4, gt=0.0)

    @property
    def has_judge(self) -> bool:
        """Whether a DSD is trained and judges the translator."""
        return self.lambda_feature > 0.0 or self.lambda_semantic > 0.0


class UNetDSDConfig(DSDConfig):
    """Config of `unet-dsd`."""

    network: str = "unet_256"


class HATDSDConfig(DSDConfig):
    """Config of `hat-dsd`."""

    network: str = "hat"


class S2OFormerDSDConfig(DSDConfig):
    """Config of `s2oformer-dsd`."""

    network: str = "s2oformer"


class DSD(OneDirection):
    """One translator, one semantic discriminator; needs pairs with labels."""

    config_type: ClassVar[type[MethodConfig]] = DSDConfig
    roles = ("sar", "optical", "label")

    def __init__(self, config: DSDConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        channels = self.channels(config.direction)
        self.generator = build_network(config.network, *channels, **config.network_arguments)
        if config.has_judge:
            self.semantic = build_semantic_discriminator(
                config.semantic_network, *channels, bands["label"], **config.semantic_arguments
            )
            self.smallest_batch = cast("int", self.semantic.smallest_batch)
        if config.lambda_gan > 0.0:
            self.discriminator = PatchGAN(sum(channels), config.discriminator_width)

    @classmethod
    def roles_of(cls, config: DSDConfig) -> tuple[Role, ...]:
        roles = super().roles_of(config)
        return roles if config.has_judge else tuple(role for role in roles if role != "label")

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        source, target = self.channels(self.config.direction)
        judges: list[tuple[str, nn.Module, int]] = []
        if self.config.has_judge:
            judges.append(("semantic discriminator", _OfJoinedImages(self.semantic, source), source + target))
        if self.config.lambda_gan > 0.0:
            judges.append(("discriminator", self.discriminator, source + target))
        return judges

    def optimizers(self) -> dict[str, Optimizer]:
        networks: dict[str, nn.Module] = {"semantic": self.semantic} if self.config.has_judge else {}
        networks["generator"] = self.generator
        if self.config.lambda_gan > 0.0:
            networks["discriminator"] = self.discriminator
        return {name: Adam(network.parameters(), lr=self.config.learning_rate) for name, network in networks.items()}

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        config = self.config
        judges: list[nn.Module] = [self.semantic] if config.has_judge else []
        source, target = batch.pair(config.direction)
        if config.has_judge:
            label = self._label(batch)
            logits, _ = self.semantic(source, target)
            losses = {"cross_entropy": segmentation_cross_entropy(logits, label)}
            if config.lambda_dice > 0.0:
                losses["dice"] = config.lambda_dice * dice_loss(logits, label)
            yield "semantic", losses
        fake = self.generator(source)
        if config.lambda_gan > 0.0:
            judges.append(self.discriminator)
            real_pair, fake_pair = (torch.cat([source, image], dim=1) for image in (target, fake))
            real_half, fake_half = discriminator_losses(self.discriminator, real_pair, fake_pair, config.gan_mode)
            yield "discriminator", {"real": real_half, "fake": fake_half}
        with frozen(*judges):
            losses = {"l1": config.lambda_l1 * functional.l1_loss(fake, target)}
            if config.has_judge:
                losses |= self._judged(source, target, fake, label)
            if config.lambda_gan > 0.0:
                judged = self.discriminator(torch.cat([source, fake], dim=1))[-1]
                losses["gan"] = config.lambda_gan * gan_loss(judged, True, config.gan_mode)
            yield "generator", losses

    def _label(self, batch: Batch) -> Tensor:
        if batch.label is None:
            raise ValueError(f"{self.name} needs labels in its batches")
        return batch.label

    def _judged(self, source: Tensor, target: Tensor, fake: Tensor, label: Tensor) -> dict[str, Tensor]:
        """What the frozen DSD thinks of a translation."""
        config, training = self.config, self.semantic.training
        self.semantic.train(training and config.semantic_statistics == "batch")
        logits, features = self.semantic(source, fake)
        with torch.no_grad():
            _, real = self.semantic(source, target)
        self.semantic.train(training)
        feature = functional.mse_loss(features[config.feature], real[config.feature])
        semantic = segmentation_cross_entropy(logits, label)
        return {"semantic": config.lambda_semantic * semantic, "feature": config.lambda_feature * feature}


class _OfJoinedImages(nn.Module):
    """A semantic discriminator of one image with the bands of both."""

    def __init__(self, judge: nn.Module, source: int) -> None:
        super().__init__()
        self.judge, self.source = judge, source

    def forward(self, images: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        return self.judge(*images.tensor_split((self.source,), dim=1))


@register("unet-dsd", paper="Fu et al., IGARSS 2024 (U-Net under the Deep Semantic Discriminator)")
class UNetDSD(DSD):
    """The U-Net of pix2pix under a semantic discriminator.

    >>> UNetDSD.name, UNetDSD.roles_of(UNetDSD.config_type())
    ('unet-dsd', ('sar', 'optical', 'label'))
    """

    config_type = UNetDSDConfig


@register("hat-dsd", paper="Fu et al., IGARSS 2024, with HAT of Chen et al., CVPR 2023")
class HATDSD(DSD):
    """HAT at full resolution under a semantic discriminator.

    >>> HATDSD.name
    'hat-dsd'
    """

    config_type = HATDSDConfig


@register("s2oformer-dsd", paper="Fu et al., slides on S2OFormer, 2024")
class S2OFormerDSD(DSD):
    """S2OFormer under a semantic discriminator.

    >>> S2OFormerDSD.name
    's2oformer-dsd'
    """

    config_type = S2OFormerDSDConfig
