"""FiLM: feature-wise linear modulation by a vector that describes the whole scene.

Perez, Strub, de Vries, Dumoulin and Courville, "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018,
equation 2: FiLM(F_c) = gamma_c F_c + beta_c. Here gamma - 1 and beta are linear in the vector, without a constant part.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FiLM(nn.Module):
    """Scales and shifts each channel: x (1 + S v) + B v, with S and B learned.

    S and B are one 1x1 convolution, whose weights keep their name in an ONNX graph. They start at zero, and a vector of
    zeros gives x for any S and B. The vector is one for the whole scene, so tiles give what the whole scene gives.

    Args:
        bands: length of the vector v.
        channels: channels of x.

    Shapes: x (N, channels, h, w) and v (N, bands) -> (N, channels, h, w).

    >>> FiLM(3, 8)(torch.ones(1, 8, 4, 4), torch.ones(1, 3)).unique()
    tensor([1.], grad_fn=<Unique2Backward0>)
    """

    def __init__(self, bands: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2 * channels, bands, 1, 1))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        scale, shift = functional.conv2d(vector[:, :, None, None], self.weight).chunk(2, dim=1)
        return x * (1.0 + scale) + shift
