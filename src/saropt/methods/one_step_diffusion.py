"""A diffusion model that learns to draw its samples in one step, in the manner of E3Diff.

E3Diff (Qin et al., "Efficient End-to-End Diffusion Model for One-step SAR-to-Optical Translation", IEEE GRSL 2024)
trains a conditional diffusion model, then runs one step from pure noise inside the training, under pixel and
adversarial losses. Phase 1 is `con-diffusion`; phase 2 has the losses of `compact`. The weights at the end of phase 1
are the fidelity end of the translator file, those of phase 2 the realism end. Choices: docs/methods/con-diffusion.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from saropt.domain import Direction
from saropt.methods.base import Batch, Update
from saropt.methods.compact import Compact, CompactConfig
from saropt.methods.con_diffusion import diffusion_loss
from saropt.methods.registry import register
from saropt.networks import DiffusionUNet
from saropt.networks.sampling import draw

ONE_STEP: dict[str, Any] = {"prediction": "x0", "zero_terminal_snr": True, "sampler": "ddim", "steps": 1}


class OneStepDiffusionConfig(CompactConfig):
    """Config of `one-step-diffusion`.

    Attributes:
        network_arguments: of `saropt.networks.DiffusionUNet`; prediction x0, zero_terminal_snr, sampler ddim, steps 1
            are set unless given.
        adversarial_start: share of the training after which phase 2 begins; E3Diff's phase 2 has a quarter of the
            steps of phase 1.
    """

    network: Literal["diffusion_unet"] = "diffusion_unet"
    learning_rate: float = Field(2e-4, gt=0.0)
    adversarial_start: float = Field(0.8, gt=0.0, le=1.0)


@register("one-step-diffusion", paper="in the manner of E3Diff (Qin et al., IEEE GRSL 2024)")
class OneStepDiffusion(Compact):
    """Two-phase training of a diffusion model that samples in one step.

    >>> network = {"width": 8, "multipliers": (1, 2), "blocks": 1, "attention": ()}
    >>> method = OneStepDiffusion(OneStepDiffusionConfig(network_arguments=network), {"sar": 1, "optical": 3})
    >>> method.generator.steps, method.generator.prediction
    (1, 'x0')
    """

    config_type = OneStepDiffusionConfig
    config: OneStepDiffusionConfig
    generator: DiffusionUNet

    def network_of(self, direction: Direction) -> tuple[str, dict]:
        network, arguments = super().network_of(direction)
        return network, {**ONE_STEP, **arguments}

    def updates(self, batch: Batch, progress: float) -> Iterator[Update]:
        if progress >= self.config.adversarial_start:
            yield from super().updates(batch, progress)
            return
        source, target = self.without_scene_inputs(self.without_a_band(batch)).pair(self.config.direction)
        yield "generator", {self.generator.prediction: diffusion_loss(self.generator, source, target)}

    def translate(self, source: Tensor) -> Tensor:
        return draw(self.generator, source)
