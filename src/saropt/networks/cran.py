"""Translator of CRAN, the cascaded-residual adversarial network (Fu, Xu & Jin, Sci. China Inf. Sci. 2021, fig. 2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from saropt.networks.initialisation import initialise
from saropt.networks.registry import network

_SCALES = 6


class _Halve(nn.Module):
    """3x3 convolution of stride 2 that pads one row and column at the end only (TensorFlow's SAME at even sizes)."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(functional.pad(x, (0, 1, 0, 1)))


class _Double(nn.Module):
    """The transpose of `_Halve`: (N, C, h, w) -> (N, C', 2h, 2w)."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(before, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolution(x)[..., :-1, :-1]


@network("cran")
class CRANTranslator(nn.Module):
    """Encoder and decoder of twelve 3x3 layers over six scales; the input image is concatenated at every scale.

    At each scale the decoder concatenates the map of the encoder, deconvolves, concatenates the input image resized to
    that scale (the cascaded residuals; bilinear with aligned corners), and deconvolves again. Every layer but the first
    is preceded by LeakyReLU(0.2), which rectifies the concatenated image as well; the output is tanh. 53,731,880
    parameters for 1 -> 3 bands, 53,759,778 for 3 -> 1.

    The resized images reach every output pixel, and aligned corners depend on the window: the network is not
    tile-exact, and scenes are translated in blended windows of the training size 256.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W) in [-1, 1], H and W multiples of 32; with norm "instance"
    at least 64.

    Args:
        width: n_g, channels of the first layer.
        norm: behind every layer but the first and the last: "instance" (without affine weights), "batch" or "none".
        skip: which of the two encoder layers of a scale is concatenated: "first" (published code) or "second" (fig. 2).
        joins: "input" (CRAN), or "encoder": the other encoder layer's map in place of the input image, the paper's
            U-Net for comparison (107,162,340 parameters for both directions at width 46).
        latent_layers: further layers at the coarsest scale; the paper's "CycleGAN" generator has joins "encoder",
            width 42 and three (113,726,932 for both directions).

    Raises:
        ValueError: an unknown norm, skip or joins.

    >>> CRANTranslator(1, 3, width=2)(torch.zeros(1, 1, 64, 64)).shape
    torch.Size([1, 3, 64, 64])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 50,
        norm: Literal["instance", "batch", "none"] = "instance",
        skip: Literal["first", "second"] = "first",
        joins: Literal["input", "encoder"] = "input",
        latent_layers: int = 0,
    ) -> None:
        super().__init__()
        for name, value, known in (("skip", skip, ("first", "second")), ("joins", joins, ("input", "encoder"))):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
        self.tile = 256
        self.stride = 2 ** (_SCALES - 1)
        self.receptive_field = None
        self.skip, self.joins = skip, joins
        widths = [width * 2 ** min(scale, 4) for scale in range(_SCALES)]
        self.first, self.second = nn.ModuleList(), nn.ModuleList()
        for scale, channels in enumerate(widths):
            before = widths[scale - 1] if scale else in_channels
            entry = _Halve(before, channels) if scale else nn.Conv2d(before, channels, 3, padding=1)
            self.first.append(_layer(entry, norm, channels) if scale else entry)
            self.second.append(_layer(nn.Conv2d(channels, channels, 3, padding=1), norm, channels))
        self.latent = nn.Sequential(
            *(_layer(nn.Conv2d(widths[-1], widths[-1], 3, padding=1), norm, widths[-1]) for _ in range(latent_layers))
        )
        self.keep, self.grow = nn.ModuleList(), nn.ModuleList()
        for scale in reversed(range(_SCALES)):
            channels = widths[scale]
            deepest = scale == _SCALES - 1
            entry = nn.Conv2d(channels if deepest else 2 * channels, channels, 3, padding=1)
            self.keep.append(_layer(entry, norm, channels))
            inside = channels + (in_channels if joins == "input" else channels)
            if scale:
                self.grow.append(_layer(_Double(inside, widths[scale - 1]), norm, widths[scale - 1]))
            else:
                self.grow.append(nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(inside, out_channels, 3, padding=1)))
        initialise(self, "truncated")

    def forward(self, x: Tensor) -> Tensor:
        """The translation of images (N, in_channels, H, W)."""
        image, firsts, seconds = x, [], []
        for first, second in zip(self.first, self.second, strict=True):
            firsts.append(first(x))
            seconds.append(second(firsts[-1]))
            x = seconds[-1]
        skips, others = (firsts, seconds) if self.skip == "first" else (seconds, firsts)
        x = self.latent(x)
        for depth, (keep, grow) in enumerate(zip(self.keep, self.grow, strict=True)):
            scale = _SCALES - 1 - depth
            x = keep(torch.cat([skips[scale], x], dim=1) if depth else x)
            x = grow(torch.cat([self._joined(image, others[scale], x), x], dim=1))
        return torch.tanh(x)

    def _joined(self, image: Tensor, encoded: Tensor, like: Tensor) -> Tensor:
        if self.joins == "encoder":
            return encoded
        if like.shape[-1] == image.shape[-1]:
            return image
        return functional.interpolate(image, like.shape[-2:], mode="bilinear", align_corners=True)


def _layer(convolution: nn.Module, norm: str, channels: int) -> nn.Sequential:
    norms = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d, "none": nn.Identity}
    if norm not in norms:
        raise ValueError(f"norm must be one of {', '.join(norms)}, not {norm!r}")
    return nn.Sequential(nn.LeakyReLU(0.2), convolution, norms[norm](channels))
