"""Antialiased resampling (Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BlurDown(nn.Module):
    """Every second pixel after the binomial filter [1, 2, 1] x [1, 2, 1] / 16, borders reflected.

    Shapes: (N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2)).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        # no buffer: data-parallel training writes to buffers at every forward, which spoils earlier graphs
        self._kernel = (taps[:, None] * taps / 16.0).repeat(channels, 1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and x.dtype == torch.bfloat16:
            # there the gradient of a convolution channel by channel takes six times as long as in single precision
            with torch.autocast("cpu", enabled=False):
                return self._blur(x.float()).to(x.dtype)
        return self._blur(x)

    def _blur(self, x: Tensor) -> Tensor:
        kernel = self._kernel
        if kernel.device != x.device or kernel.dtype != x.dtype:
            kernel = kernel.to(x)
            if x.device.type != "meta":  # where shapes are tried out: values do not come back from there
                self._kernel = kernel
        padded = functional.pad(x, (1, 1, 1, 1), "reflect")
        return functional.conv2d(padded, kernel, stride=2, groups=len(kernel))


class BlurUp(nn.Upsample):
    """Twice the size, by the binomial filter [1, 3, 3, 1] x [1, 3, 3, 1] / 16 between zeros, borders replicated.

    This filter is bilinear interpolation with half-pixel centres. Shapes: (N, C, H, W) -> (N, C, 2 H, 2 W).
    """

    def __init__(self) -> None:
        super().__init__(scale_factor=2, mode="bilinear", align_corners=False)
