"""Losses of keypoint detectors and descriptors, as XPoint (Yagmur et al., arXiv:2411.07430) and before it SuperPoint
(DeTone et al., CVPR workshops 2018, eq. 2-6) have them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def detector_loss(logits: Tensor, keypoints: Tensor, valid: Tensor) -> Tensor:
    """Cross entropy of 65 classes, the 64 pixels of an 8x8 cell and "no keypoint", as the mean over valid cells.

    The target of a cell is shared equally by its keypoints (XPoint's soft form).

    Args:
        logits: (N, 65, h, w).
        keypoints: (N, 1, 8h, 8w) bool.
        valid: (N, 1, 8h, 8w) bool; a cell counts where all its pixels are valid.

    >>> truth = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    >>> round(detector_loss(torch.zeros(1, 65, 2, 2), truth, ~truth).item(), 3)
    4.174
    """
    target = functional.pixel_unshuffle(keypoints.to(logits.dtype), 8)
    count = target.sum(1, keepdim=True)
    target = torch.cat([target / count.clamp_min(1.0), (count == 0).to(logits.dtype)], dim=1)
    cells = functional.pixel_unshuffle(valid.to(logits.dtype), 8).amin(1)
    entropy = -(target * functional.log_softmax(logits, dim=1)).sum(1)
    return (entropy * cells).sum() / cells.sum().clamp_min(1.0)


def descriptor_loss(
    first: Tensor,
    second: Tensor,
    homography: Tensor,
    valid: Tensor,
    positive_margin: float = 1.0,
    negative_margin: float = 0.2,
    weight: float = 250.0,
    near: float = 4.0,
) -> Tensor:
    """Hinge loss over all pairs of cells, as the mean over pairs whose second cell is valid.

    s weight max(0, positive_margin - d.d') + (1 - s) max(0, d.d' - negative_margin), where s is 1 if the centre of the
    first cell, moved by the homography, lies within `near` pixels of the centre of the second.

    Args:
        first, second: (N, D, h, w) descriptors of unit length.
        homography: (N, 3, 3), maps pixels (column, row) of the first image to the second.
        valid: (N, 1, 8h, 8w) bool, of the second image.

    >>> unit = torch.nn.functional.normalize(torch.ones(1, 8, 2, 2), dim=1)
    >>> valid = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    >>> round(descriptor_loss(unit, unit, torch.eye(3)[None], valid).item(), 2)
    0.6
    """
    h, w = first.shape[2:]
    sides = [torch.arange(size, device=first.device, dtype=homography.dtype) * 8.0 + 4.0 for size in (h, w)]
    rows, columns = torch.meshgrid(*sides, indexing="ij")
    centres = torch.stack([columns, rows], dim=-1).reshape(-1, 2)
    same = (torch.cdist(warp_points(homography, centres), centres.expand(len(first), -1, -1)) <= near).to(first.dtype)
    similar = first.flatten(2).transpose(1, 2) @ second.flatten(2)
    pulled = weight * same * (positive_margin - similar).clamp_min(0.0)
    pushed = (1.0 - same) * (similar - negative_margin).clamp_min(0.0)
    cells = functional.pixel_unshuffle(valid.to(first.dtype), 8).amin(1).flatten(1)[:, None]
    return ((pulled + pushed) * cells).sum() / (cells.sum() * h * w).clamp_min(1.0)


def warp_points(homography: Tensor, points: Tensor) -> Tensor:
    """Move points (n, 2) or (N, n, 2) by homographies (N, 3, 3); returns (N, n, 2).

    >>> shift = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 1.0, 5.0], [0.0, 0.0, 1.0]]])
    >>> warp_points(shift, torch.tensor([[1.0, 1.0]])).tolist()
    [[[3.0, 6.0]]]
    """
    ones = torch.ones_like(points[..., :1])
    moved = torch.cat([points, ones], dim=-1) @ homography.transpose(1, 2)
    return moved[..., :2] / moved[..., 2:]
