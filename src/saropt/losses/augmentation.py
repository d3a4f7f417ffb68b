"""DiffAugment (Zhao et al., NeurIPS 2020): the same random translation and cutout for all images of one call."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def diff_augment(images: Sequence[Tensor], ratio: float = 0.125, cutout: float = 0.3) -> list[Tensor]:
    """Differentiable augmentation for a discriminator.

    All images of a call have the same N, H and W. Each sample is shifted by up to `ratio` of its size, filled with
    zeros, and a square of `cutout` times its size is set to zero. Shift and square are the same for all images of the
    call, so that real and fake remain comparable.

    >>> fake, real = diff_augment([torch.ones(2, 3, 32, 32), torch.ones(2, 3, 32, 32)])
    >>> fake.shape, torch.equal(fake, real)
    (torch.Size([2, 3, 32, 32]), True)
    """
    count, _, height, width = images[0].shape
    device = images[0].device
    reach_y, reach_x = int(height * ratio), int(width * ratio)
    dy = torch.randint(-reach_y, reach_y + 1, (count,)).tolist()
    dx = torch.randint(-reach_x, reach_x + 1, (count,)).tolist()
    size_y, size_x = int(height * cutout), int(width * cutout)
    top = torch.randint(0, height - size_y + 1, (count,)).tolist()
    left = torch.randint(0, width - size_x + 1, (count,)).tolist()
    keep = torch.ones(count, 1, height, width, device=device)
    for index in range(count):
        keep[index, :, top[index] : top[index] + size_y, left[index] : left[index] + size_x] = 0.0
    result = []
    for image in images:
        padded = functional.pad(image, (reach_x, reach_x, reach_y, reach_y))
        moved = [
            padded[i, :, reach_y + dy[i] : reach_y + dy[i] + height, reach_x + dx[i] : reach_x + dx[i] + width]
            for i in range(count)
        ]
        result.append(torch.stack(moved) * keep)
    return result
