"""Haar wavelet loss: compares image detail without pretrained weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def haar_bands(image: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the orthonormal Haar transform of (N, C, H, W): approximation (N, C, H/2, W/2) and details (N, 3C,
    H/2, W/2).

    >>> approximation, details = haar_bands(torch.ones(1, 1, 2, 2))
    >>> approximation.flatten().tolist(), details.flatten().tolist()
    ([2.0], [0.0, 0.0, 0.0])
    """
    a, b = image[..., 0::2, 0::2], image[..., 0::2, 1::2]
    c, d = image[..., 1::2, 0::2], image[..., 1::2, 1::2]
    details = torch.cat([a - b + c - d, a + b - c - d, a - b - c + d], dim=1) / 2.0
    return (a + b + c + d) / 2.0, details


def haar_l1(output: Tensor, target: Tensor, levels: int = 2) -> Tensor:
    """Mean absolute difference of the Haar details, averaged over `levels`; (N, C, H, W) twice -> scalar.

    >>> haar_l1(torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)).item()
    0.0
    """
    total = output.new_zeros(())
    for _ in range(levels):
        output, output_details = haar_bands(output)
        target, target_details = haar_bands(target)
        total = total + functional.l1_loss(output_details, target_details)
    return total / levels
