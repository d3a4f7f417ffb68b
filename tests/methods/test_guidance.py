"""Guides: which positions belong together, from class maps, pseudo-classes and pixel features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saropt.methods.guidance import ClassGuide, Guide, SoftGuide, freeze, kmeans_guide, majority
from saropt.networks import PixelFeatures, PseudoClasses


class Bright(nn.Module):
    """Three classes by brightness."""

    def forward(self, image: Tensor) -> Tensor:
        return -torch.stack([(image[:, 0] - level).square() for level in (-0.8, 0.0, 0.8)], dim=1)


def half_and_half(size: int = 64) -> Tensor:
    """Dark left half, bright right half, with noise."""
    generator = torch.Generator().manual_seed(0)
    image = 0.05 * torch.randn(2, 1, size, size, generator=generator) - 0.7
    image[..., size // 2 :] += 1.4
    return image


def rows(guide: Guide, at_tap: Tensor) -> Tensor:
    flat = at_tap.flatten(2).transpose(1, 2)
    return guide.weights(flat, flat)(slice(None)).float()


def test_labels_pair_positions_of_one_class():
    guide = ClassGuide(Bright())
    at_tap = guide.at(guide.describe(half_and_half(8)), 4, 4)
    classes = at_tap.flatten(1)
    expected = (classes[:, :, None] == classes[:, None, :]).float()
    assert set(classes.unique().tolist()) == {0, 2}
    assert torch.equal(rows(guide, at_tap), expected)


def test_maps_of_mirrored_features_are_mirrored():
    """Tap 0 is the image padded by three mirrored pixels on all sides."""
    guide = ClassGuide(Bright())
    description = guide.describe(half_and_half(8))
    larger = guide.at(description, 14, 14)
    assert torch.equal(larger[..., 3:-3, 3:-3], description)
    assert torch.equal(larger[..., :3, :], larger[..., 4:7, :].flip(-2))


def test_controls():
    description = ClassGuide(Bright()).describe(half_and_half(16))
    shuffled = ClassGuide(Bright(), "permuted").at(description, 16, 16)
    assert not torch.equal(shuffled, description)
    assert torch.equal(shuffled.flatten(1).sort(dim=1)[0], description.flatten(1).sort(dim=1)[0])
    one, distinct = (ClassGuide(Bright(), control).at(description, 4, 4) for control in ("one_class", "distinct"))
    assert not one.any()
    assert torch.equal(rows(Guide(), distinct), torch.eye(16).expand(2, -1, -1))
    assert torch.equal(distinct, Guide().at(description, 4, 4))


def test_majority_against_a_loop():
    classes = torch.randint(4, (2, 1, 7, 9), generator=torch.Generator().manual_seed(2))
    found = majority(classes, 4, 3)
    for n in range(2):
        for i in range(7):
            for j in range(9):
                window = classes[n, 0, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
                assert found[n, 0, i, j] == torch.bincount(window.flatten(), minlength=4).argmax()


def test_a_trainable_segmenter_is_refused_and_freezing_helps():
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3))
    with pytest.raises(ValueError, match="freeze it first"):
        ClassGuide(network)
    before = network.eval()(half_and_half(8))
    freeze(network)
    guide = ClassGuide(network).train()
    assert not network.training
    assert not guide.state_dict()
    assert torch.equal(guide.logits(half_and_half(8)), before)


def test_segmenter_lets_gradients_through_to_the_image():
    network = nn.Conv2d(1, 3, 1)
    freeze(network)
    image = half_and_half(8).requires_grad_()
    ClassGuide(network).logits(image).square().sum().backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0


def test_kmeans_finds_the_two_halves_whatever_their_numbers():
    torch.manual_seed(0)
    guide = kmeans_guide(1, "sar", 3)  # the edge between the halves is a texture of its own
    for _ in range(4):
        guide.update(half_and_half())
    found = guide.describe(half_and_half())[:, 0]
    left, right = found[..., :24], found[..., 40:]
    assert left.float().std() == right.float().std() == 0
    assert left[0, 0, 0] != right[0, 0, 0]


def test_kmeans_step_against_a_loop():
    torch.manual_seed(0)
    classes = PseudoClasses(1, "sar", 3).double()
    image = half_and_half(12).double()
    classes.update(image)
    centres, counts = classes.centres.clone(), classes.counts.clone()
    other = -0.5 * image.flip(-1)
    classes.features.update(classes.features.raw(other))
    labels, raw = classes(other).argmax(dim=1).flatten(), classes.features.raw(other).movedim(1, -1).flatten(0, 2)
    for k in range(3):
        members = raw[labels == k]
        counts[k] += len(members)
        if len(members):
            centres[k] += len(members) / counts[k] * (members.mean(dim=0) - centres[k])
    state = {key: value.clone() for key, value in classes.features.state_dict().items()}
    classes.features.update = lambda _: None
    classes.update(other)
    assert torch.allclose(classes.centres, centres)
    assert torch.equal(classes.counts, counts)
    assert all(torch.equal(value, state[key]) for key, value in classes.features.state_dict().items())


def test_pseudo_logits_are_distances_and_reach_the_image():
    torch.manual_seed(0)
    classes = PseudoClasses(2, "optical", 3, temperature=3.0).double()
    image = torch.rand(1, 2, 8, 8, dtype=torch.float64)
    classes.update(image)
    features = classes.features
    scale = (features.square - features.mean.square()).clamp_min(1e-6).sqrt()
    difference = (features.raw(image)[:, None] - classes.centres[None, :, :, None, None]) / scale.view(1, 1, -1, 1, 1)
    assert torch.allclose(classes(image), -0.5 * difference.square().mean(dim=2) / 3.0)
    image.requires_grad_()
    classes(image).sum().backward()
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().max() > 0


def test_features_hold_normalised_differences():
    """NDVI of near infrared .6 and red .2 is .5."""
    image = torch.tensor([0.6, 0.2], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, 9, 9) * 2 - 1
    features = PixelFeatures(2, "optical").double()
    index = features.raw(image)[0, 2 * 4]
    assert torch.allclose(index, torch.full_like(index, 0.5))


def test_soft_weights_are_highest_on_the_diagonal():
    guide = SoftGuide(1, "sar", 0.5, 0.1)
    guide.update(half_and_half())
    weight = rows(guide, guide.at(guide.describe(half_and_half()), 8, 8))
    assert torch.all(weight <= torch.diagonal(weight, dim1=1, dim2=2)[:, :, None] + 1e-6)
    column = torch.arange(64) % 8
    left, right = column < 3, column > 4
    assert weight[0][left][:, left].mean() > 0.9
    assert weight[0][left][:, right].mean() < 0.1
