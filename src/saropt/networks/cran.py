"""The translator of CRAN, the cascaded-residual adversarial network (Fu, Xu & Jin, Sci. China Inf. Sci. 2021, fig. 2),
and the two networks of equal size that the paper compares it with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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


class _SixScales(nn.Module, ABC):
    """Encoder and decoder of twelve 3x3 layers over six scales, LeakyReLU(0.2) before every layer but the first, tanh
    at the end. At each scale the decoder concatenates the map of one encoder layer, deconvolves, concatenates what
    `_joined` gives, and deconvolves again.

    Args:
        joined: channels of what is joined at the scales, finest first, at full width.
        latent_layers: further layers at the coarsest scale.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        norm: str,
        skip: str,
        *,
        joined: Sequence[int],
        latent_layers: int = 0,
    ) -> None:
        super().__init__()
        if skip not in ("first", "second"):
            raise ValueError(f"skip must be one of first, second, not {skip!r}")
        self.tile = 256
        self.stride = 2 ** (_SCALES - 1)
        self.receptive_field = None
        self.skip = skip
        widths = _widths(width)
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
            inside = channels + joined[scale]
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
            join = self._joined(scale, image, others[scale])
            x = grow(x if join is None else torch.cat([join, x], dim=1))
        return torch.tanh(x)

    @abstractmethod
    def _joined(self, scale: int, image: Tensor, encoded: Tensor) -> Tensor | None:
        """What is joined at a scale: of the input image, or the map of the encoder layer that is no skip."""


@network("cran")
class CRANTranslator(_SixScales):
    """CRAN's translator: the input image, resized to each scale, is joined to the decoder (the cascaded residuals;
    bilinear with aligned corners). LeakyReLU rectifies the joined image as well. 53,731,880 parameters for 1 -> 3
    bands, 53,759,778 for 3 -> 1.

    The resized images reach every output pixel, and aligned corners depend on the window: the network is not
    tile-exact, and scenes are translated in blended windows of the training size 256.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W) in [-1, 1], H and W multiples of 32; with norm "instance"
    at least 64.

    Args:
        width: n_g, channels of the first layer.
        norm: behind every layer but the first and the last: "instance" (without affine weights), "batch" or "none".
        skip: which of the two encoder layers of a scale is concatenated: "first" (published code) or "second" (fig. 2).

    Raises:
        ValueError: an unknown norm or skip.

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
    ) -> None:
        super().__init__(in_channels, out_channels, width, norm, skip, joined=(in_channels,) * _SCALES)

    def _joined(self, scale: int, image: Tensor, encoded: Tensor) -> Tensor:
        if not scale:
            return image
        return functional.interpolate(image, encoded.shape[-2:], mode="bilinear", align_corners=True)


@network("cran_unet")
class CRANUNet(_SixScales):
    """The U-Net of CRAN's size that its paper calls "Pix2Pix": where CRAN joins the image, it joins the map of the
    first encoder layer of that scale. 107,162,340 parameters for both directions, 1 -> 3 and 3 -> 1 bands.

    Shapes: as for `CRANTranslator`.

    Args:
        width, norm: as for `CRANTranslator`.
        last_join: whether the last layer has a join too. The published code has it; the paper's count of operations
            (Table 5: 89.50 G) is met without it.
        latent_layers: further layers at the coarsest scale.

    >>> CRANUNet(1, 3, width=2)(torch.zeros(1, 1, 64, 64)).shape
    torch.Size([1, 3, 64, 64])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 46,
        norm: Literal["instance", "batch", "none"] = "instance",
        last_join: bool = True,
        latent_layers: int = 0,
    ) -> None:
        joined = _widths(width)
        joined[0] *= last_join
        super().__init__(in_channels, out_channels, width, norm, "second", joined=joined, latent_layers=latent_layers)
        self.last_join = last_join

    def _joined(self, scale: int, image: Tensor, encoded: Tensor) -> Tensor | None:
        return encoded if scale or self.last_join else None


@network("cran_cyclegan")
class CRANCycleGAN(CRANUNet):
    """The network of CRAN's size that its paper calls "CycleGAN": `CRANUNet` with three further layers at the coarsest
    scale, 113,726,932 parameters for both directions.

    >>> CRANCycleGAN(1, 3, width=2)(torch.zeros(1, 1, 64, 64)).shape
    torch.Size([1, 3, 64, 64])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 42,
        norm: Literal["instance", "batch", "none"] = "instance",
        last_join: bool = True,
        latent_layers: int = 3,
    ) -> None:
        super().__init__(in_channels, out_channels, width, norm, last_join, latent_layers)


def _widths(width: int) -> list[int]:
    """Channels at the scales, finest first."""
    return [width * 2 ** min(scale, 4) for scale in range(_SCALES)]


def _layer(convolution: nn.Module, norm: str, channels: int) -> nn.Sequential:
    norms = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d, "none": nn.Identity}
    if norm not in norms:
        raise ValueError(f"norm must be one of {', '.join(norms)}, not {norm!r}")
    return nn.Sequential(nn.LeakyReLU(0.2), convolution, norms[norm](channels))
