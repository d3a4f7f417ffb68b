"""Quick figures on fixed validation windows, to watch a run and to choose weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from saropt.data import WindowSampler, draw_batch
from saropt.methods import Batch, Direction

_CHUNK = 8


class Validation:
    """MAE and PSNR in [0, 1] on `count` fixed windows of the val split.

    Where the data are unpaired there is no truth to measure against (`has_truth` is False): no figures, only samples.
    """

    def __init__(self, sampler: WindowSampler, count: int) -> None:
        self.has_truth = not sampler.unpaired
        sar, optical = draw_batch(sampler, count, [0])
        self.batch = Batch(torch.from_numpy(sar), torch.from_numpy(optical))

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

    @torch.no_grad()
    def translate(self, generator: nn.Module, source: Tensor, device: torch.device) -> Tensor:
        """Outputs clamped to [-1, 1], on the CPU."""
        training = generator.training
        generator.eval()
        outputs = [generator(part.to(device)).float().clamp(-1.0, 1.0).cpu() for part in source.split(_CHUNK)]
        generator.train(training)
        return torch.cat(outputs)
