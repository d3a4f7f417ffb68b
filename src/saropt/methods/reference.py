"""SAR of today and the last clear optical image -> the optical image of today, with a map of where each pixel is from.

The network gives a candidate for today's image, a gate between it and the earlier image, and the likelihood of change
(`saropt.networks.ReferenceUNet`). Copying wins every average, so each part has a loss of its own:

- the candidate is compared with the truth everywhere, and more on ground that changed or that the reference hides;
- the gate is compared with change that SAR can show: the label of changed ground where there is one, the parts of
  the reference that training made false (`saropt.methods.false_references`), and elsewhere ground where the candidate
  is closer to the truth than the reference is;
- the likelihood of change is compared with measured change: truth and reference differ, for whatever reason.

In the adversarial phase of `compact` the discriminator sees the candidate on changed or hidden ground only, and the
truth around it. Choices and measurements: docs/methods/reference.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from saropt.artifacts import ImageCard
from saropt.domain import Direction, Role
from saropt.losses import charbonnier, haar_l1
from saropt.methods.base import Batch
from saropt.methods.compact import Compact, CompactConfig
from saropt.methods.false_references import (
    References,
    brightened,
    cast_clouds,
    mask,
    replace_places,
    sandy_gain,
)
from saropt.methods.pretrained import PretrainedTranslator
from saropt.methods.registry import register
from saropt.methods.regression import Attempt
from saropt.networks import ReferenceUNet
from saropt.radiometry import Reflectance
from saropt.roots import IGNORED

OPTICAL, SAR = "optical_reference", "sar_reference"


class ReferenceConfig(CompactConfig):
    """Config of `reference`.

    Attributes:
        direction: ends with "optref2opt"; "sarref" before it adds the earlier SAR image.
        changed: class indices of the data root's label that mark changed ground. Empty where there is no label.
        change_weight: how much more the candidate's error counts on changed or hidden ground: 1 + change_weight.
        lambda_gate, lambda_change: weights of the cross entropies of the gate and of the likelihood of change.
        threshold: mean absolute difference of truth and reference in [-1, 1] units, over 9 pixels a side, above which
            the image has changed.
        margin: how much closer to the truth the candidate must be than the reference for ground without a label to
            count as changed, as mean absolute difference in [-1, 1] units over 9 pixels a side.
        other_place, clouds, holes: share of windows whose reference is partly of another place, under clouds that no
            mask tells of, or masked.
        overcast: share of windows whose reference is a closed deck of clouds.
        haze: share of windows whose reference lies under a thin veil, through which the ground shows.
        bright: share of windows whose ground is as bright as sand at both dates, so that brightness alone is no cloud.
        relative: whether the network works in multiples of the reference's medians over the scene, for images that are
            each stretched on their own.
        no_reference, no_sar_reference: share of windows without that input.
        start: translator file (.safetensors) from SAR alone with a `naf_unet` of the same shape, whose translation the
            untrained candidate is.
    """

    direction: Direction = Direction(["sar", SAR, OPTICAL], "optical")
    network: str = "reference_unet"
    changed: tuple[int, ...] = ()
    change_weight: float = Field(4.0, ge=0.0)
    lambda_gate: float = Field(0.2, ge=0.0)
    lambda_change: float = Field(0.05, ge=0.0)
    threshold: float = Field(0.16, gt=0.0)
    margin: float = Field(0.05, ge=0.0)
    other_place: float = Field(0.4, ge=0.0, le=1.0)
    clouds: float = Field(0.2, ge=0.0, le=1.0)
    overcast: float = Field(0.0, ge=0.0, le=1.0)
    haze: float = Field(0.0, ge=0.0, le=1.0)
    bright: float = Field(0.0, ge=0.0, le=1.0)
    holes: float = Field(0.3, ge=0.0, le=1.0)
    no_reference: float = Field(0.12, ge=0.0, le=1.0)
    no_sar_reference: float = Field(0.2, ge=0.0, le=1.0)
    relative: bool = False
    start: str | None = None


@register("reference", paper="ours: a gate between an earlier optical image and what SAR says of today")
class Reference(Compact):
    """A compact generator that keeps what SAR does not contradict.

    >>> Reference.name, Reference.roles_of(ReferenceConfig())
    ('reference', ('sar', 'optical', 'sar_reference', 'optical_reference'))
    """

    config_type = ReferenceConfig
    config: ReferenceConfig
    goes_on = False

    def __init__(self, config: ReferenceConfig, bands: Mapping[Role, int]) -> None:
        inputs = config.direction.inputs
        if inputs[-1] != OPTICAL or set(inputs) - {"sar", SAR, OPTICAL, "dem", "mask"} or inputs[0] != "sar":
            raise ValueError(f"direction: must begin with sar and end with optref2opt, not {config.direction}")
        if config.relative and config.bright > 0.0:
            raise ValueError("bright: not where relative is true, as the medians would be those of darker ground")
        for role, image in ((OPTICAL, config.direction.output), (SAR, "sar")):
            medians = bands[image] if role in self.scene_medians_of(config) else 0
            if role in inputs and bands[role] != bands[image] + 1 + medians:
                raise ValueError(f"{role} must have the bands of {image} and be optional in dataset.yaml")
        if config.scene_inputs:
            raise ValueError("scene_inputs: this method takes none")
        super().__init__(config, bands)
        if config.start is not None:
            start = PretrainedTranslator(config.start, bands)
            self._unet.start_from(start.network(Direction(["sar"], config.direction.output)))

    @classmethod
    def roles_of(cls, config: ReferenceConfig) -> tuple[Role, ...]:
        return super().roles_of(config) + (("label",) if config.changed else ())

    @classmethod
    def scene_medians_of(cls, config: ReferenceConfig) -> tuple[Role, ...]:
        return (OPTICAL,) if config.relative else ()

    def same_bands(self) -> Mapping[Role, Role]:
        direction = self.config.direction
        dated = {OPTICAL: direction.output, SAR: "sar"}
        return {role: like for role, like in dated.items() if role in direction.inputs}

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        network, arguments = super().network_of(direction)
        return network, ({**arguments, "relative": True} if self.config.relative else arguments)

    def further_outputs(self, direction: Direction) -> tuple[ImageCard, ...]:
        percent = Reflectance(scale=1.0, high=100.0).to_dict()
        bands = ("from radar", "change likelihood")
        card = ImageCard(role="origin", bands=bands, units="percent", dtype="uint8", recipe=percent, product="origin")
        return (card,)

    @property
    def _unet(self) -> ReferenceUNet:
        return cast("ReferenceUNet", self.generator)

    def attempt(self, batch: Batch) -> Attempt:
        config = self.config
        batch = self.without_a_band(batch)
        gain = sandy_gain(batch[config.direction.output], config.bright)
        references = self._spoil(self._references(batch, gain))
        told = references.optical_valid.amax(dim=(1, 2, 3), keepdim=True) > 0.5
        target = brightened(batch[config.direction.output], torch.where(told, gain, 1.0))
        source = self._source(batch, references)
        candidate, gate, change = self._unet.decide(source)
        valid = references.optical_valid > 0.5
        changed, known = self._changed(batch, references, candidate.detach(), target)
        moved = _smooth(references.optical - target) > config.threshold
        ground = changed | ~valid
        error = charbonnier(candidate - target, config.loss.epsilon).mean(dim=1, keepdim=True)
        weight = 1.0 + config.change_weight * ground
        losses = {
            "pixel": (weight * error).sum() / weight.sum(),
            "haar": config.loss.haar * haar_l1(candidate, target),
            "gate": config.lambda_gate * _cross_entropy(gate, changed, known & valid),
            "change": config.lambda_change * _cross_entropy(change, moved, valid),
        }
        return Attempt(source, target, torch.where(ground, candidate, target), losses)

    def _references(self, batch: Batch, gain: Tensor) -> References:
        optical, bands = batch[OPTICAL], self.bands[self.config.direction.output]
        sar, sar_valid = None, None
        if SAR in self.config.direction.inputs:
            sar, sar_valid = batch[SAR].tensor_split((self.bands["sar"],), dim=1)
            sar_valid = sar_valid if sar_valid.shape[1] else torch.ones_like(sar[:, :1])
        false = torch.zeros_like(optical[:, :1], dtype=torch.bool)
        image, valid, medians = optical.tensor_split((bands, bands + 1), dim=1)
        image = torch.where(valid > 0.5, brightened(image, gain), image)
        return References(image, valid, medians, sar, sar_valid, false)

    def _spoil(self, references: References) -> References:
        config = self.config
        references = replace_places(references, config.other_place)
        references = cast_clouds(references, config.clouds, config.overcast, config.haze)
        return mask(references, config.holes, config.no_reference, config.no_sar_reference)

    def _source(self, batch: Batch, references: References) -> Tensor:
        parts = dict(batch)
        parts[OPTICAL] = torch.cat([references.optical, references.optical_valid, references.medians], dim=1)
        if references.sar is not None and references.sar_valid is not None:
            parts[SAR] = torch.cat([references.sar, references.sar_valid], dim=1)[:, : batch[SAR].shape[1]]
        return torch.cat([parts[role] for role in self.config.direction.inputs], dim=1)

    def _changed(
        self, batch: Batch, references: References, candidate: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Where the ground has changed or the reference is false, and where that is known; (N, 1, h, w) bool."""
        label = batch.label
        if label is not None:
            classes = label[:, None]
            changed = torch.zeros_like(references.false)
            for index in self.config.changed:
                changed = changed | (classes == index)
            return changed | references.false, (classes != IGNORED) | references.false
        closer = _smooth(references.optical - target) - _smooth(candidate - target)
        return (closer > self.config.margin) | references.false, torch.ones_like(references.false)


def _smooth(difference: Tensor) -> Tensor:
    """Mean absolute difference (N, 1, h, w) over the bands and 9x9 pixels."""
    return functional.avg_pool2d(difference.abs().mean(dim=1, keepdim=True), 9, 1, 4, count_include_pad=False)


def _cross_entropy(logit: Tensor, changed: Tensor, known: Tensor) -> Tensor:
    """Binary cross entropy over the pixels that are known; 0 where none is."""
    loss = functional.binary_cross_entropy_with_logits(logit, changed.to(logit), reduction="none")
    return (loss * known).sum() / known.sum().clamp_min(1)
