"""Quick figures on fixed validation windows, to watch a run and to choose weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction
from saropt.methods import Batch
from saropt.roots import WindowSampler, draw_batch

_CHUNK = 8


class Validation:
    """MAE and PSNR in [0, 1] on `count` fixed windows of the val split.

    Where the data are unpaired there is no truth to measure against (`has_truth` is False): there are samples and
    the figures of round trips.
    """

    def __init__(self, sampler: WindowSampler, count: int) -> None:
        self.has_truth = not sampler.unpaired
        drawn = draw_batch(sampler, count, [0])
        self.batch = Batch({role: torch.from_numpy(images) for role, images in drawn.items()})

    @torch.no_grad()
    def figures(self, generator: nn.Module, direction: Direction, device: torch.device) -> dict[str, float]:
        """`mae` and `psnr` (mean over windows) of a generator; leaves its training mode as it was."""
        source, target = self.batch.pair(direction)
        output = self.translate(generator, source, device)
        difference = (output - target).numpy().astype(np.float64) / 2.0
        squared = np.square(difference).mean(axis=(1, 2, 3))
        return {
            "mae": float(np.abs(difference).mean()),
            "psnr": float(np.mean(10.0 * np.log10(1.0 / np.maximum(squared, 1e-12)))),
        }

    def cycle_figures(self, generators: Mapping[Direction, nn.Module], device: torch.device) -> dict[str, float]:
        """MAE in [0, 1] of both sides' round trips through both generators, side by side; needs no truth."""
        figures = {}
        both = (("sar", SAR_TO_OPTICAL, OPTICAL_TO_SAR), ("optical", OPTICAL_TO_SAR, SAR_TO_OPTICAL))
        for side, first, second in both:
            source = self.batch[side]
            there = self.translate(generators[first], source, device)
            back = self.translate(generators[second], there, device)
            figures[f"{side}/mae"] = float((back - source).abs().mean()) / 2.0
        return figures

    @torch.no_grad()
    def translate(self, generator: nn.Module, source: Tensor, device: torch.device) -> Tensor:
        """Outputs clamped to [-1, 1], on the CPU."""
        training = generator.training
        generator.eval()
        with torch.compiler.set_stance("force_eager"):  # what is compiled for training is not for these batches as well
            outputs = [generator(part.to(device)).float().clamp(-1.0, 1.0).cpu() for part in source.split(_CHUNK)]
        generator.train(training)
        return torch.cat(outputs)
