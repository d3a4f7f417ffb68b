"""Quick figures on fixed validation windows, to watch a run and to choose weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from saropt.domain import Direction
from saropt.roots import WindowSampler
from saropt.training.windows import draw_windows

_CHUNK = 8


class Validation:
    """MAE and PSNR in [0, 1] on `count` fixed windows of the val split.

    Where the data are unpaired there is no truth to measure against (`has_truth` is False): there are samples and
    the figures of round trips.
    """

    def __init__(self, sampler: WindowSampler, count: int) -> None:
        self.has_truth = not sampler.unpaired
        self.batch = draw_windows(sampler, count, [0])

    @torch.no_grad()
    def figures(self, generator: nn.Module, direction: Direction, device: torch.device) -> dict[str, float]:
        """`mae` and `psnr` (mean over windows) of a generator; leaves its training mode as it was."""
        source, target = self.batch.pair(direction)
        output = self.translate(generator, source, device)[:, : target.shape[1]]
        difference = (output - target).numpy().astype(np.float64) / 2.0
        squared = np.square(difference).mean(axis=(1, 2, 3))
        return {
            "mae": float(np.abs(difference).mean()),
            "psnr": float(np.mean(10.0 * np.log10(1.0 / np.maximum(squared, 1e-12)))),
        }

    def cycle_figures(self, generators: Mapping[Direction, nn.Module], device: torch.device) -> dict[str, float]:
        """MAE in [0, 1] of the round trip of each role that goes in one direction and comes back by another, by
        ROLE/mae; needs no truth."""
        figures = {}
        for there, generator in generators.items():
            back = next((d for d in generators if (d.inputs, (d.output,)) == ((there.output,), there.inputs)), None)
            if back is None:
                continue
            source = self.batch.pair(there)[0]
            middle = self.translate(generator, source, device)
            returned = self.translate(generators[back], middle, device)
            figures[f"{back.output}/mae"] = float((returned - source).abs().mean()) / 2.0
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
