"""Adversarial losses against their formulas, and the penalty against autograd's R1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from saropt.losses import (
    approximate_gradient_penalty,
    feature_matching,
    gan_loss,
    gradient_penalty,
    relativistic_loss,
)


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("real", [True, False])
def test_gan_loss(real):
    logits = randn(0, 2, 1, 5, 5)
    values = logits.numpy().ravel()
    label = 1.0 if real else 0.0
    squared = np.mean([(v - label) ** 2 for v in values])
    entropy = np.mean([math.log1p(math.exp(-v if real else v)) for v in values])
    assert gan_loss(logits, real, "lsgan").item() == pytest.approx(squared)
    assert gan_loss(logits, real, "vanilla").item() == pytest.approx(entropy)


def test_gan_loss_refuses_other_modes():
    with pytest.raises(ValueError, match="known: lsgan, vanilla"):
        gan_loss(torch.zeros(1), True, "hinge")


def test_relativistic_loss():
    winner, loser = [randn(0, 2, 1, 4, 4), randn(1, 2, 1, 2, 2)], [randn(2, 2, 1, 4, 4), randn(3, 2, 1, 2, 2)]
    per_scale = [
        np.mean(
            [math.log1p(math.exp(-(a - b))) for a, b in zip(won.numpy().ravel(), lost.numpy().ravel(), strict=True)]
        )
        for won, lost in zip(winner, loser, strict=True)
    ]
    assert relativistic_loss(winner, loser).item() == pytest.approx(np.mean(per_scale))


def test_relativistic_loss_pairs_each_patch_and_ignores_a_common_offset():
    a, b = randn(0, 1, 1, 4, 4), randn(1, 1, 1, 4, 4)
    assert relativistic_loss([a + 5], [b + 5]).item() == pytest.approx(relativistic_loss([a], [b]).item())
    assert relativistic_loss([a], [a]).item() == pytest.approx(math.log(2))
    assert relativistic_loss([a + 20], [a]).item() < 1e-8
    assert relativistic_loss([a], [a.flip(-1)]).item() > math.log(2)


def test_feature_matching_leaves_the_logits_out():
    fake = [[randn(0, 1, 2, 4, 4), randn(1, 1, 3, 2, 2), randn(2, 1, 1, 2, 2)], [randn(3, 1, 2, 2, 2), randn(4, 1, 1)]]
    real = [[x + 0.5 for x in fake[0]], [x - 0.2 for x in fake[1]]]
    assert feature_matching(fake, real).item() == pytest.approx((0.5 + 0.5 + 0.2) / 3)
    real[0][-1] = real[0][-1] + 100
    assert feature_matching(fake, real).item() == pytest.approx(0.4)


def test_feature_matching_gives_no_gradient_to_the_truth():
    fake, real = randn(0, 1, 2, 4, 4).requires_grad_(), randn(1, 1, 2, 4, 4).requires_grad_()
    feature_matching([[fake, fake]], [[real, real]]).backward()
    assert fake.grad.abs().sum() > 0
    assert real.grad is None


def test_penalty_is_r1_on_a_linear_discriminator():
    """For D(x) = <w, x>: E |D(x) - D(x + s n)|^2 / s^2 = |w|^2, which is autograd's |grad D|^2."""
    torch.manual_seed(0)
    discriminator = nn.Linear(12, 1).double()
    points = torch.randn(200_000, 12, dtype=torch.float64)

    def logits_of(x: torch.Tensor) -> list[torch.Tensor]:
        return [discriminator(x)]

    one = points[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(logits_of(one)[0].sum(), one)
    exact = gradient.square().sum().item()
    for sigma in (0.01, 0.3):
        estimate = approximate_gradient_penalty(logits_of, points, logits_of(points), sigma).item()
        assert estimate == pytest.approx(exact, rel=0.02)


def test_penalty_trains_the_discriminator():
    torch.manual_seed(0)
    discriminator = nn.Conv2d(1, 1, 3).double()
    points = randn(0, 4, 1, 8, 8)
    approximate_gradient_penalty(lambda x: [discriminator(x)], points, [discriminator(points)]).backward()
    assert discriminator.weight.grad.abs().sum() > 0
    assert discriminator.bias.grad.abs().item() < 1e-9


def test_gradient_penalty():
    """D(x) = sum_c w_c x_c^2 at each pixel, whose gradient is 2 w_c x_c; the penalty's own gradient by differences."""
    real, fake = randn(0, 3, 2, 4, 5), randn(1, 3, 2, 4, 5)
    weight = torch.tensor([0.7, -0.4], dtype=torch.float64, requires_grad=True)

    def naive(w: list[float]) -> float:
        torch.manual_seed(5)
        share = torch.rand(3, 1, 1, 1, dtype=torch.float64)
        blend = (share * real + (1 - share) * fake).numpy()
        terms = []
        for n, i, j in np.ndindex(3, 4, 5):
            norm = math.sqrt(sum((2 * w[c] * blend[n, c, i, j]) ** 2 for c in range(2)))
            terms.append((norm - 1) ** 2)
        return float(np.mean(terms))

    torch.manual_seed(5)
    penalty = gradient_penalty(lambda x: (weight.view(1, 2, 1, 1) * x**2).sum(1, keepdim=True), real, fake)
    assert penalty.item() == pytest.approx(naive([0.7, -0.4]), rel=1e-12)
    penalty.backward()
    for index in range(2):
        up, down = ([w + (sign * 1e-6 if i == index else 0) for i, w in enumerate([0.7, -0.4])] for sign in (1, -1))
        assert weight.grad[index].item() == pytest.approx((naive(up) - naive(down)) / 2e-6, rel=1e-6)
    assert fake.grad is None
