"""Contrastive loss between positions under a weight w_ij that says how much key j is a positive of query i.

    l_i = -log( sum_j w_ij exp(q_i . k_j / tau) / sum_j exp(q_i . k_j / tau) )

With w_ij = [class of i == class of j] it is eq. 2 of SGCL (Du et al., Journal of Image and Graphics, 2026), one sum
over the positives inside the logarithm; with w_ij = [i == j] it is PatchNCE (Park et al., ECCV 2020); with w_ij = 1
it is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saropt.losses.contrastive import single

SMALLEST_TEMPERATURE = 0.025
"""exp((s - 1) / tau) of similarities s in [-1, 1] stays a normal number in single precision."""
Weights = Callable[[slice], Tensor]
"""Rows of the weight matrix: a slice of the queries -> (N, p, K) in [0, 1]."""


def semantic_nce(
    queries: Tensor, keys: Tensor, weights: Weights, temperature: float = 0.07, chunk: int = 256
) -> Tensor:
    """Mean of l_i over all queries of all images. A query is compared with the keys of its own image only. Keys get no
    gradient.

    Queries are processed in chunks, and their gradient is computed in the same pass as (softmax over all keys - softmax
    over the positives) k / tau. So memory grows with N K `chunk`, not with the number of queries times the number of
    keys. The loss is computed in single precision, inside autocast as well.

    Args:
        queries: (N, P, C), unit vectors.
        keys: (N, K, C), unit vectors.
        weights: rows of w; every query needs a key of positive weight.
        temperature: tau, at least 0.025.
        chunk: queries per image at a time.

    Returns:
        Scalar.

    Raises:
        ValueError: a smaller temperature; its terms vanish in single precision.

    >>> vectors, classes = torch.eye(4)[None], torch.arange(4)[None]
    >>> round(semantic_nce(vectors, vectors, class_weights(classes, classes)).item(), 4)
    0.0
    """
    if temperature < SMALLEST_TEMPERATURE:
        raise ValueError(f"temperature must be at least {SMALLEST_TEMPERATURE}, not {temperature}")
    with torch.autocast(queries.device.type, enabled=False):
        loss: Tensor = _SemanticNCE.apply(single(queries), single(keys.detach()), weights, temperature, chunk)
        return loss


def class_weights(query_classes: Tensor, key_classes: Tensor) -> Weights:
    """w_ij = [query_classes_i == key_classes_j]; classes (N, P) and (N, K).

    >>> class_weights(torch.tensor([[0, 1]]), torch.tensor([[1, 1, 0]]))(slice(0, 2)).int().tolist()
    [[[0, 0, 1], [1, 1, 0]]]
    """
    return lambda rows: query_classes[:, rows, None] == key_classes[:, None, :]


def similarity_weights(query_features: Tensor, key_features: Tensor, margin: float, temperature: float) -> Weights:
    """w_ij = sigmoid((cos(f_i, f_j) - margin) / temperature); features (N, P, F) and (N, K, F).

    >>> features = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    >>> similarity_weights(features, features, margin=1.0, temperature=0.01)(slice(0, 2)).round(decimals=2).tolist()
    [[[0.5, 0.0], [0.0, 0.5]]]
    """
    query_units = torch.nn.functional.normalize(query_features.detach(), dim=2)
    key_units = torch.nn.functional.normalize(key_features.detach(), dim=2)
    return lambda rows: torch.sigmoid((query_units[:, rows] @ key_units.transpose(1, 2) - margin) / temperature)


class _SemanticNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, weights: Weights, temperature: float, chunk: int) -> Tensor:
        count = queries.shape[0] * queries.shape[1]
        needs_gradient = queries.requires_grad
        gradient = torch.empty_like(queries) if needs_gradient else None
        total = queries.new_zeros(())
        transposed = keys.transpose(1, 2)
        for start in range(0, queries.shape[1], chunk):
            rows = slice(start, min(start + chunk, queries.shape[1]))
            # unit vectors: no similarity is above 1, so nothing overflows
            similar = (queries[:, rows] @ transposed).sub_(1.0).mul_(1.0 / temperature).exp_()
            share = weights(rows)
            positive = torch.where(share, similar, 0.0) if share.dtype == torch.bool else share * similar
            total_all, total_positive = similar.sum(dim=2, keepdim=True), positive.sum(dim=2, keepdim=True)
            total += (total_all.log() - total_positive.log()).sum()
            if gradient is not None:
                coefficients = similar.mul_(total_all.reciprocal()).sub_(positive.mul_(total_positive.reciprocal()))
                gradient[:, rows] = coefficients @ keys
        if gradient is not None:
            ctx.save_for_backward(gradient.mul_(1.0 / (temperature * count)))
        return total / count

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return outputs[0] * gradient, None, None, None, None
