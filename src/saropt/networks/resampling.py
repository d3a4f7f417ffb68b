"""Bicubic resampling by 3/4 and 4/3: every scale of a pyramid is whole pixels, and a shift by whole periods stays one.

The kernel is Keys' cubic convolution with a = -1/2, widened when shrinking against aliasing, as in MATLAB's imresize.
As strided convolutions and a pixel shuffle both go into static graphs; borders repeat the outermost pixel.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_PAD = 2


def shrink(image: Tensor) -> Tensor:
    """(N, C, 4h, 4w) -> (N, C, 3h, 3w).

    >>> shrink(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 3, 48, 48])
    """
    return _resample(image, shrinking_kernel(), 4)


def enlarge(image: Tensor) -> Tensor:
    """(N, C, 3h, 3w) -> (N, C, 4h, 4w).

    >>> enlarge(torch.zeros(1, 3, 48, 48)).shape
    torch.Size([1, 3, 64, 64])
    """
    return _resample(image, enlarging_kernel(), 3)


def pyramid(image: Tensor, scales: int) -> list[Tensor]:
    """The image at `scales` sizes, coarsest first, each 3/4 of the next; sides must be multiples of 4^(scales - 1).

    >>> [image.shape[-1] for image in pyramid(torch.zeros(1, 3, 64, 64), scales=3)]
    [36, 48, 64]
    """
    images = [image]
    for _ in range(scales - 1):
        images.insert(0, shrink(images[0]))
    return images


@cache
def shrinking_kernel() -> NDArray[np.float64]:
    """Weights (3, 8) of the inputs -2 to 5 in the outputs 0 to 2 of each period of four inputs."""
    return _kernel(outputs=3, inputs=4, taps=range(-_PAD, 6))


@cache
def enlarging_kernel() -> NDArray[np.float64]:
    """Weights (4, 7) of the inputs -2 to 4 in the outputs 0 to 3 of each period of three inputs."""
    return _kernel(outputs=4, inputs=3, taps=range(-_PAD, 5))


def _kernel(outputs: int, inputs: int, taps: range) -> NDArray[np.float64]:
    centres = (np.arange(outputs) + 0.5) * inputs / outputs - 0.5
    distance = np.abs(np.array(taps) - centres[:, None]) * min(1.0, outputs / inputs)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1.0
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4.0 * distance + 2.0
    weights = np.where(distance <= 1.0, near, np.where(distance < 2.0, far, 0.0))
    return weights / weights.sum(axis=1, keepdims=True)


def _resample(image: Tensor, kernel: NDArray[np.float64], stride: int) -> Tensor:
    outputs, taps = kernel.shape
    channels = int(image.shape[1])
    planes = np.einsum("ik,jl->ijkl", kernel, kernel).reshape(outputs**2, 1, taps, taps)
    weight = torch.as_tensor(np.tile(planes, (channels, 1, 1, 1)), dtype=image.dtype, device=image.device)
    padded = functional.pad(image, (_PAD,) * 4, mode="replicate")
    return functional.pixel_shuffle(functional.conv2d(padded, weight, stride=stride, groups=channels), outputs)
