"""SGCL, semantic-guided contrastive learning (Du et al., Journal of Image and Graphics, 2026).

L_all = L_cyc + lambda_3 L_gan + lambda_4 L_seg + lambda_5 L_sc (eq. 6) on a CycleGAN of two generators, with

    L_cyc = lambda_1 (|sar - rec_sar| + |opt - rec_opt|) + lambda_2 (|sar - idt_sar| + |opt - idt_opt|)        (eq. 5)
    L_seg = CE(SARSeg(rec_sar), argmax SARSeg(sar)) + CE(OPTSeg(rec_opt), argmax OPTSeg(opt))                  (eq. 1)
    L_sc  = sums of l over (fake_opt, sar), (fake_sar, opt), (idt_sar, sar), (idt_opt, opt)               (eq. 2 and 3)

where l contrasts a position of the generated image with all positions of the real one, those of the same class being
positives. Encoder and heads are those of CUT. Choices where the paper is silent: docs/methods/sgcl.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from saropt.artifacts import ImageCard, SegmenterCard
from saropt.domain import Direction, Role
from saropt.losses import gan_loss, semantic_nce
from saropt.methods.bands import adapt_bands
from saropt.methods.base import Batch, Update
from saropt.methods.cyclegan import Cycle, CycleGAN, CycleGANConfig
from saropt.methods.guidance import Control, Guide, SoftGuide, kmeans_guide, label_guide
from saropt.methods.registry import register
from saropt.networks import PatchProjection, gather_positions, local_mean, random_positions


class SGCLConfig(CycleGANConfig):
    """Config of `sgcl`; defaults are the paper's where it states them.

    Attributes:
        network_arguments: of the generators; for "resnet", antialias is set unless given.
        lambda_cycle, lambda_identity, lambda_gan, lambda_seg, lambda_sc: lambda_1 to lambda_5. At 0 a term is left out.
        identity_relative: multiply lambda_identity by lambda_cycle, as CycleGAN does.
        guidance: "labels" (segmenter files), "kmeans" (pseudo-classes, no labels), "soft" (similarity of pixel
            features), "none" (every position its own class: PatchNCE). The last two have no classes: their
            lambda_seg must be 0.
        sar_segmenter, optical_segmenter: segmenter files for "labels".
        control: what a sceptic does to the class maps of L_sc: "permuted", "one_class" or "distinct".
        classes: pseudo-classes of "kmeans".
        soft_margin, soft_temperature: of "soft".
        nce_taps: layers whose features are contrasted.
        num_queries: positions per tap that are queries.
        all_keys_up_to: taps of at most this many positions have all of them as keys; larger taps those of the queries.
        patch_size: side in positions of what is contrasted (Table 8); features are averaged over it, classes voted.
    """

    lambda_identity: float = Field(0.5, ge=0.0)
    lambda_gan: float = Field(1.0, ge=0.0)
    lambda_seg: float = Field(1.0, ge=0.0)
    lambda_sc: float = Field(1.0, ge=0.0)
    identity_relative: bool = False
    guidance: Literal["labels", "kmeans", "soft", "none"] = "labels"
    sar_segmenter: str | None = None
    optical_segmenter: str | None = None
    control: Control = "none"
    classes: int = Field(8, ge=2)
    soft_margin: float = 0.5
    soft_temperature: float = Field(0.1, gt=0.0)
    nce_taps: tuple[int, ...] = Field((0, 4, 8, 12, 16), min_length=1)
    projection_width: int = Field(256, ge=1)
    temperature: float = Field(0.07, gt=0.0)
    num_queries: int = Field(256, ge=2)
    all_keys_up_to: int = Field(64 * 64, ge=0)
    patch_size: Literal[1, 3, 5] = 1
    constant_epochs: int = Field(50, ge=0)
    decay_epochs: int = Field(50, ge=0)

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
        if self.control != "none" and self.guidance not in ("labels", "kmeans"):
            raise ValueError(f"control {self.control!r} needs classes: guidance 'labels' or 'kmeans'")
        return self


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
            return SoftGuide(bands, role, config.soft_margin, config.soft_temperature)
        if config.guidance == "kmeans":
            return kmeans_guide(bands, role, config.classes, config.control)
        path = config.sar_segmenter if role == "sar" else config.optical_segmenter
        guide, card = label_guide(str(path), config.control)
        if card.input.role != role:
            raise ValueError(f"{path} segments {card.input.role} images, not {role}")
        self._segmenters[role] = card
        return guide

    def trained_inputs(self) -> Mapping[Role, ImageCard]:
        return {role: card.input for role, card in self._segmenters.items()}

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
        self.sar_guide.update(batch["sar"])
        self.optical_guide.update(batch["optical"])
        yield from super().updates(batch, progress)

    def generator_losses(self, batch: Batch, cycle: Cycle) -> dict[str, Tensor]:
        config = self.config
        images = {
            "optical": (batch["optical"], cycle.fake_optical, cycle.cycled_optical, cycle.identity_optical),
            "sar": (batch["sar"], cycle.fake_sar, cycle.cycled_sar, cycle.identity_sar),
        }
        discriminators = {"optical": self.optical_discriminator, "sar": self.sar_discriminator}
        guides = {"optical": self.optical_guide, "sar": self.sar_guide}
        described = {
            "optical": self.optical_guide.describe(batch["optical"]),
            "sar": self.sar_guide.describe(batch["sar"]),
        }
        lambda_identity = config.lambda_identity * (config.lambda_cycle if config.identity_relative else 1.0)
        losses: dict[str, Tensor] = {}
        for role, (real, fake, cycled, identity) in images.items():
            logits = discriminators[role](fake)[-1]
            losses[f"gan_{role}"] = config.lambda_gan * gan_loss(logits, True, config.gan_mode)
            if config.lambda_cycle > 0.0:
                losses[f"cycle_{role}"] = config.lambda_cycle * functional.l1_loss(cycled, real)
            if identity is not None and lambda_identity > 0.0:
                losses[f"identity_{role}"] = lambda_identity * functional.l1_loss(identity, real)
            if config.lambda_seg > 0.0:
                losses[f"seg_{role}"] = config.lambda_seg * segmentation_loss(guides[role], described[role], cycled)
        if config.lambda_sc > 0.0:
            losses |= self._semantic_losses(batch, cycle, described)
        return losses

    def _semantic_losses(self, batch: Batch, cycle: Cycle, described: dict[str, Tensor]) -> dict[str, Tensor]:
        sar, optical = (self.sar_guide, described["sar"]), (self.optical_guide, described["optical"])
        forth = self._generated_vectors(self.sar2opt, batch["sar"], cycle.fake_optical, cycle.identity_optical)
        back = self._generated_vectors(self.opt2sar, batch["optical"], cycle.fake_sar, cycle.identity_sar)
        terms = {
            "fake_optical": (self.sar2opt_projection, forth[0], cycle.sar_features, *sar),
            "identity_optical": (self.sar2opt_projection, forth[1], cycle.identity_optical_features, *optical),
            "fake_sar": (self.opt2sar_projection, back[0], cycle.optical_features, *optical),
            "identity_sar": (self.opt2sar_projection, back[1], cycle.identity_sar_features, *sar),
        }
        return {f"sc_{name}": self.config.lambda_sc * self._contrast(*term) for name, term in terms.items()}

    def _generated_vectors(
        self, generator: nn.Module, source: Tensor, fake: Tensor, identity: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Features of a generator's outputs in its own encoder, of the fakes and of the identity images."""
        assert identity is not None
        images = adapt_bands(torch.cat([fake, identity]), source.shape[1])
        features = generator(images, taps=self.taps, stop=True)
        count = len(source)
        return [feature[:count] for feature in features], [feature[count:] for feature in features]

    def _contrast(
        self, head: nn.Module, queries: list[Tensor], keys: list[Tensor], guide: Guide, description: Tensor
    ) -> Tensor:
        """Mean over taps and queries of l; keys get no gradient."""
        config = self.config
        if config.patch_size > 1:
            queries, keys = ([local_mean(f, config.patch_size) for f in maps] for maps in (queries, keys))
        query_places = random_positions(keys, config.num_queries)
        key_places = [
            torch.arange(_size(k), device=k.device) if _size(k) <= config.all_keys_up_to else places
            for k, places in zip(keys, query_places, strict=True)
        ]
        query_vectors = head(queries, query_places)
        with torch.no_grad():
            key_vectors = head(keys, key_places)
        terms = []
        for tap, key_map in enumerate(keys):
            at_tap = guide.pool(guide.at(description, *key_map.shape[-2:]), config.patch_size)
            weights = guide.weights(
                gather_positions(at_tap, query_places[tap]), gather_positions(at_tap, key_places[tap])
            )
            terms.append(semantic_nce(query_vectors[tap], key_vectors[tap], weights, config.temperature))
        return torch.stack(terms).mean()


def segmentation_loss(guide: Guide, classes: Tensor, cycled: Tensor) -> Tensor:
    """Cross entropy of the segmented reconstruction against the real image's classes (N, 1, H, W) (eq. 1, one role)."""
    return functional.cross_entropy(guide.logits(cycled), classes[:, 0])


def _size(feature: Tensor) -> int:
    return feature.shape[-2] * feature.shape[-1]
