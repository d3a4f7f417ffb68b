"""Coarse-to-fine generator and critics of TuiGAN (Lin et al., "TuiGAN: Learning Versatile Image-to-Image Translation
with Two Unpaired Images", ECCV 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saropt.networks.initialisation import normal_init
from saropt.networks.registry import network
from saropt.networks.resampling import enlarge, enlarging_kernel, pyramid, shrinking_kernel

_WIDEST = 128
_SCALES_PER_WIDTH = 4


def scale_widths(width: int, scales: int) -> list[int]:
    """Channels per scale, coarsest first: doubled every four scales, at most 128.

    >>> scale_widths(32, 9)
    [32, 32, 32, 32, 64, 64, 64, 64, 128]
    """
    return [min(width * 2 ** (scale // _SCALES_PER_WIDTH), max(width, _WIDEST)) for scale in range(scales)]


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2))


class RefiningScale(nn.Module):
    """One scale: y1 from the image, then a blend A y_prev + (1 - A) y1 with the result of the coarser scale.

    Main branch: five 3x3 convolutions, tanh. Attention branch on (image, y1, y_prev): four, sigmoid. The published
    code registers the attention branch's two middle blocks in the main branch, in place of two of its own; `literal`
    builds that: two convolutions of attention, 33,318 parameters at width 32 and 121,926 at 64, for 3 -> 3 bands.

    Shapes: (N, in_channels, H, W) and (N, out_channels, H, W) -> (N, out_channels, H, W).

    >>> RefiningScale(1, 3, width=8)(torch.zeros(2, 1, 16, 16)).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 32, literal: bool = False) -> None:
        super().__init__()
        self.main = nn.Sequential(
            _block(in_channels, width),
            *(_block(width, width) for _ in range(3)),
            nn.Conv2d(width, out_channels, 3, padding=1),
            nn.Tanh(),
        )
        self.attention = nn.Sequential(
            _block(in_channels + 2 * out_channels, width),
            *(_block(width, width) for _ in range(0 if literal else 2)),
            nn.Conv2d(width, out_channels, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, image: Tensor, previous: Tensor | None = None) -> Tensor:
        """`previous` is the enlarged result of the coarser scale, zero at the coarsest."""
        fresh = self.main(image)
        before = torch.zeros_like(fresh) if previous is None else previous
        attention = self.attention(torch.cat([image, fresh, before], dim=1))
        return attention * before + (1.0 - attention) * fresh


@network("tuigan")
class TuiGANGenerator(nn.Module):
    """All scales of one direction in one network, which builds the pyramid of its input by itself.

    Each scale is 3/4 of the next: ratios of ground sample distance, not sizes, so that an image of any size is taken
    through the resolutions of the training images. With running statistics of its BatchNorms every layer is local:
    the receptive field is finite.

    Args:
        in_channels, out_channels: bands in and out.
        scales: sizes of the pyramid.
        width: channels of the coarsest four scales; every further four double them, up to 128.
        literal: wiring of the published code (`RefiningScale`).

    Attributes:
        active: scales that refine; the finer ones only enlarge. A run raises it as it trains scale after scale.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W) in [-1, 1], H and W multiples of 4^(scales - 1).

    >>> TuiGANGenerator(1, 3, scales=2, width=8)(torch.zeros(2, 1, 16, 16)).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self, in_channels: int, out_channels: int, scales: int = 4, width: int = 32, literal: bool = False
    ) -> None:
        super().__init__()
        if scales < 1:
            raise ValueError(f"scales must be at least 1, not {scales}")
        self.tile = 1024
        self.stride = 4 ** (scales - 1)
        self.receptive_field = _receptive_field(scales, literal)
        self.active = scales
        self.scales = nn.ModuleList(
            RefiningScale(in_channels, out_channels, channels, literal) for channels in scale_widths(width, scales)
        )
        normal_init(self)

    def forward(self, image: Tensor, previous: Tensor | None = None, scale: int | None = None) -> Tensor:
        """The whole pyramid; or `scale` alone (0 is the coarsest) on an image of its size and `previous`."""
        if scale is not None:
            return self.scales[scale](image, previous)
        result: Tensor | None = None
        for level, part in enumerate(pyramid(image, len(self.scales))):
            before = None if result is None else enlarge(result)
            result = self.scales[level](part, before) if before is None or level < self.active else before
        assert result is not None
        return result


class ScaleCritics(nn.Module):
    """A critic per scale: five 3x3 convolutions, BatchNorm kept as published; 29,185 parameters (width 32, 3 bands).

    >>> ScaleCritics(3, scales=2, width=8)(torch.zeros(2, 3, 16, 16), scale=1).shape
    torch.Size([2, 1, 16, 16])
    """

    def __init__(self, in_channels: int, scales: int = 4, width: int = 32) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(
                _block(in_channels, channels),
                *(_block(channels, channels) for _ in range(3)),
                nn.Conv2d(channels, 1, 3, padding=1),
            )
            for channels in scale_widths(width, scales)
        )
        normal_init(self)

    def forward(self, image: Tensor, scale: int) -> Tensor:
        """Values (N, 1, H, W) of an image (N, C, H, W) of that scale's size."""
        return self.scales[scale](image)


def _receptive_field(scales: int, literal: bool) -> int:
    """Walk back from every output position of a cell of the stride, scale by scale, to the input pixels seen."""
    image_reach, previous_reach = (7, 2) if literal else (9, 4)
    shrinking = [(row.nonzero()[0][[0, -1]] - 2).tolist() for row in shrinking_kernel()]
    enlarging = [(row.nonzero()[0][[0, -1]] - 2).tolist() for row in enlarging_kernel()]

    def back(span: tuple[int, int], period: int, taps: list[list[int]]) -> tuple[int, int]:
        (first, start), (last, end) = (divmod(position, len(taps)) for position in span)
        return period * first + taps[start][0], period * last + taps[end][1]

    stride = 4 ** (scales - 1)
    field = 1
    for position in range(stride):
        span, seen = (position, position), (position, position)
        for level in reversed(range(scales)):
            wanted = (span[0] - image_reach, span[1] + image_reach)
            for _ in range(scales - 1 - level):
                wanted = back(wanted, 4, shrinking)
            seen = (min(seen[0], wanted[0]), max(seen[1], wanted[1]))
            if level > 0:
                span = back((span[0] - previous_reach, span[1] + previous_reach), 3, enlarging)
        beyond = max(-seen[0], seen[1] - (stride - 1))
        field = max(field, seen[1] - seen[0] + 1, 2 * beyond)
    return field
