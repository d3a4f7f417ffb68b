"""SGCL, semantic-guided contrastive learning (Du et al., Journal of Image and Graphics, 2026).

L_all = L_cyc + lambda_3 L_gan + lambda_4 L_seg + lambda_5 L_sc (eq. 6) on a CycleGAN of two generators, with

    L_cyc = lambda_1 (|sar - rec_sar| + |opt - rec_opt|) + lambda_2 (|sar - idt_sar| + |opt - idt_opt|)        (eq. 5)
    L_gan = the generators' and discriminators' game on both roles                                         (eq. 4)
    L_seg = CE(SARSeg(rec_sar), argmax SARSeg(sar)) + CE(OPTSeg(rec_opt), argmax OPTSeg(opt))                  (eq. 1)
    L_sc  = sums of l over (fake_opt, sar), (fake_sar, opt), (idt_sar, sar), (idt_opt, opt)               (eq. 2 and 3)

where l contrasts a position of the generated image with all positions of the real one, those of the same class being
positives. `l_gan`, `l_cyc`, `l_seg` and `l_sc` give the terms without weights; `SGCL.generator_losses` weighs them.
Encoder and heads are those of CUT. Choices where the paper is silent: docs/methods/sgcl.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from saropt.artifacts import ImageCard, SegmenterCard, TrainingCard
from saropt.domain import Direction, Role
from saropt.losses import SMALLEST_TEMPERATURE, semantic_nce
from saropt.methods.bands import adapt_bands
from saropt.methods.base import Batch, Update
from saropt.methods.cyclegan import CycleGAN, CycleGANConfig, Sides, l_cyc, l_gan, weighted
from saropt.methods.guidance import ClassGuide, Control, Guide, SoftGuide, kmeans_guide, label_guide
from saropt.methods.registry import register
from saropt.methods.taps import ascending_taps
from saropt.networks import PatchProjection, gather_positions, local_mean, random_positions


class SGCLConfig(CycleGANConfig):
    """Config of `sgcl`; defaults are the paper's where it states them.

    Attributes:
        network_arguments: of the generators; for "resnet", antialias is set unless given.
        lambda_cycle, lambda_identity, lambda_gan, lambda_seg, lambda_sc: lambda_1 to lambda_5. At 0 a term is left out.
        guidance: "labels" (segmenter files), "kmeans" (pseudo-classes, no labels), "soft" (similarity of pixel
            features), "none" (every position its own class: PatchNCE). The last two have no classes: their
            lambda_seg must be 0.
        sar_segmenter, optical_segmenter: segmenter files for "labels".
        control: what a sceptic does to the class maps of L_sc: "permuted", "one_class" or "distinct".
        classes: pseudo-classes of "kmeans".
        class_temperature: of "kmeans", what its logits are divided by in L_seg.
        soft_margin, soft_temperature: of "soft".
        nce_taps: ascending indices of the layers whose features are contrasted.
        temperature: tau of eq. 2.
        num_queries: positions per tap that are queries.
        all_keys_up_to: taps of at most this many positions have all of them as keys; larger taps those of the queries.
        patch_size: side in positions of what is contrasted (Table 8); features are averaged over it, classes voted.
    """

    lambda_identity: float = Field(0.5, ge=0.0)
    lambda_gan: float = Field(1.0, ge=0.0)
    lambda_seg: float = Field(1.0, ge=0.0)
    lambda_sc: float = Field(1.0, ge=0.0)
    guidance: Literal["labels", "kmeans", "soft", "none"] = "labels"
    sar_segmenter: str | None = None
    optical_segmenter: str | None = None
    control: Control = "none"
    classes: int = Field(8, ge=2)
    class_temperature: float = Field(1.0, gt=0.0)
    soft_margin: float = 0.5
    soft_temperature: float = Field(0.1, gt=0.0)
    nce_taps: tuple[int, ...] = Field((0, 4, 8, 12, 16), min_length=1)
    projection_width: int = Field(256, ge=1)
    temperature: float = Field(0.07, ge=SMALLEST_TEMPERATURE)
    num_queries: int = Field(256, ge=2)
    all_keys_up_to: int = Field(64 * 64, ge=0)
    patch_size: Literal[1, 3, 5] = 1
    constant_epochs: int = Field(50, ge=0)
    decay_epochs: int = Field(50, ge=0)

    _taps_ascend = field_validator("nce_taps")(ascending_taps)

    @model_validator(mode="after")
    def _guided(self) -> SGCLConfig:
        guided = self.lambda_seg > 0.0 or self.lambda_sc > 0.0
        if self.guidance == "labels" and guided and not (self.sar_segmenter and self.optical_segmenter):
            raise ValueError(
                "guidance 'labels' needs sar_segmenter and optical_segmenter (saropt segment train); without labels "
                "take guidance 'kmeans'"
            )
        if self.guidance in ("soft", "none") and self.lambda_seg > 0.0:
            raise ValueError(f"guidance {self.guidance!r} has no classes: set lambda_seg to 0")
        fits = self.guidance in ("labels", "kmeans") or (self.guidance, self.control) == ("soft", "permuted")
        if self.control != "none" and not fits:
            raise ValueError(f"control {self.control!r} needs classes: guidance 'labels' or 'kmeans'")
        return self


@dataclass(frozen=True)
class Contrast:
    """One of the four sums of eq. 3: a generated image against the real one of some role, in one encoder.

    Attributes:
        head: the MLP of the encoder.
        queries: features of the generated image by tap, (N, C, h, w).
        keys: features of the real image by tap.
        guide: of the real image's role.
        seen: what the guide sees in the real image, (N, D, H, W).
    """

    head: nn.Module
    queries: list[Tensor]
    keys: list[Tensor]
    guide: Guide
    seen: Tensor


@register("sgcl", paper="Du et al., Journal of Image and Graphics, 2026")
class SGCL(CycleGAN):
    """CycleGAN with a frozen segmenter per role, which judges reconstructions and picks the positives of a contrast.

    >>> SGCL.name, SGCL.unpaired
    ('sgcl', True)
    """

    config_type = SGCLConfig
    config: SGCLConfig

    def __init__(self, config: SGCLConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        self._segmenters: dict[Role, SegmenterCard] = {}
        self.sar_guide, self.optical_guide = self._guide("sar"), self._guide("optical")
        if config.lambda_sc > 0.0:
            if not hasattr(self.sar2opt, "tap_channels"):
                raise ValueError(f"network {config.network!r} has no taps for the contrastive loss; resnet has")
            self.taps = config.nce_taps
            width = config.projection_width
            generators: tuple[Any, Any] = (self.sar2opt, self.opt2sar)
            self.sar2opt_projection, self.opt2sar_projection = (
                PatchProjection(generator.tap_channels(self.taps), width) for generator in generators
            )

    def _guide(self, role: Role) -> Guide:
        config, bands = self.config, self.bands[role]
        if config.lambda_seg == config.lambda_sc == 0.0 or config.guidance == "none":
            return Guide()
        if config.guidance == "soft":
            permuted = config.control == "permuted"
            return SoftGuide(bands, role, config.soft_margin, config.soft_temperature, permuted)
        if config.guidance == "kmeans":
            return kmeans_guide(bands, role, config.classes, config.control, config.class_temperature)
        path = config.sar_segmenter if role == "sar" else config.optical_segmenter
        guide, card = label_guide(str(path), config.control)
        if card.input.role != role:
            raise ValueError(f"{path} segments {card.input.role} images, not {role}")
        self._segmenters[role] = card
        return guide

    def trained_inputs(self) -> Mapping[Role, ImageCard]:
        return {role: card.input for role, card in self._segmenters.items()}

    def earlier_trainings(self) -> list[TrainingCard]:
        return [*super().earlier_trainings(), *(card.training for card in self._segmenters.values())]

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        defaults = {"antialias": True} if self.config.network == "resnet" else {}
        return self.config.network, {**defaults, **self.config.network_arguments}

    def optimizers(self) -> dict[str, Optimizer]:
        optimizers = super().optimizers()
        if self.config.lambda_sc > 0.0:
            heads = [*self.sar2opt_projection.parameters(), *self.opt2sar_projection.parameters()]
            optimizers["generators"].add_param_group({"params": heads})
        return optimizers

    def needs_identity(self) -> bool:
        return self.config.lambda_identity > 0.0 or self.config.lambda_sc > 0.0

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        for role, guide in self.guides.items():
            guide.update(batch[role])
        yield from super().updates(batch, progress)

    @property
    def guides(self) -> dict[Role, Guide]:
        """Role -> the guide that looks at real images of it."""
        return {"optical": self.optical_guide, "sar": self.sar_guide}

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        guides = [
            (f"segmenter of {role}", guide.segmenter, self.bands[role])
            for role, guide in self.guides.items()
            if isinstance(guide, ClassGuide) and self.config.guidance == "labels"
        ]
        return [*super().window_networks(), *guides]

    def weights(self) -> dict[str, float]:
        return super().weights() | {
            "gan": self.config.lambda_gan,
            "seg": self.config.lambda_seg,
            "sc": self.config.lambda_sc,
        }

    def generator_losses(self, sides: Sides) -> dict[str, Tensor]:
        """Eq. 6: the only place where lambda_1 to lambda_5 are applied."""
        config, guides = self.config, self.guides
        terms = l_gan(sides, config.gan_mode) | l_cyc(sides)
        if config.lambda_seg > 0.0 or config.lambda_sc > 0.0:
            seen = {role: guides[role].describe(side.real) for role, side in sides.items()}
            if config.lambda_seg > 0.0:
                terms |= l_seg(sides, guides, seen)
            if config.lambda_sc > 0.0:
                terms |= l_sc(self._contrasts(sides, seen), config)
        return weighted(terms, self.weights())

    def figures(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """L_gan (the generators' part), L_cyc, L_seg and L_sc as eq. 6 adds them up: before lambda_3 to lambda_5."""
        weights = self.weights() | {"cycle": 1.0, "identity": 1.0}
        symbols = {"gan": "L_gan", "cycle": "L_cyc", "identity": "L_cyc", "seg": "L_seg", "sc": "L_sc"}
        sums: dict[str, float] = {}
        for name, value in losses.items():
            optimizer, _, term = name.partition("/")
            kind = term.partition("_")[0]
            if optimizer == "generators":
                sums[symbols[kind]] = sums.get(symbols[kind], 0.0) + float(value) / weights[kind]
        return sums

    def _contrasts(self, sides: Sides, seen: Mapping[Role, Tensor]) -> dict[str, Contrast]:
        """The sums of eq. 3 by the generated image that they are of."""
        sar, optical = sides["sar"], sides["optical"]
        forth = self._encoded(self.sar2opt, sar.real.shape[1], optical.fake, optical.identity)
        back = self._encoded(self.opt2sar, optical.real.shape[1], sar.fake, sar.identity)
        to_optical, to_sar = self.sar2opt_projection, self.opt2sar_projection
        of_sar, of_optical = (self.sar_guide, seen["sar"]), (self.optical_guide, seen["optical"])
        return {
            "fake_optical": Contrast(to_optical, forth[0], sar.features, *of_sar),
            "fake_sar": Contrast(to_sar, back[0], optical.features, *of_optical),
            "identity_sar": Contrast(to_sar, back[1], sar.identity_features, *of_sar),
            "identity_optical": Contrast(to_optical, forth[1], optical.identity_features, *of_optical),
        }

    def _encoded(
        self, generator: nn.Module, bands: int, fake: Tensor, identity: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Features of a generator's outputs in its own encoder, of the fakes and of the identity images."""
        assert identity is not None
        features = generator(adapt_bands(torch.cat([fake, identity]), bands), taps=self.taps, stop=True)
        count = len(fake)
        return [feature[:count] for feature in features], [feature[count:] for feature in features]


def l_seg(sides: Sides, guides: Mapping[Role, Guide], seen: Mapping[Role, Tensor]) -> dict[str, Tensor]:
    """Eq. 1 by role, without lambda_4: cross entropy of the segmented reconstruction against the real image's classes.

    Args:
        guides: role -> guide with classes.
        seen: role -> classes (N, 1, H, W) of the real images, as the guide describes them.
    """
    return {
        f"seg_{role}": functional.cross_entropy(guides[role].logits(side.reconstructed), seen[role][:, 0])
        for role, side in sides.items()
    }


def l_sc(contrasts: Mapping[str, Contrast], config: SGCLConfig) -> dict[str, Tensor]:
    """Eq. 3 by generated image, without lambda_5: each a mean over taps and queries of eq. 2."""
    return {f"sc_{name}": _contrasted(contrast, config) for name, contrast in contrasts.items()}


def _contrasted(contrast: Contrast, config: SGCLConfig) -> Tensor:
    """Mean of eq. 2 over taps and random queries; keys get no gradient."""
    queries, keys, side = contrast.queries, contrast.keys, config.patch_size
    if side > 1:
        queries, keys = ([local_mean(feature, side) for feature in maps] for maps in (queries, keys))
    query_places = random_positions(keys, config.num_queries)
    key_places = [
        torch.arange(_size(k), device=k.device) if _size(k) <= config.all_keys_up_to else places
        for k, places in zip(keys, query_places, strict=True)
    ]
    query_vectors = contrast.head(queries, query_places)
    with torch.no_grad():
        key_vectors = contrast.head(keys, key_places)
    terms = []
    for tap, key_map in enumerate(keys):
        at_tap = contrast.guide.pool(contrast.guide.at(contrast.seen, *key_map.shape[-2:]), side)
        weights = contrast.guide.weights(
            gather_positions(at_tap, query_places[tap]), gather_positions(at_tap, key_places[tap])
        )
        terms.append(semantic_nce(query_vectors[tap], key_vectors[tap], weights, config.temperature))
    return torch.stack(terms).mean()


def _size(feature: Tensor) -> int:
    return feature.shape[-2] * feature.shape[-1]
