from __future__ import annotations

import math

import torch
from torch.nn import functional

from saropt.losses import descriptor_loss, detector_loss, warp_points

SHIFT = torch.tensor([[[1.0, 0, 8], [0, 1, 0], [0, 0, 1]]])


def test_detector_by_naive_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 65, 3, 4, generator=generator, dtype=torch.float64)
    keypoints = torch.rand(2, 1, 24, 32, generator=generator) < 0.02
    valid = torch.rand(2, 1, 24, 32, generator=generator) < 0.995
    total, cells = 0.0, 0
    for n in range(2):
        for row in range(3):
            for column in range(4):
                area = slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8)
                if not valid[n, 0][area].all():
                    continue
                cells += 1
                found = keypoints[n, 0][area].flatten().nonzero().flatten().tolist() or [64]
                logs = torch.log_softmax(logits[n, :, row, column], 0)
                total -= sum(float(logs[index]) for index in found) / len(found)
    assert 0 < cells < 24
    assert math.isclose(float(detector_loss(logits, keypoints, valid)), total / cells, rel_tol=1e-9)


def test_descriptor_by_naive_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (
        functional.normalize(torch.randn(1, 5, 2, 3, generator=generator, dtype=torch.float64), dim=1) for _ in range(2)
    )
    valid = torch.ones(1, 1, 16, 24, dtype=torch.bool)
    valid[..., 15, 23] = False
    total, count, close = 0.0, 0, 0
    for row in range(2):
        for column in range(3):
            for other_row in range(2):
                for other_column in range(3):
                    if (other_row, other_column) == (1, 2):
                        continue
                    similar = float(first[0, :, row, column] @ second[0, :, other_row, other_column])
                    near = math.hypot(8 * (column - other_column) + 8, 8 * (row - other_row)) <= 4
                    total += 250 * max(0, 1 - similar) if near else max(0, similar - 0.2)
                    close += near
                    count += 1
    assert close == 3
    loss = descriptor_loss(first, second, SHIFT.double(), valid)
    assert math.isclose(float(loss), total / count, rel_tol=1e-9)


def test_points_follow_the_homography() -> None:
    matrix = torch.tensor([[[2.0, 0, 1], [0, 1, -3], [0.1, 0, 1]]])
    moved = warp_points(matrix, torch.tensor([[10.0, 4.0]]))
    assert moved.tolist() == [[[10.5, 0.5]]]
