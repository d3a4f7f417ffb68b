"""Noise schedules of diffusion models, what a network predicts under them, and the steps back from noise to image.

x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps (Ho et al., "Denoising Diffusion Probabilistic Models", NeurIPS 2020, eq. 4),
with a_t written `signal` throughout: the share of the image's variance that is left. Images lie in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Prediction = Literal["eps", "v", "x0"]
Predict = Callable[[Tensor, int], Tensor]
"""Network output at x_t (N, C, H, W) and time t."""
NoiseOf = Callable[[int], Tensor]
"""Unit normal noise (N, C, H, W) by number: 0 is x_T, i > 0 that of the i-th stochastic step."""


@dataclass(frozen=True)
class Schedule:
    """`signal` (T,) at times 0 .. T - 1, falling, in double precision."""

    signal: NDArray[np.float64]

    @classmethod
    def linear(cls, length: int, first: float, last: float, zero_terminal_snr: bool = False) -> Schedule:
        """Variances beta of the forward steps rise linearly from `first` to `last`.

        Args:
            zero_terminal_snr: shift and scale sqrt(signal) so that x_T holds nothing of the image and time 0 stays
                (Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed", WACV 2024, algorithm 1).
        """
        root = np.sqrt(np.cumprod(1.0 - np.linspace(first, last, length)))
        if zero_terminal_snr:
            root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        return cls(root**2)

    def times(self, steps: int) -> list[int]:
        """`steps` times spread evenly over all, from T - 1 down to 0 (respacing of Nichol & Dhariwal, ICML 2021).

        Raises:
            ValueError: fewer than one or more than T.
        """
        if not 1 <= steps <= len(self.signal):
            raise ValueError(f"steps must lie between 1 and {len(self.signal)}, not {steps}")
        return np.linspace(len(self.signal) - 1, 0, steps).round().astype(int).tolist()


def diffuse(image: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """x_t of images (N, C, H, W); `signal` is broadcast to their shape.

    >>> diffuse(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.tensor(0.25)).item()
    0.5
    """
    return signal.sqrt() * image + (1.0 - signal).sqrt() * noise


def regression_target(prediction: Prediction, image: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """The target of the network: eps, x_0, or v = sqrt(a) eps - sqrt(1 - a) x_0 (Salimans & Ho, ICLR 2022).

    >>> regression_target("eps", torch.ones(1), torch.tensor([0.5]), torch.tensor(0.25)).item()
    0.5
    """
    if prediction == "eps":
        return noise
    return image if prediction == "x0" else signal.sqrt() * noise - (1.0 - signal).sqrt() * image


def image_of(prediction: Prediction, output: Tensor, noisy: Tensor, signal: float) -> Tensor:
    """The x_0 that follows from a network output at x_t."""
    if prediction == "x0":
        return output
    if prediction == "eps":
        return (noisy - (1.0 - signal) ** 0.5 * output) / signal**0.5
    return signal**0.5 * noisy - (1.0 - signal) ** 0.5 * output


def ancestral_step(noisy: Tensor, image: Tensor, signal: float, before: float, noise: Tensor) -> Tensor:
    """x_s of x_t and x_0 (Ho et al., eq. 7), with the large variance beta_t; `before` is a_s."""
    kept = signal / before
    mean = before**0.5 * (1.0 - kept) / (1.0 - signal) * image + kept**0.5 * (1.0 - before) / (1.0 - signal) * noisy
    return mean + (1.0 - kept) ** 0.5 * noise


def ddim_step(noisy: Tensor, image: Tensor, signal: float, before: float) -> Tensor:
    """Deterministic x_s of x_t and x_0 (Song et al., "Denoising Diffusion Implicit Models", ICLR 2021, eq. 12).

    >>> image, noise = torch.ones(1), torch.zeros(1)
    >>> ddim_step(torch.tensor([0.5]), image, torch.tensor(0.25), torch.tensor(1.0)).item()
    1.0
    """
    noise = (noisy - signal**0.5 * image) / (1.0 - signal) ** 0.5
    return before**0.5 * image + (1.0 - before) ** 0.5 * noise


def sample(
    predict: Predict,
    prediction: Prediction,
    schedule: Schedule,
    times: Sequence[int],
    noise: NoiseOf,
    stochastic: bool,
) -> Iterator[Tensor]:
    """x_t after every step from pure noise down to the image, which comes last.

    Estimates of x_0 are clipped to [-1, 1] at every step; the last step gives the estimate itself.

    Args:
        times: falling times at which the network is asked.
        stochastic: ancestral steps, each with fresh noise; otherwise DDIM.
    """
    noisy = noise(0)
    for number, (time, after) in enumerate(pairwise([*times, -1]), start=1):
        signal = float(schedule.signal[time])
        image = image_of(prediction, predict(noisy, time), noisy, signal).clamp(-1.0, 1.0)
        if after < 0:
            noisy = image
        elif stochastic:
            noisy = ancestral_step(noisy, image, signal, float(schedule.signal[after]), noise(number))
        else:
            noisy = ddim_step(noisy, image, signal, float(schedule.signal[after]))
        yield noisy


def time_features(time: Tensor, width: int) -> Tensor:
    """Cosines and sines (N, width) of times (N,), wavelengths from 2 pi to 20,000 pi (Vaswani et al., 2017).

    >>> time_features(torch.tensor([0.0]), 4).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """
    half = width // 2
    rates = torch.exp(-math.log(10_000.0) * torch.arange(half, device=time.device, dtype=torch.float32) / half)
    angles = time.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)
