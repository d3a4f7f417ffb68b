"""Losses of segmenters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def segmentation_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, ignored: int = 255
) -> Tensor:
    """Weighted mean over labelled pixels of -log softmax(logits)[label]: sum_p w[y_p] l_p / sum_p w[y_p].

    Args:
        logits: (N, K, h, w).
        labels: (N, h, w) class indices, `ignored` where there is none.
        weights: (K,); all one when None.

    Returns:
        Scalar; 0 when no pixel has a label of positive weight.

    >>> labels = torch.tensor([[[0, 255]]])
    >>> round(segmentation_cross_entropy(torch.zeros(1, 2, 1, 2), labels).item(), 4)
    0.6931
    """
    known = labels != ignored
    targets = labels.long().masked_fill(~known, -1)
    total = functional.cross_entropy(logits, targets, weights, ignore_index=-1, reduction="sum")
    mass = known.sum() if weights is None else weights[labels[known].long()].sum()
    return total / mass.to(total.dtype).clamp_min(1e-12)


def dice_loss(logits: Tensor, labels: Tensor, ignored: int = 255, eps: float = 1e-7) -> Tensor:
    """1 - mean over classes of 2 sum p y / sum (p + y), over the labelled pixels of the whole batch.

    p is softmax(logits), y one-hot; the soft Dice of Milletari et al. (3DV 2016) with plain sums in the denominator, as
    SNUNet-CD's. The mean is over the classes that the labels hold.

    Args:
        logits: (N, K, h, w).
        labels: (N, h, w) class indices, `ignored` where there is none.

    Returns:
        Scalar in [0, 1]; 0 when no pixel has a label.

    >>> labels = torch.tensor([[[0, 1]]])
    >>> round(dice_loss(20.0 * torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), labels).item(), 4)
    0.0
    """
    known = (labels != ignored)[:, None]
    shares = torch.softmax(logits, dim=1) * known
    truth = functional.one_hot(labels.long().masked_fill(labels == ignored, 0), logits.shape[1]).movedim(-1, 1) * known
    common, total = (shares * truth).sum((0, 2, 3)), (shares + truth).sum((0, 2, 3))
    present = truth.sum((0, 2, 3)) > 0
    missed = (1.0 - 2.0 * common / total.clamp_min(eps)) * present
    return missed.sum() / present.sum().clamp_min(1)
