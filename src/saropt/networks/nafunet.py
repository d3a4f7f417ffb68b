"""A compact, tile-exact U-Net of NAF blocks.

Blocks follow NAFNet (Chen et al., "Simple Baselines for Image Restoration", ECCV 2022): per-pixel channel norm, 1x1,
depthwise 3x3, simple gate, 1x1. Its global channel attention is left out: a network without pooling over the tile has a
finite receptive field, so tiles with a halo give the same output as the whole scene.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from saropt.networks.film import FiLM
from saropt.networks.registry import network


class NormedGate(nn.Module):
    """x + out(first(n) * second(n)) with n = x normalised over the channels of each pixel; exact under tiling.

    The norm has no affine part of its own, since 1x1 convolutions follow, and its centring is done on their weights:
    W (x - mean x) = (W - mean W) x. `out` starts at zero, so a fresh block is the identity.

    Args:
        channels: bands in and out.
        depthwise: put a depthwise 3x3 convolution behind each of the two 1x1 convolutions.
    """

    def __init__(self, channels: int, depthwise: bool, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.first, self.second = (nn.Conv2d(channels, channels, 1) for _ in range(2))
        spatial = [
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels) if depthwise else nn.Identity()
            for _ in range(2)
        ]
        self.first_spatial, self.second_spatial = spatial
        self.out = nn.Conv2d(channels, channels, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        variance = (wide * wide).mean(dim=1, keepdim=True) - wide.mean(dim=1, keepdim=True).square()
        scaled = x * torch.rsqrt(variance.clamp_min(0.0) + self.eps).to(x.dtype)
        first = self.first_spatial(_centred(self.first, scaled))
        second = self.second_spatial(_centred(self.second, scaled))
        return x + self.out(first * second)


def _centred(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    weight = convolution.weight
    return functional.conv2d(x, weight - weight.mean(dim=1, keepdim=True), convolution.bias)


def _block(channels: int) -> nn.Sequential:
    """A NAF block: a gate with 3x3 neighbourhood, then one per pixel."""
    return nn.Sequential(NormedGate(channels, depthwise=True), NormedGate(channels, depthwise=False))


@network("naf_unet")
class NAFUNet(nn.Module):
    """U-Net of NAF blocks behind a pixel-unshuffle; linear output in about [-1, 1].

    Args:
        in_channels, out_channels: bands in and out.
        width: channels of the first level; every further level doubles it.
        encoder, decoder: blocks per level, outermost first; equal lengths.
        middle: blocks at the coarsest level.
        unshuffle: factor of the pixel-unshuffle at the entrance.
        scene_bands: how many of the bands in, the last ones, are constant over the scene. They go to a `FiLM` behind
            the middle and behind each level of the decoder, and nowhere else.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W), H and W multiples of `stride`.

    >>> network = NAFUNet(2, 3, width=4)
    >>> network(torch.zeros(1, 2, 32, 32)).shape, network.stride
    (torch.Size([1, 3, 32, 32]), 16)
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
        scene_bands: int = 0,
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
        self.scene_bands = scene_bands
        self.entry = nn.Conv2d((in_channels - scene_bands) * unshuffle**2, width, 3, padding=1)
        self.exit = nn.Conv2d(width, out_channels * unshuffle**2, 3, padding=1)
        self.encoder = nn.ModuleList(_stage(widths[level], encoder[level]) for level in range(levels))
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(levels))
        self.middle = _stage(widths[-1], middle)
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[i + 1], widths[i], 1), nn.Upsample(scale_factor=2, mode="bilinear"))
            for i in range(levels)
        )
        self.decoder = nn.ModuleList(_stage(widths[level], decoder[level]) for level in range(levels))
        self.films = nn.ModuleList(FiLM(scene_bands, channels) for channels in widths if scene_bands)

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
        vector = None
        if self.scene_bands:
            x, vector = x[:, : -self.scene_bands], x[:, -self.scene_bands :, 0, 0]
        x = self.entry(self.unshuffle(x))
        skips = []
        for stage, down in zip(self.encoder, self.down, strict=True):
            x = stage(x)
            skips.append(x)
            x = down(x)
        x = self._modulated(self.middle(x), vector, len(skips))
        for level in reversed(range(len(skips))):
            x = self._modulated(self.decoder[level](self.up[level](x) + skips[level]), vector, level)
        return self.shuffle(self.exit(x))

    def _modulated(self, x: Tensor, vector: Tensor | None, level: int) -> Tensor:
        return x if vector is None else self.films[level](x, vector)


def _stage(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(_block(channels) for _ in range(blocks)))
