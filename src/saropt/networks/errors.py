"""A small network that predicts how large the errors of a translation are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LOWEST, _HIGHEST = -6.0, 1.0


class ErrorNetwork(nn.Module):
    """Mean absolute error of each output band, from what a translator got and gave; in [-1, 1] units, above 0.

    It looks at cells of 4x4 pixels with two 3x3 convolutions, and its map is bilinear between the cells: smooth on the
    scale on which errors can be predicted, exact under tiling, and a few per cent of the time of a translator.

    Args:
        inputs, outputs: bands of the translator's input and output.
        bands: bands of the image, the first of the outputs, whose errors it predicts.
        width: channels.

    Shapes: (N, inputs, H, W) and (N, outputs, H, W) -> (N, bands, H, W), H and W multiples of `stride`.

    >>> network = ErrorNetwork(2, 4, 4)
    >>> network(torch.zeros(1, 2, 32, 32), torch.zeros(1, 4, 32, 32)).shape
    torch.Size([1, 4, 32, 32])
    """

    stride = 4
    receptive_field = 31
    """Three cells of 4 pixels on each side of a pixel's own, and the rest of that."""

    def __init__(self, inputs: int, outputs: int, bands: int, width: int = 32) -> None:
        super().__init__()
        self.cells = nn.PixelUnshuffle(self.stride)
        self.layers = nn.Sequential(
            nn.Conv2d((inputs + outputs) * self.stride**2, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, bands, 1),
            nn.Upsample(scale_factor=self.stride, mode="bilinear"),
        )

    def forward(self, source: Tensor, output: Tensor) -> Tensor:
        logarithm: Tensor = self.layers(self.cells(torch.cat([source, output], dim=1)))
        return torch.exp(logarithm.clamp(_LOWEST, _HIGHEST))
