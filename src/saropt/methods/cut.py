"""CUT and FastCUT (Park et al., "Contrastive Learning for Unpaired Image-to-Image Translation", ECCV 2020).

loss_G = GAN(D(G(x))) + lambda_nce (NCE(x, G(x)) + NCE(y, G(y))) / 2, where NCE compares features of the generator's own
encoder at the same places of an image and its translation, and against other places of the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from saropt.domain import SAR_TO_OPTICAL, Direction, Role
from saropt.losses import gan_loss, patch_nce
from saropt.methods.bands import adapt_bands
from saropt.methods.base import Batch, MethodConfig, OneDirection, Update, frozen
from saropt.methods.discriminator_terms import discriminator_losses
from saropt.methods.learning_rates import epoch_decay, some_epochs
from saropt.methods.registry import register
from saropt.methods.taps import ascending_taps
from saropt.networks import PatchGAN, PatchProjection, build_network, gather_positions, random_positions

RESNET_ARGUMENTS = {"antialias": True, "init": "xavier"}


class CUTConfig(MethodConfig):
    """Config of `cut`; defaults are the paper's.

    Attributes:
        network_arguments: of the generator; for "resnet", antialias and xavier are set unless given.
        nce_taps: ascending layer indices of the generator; in the antialiased ResNet the published ones.
        num_patches: positions per tap that are compared.
        nce_identity: compare target images with their own translations too, at half the weight for both.
        flip_equivariance: mirror the input in half of the steps, and its features back.
        constant_epochs, decay_epochs: shape of the learning rate schedule, `epoch_decay`.

    Where SAR and optical images have different band counts, translations and target images enter the encoder through
    `adapt_bands`.
    """

    direction: Direction = SAR_TO_OPTICAL
    network: str = "resnet"
    network_arguments: dict = Field(default_factory=dict)
    discriminator_width: int = Field(64, ge=1)
    projection_width: int = Field(256, ge=1)
    gan_mode: Literal["lsgan", "vanilla"] = "lsgan"
    lambda_gan: float = Field(1.0, ge=0.0)
    lambda_nce: float = Field(1.0, ge=0.0)
    nce_taps: tuple[int, ...] = Field((0, 4, 8, 12, 16), min_length=1)
    nce_identity: bool = True
    num_patches: int = Field(256, ge=2)
    temperature: float = Field(0.07, gt=0.0)
    flip_equivariance: bool = False
    learning_rate: float = Field(2e-4, gt=0.0)
    beta1: float = Field(0.5, ge=0.0, lt=1.0)
    constant_epochs: int = Field(200, ge=0)
    decay_epochs: int = Field(200, ge=0)

    _taps_ascend = field_validator("nce_taps")(ascending_taps)
    _some_epochs = model_validator(mode="after")(some_epochs)


class FastCUTConfig(CUTConfig):
    """Config of `fastcut`: no identity images, ten times the contrastive weight, mirrored inputs, half the epochs."""

    lambda_nce: float = Field(10.0, ge=0.0)
    nce_identity: bool = False
    flip_equivariance: bool = True
    constant_epochs: int = Field(150, ge=0)
    decay_epochs: int = Field(50, ge=0)


@register("cut", paper="Park et al., ECCV 2020")
class CUT(OneDirection):
    """One generator whose encoder is its own judge of content; one direction, no pairs needed.

    >>> method = CUT(CUTConfig(network_arguments={"width": 8}, discriminator_width=8), {"sar": 1, "optical": 3})
    >>> list(method.generators()), sorted(method.optimizers())
    ([Direction('sar2opt')], ['discriminator', 'generator'])
    """

    config_type = CUTConfig
    generator: Any
    unpaired = True

    def __init__(self, config: CUTConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        network, arguments = self.network_of(config.direction)
        source_bands, target_bands = self.channels(config.direction)
        self.generator = build_network(network, source_bands, target_bands, **arguments)
        if not hasattr(self.generator, "tap_channels"):
            raise ValueError(f"network {network!r} has no taps for the contrastive loss; resnet has")
        self.discriminator = PatchGAN(
            target_bands, config.discriminator_width, norm="instance", antialias=True, init="xavier"
        )
        self.projection = PatchProjection(self.generator.tap_channels(config.nce_taps), config.projection_width)

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        source_bands, target_bands = self.channels(self.config.direction)
        return [
            ("generator", self.generator, source_bands),
            ("discriminator", self.discriminator, target_bands),
        ]

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        defaults = RESNET_ARGUMENTS if self.config.network == "resnet" else {}
        return self.config.network, {**defaults, **self.config.network_arguments}

    def optimizers(self) -> dict[str, Optimizer]:
        """The published third Adam, over the heads, has the generator's settings and steps with it: here one."""
        config = self.config
        groups = {
            "discriminator": [*self.discriminator.parameters()],
            "generator": [*self.generator.parameters(), *self.projection.parameters()],
        }
        return {
            name: Adam(parameters, lr=config.learning_rate, betas=(config.beta1, 0.999))
            for name, parameters in groups.items()
        }

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        return epoch_decay(progress, self.config.constant_epochs, self.config.decay_epochs)

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        config, taps = self.config, self.config.nce_taps
        source, target = batch.pair(config.direction)
        count, bands = len(source), source.shape[1]
        images = torch.cat([source, adapt_bands(target, bands)]) if config.nce_identity else source
        # drawn from the progress: all processes of a run call the generator equally often
        mirrored = config.flip_equivariance and Random(progress).random() < 0.5
        outputs, key_maps = self.generator(images.flip(-1) if mirrored else images, taps=taps)
        fake = outputs[:count]

        real_loss, fake_loss = discriminator_losses(self.discriminator, target, fake, config.gan_mode)
        yield "discriminator", {"real": real_loss, "fake": fake_loss}

        query_maps = self.generator(adapt_bands(outputs, bands), taps=taps, stop=True)
        if mirrored:
            query_maps = [feature.flip(-1) for feature in query_maps]
            key_maps = self.generator(images, taps=taps, stop=True)
        keys, queries = self.vectors(key_maps, query_maps)
        with torch.no_grad():
            keys = self.projection(keys)
        losses = self._contrast(self.projection(queries), keys, count)
        with frozen(self.discriminator):
            gan = gan_loss(self.discriminator(fake)[-1], True, config.gan_mode)
            yield "generator", {"gan": config.lambda_gan * gan, **losses}

    def vectors(self, key_maps: list[Tensor], query_maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Vectors (N, P, C) per tap to compare: the same random positions of all images of the batch."""
        ids = random_positions(key_maps, self.config.num_patches)
        keys = [gather_positions(feature, places) for feature, places in zip(key_maps, ids, strict=True)]
        return keys, [gather_positions(feature, places) for feature, places in zip(query_maps, ids, strict=True)]

    def _contrast(self, queries: list[Tensor], keys: list[Tensor], count: int) -> dict[str, Tensor]:
        config = self.config

        def mean_over_taps(images: slice) -> Tensor:
            pairs = zip(queries, keys, strict=True)
            return torch.stack([patch_nce(q[images], k[images], config.temperature) for q, k in pairs]).mean()

        if not config.nce_identity:
            return {"nce": config.lambda_nce * mean_over_taps(slice(None))}
        half = 0.5 * config.lambda_nce
        return {
            "nce": half * mean_over_taps(slice(count)),
            "nce_identity": half * mean_over_taps(slice(count, None)),
        }


@register("fastcut", paper="Park et al., ECCV 2020")
class FastCUT(CUT):
    """CUT's lighter form: no identity images, and mirrored inputs in half of the steps.

    >>> FastCUT.name, FastCUT.unpaired
    ('fastcut', True)
    """

    config_type = FastCUTConfig
