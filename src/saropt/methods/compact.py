"""The bundled translators' method: a regression phase, then a relativistic adversarial phase.

Phase R is `regression`. At `adversarial_start` of the training the averaged weights are kept as the fidelity end,
and phase A goes on from them with a conditional two-scale discriminator without norm layers: relativistic pairing
loss (R3GAN, Huang et al., NeurIPS 2024), where each patch is judged against its own truth, finite-difference R1 and
R2 penalties (SeedVR2), feature matching (pix2pixHD, Wang et al., CVPR 2018) and DiffAugment (Zhao et al., NeurIPS
2020). Both ends go into the translator file; weights between them trade fidelity for realism (network interpolation,
Wang et al., ESRGAN, 2018). Choices and measurements: docs/methods/compact.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from saropt.domain import Role
from saropt.losses import approximate_gradient_penalty, diff_augment, feature_matching, relativistic_loss
from saropt.methods.base import Batch, Update, frozen
from saropt.methods.registry import register
from saropt.methods.regression import Regression, RegressionConfig, cosine
from saropt.networks import MultiScalePatchGAN

Features = list[list[Tensor]]


class CompactConfig(RegressionConfig):
    """Config of `compact`.

    Attributes:
        adversarial_start: share of the training after which phase A begins.
        lambda_gan: weight of the relativistic loss, reached after `ramp` of phase A.
        lambda_feature: weight of feature matching.
        gamma: weight of the R1 and R2 penalties at the start of phase A; falls to a tenth.
        penalty_every: steps between penalties; their weight is multiplied by it.
    """

    adversarial_start: float = Field(0.6, gt=0.0, le=1.0)
    lambda_gan: float = Field(0.1, ge=0.0)
    lambda_feature: float = Field(1.0, ge=0.0)
    ramp: float = Field(0.2, gt=0.0, le=1.0)
    gamma: float = Field(0.1, ge=0.0)
    penalty_every: int = Field(4, ge=1)
    discriminator_width: int = Field(48, ge=1)
    discriminator_scales: int = Field(2, ge=1)
    adversarial_learning_rate: float = Field(1e-4, gt=0.0)
    discriminator_learning_rate: float = Field(2e-4, gt=0.0)


@register("compact", paper="ours: regression, then a relativistic GAN with feature matching")
class Compact(Regression):
    """Two-phase training of a compact generator.

    >>> method = Compact(CompactConfig(), {"sar": 2, "optical": 3})
    >>> sorted(method.optimizers())
    ['adversarial', 'discriminator', 'generator']
    """

    config_type = CompactConfig
    config: CompactConfig
    adversarial_steps: Tensor

    def __init__(self, config: CompactConfig, bands: Mapping[Role, int]) -> None:
        super().__init__(config, bands)
        scales = config.discriminator_scales
        self.discriminator = MultiScalePatchGAN(self._judged_bands, config.discriminator_width, scales=scales)
        self.register_buffer("adversarial_steps", torch.zeros((), dtype=torch.long))

    def window_networks(self) -> list[tuple[str, nn.Module, int]]:
        if self.config.adversarial_start >= 1.0:
            return []
        return [("discriminator", self.discriminator, self._judged_bands)]

    @property
    def _judged_bands(self) -> int:
        """Bands that the discriminator takes: those of the input and of the image."""
        direction = self.config.direction
        return self.channels(direction)[0] + self.bands[direction.output]

    def optimizers(self) -> dict[str, Optimizer]:
        rates = {
            "adversarial": (self.generator, self.config.adversarial_learning_rate),
            "discriminator": (self.discriminator, self.config.discriminator_learning_rate),
        }
        adversarial: dict[str, Optimizer] = {
            name: Adam(network.parameters(), lr=rate, betas=(0.0, 0.99)) for name, (network, rate) in rates.items()
        }
        return super().optimizers() | adversarial

    def milestones(self) -> Mapping[str, float]:
        start = self.config.adversarial_start
        return {"fidelity": start} if start < 1.0 else {}

    def learning_rate_factor(self, optimizer: str, progress: float) -> float:
        config = self.config
        if optimizer == "generator":
            return super().learning_rate_factor(optimizer, progress / config.adversarial_start)
        return cosine(self._phase(progress), 0.1)

    def _phase(self, progress: float) -> float:
        start = self.config.adversarial_start
        return max(0.0, progress - start) / max(1.0 - start, 1e-9)

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        if progress < self.config.adversarial_start:
            yield from super().updates(batch, progress)
            return
        config, phase = self.config, self._phase(progress)
        attempt = self.attempt(batch)
        source, target, fake = attempt.source, attempt.target, attempt.output

        real_view, fake_view = self._views(source, target, fake.detach())
        real, judged = self._judge(real_view, fake_view)
        losses = {"relativistic": relativistic_loss(_logits(real), _logits(judged))}
        step = int(self.adversarial_steps)  # the same for all batches of a step, which run side by side
        if step % config.penalty_every == 0:
            weight = config.gamma * (1.0 - 0.9 * phase) * config.penalty_every / 2.0
            views = torch.cat([real_view, fake_view])
            known = [torch.cat([r, j]) for r, j in zip(_logits(real), _logits(judged), strict=True)]
            penalty = approximate_gradient_penalty(lambda image: _logits(self.discriminator(image)), views, known)
            losses["penalty"] = 2.0 * weight * penalty
        yield "discriminator", losses
        self.adversarial_steps.fill_(step + 1)

        with frozen(self.discriminator):
            real_view, fake_view = self._views(source, target, fake)
            real, judged = self._judge(real_view, fake_view)
            losses = dict(attempt.losses)
            weight = config.lambda_gan * min(1.0, phase / config.ramp)
            losses["gan"] = weight * relativistic_loss(_logits(judged), [r.detach() for r in _logits(real)])
            losses["feature"] = config.lambda_feature * feature_matching(judged, real)
            yield "adversarial", losses

    def _views(self, source: Tensor, target: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        real_view = torch.cat([source, target], dim=1)
        fake_view = torch.cat([source, fake], dim=1)
        augmented = diff_augment([real_view, fake_view])
        return augmented[0], augmented[1]

    def _judge(self, real_view: Tensor, fake_view: Tensor) -> tuple[Features, Features]:
        outputs = self.discriminator(torch.cat([real_view, fake_view]))
        halves = [[feature.chunk(2) for feature in scale] for scale in outputs]
        real = [[half[0] for half in scale] for scale in halves]
        return real, [[half[1] for half in scale] for scale in halves]


def _logits(features: Features) -> list[Tensor]:
    return [scale[-1] for scale in features]
