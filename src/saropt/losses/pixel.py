"""Pixel losses, some of which tolerate small shifts and differences of brightness and contrast, as SAR-optical pairs
have them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def charbonnier(difference: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Elementwise smooth L1, sqrt(d^2 + epsilon^2).

    >>> charbonnier(torch.tensor([0.0, 3.0]), epsilon=4.0).tolist()
    [4.0, 5.0]
    """
    return torch.sqrt(difference * difference + epsilon * epsilon)


def block_minimum(
    output: Tensor, target: Tensor, shift: int = 2, block: int = 64, softness: float = 0.1, epsilon: float = 1e-3
) -> Tensor:
    """Charbonnier loss that tolerates one integer shift for each block.

    For every shift |dx|, |dy| <= `shift` of the target the loss map is averaged over channels and over blocks of
    `block` pixels of the interior; each block then takes the soft minimum over the shifts, with temperature
    `softness` times the block's smallest loss. One shift per block, not per pixel: a minimum per pixel would reward
    noise. `epsilon` is the Charbonnier constant: errors far below it count squared, far above it linearly.

    Shapes: (N, C, H, W) twice -> scalar. `shift` 0 is the plain mean over the same interior.

    >>> target = torch.rand(1, 3, 64, 64)
    >>> moved = target.roll(1, dims=3)
    >>> bool(block_minimum(moved, target) < 0.1 * block_minimum(moved, target, shift=0))
    True
    """
    height, width = output.shape[-2:]
    inner = output[..., shift : height - shift or None, shift : width - shift or None]
    rows, columns = inner.shape[-2:]
    kernel = (min(block, rows), min(block, columns))
    candidates = []
    for dy in range(2 * shift + 1):
        for dx in range(2 * shift + 1):
            moved = target[..., dy : dy + rows, dx : dx + columns]
            error = charbonnier(inner - moved, epsilon).mean(dim=1, keepdim=True)
            candidates.append(functional.avg_pool2d(error, kernel, stride=kernel, ceil_mode=True))
    losses = torch.stack(candidates)
    temperature = softness * losses.detach().amin(dim=0, keepdim=True) + 1e-8
    weights = torch.softmax(-losses.detach() / temperature, dim=0)
    return (weights * losses).sum(dim=0).mean()


def match_colour(output: Tensor, target: Tensor, low: float = 0.8, high: float = 1.25) -> Tensor:
    """The output after a gain in [low, high] and an offset for each image and band, which fit it best to the target.

    Gain and offset are fitted by least squares and get no gradient, so that only the error of structure is left.
    Shapes: (N, C, H, W) twice -> (N, C, H, W).

    >>> target = torch.rand(1, 3, 16, 16)
    >>> torch.allclose(match_colour(0.9 * target + 0.1, target), target, atol=1e-3)
    True
    """
    with torch.no_grad():
        mean_output = output.mean(dim=(-2, -1), keepdim=True)
        mean_target = target.mean(dim=(-2, -1), keepdim=True)
        centred = output - mean_output
        covariance = (centred * (target - mean_target)).mean(dim=(-2, -1), keepdim=True)
        gain = (covariance / ((centred * centred).mean(dim=(-2, -1), keepdim=True) + 1e-6)).clamp(low, high)
        offset = mean_target - gain * mean_output
    return gain * output + offset


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of vertical neighbours plus that of horizontal ones; (N, C, H, W).

    >>> total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).item()
    1.0
    """
    return image.diff(dim=-2).square().mean() + image.diff(dim=-1).square().mean()
