"""A fixed map between band counts, for losses that feed images of one role to a network that takes another."""

from __future__ import annotations

import torch
from torch import Tensor


def adapt_bands(image: Tensor, bands: int) -> Tensor:
    """Averages over `bands` adaptive groups of bands: (N, C, H, W) -> (N, bands, H, W).

    Output band j is the mean of bands floor(j C / bands) to ceil((j + 1) C / bands) - 1: many to one is the mean, one
    to many repeats it, equal counts change nothing.
    """
    count = image.shape[1]
    if count == bands:
        return image
    groups = [(j * count // bands, -(-(j + 1) * count // bands)) for j in range(bands)]
    return torch.stack([image[:, start:stop].mean(dim=1) for start, stop in groups], dim=1)
