"""DiffAugment: one transformation for all images of a call, differentiable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saropt.losses import diff_augment


def coordinates(count: int, size: int) -> torch.Tensor:
    """(N, 2, size, size): one more than the row and column of every pixel, so that zero means filled."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([rows, columns]).float().add(1.0).expand(count, -1, -1, -1)


@pytest.mark.parametrize("seed", range(3))
def test_all_images_are_treated_alike(seed):
    torch.manual_seed(seed)
    image = coordinates(4, 32)
    first, second = diff_augment([image, 3.0 * image])
    assert torch.equal(second, 3.0 * first)


def test_shift_and_cutout_are_what_they_say():
    torch.manual_seed(0)
    size = 32
    (result,) = diff_augment([coordinates(64, size)])
    rows, columns = np.mgrid[:size, :size]
    shifts = set()
    for sample in result.numpy():
        kept = sample[0] > 0
        dy, dx = np.unique((sample[0] - 1 - rows)[kept]), np.unique((sample[1] - 1 - columns)[kept])
        assert dy.size == dx.size == 1
        assert abs(dy[0]) <= 4
        assert abs(dx[0]) <= 4
        inside = (rows + dy[0] >= 0) & (rows + dy[0] < size) & (columns + dx[0] >= 0) & (columns + dx[0] < size)
        hole = inside & ~kept
        assert 0 < hole.sum() <= int(size * 0.3) ** 2
        ys, xs = np.nonzero(hole)
        assert hole[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].all()
        shifts.add((dy[0], dx[0]))
    assert len(shifts) > 20


def test_without_shift_and_cutout_nothing_happens():
    image = torch.randn(2, 3, 16, 16)
    (result,) = diff_augment([image], ratio=0.0, cutout=0.0)
    assert torch.equal(result, image)


def test_gradient_flows_through_what_is_kept():
    torch.manual_seed(0)
    image = torch.ones(3, 1, 32, 32, requires_grad=True)
    (result,) = diff_augment([image])
    result.sum().backward()
    assert set(image.grad.unique().tolist()) == {0.0, 1.0}
    assert image.grad.sum() == result.sum()
