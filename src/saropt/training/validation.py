"""Quick figures on fixed validation windows, to watch a run and to choose weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from saropt.domain import Direction, Role
from saropt.errors import InputError
from saropt.methods import Batch
from saropt.roots import WindowSampler
from saropt.training.windows import draw_windows

SOME_WINDOWS = 24
_CHUNK = 8


class Validation:
    """MAE and PSNR in [0, 1] on windows of the val split.

    Where the data are unpaired there is no truth to measure against (`has_truth` is False): there are samples and
    the figures of round trips.

    Args:
        sampler: draws from the val split.
        count: number of fixed random windows; None for all windows that tile the split, which are read anew each time.
        truth: whether pairs may be looked at where there are some.
    """

    def __init__(self, sampler: WindowSampler, count: int | None, *, truth: bool = True) -> None:
        self.has_truth = truth and not sampler.unpaired
        self._sampler = sampler if count is None else None
        self.batch = draw_windows(sampler, SOME_WINDOWS if count is None else count, [0])

    def _batches(self, roles: Sequence[Role]) -> Iterator[Batch]:
        """The windows of some roles, in one batch where they are fixed, and else in batches of eight."""
        if self._sampler is None:
            yield self.batch
            return
        tiles = self._sampler.tiles(roles)
        while samples := list(islice(tiles, _CHUNK)):
            yield Batch({role: torch.from_numpy(np.stack([sample[role] for sample in samples])) for role in samples[0]})

    @torch.no_grad()
    def figures(self, generator: nn.Module, direction: Direction, device: torch.device) -> dict[str, float]:
        """`mae` and `psnr` (mean over windows) of a generator; leaves its training mode as it was."""
        absolute, decibels = [], []
        for batch in self._batches((*direction.inputs, direction.output)):
            source, target = batch.pair(direction)
            output = self.translate(generator, source, device)[:, : target.shape[1]]
            difference = (output - target).numpy().astype(np.float64) / 2.0
            absolute.extend(np.abs(difference).mean(axis=(1, 2, 3)))
            squared = np.square(difference).mean(axis=(1, 2, 3))
            decibels.extend(10.0 * np.log10(1.0 / np.maximum(squared, 1e-12)))
        return {"mae": self._mean(absolute), "psnr": self._mean(decibels)}

    def cycle_figures(self, generators: Mapping[Direction, nn.Module], device: torch.device) -> dict[str, float]:
        """MAE in [0, 1] of the round trip of each role that goes in one direction and comes back by another, by
        ROLE/mae; needs no truth."""
        figures = {}
        for there, generator in generators.items():
            back = next((d for d in generators if (d.inputs, (d.output,)) == ((there.output,), there.inputs)), None)
            if back is None:
                continue
            errors: list[float] = []
            for batch in self._batches(there.inputs):
                source = batch[back.output]
                returned = self.translate(generators[back], self.translate(generator, source, device), device)
                errors.extend((returned - source).abs().mean(dim=(1, 2, 3)).tolist())
            figures[f"{back.output}/mae"] = self._mean(errors) / 2.0
        return figures

    def _mean(self, numbers: Sequence[float]) -> float:
        if not numbers:
            raise InputError("engine.validation_windows", "the val split has no wholly valid window: state a number")
        return float(np.mean(numbers))

    @torch.no_grad()
    def translate(self, generator: nn.Module, source: Tensor, device: torch.device) -> Tensor:
        """Outputs clamped to [-1, 1], on the CPU."""
        training = generator.training
        generator.eval()
        with torch.compiler.set_stance("force_eager"):  # what is compiled for training is not for these batches as well
            outputs = [generator(part.to(device)).float().clamp(-1.0, 1.0).cpu() for part in source.split(_CHUNK)]
        generator.train(training)
        return torch.cat(outputs)
