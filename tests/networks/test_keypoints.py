from __future__ import annotations

import torch

from saropt.networks import KeypointCNN, KeypointTraining, heat_map


def test_shapes_and_unit_length() -> None:
    network = KeypointTraining(KeypointCNN(4), 64).eval()
    logits, descriptors, corners = network(torch.randn(2, 1, 64, 64), torch.randn(2, 1, 64, 64))
    assert (logits.shape, descriptors.shape, corners.shape) == ((4, 65, 8, 8), (4, 256, 8, 8), (2, 8))
    assert torch.allclose(descriptors.norm(dim=1), torch.ones(4, 8, 8), atol=1e-5)


def test_the_heat_map_puts_channels_where_they_belong() -> None:
    logits = torch.full((1, 65, 2, 3), -20.0)
    logits[:, 64] = 0.0
    logits[0, 8 * 5 + 3, 1, 2] = 20.0
    heat = heat_map(logits)
    assert heat.shape == (1, 1, 16, 24)
    assert heat[0, 0, 8 + 5, 16 + 3] > 0.99
    assert float(heat.sum()) < 1.01


def test_the_receptive_field_is_as_stated() -> None:
    network = KeypointCNN(4).eval()
    image = torch.randn(1, 1, 256, 256, requires_grad=True)
    _, logits, descriptors = network(image)
    (logits[0, :, 16, 16].sum() + descriptors[0, :, 16, 16].sum()).backward()
    assert image.grad is not None
    rows = image.grad[0, 0].abs().sum(1).nonzero().flatten()
    reach = max(16 * 8 + 4 - int(rows.min()), int(rows.max()) + 1 - 16 * 8 - 4)
    assert 2 * reach + 8 <= KeypointCNN.receptive_field  # 8: descriptors between cells, keypoints anywhere in theirs
