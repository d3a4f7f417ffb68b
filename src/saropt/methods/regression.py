"""Regression: one generator under pixel losses, the honest reference for all other methods.

With `shift` 0, `colour` 0, `haar` 0 and `robust` "l1" it is the plain L1 regression of the literature; the defaults
add what pairs of different sensors and dates ask for (docs/methods/regression.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from saropt.artifacts import ImageCard
from saropt.artifacts.card import SceneInputs
from saropt.domain import SAR_TO_OPTICAL, SCENE_INPUTS, Direction, Role, scene_bands
from saropt.errors import InputError
from saropt.losses import block_minimum, charbonnier, haar_l1, match_colour
from saropt.methods.bands import SAR_ROLES, without_a_band
from saropt.methods.base import Batch, MethodConfig, OneDirection, Update
from saropt.methods.pretrained import (
    FrozenTranslator,
    PretrainedTranslator,
    images_of_file,
    scene_inputs_of_file,
)
from saropt.methods.registry import register
from saropt.networks import build_network


class PixelLossConfig(MethodConfig):
    """Weights of the pixel losses.

    Attributes:
        shift: largest shift in pixels that the block-minimum loss forgives; 0 with `haar` 0 and `colour` 0 is L1.
        block: block side of the block-minimum loss.
        epsilon: error, in [-1, 1] units, where the Charbonnier distance turns from squared to linear.
        colour: weight w of the loss after the best gain and offset per band: (1 - w) L(out) + w L(a out + b).
        haar: weight of the Haar detail loss.
    """

    shift: int = Field(2, ge=0, le=8)
    block: int = Field(64, ge=8)
    epsilon: float = Field(1e-3, gt=0.0)
    colour: float = Field(0.3, ge=0.0, le=1.0)
    haar: float = Field(0.5, ge=0.0)


class RegressionConfig(MethodConfig):
    """Config of `regression`.

    Attributes:
        decay_stretch: the cosine decay of the learning rate ends at this multiple of the training; above 1 the training
            stops before, at a higher rate.
        no_band: share of windows without one of the SAR bands, in the SAR image and in an earlier one; it is -1 then.
            Above 0, scenes may lack bands.
        band_difference: of two SAR bands, by how much the first is taken to be above the second, in network values,
            where one is missing; 0.37 is 6.5 dB where 35 dB are mapped to [-1, 1]. None for -1.
        scene_inputs: scene inputs that the network takes (`saropt.domain.SCENE_INPUTS`): month, latitude, incidence; by
            default those of `start`, or none. The network must have an argument scene_bands.
        no_scene_input: how often each of them is taken away from a window, as if it were not known.
        start: translator file (.safetensors or .onnx) whose network is trained on; bands and recipes are those of the
            file where none are named. None for a fresh network.
        teacher: translator file whose output, at its own realism, is a second target (knowledge distillation, Hinton et
            al., 2015): a narrow network learns what a wider one knows. Bands and recipes must be those of the file.
        teacher_weight: weight of the mean Charbonnier distance from the teacher's output, added to the pixel losses.
    """

    direction: Direction = SAR_TO_OPTICAL
    network: str = "naf_unet"
    network_arguments: dict = Field(default_factory=dict)
    loss: PixelLossConfig = PixelLossConfig()
    learning_rate: float = Field(1e-3, gt=0.0)
    final_learning_rate: float = Field(1e-5, gt=0.0)
    decay_stretch: float = Field(1.0, ge=1.0)
    weight_decay: float = Field(1e-4, ge=0.0)
    no_band: float = Field(0.0, ge=0.0, le=1.0)
    band_difference: float | None = Field(None, ge=-1.0, le=1.0)
    scene_inputs: SceneInputs = ()
    no_scene_input: float = Field(0.5, ge=0.0, le=1.0)
    start: str | None = None
    teacher: str | None = None
    teacher_weight: float = Field(1.0, gt=0.0)


def pixel_losses(output: Tensor, target: Tensor, config: PixelLossConfig) -> dict[str, Tensor]:
    """Weighted pixel losses by name; images (N, C, H, W) in [-1, 1]."""

    def distance(image: Tensor) -> Tensor:
        if config.shift == 0:
            return functional.l1_loss(image, target)
        return block_minimum(image, target, config.shift, config.block, epsilon=config.epsilon)

    losses = {"pixel": (1.0 - config.colour) * distance(output)}
    if config.colour > 0.0:
        losses["colour_free"] = config.colour * distance(match_colour(output, target))
    if config.haar > 0.0:
        losses["haar"] = config.haar * haar_l1(output, target)
    return losses


@dataclass(frozen=True)
class Attempt:
    """What a generator made of a batch.

    Attributes:
        source, target: what went in (N, C, h, w), and what should come out (N, C', h, w).
        output: the image (N, C', h, w) that a discriminator judges against the target.
        losses: weighted losses by name.
    """

    source: Tensor
    target: Tensor
    output: Tensor
    losses: dict[str, Tensor]


def cosine(progress: float, final: float) -> float:
    """Cosine decay from 1 to `final`."""
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


@register("regression", paper="ours: one generator under pixel losses, the reference for the others")
class Regression(OneDirection):
    """A generator trained with pixel losses alone.

    >>> method = Regression(RegressionConfig(), {"sar": 2, "optical": 3})
    >>> method.channels(Direction(["sar"], "optical"))
    (2, 3)
    """

    config_type = RegressionConfig
    goes_on: ClassVar[bool] = True
    """Whether the network of `start` is trained on and there may be a teacher; other methods say False."""
    _started: tuple[str, dict] | None = None

    def __init__(self, config: RegressionConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self.config = config
        if config.no_band and ("sar" not in config.direction.inputs or bands["sar"] < 2):
            raise ValueError("no_band: needs an input sar of two or more bands")
        if config.band_difference is not None and not (config.no_band and bands["sar"] == 2):
            raise ValueError("band_difference: needs no_band above 0 and an input sar of two bands")
        self.generator = self._build_generator()
        self.teacher: FrozenTranslator | None = None
        if config.teacher is not None:
            if not self.goes_on:
                raise ValueError(f"teacher: {self.name} learns from no teacher; leave it out")
            teacher = PretrainedTranslator(config.teacher, self.bands, scene_inputs=self.scene_inputs)
            self._taught, self._taught_bands = teacher.card.images, teacher.described(config.direction).channels[0]
            self.check_lacks_bands(teacher)
            self.teacher = FrozenTranslator(teacher.network(config.direction))

    def _build_generator(self) -> nn.Module:
        config = self.config

        def fresh() -> nn.Module:
            network, arguments = self.network_of(config.direction)
            return build_network(network, *self.channels(config.direction), **arguments)

        if config.start is None or not self.goes_on:
            return fresh()
        start = PretrainedTranslator(config.start, self.bands, scene_inputs=self.scene_inputs)
        described = start.described(config.direction)
        for name, value in (("network", described.network), ("network_arguments", described.arguments)):
            if name in config.model_fields_set and getattr(config, name) != value:
                raise InputError(
                    start.path, f"has {name} {value}, the configuration {getattr(config, name)}: leave it out"
                )
        self._started = described.network, described.arguments
        if self.scene_inputs == described.scene_inputs:
            return start.network(config.direction)
        generator = fresh()
        generator.load_state_dict(start.network(config.direction).state_dict(), strict=False)
        return generator

    @classmethod
    def images_of(cls, config: RegressionConfig) -> Mapping[Role, ImageCard]:
        return images_of_file(config.start if config.start is not None and cls.goes_on else config.teacher)

    def trained_inputs(self) -> Mapping[Role, ImageCard]:
        return {} if self.teacher is None else self._taught

    @classmethod
    def scene_inputs_of(cls, config: RegressionConfig) -> tuple[str, ...]:
        if config.start is None or not cls.goes_on or "scene_inputs" in config.model_fields_set:
            return config.scene_inputs
        return scene_inputs_of_file(config.start, config.direction)

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        network, arguments = super().network_of(direction) if self._started is None else self._started
        bands = scene_bands(self.scene_inputs)
        return network, ({**arguments, "scene_bands": bands} if bands else arguments)

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        optimizer = AdamW(self.generator.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        return {"generator": optimizer}

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        config = self.config
        return cosine(progress / config.decay_stretch, config.final_learning_rate / config.learning_rate)

    def describe_input(self, image: ImageCard) -> ImageCard:
        partial = self.config.no_band > 0.0 and image.role in SAR_ROLES and len(image.bands) > 1
        difference = self.config.band_difference if partial else None
        return image.model_copy(update={"partial": partial, "band_difference": difference})

    def check_lacks_bands(self, translator: PretrainedTranslator) -> None:
        """Refuse a translator that stays as it is and does not know windows as `no_band` makes them.

        Raises:
            InputError: it needs every SAR band, or fills in missing ones otherwise.
        """
        config = self.config
        if config.no_band == 0.0:
            return
        sar = translator.card.images["sar"]
        if not sar.partial:
            raise InputError(translator.path, "needs every SAR band, which no_band takes away: train it with no_band")
        if sar.band_difference != config.band_difference:
            there, here = sar.band_difference, config.band_difference
            raise InputError(translator.path, f"has band_difference {there}, the configuration {here}")

    def without_a_band(self, batch: Batch) -> Batch:
        """The batch without one SAR band in `no_band` of its windows."""
        config = self.config
        if config.no_band == 0.0:
            return batch
        return without_a_band(batch, self.bands["sar"], config.no_band, config.band_difference)

    def without_scene_inputs(self, batch: Batch) -> Batch:
        """The batch without each scene input in `no_scene_input` of its windows."""
        if not self.scene_inputs:
            return batch
        vectors = batch["scene_inputs"]
        known = torch.rand(len(vectors), len(self.scene_inputs), device=vectors.device) >= self.config.no_scene_input
        bands = torch.tensor([SCENE_INPUTS[name].bands for name in self.scene_inputs], device=vectors.device)
        return Batch({**batch, "scene_inputs": vectors * known.repeat_interleave(bands, dim=1)})

    def translate(self, source: Tensor) -> Tensor:
        """The generator's output (N, bands out, H, W) for its input; of a sampler one random sample."""
        return self.generator(source)

    def attempt(self, batch: Batch) -> Attempt:
        """The translation of a batch and its losses against the truth."""
        source, target = self.without_scene_inputs(self.without_a_band(batch)).pair(self.config.direction)
        output = self.translate(source)
        losses = pixel_losses(output, target, self.config.loss)
        if self.teacher is not None:
            example = self.teacher(source[:, : self._taught_bands])
            distance = charbonnier(output - example, self.config.loss.epsilon)
            losses["teacher"] = self.config.teacher_weight * distance.mean()
        return Attempt(source, target, output, losses)

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        yield "generator", self.attempt(batch).losses
