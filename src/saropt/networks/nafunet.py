"""A compact, tile-exact U-Net of NAF blocks.

Blocks follow NAFNet (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022): per-pixel channel norm, 1x1,
depthwise 3x3, simple gate, 1x1. Its global channel attention is left out: a network without any pooling over the
tile has a finite receptive field, so that a scene cut into tiles with a halo comes out as the whole scene would.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saropt.networks.registry import network


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each single pixel (N, C, H, W); exact under tiling."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        scale = torch.rsqrt((centred * centred).mean(dim=1, keepdim=True) + self.eps)
        return centred * scale * self.weight + self.bias


class NAFBlock(nn.Module):
    """Two gated residual branches; `beta` and `gamma` start at zero, so a fresh block is the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            ChannelNorm(channels),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels),
        )
        self.spatial_out = nn.Conv2d(channels, channels, 1)
        self.channel = nn.Sequential(ChannelNorm(channels), nn.Conv2d(channels, 2 * channels, 1))
        self.channel_out = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.beta * self.spatial_out(_gate(self.spatial(x)))
        return x + self.gamma * self.channel_out(_gate(self.channel(x)))


def _gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=1)
    return first * second


@network("naf_unet")
class NAFUNet(nn.Module):
    """U-Net of NAF blocks behind a pixel-unshuffle; linear output in about [-1, 1].

    Args:
        in_channels, out_channels: bands in and out.
        width: channels of the first level; every further level doubles it.
        encoder, decoder: blocks per level, outermost first; equal lengths.
        middle: blocks at the coarsest level.
        unshuffle: factor of the pixel-unshuffle at the entrance.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W), H and W multiples of `stride`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 24,
        encoder: Sequence[int] = (1, 2, 4),
        middle: int = 5,
        decoder: Sequence[int] = (2, 2, 4),
        unshuffle: int = 2,
    ) -> None:
        super().__init__()
        if len(encoder) != len(decoder):
            raise ValueError("encoder and decoder must have the same number of levels")
        levels = len(encoder)
        widths = [width * 2**level for level in range(levels + 1)]
        self.tile = 1024
        self.stride = unshuffle * 2**levels
        self.receptive_field = self._receptive_field(unshuffle, encoder, middle, decoder)
        self.unshuffle = nn.PixelUnshuffle(unshuffle)
        self.shuffle = nn.PixelShuffle(unshuffle)
        self.entry = nn.Conv2d(in_channels * unshuffle**2, width, 3, padding=1)
        self.exit = nn.Conv2d(width, out_channels * unshuffle**2, 3, padding=1)
        self.encoder = nn.ModuleList(_stage(widths[level], encoder[level]) for level in range(levels))
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(levels))
        self.middle = _stage(widths[-1], middle)
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[i + 1], widths[i], 1), nn.Upsample(scale_factor=2, mode="bilinear"))
            for i in range(levels)
        )
        self.decoder = nn.ModuleList(_stage(widths[level], decoder[level]) for level in range(levels))

    @staticmethod
    def _receptive_field(unshuffle: int, encoder: Sequence[int], middle: int, decoder: Sequence[int]) -> int:
        """Walk back from one output pixel: 3x3 convolutions add two cells, bilinear steps reach into the next cell."""
        cells = 1 + 2
        for blocks in decoder:
            cells = (cells + 2 * blocks + 4) // 2
        cells += 2 * middle
        for blocks in reversed(encoder):
            cells = 2 * cells + 2 * blocks
        return unshuffle * (cells + 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(self.unshuffle(x))
        skips = []
        for stage, down in zip(self.encoder, self.down, strict=True):
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for level in reversed(range(len(skips))):
            x = self.decoder[level](self.up[level](x) + skips[level])
        return self.shuffle(self.exit(x))


def _stage(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels) for _ in range(blocks)))
