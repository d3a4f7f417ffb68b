"""Cross entropy and Dice of segmenters against loops over the pixels."""

from __future__ import annotations

import math

import pytest
import torch

from saropt.losses import dice_loss, segmentation_cross_entropy

IGNORED = 255


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 3, dtype=torch.float64, generator=generator)
    labels = torch.randint(0, 4, (2, 5, 3), generator=generator).to(torch.uint8)
    labels[0, :2] = IGNORED
    return logits.requires_grad_(True), labels


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 0.0, 1.25]])
def test_is_the_weighted_mean_over_labelled_pixels(batch, weights):
    logits, labels = batch
    total = mass = 0.0
    for n in range(2):
        for row in range(5):
            for column in range(3):
                label = int(labels[n, row, column])
                if label == IGNORED:
                    continue
                values = logits[n, :, row, column].tolist()
                weight = 1.0 if weights is None else weights[label]
                total += weight * (math.log(sum(math.exp(v) for v in values)) - values[label])
                mass += weight
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    assert segmentation_cross_entropy(logits, labels, given).item() == pytest.approx(total / mass, abs=1e-12)


def test_ignored_pixels_have_no_gradient(batch):
    logits, labels = batch
    segmentation_cross_entropy(logits, labels).backward()
    ignored = (labels == IGNORED)[:, None].expand_as(logits)
    assert (logits.grad[ignored] == 0).all()
    assert (logits.grad[~ignored] != 0).all()


def test_nothing_labelled_is_no_loss(batch):
    logits, labels = batch
    loss = segmentation_cross_entropy(logits, torch.full_like(labels, IGNORED))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


class TestDice:
    def test_equals_a_loop(self, batch):
        logits, labels = batch
        shares = torch.softmax(logits, 1)
        losses = []
        for k in range(4):
            common = total = 0.0
            for n in range(2):
                for row in range(5):
                    for column in range(3):
                        if labels[n, row, column] != IGNORED:
                            p, y = shares[n, k, row, column].item(), float(labels[n, row, column] == k)
                            common, total = common + p * y, total + p + y
            losses.append(1 - 2 * common / total)
        assert all((labels == k).any() for k in range(4))
        assert dice_loss(logits, labels).item() == pytest.approx(sum(losses) / 4, rel=1e-12)

    def test_extremes(self, batch):
        _, labels = batch
        truth = torch.nn.functional.one_hot(labels.long() % IGNORED, 4).movedim(-1, 1) * 200.0
        assert dice_loss(truth, labels).item() == pytest.approx(0.0, abs=1e-9)
        assert dice_loss(-truth, labels).item() == pytest.approx(1.0, abs=1e-9)
        assert dice_loss(truth, torch.full_like(labels, IGNORED)).item() == 0.0

    def test_unlabelled_pixels_have_no_gradient_and_absent_classes_no_part(self, batch):
        logits, labels = batch
        (gradient,) = torch.autograd.grad(dice_loss(logits, labels), logits)
        assert not gradient[0, :, :2].any()
        assert gradient[1].any()
        only = torch.where(labels == IGNORED, labels, torch.zeros_like(labels))
        shares = torch.softmax(logits, 1)[:, 0][labels != IGNORED]
        expected = 1 - 2 * shares.sum() / (shares.sum() + shares.numel())
        assert dice_loss(logits, only).item() == pytest.approx(expected.item(), rel=1e-12)
