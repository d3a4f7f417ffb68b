"""PatchNCE against naive loops."""

from __future__ import annotations

import math

import pytest
import torch

from saropt.losses import patch_nce


def vectors(seed: int, *shape: int) -> torch.Tensor:
    raw = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return raw / raw.norm(dim=-1, keepdim=True)


def naive(queries: torch.Tensor, keys: torch.Tensor, temperature: float) -> float:
    """As published: the positive, then all keys of the same image with the diagonal set to -10."""
    terms = []
    for image_queries, image_keys in zip(queries, keys, strict=True):
        for i, query in enumerate(image_queries):
            positive = float(query @ image_keys[i])
            logits = [positive, *(-10.0 if i == j else float(query @ key) for j, key in enumerate(image_keys))]
            exponentials = [math.exp(value / temperature) for value in logits]
            terms.append(-math.log(exponentials[0] / sum(exponentials)))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("temperature", [0.07, 0.3])
def test_against_loops(temperature):
    queries, keys = vectors(0, 2, 7, 5), vectors(1, 2, 7, 5)
    assert patch_nce(queries, keys, temperature).item() == pytest.approx(naive(queries, keys, temperature), rel=1e-12)


def test_orthonormal_features():
    """q = k with orthonormal rows: log(1 + (P - 1) exp(-1 / T))."""
    features = torch.eye(6, dtype=torch.float64)[None].expand(3, -1, -1)
    assert patch_nce(features, features, 0.5).item() == pytest.approx(math.log(1 + 5 * math.exp(-2)))
    assert patch_nce(features, features.roll(1, dims=1), 0.5).item() == pytest.approx(math.log(5 + math.exp(2)))


def test_order_of_positions_does_not_matter():
    queries, keys = vectors(0, 2, 9, 4), vectors(1, 2, 9, 4)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    value = patch_nce(queries, keys).item()
    assert patch_nce(queries[:, order], keys[:, order]).item() == pytest.approx(value, rel=1e-12)
    assert patch_nce(queries[:, order], keys).item() != pytest.approx(value, rel=1e-3)


def test_images_do_not_mix():
    queries, keys = vectors(0, 2, 9, 4), vectors(1, 2, 9, 4)
    alone = [patch_nce(queries[i : i + 1], keys[i : i + 1]).item() for i in range(2)]
    assert patch_nce(queries, keys).item() == pytest.approx(sum(alone) / 2, rel=1e-12)


def test_only_queries_get_a_gradient():
    queries, keys = vectors(0, 1, 5, 4).requires_grad_(), vectors(1, 1, 5, 4).requires_grad_()
    patch_nce(queries, keys).backward()
    assert queries.grad.abs().sum() > 0
    assert keys.grad is None
    torch.autograd.gradcheck(lambda q: patch_nce(q, keys, 0.5), (queries,))
