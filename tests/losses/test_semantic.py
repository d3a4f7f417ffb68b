"""The semantic contrastive loss against loops over positions, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from saropt.losses import class_weights, patch_nce, semantic_nce, similarity_weights

TAU = 0.07


def unit(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, dtype=torch.float64, generator=generator), dim=-1)


def loop(queries: Tensor, keys: Tensor, weight: Tensor, tau: float = TAU) -> float:
    total = 0.0
    images, count = queries.shape[:2]
    for n in range(images):
        for i in range(count):
            terms = [math.exp(float(queries[n, i] @ key) / tau) for key in keys[n]]
            positive = sum(float(weight[n, i, j]) * term for j, term in enumerate(terms))
            total -= math.log(positive / sum(terms))
    return total / (images * count)


def classes(images: int, count: int, kinds: int, seed: int = 5) -> Tensor:
    return torch.randint(kinds, (images, count), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_equals_the_loop(chunk):
    queries, keys = unit(2, 9, 5), unit(2, 13, 5, seed=1)
    key_classes = classes(2, 13, 3)
    query_classes = key_classes[:, :9]
    weight = (query_classes[:, :, None] == key_classes[:, None]).double()
    value = semantic_nce(queries, keys, class_weights(query_classes, key_classes), TAU, chunk)
    assert float(value) == pytest.approx(loop(queries, keys, weight), rel=1e-12)


def test_soft_weights_equal_the_loop():
    queries, keys, features = unit(2, 6, 4), unit(2, 6, 4, seed=1), unit(2, 6, 3, seed=2)
    weight = torch.sigmoid((features @ features.transpose(1, 2) - 0.4) / 0.1)
    value = semantic_nce(queries, keys, similarity_weights(3.0 * features, 0.2 * features, 0.4, 0.1), TAU)
    assert float(value) == pytest.approx(loop(queries, keys, weight), rel=1e-12)


@pytest.mark.parametrize("chunk", [3, 64])
def test_gradient(chunk):
    keys, kinds = unit(2, 8, 4, seed=1), classes(2, 8, 3)

    def loss(raw: Tensor) -> Tensor:
        return semantic_nce(functional.normalize(raw, dim=2), keys, class_weights(kinds, kinds), 0.3, chunk)

    assert torch.autograd.gradcheck(loss, (unit(2, 8, 4, seed=7).requires_grad_(),))


def test_all_classes_distinct_is_patch_nce():
    """Cross entropy of each query against all keys, its own position being the right one."""
    queries, keys = unit(2, 16, 8), unit(2, 16, 8, seed=1)
    distinct = torch.arange(16).expand(2, 16)
    logits = queries @ keys.transpose(1, 2) / TAU
    expected = functional.cross_entropy(logits.flatten(0, 1), distinct.flatten())
    assert float(semantic_nce(queries, keys, class_weights(distinct, distinct), TAU)) == pytest.approx(
        float(expected), rel=1e-12
    )


def test_one_class_is_zero_without_gradient():
    queries = unit(1, 7, 4).requires_grad_()
    same = torch.zeros(1, 7, dtype=torch.long)
    loss = semantic_nce(queries, unit(1, 7, 4, seed=1), class_weights(same, same), TAU)
    loss.backward()
    assert abs(loss.item()) < 1e-12
    assert queries.grad is not None
    assert float(queries.grad.abs().max()) < 1e-12


def test_relabelling_changes_nothing():
    queries, keys, kinds = unit(2, 11, 4), unit(2, 11, 4, seed=1), classes(2, 11, 4)
    renamed = torch.tensor([7, 3, 9, 0])[kinds]
    assert torch.equal(
        semantic_nce(queries, keys, class_weights(kinds, kinds), TAU),
        semantic_nce(queries, keys, class_weights(renamed, renamed), TAU),
    )


def test_images_of_a_batch_never_mix():
    queries, keys, kinds = unit(2, 9, 4), unit(2, 9, 4, seed=1), classes(2, 9, 3)

    def value(n: slice) -> float:
        return float(semantic_nce(queries[n], keys[n], class_weights(kinds[n], kinds[n]), TAU))

    both, first, second = value(slice(None)), value(slice(0, 1)), value(slice(1, 2))
    assert both == pytest.approx((first + second) / 2, rel=1e-12)


def test_keys_get_no_gradient():
    keys = unit(1, 5, 3).requires_grad_()
    queries, kinds = unit(1, 5, 3, seed=1).requires_grad_(), classes(1, 5, 2)
    semantic_nce(queries, keys, class_weights(kinds, kinds), TAU).backward()
    assert keys.grad is None
    assert queries.grad is not None


def test_autocast_changes_nothing():
    queries, keys = unit(1, 8, 5).float(), unit(1, 8, 5, seed=1).float()
    kinds = classes(1, 8, 3)
    plain = [semantic_nce(queries, keys, class_weights(kinds, kinds)), patch_nce(queries, keys)]
    with torch.autocast("cpu", torch.bfloat16):
        cast = [semantic_nce(queries, keys, class_weights(kinds, kinds)), patch_nce(queries, keys)]
        half = semantic_nce(queries.bfloat16(), keys.bfloat16(), class_weights(kinds, kinds))
    assert cast == plain
    assert half.dtype == torch.float32
