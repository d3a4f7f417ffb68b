"""Samples of a scene: noise by pixel position, and mean and deviation of several samples in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import DirectionCard, ImageCard, SamplerCard
from saropt.domain import is_sar
from saropt.errors import OptionError
from saropt.inference.engine import Run
from saropt.inference.runtimes import Backend
from saropt.radiometry import apply_gain, position_noise, position_speckle_db
from saropt.scenes import Window


@dataclass(frozen=True)
class Sampling:
    """How many samples to draw, and the seed of their noise. The first sample does not depend on `samples`."""

    samples: int = 1
    seed: int = 0


def single_sample(backend: Backend, sampler: SamplerCard, seed: int, number: int = 0) -> Run:
    """Runs that draw the sample `number` of a seed. Each sample uses separate bands of the noise."""
    bands = sampler.noise_bands

    def run(batch: NDArray[np.float32], windows: Sequence[Window]) -> NDArray[np.float32]:
        places = [(w.row, w.col, w.height, w.width) for w in windows]
        noise = np.stack([position_noise(seed, bands, *place, first_band=number * bands) for place in places])
        return backend(np.concatenate([batch, noise], axis=1))

    return run


def check_speckle(looks: float, name: str, described: DirectionCard, reliability: bool) -> None:
    """Check that speckle can be laid on what a translator makes.

    Raises:
        OptionError: no SAR image, or one that has noise of its own or comes with its reliability.
    """
    reason = None
    if not is_sar(described.outputs[0].role):
        reason = f"{name} makes no SAR image"
    elif described.sampler is not None:
        reason = f"{name} draws samples, which have a speckle of their own"
    elif reliability:
        reason = "the reliability holds for the image without speckle"
    if reason is not None:
        raise OptionError("speckle", f"{looks:g}", reason)


def speckled(run: Run, image: ImageCard, looks: float, seed: int) -> Run:
    """Runs whose first bands, a SAR image, have simulated speckle; values stay within the range of its recipe."""
    bands = len(image.bands)
    normaliser = image.normaliser()

    def with_speckle(batch: NDArray[np.float32], windows: Sequence[Window]) -> NDArray[np.float32]:
        made = run(batch, windows)
        height, width = made.shape[2:]
        for values, w in zip(made, windows, strict=True):
            row, col = w.row + (w.height - height) // 2, w.col + (w.width - width) // 2
            gain = position_speckle_db(seed, bands, looks, row, col, height, width)
            rough = apply_gain(normaliser.inverse(values[:bands]), image.units, gain)
            values[:bands] = normaliser.forward(rough)
        return made

    return with_speckle


def mean_and_deviation(
    backend: Backend, sampler: SamplerCard, sampling: Sampling, to_output: Callable[[NDArray], NDArray]
) -> Run:
    """Runs that return the mean of the samples and, as further bands, their standard deviation (with N - 1), in output
    units.

    Args:
        to_output: output units of network values (C, h, w).
    """
    draws = [single_sample(backend, sampler, sampling.seed, number) for number in range(sampling.samples)]

    def run(batch: NDArray[np.float32], windows: Sequence[Window]) -> NDArray[np.float32]:
        mean: NDArray[np.float64] = np.zeros(())
        squares: NDArray[np.float64] = np.zeros(())
        for count, draw in enumerate(draws, start=1):
            values = np.stack([to_output(item) for item in draw(batch, windows)]).astype(np.float64)
            before = values - mean
            mean = mean + before / count
            squares = squares + before * (values - mean)
        return np.concatenate([mean, np.sqrt(squares / (len(draws) - 1))], axis=1).astype(np.float32)

    return run
