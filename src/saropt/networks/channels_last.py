"""Layers that compute faster while a network is trained on a CPU, in memory format channels_last.

Weights, values and gradients are those of the layers of torch, up to rounding. Without gradients, on a GPU and in
exported graphs they are the layers of torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from saropt.networks.winograd import winograd

_CHANNELS = 128
"""Output channels from which `winograd` is faster than a direct convolution."""


def trains_on_cpu(x: Tensor) -> bool:
    """Whether gradients are recorded for a computation with x on a CPU, outside of compiled graphs.

    >>> with torch.no_grad():
    ...     trains_on_cpu(torch.zeros(1))
    False
    """
    return x.device.type == "cpu" and torch.is_grad_enabled() and not torch.compiler.is_compiling()


class Conv3x3(nn.Conv2d):
    """3x3 convolution of stride 1, by Winograd's algorithm where that is faster: in training on a CPU in single
    precision, with 128 output channels or more and an output of multiples of 4.

    >>> Conv3x3(1, 2, padding=1)(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 2, 8, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, padding: int = 0) -> None:
        super().__init__(in_channels, out_channels, 3, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        reach = int(self.padding[0])
        whole = all((size + 2 * reach - 2) % 4 == 0 for size in x.shape[2:])
        single = x.dtype == self.weight.dtype != torch.bfloat16 and not torch.is_autocast_enabled("cpu")
        faster = self.out_channels >= _CHANNELS and torch.backends.mkldnn.is_available()
        if self.bias is not None and trains_on_cpu(x) and whole and single and faster:
            return winograd(functional.pad(x, (reach,) * 4), self.weight, self.bias)
        return super().forward(x)


class InstanceNorm(nn.InstanceNorm2d):
    """InstanceNorm without weights and running statistics.

    >>> InstanceNorm(2)(torch.rand(1, 2, 8, 8)).mean(dim=(2, 3)).abs().max() < 1e-6
    tensor(True)
    """

    def forward(self, x: Tensor) -> Tensor:
        if not trains_on_cpu(x):
            return super().forward(x)
        if x.dtype == torch.bfloat16:
            images = x.contiguous(memory_format=torch.channels_last).split(1)
            return torch.cat(
                [functional.batch_norm(image, None, None, training=True, eps=self.eps) for image in images]
            )
        normalised: Tensor = _InstanceNorm.apply(x, self.eps)
        return normalised


class _InstanceNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        pixels = _pixels(x)
        centred = pixels - pixels.mean(dim=(1, 2), keepdim=True)
        scale = (centred.square().mean(dim=(1, 2), keepdim=True) + eps).rsqrt_()
        normalised = centred.mul_(scale)
        ctx.save_for_backward(normalised, scale)
        return normalised.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        normalised, scale = ctx.saved_tensors
        gradient = _pixels(gradients[0])
        mean = gradient.mean(dim=(1, 2), keepdim=True)
        slope = (gradient * normalised).mean(dim=(1, 2), keepdim=True)
        common = torch.addcmul(-mean * scale, normalised, -slope * scale)
        return common.addcmul_(gradient, scale).permute(0, 3, 1, 2), None


def _pixels(x: Tensor) -> Tensor:
    """(N, H, W, C)."""
    return x.permute(0, 2, 3, 1).contiguous()
