"""Losses of segmenters."""

from __future__ import annotations

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
    """
    known = labels != ignored
    targets = labels.long().masked_fill(~known, -1)
    total = functional.cross_entropy(logits, targets, weights, ignore_index=-1, reduction="sum")
    mass = known.sum() if weights is None else weights[labels[known].long()].sum()
    return total / mass.to(total.dtype).clamp_min(1e-12)
