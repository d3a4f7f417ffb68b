"""U-Net generator of pix2pix (Isola et al., CVPR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saropt.networks.initialisation import normal_init
from saropt.networks.registry import network


@network("unet_256")
class UNet256(nn.Module):
    """Eight stride-2 steps down to 1x1 and back with concatenated skips; BatchNorm, dropout in three decoder steps.

    The innermost layer sees the whole 256x256 input, so the network is not tile-exact: scenes are translated in
    256x256 windows that are blended. 54,413,955 parameters for 3 -> 3 channels.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W) in [-1, 1], H and W multiples of 256.

    >>> UNet256(1, 3, width=2).eval()(torch.zeros(1, 1, 256, 256)).shape
    torch.Size([1, 3, 256, 256])
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.tile = 256
        self.stride = 256
        self.receptive_field = None
        widths = [width, 2 * width, 4 * width, *[8 * width] * 5]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, channels in enumerate(widths):
            before = in_channels if level == 0 else widths[level - 1]
            outermost, innermost = level == 0, level == len(widths) - 1
            down: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
            down.append(nn.Conv2d(before, channels, 4, stride=2, padding=1, bias=False))
            if not (outermost or innermost):
                down.append(nn.BatchNorm2d(channels))
            self.down.append(nn.Sequential(*down))
            inside = channels if innermost else 2 * channels
            after = out_channels if outermost else before
            up: list[nn.Module] = [
                nn.ReLU(),
                nn.ConvTranspose2d(inside, after, 4, stride=2, padding=1, bias=outermost),
            ]
            up.append(nn.Tanh() if outermost else nn.BatchNorm2d(after))
            if 4 <= level < len(widths) - 1:
                up.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*up))
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.up[-1](skips.pop())
        for up, skip in zip(reversed(self.up[:-1]), reversed(skips), strict=True):
            x = up(torch.cat([skip, x], dim=1))
        return x
