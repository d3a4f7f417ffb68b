"""Blurred resampling against naive loops, and the features that generators hand out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from saropt.networks import PatchGAN, PatchProjection, build_network, gather_positions, random_positions
from saropt.networks.blur import BlurDown, BlurUp


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def reflect(index: int, size: int) -> int:
    return -index if index < 0 else 2 * (size - 1) - index if index >= size else index


@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 5)])
def test_blur_down(height, width):
    image = randn(2, 3, height, width)
    output = BlurDown(3)(image)
    assert output.shape == (2, 3, -(-height // 2), -(-width // 2))
    for n, c, i, j in torch.cartesian_prod(*(torch.arange(s) for s in output.shape)).tolist():
        expected = sum(
            (1, 2, 1)[a]
            * (1, 2, 1)[b]
            / 16
            * image[n, c, reflect(2 * i + a - 1, height), reflect(2 * j + b - 1, width)].item()
            for a in range(3)
            for b in range(3)
        )
        assert output[n, c, i, j].item() == pytest.approx(expected, abs=1e-12)


def test_blur_up_is_the_published_transposed_convolution():
    """Replicate by 1, spread by 2, filter [1, 3, 3, 1]^2 / 16, crop: exactly twice the size."""
    image = randn(1, 2, 4, 5)
    spread = torch.zeros(1, 2, 4 * 2 + 8, 5 * 2 + 8, dtype=torch.float64)
    for i in range(-1, 5):
        for j in range(-1, 6):
            value = image[:, :, min(max(i, 0), 3), min(max(j, 0), 4)]
            for a in range(4):
                for b in range(4):
                    spread[:, :, 2 * i + a + 3, 2 * j + b + 3] += (1, 3, 3, 1)[a] * (1, 3, 3, 1)[b] / 16 * value
    assert torch.allclose(BlurUp()(image), spread[:, :, 4:12, 4:14], atol=1e-12)


def test_blur_follows_its_input():
    blur = BlurDown(2)
    assert blur(torch.rand(1, 2, 8, 8)).dtype == torch.float32
    assert blur(torch.rand(1, 2, 8, 8).double()).dtype == torch.float64
    assert list(blur.state_dict()) == []


def test_blur_under_autocast_is_that_of_single_precision_rounded_once():
    blur, image = BlurDown(3), randn(2, 3, 8, 10).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = blur(image)
    single = image.detach().float().requires_grad_()
    expected = blur(single)
    assert output.dtype == torch.bfloat16
    assert torch.equal(output, expected.bfloat16())
    gradient = randn(*output.shape).bfloat16()
    output.backward(gradient)
    expected.backward(gradient.float())
    assert torch.equal(image.grad, single.grad.bfloat16())


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_published_counts_and_sizes():
    taps = [0, 4, 8, 12, 16]
    with torch.device("meta"):
        generator = build_network("resnet", 3, 3, antialias=True)
        discriminator = PatchGAN(3, norm="instance", antialias=True)
        image = torch.empty(1, 3, 256, 256)
        output, features = generator(image, taps=taps)
        assert discriminator(image)[-1].shape == (1, 1, 30, 30)
    assert (count(generator), count(discriminator)) == (11_378_179, 2_764_737)
    assert output.shape == image.shape
    shapes = [(3, 262, 262), (128, 256, 256), (256, 128, 128), (256, 64, 64), (256, 64, 64)]
    assert [tuple(f.shape[1:]) for f in features] == shapes
    assert generator.tap_channels(taps) == [shape[0] for shape in shapes]
    assert count(PatchProjection(generator.tap_channels(taps))) == 560_384


@pytest.mark.parametrize("antialias", [False, True])
def test_features_are_those_of_the_layers(antialias):
    """Before norms and in-place activations alike: what layer i gives is what tap i holds."""
    torch.manual_seed(0)
    network = build_network("resnet", 2, 3, width=4, blocks=2, antialias=antialias).double()
    image = randn(2, 2, 32, 32)
    taps = list(range(len(network.layers)))
    output, features = network(image, taps=taps)
    assert torch.equal(output, network(image))
    assert network.tap_channels(taps) == [f.shape[1] for f in features]
    x = image
    for layer, feature in zip(network.layers, features, strict=True):
        x = nn.functional.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
        assert torch.equal(feature, x)
    if not antialias:
        assert features[8].min() < -0.1, "a norm's output, not its activation"
    sizes = [features[tap].shape[-1] for tap in network.stage_taps]
    assert sizes == [32, 16, 8]
    assert all(features[tap].min() >= 0.0 for tap in network.stage_taps)
    with pytest.raises(ValueError, match="taps must lie in 0"):
        network.tap_channels([0, len(taps)])


def test_a_pass_that_stops_runs_no_further_layer():
    network = build_network("resnet", 1, 1, width=4, blocks=5, antialias=True)
    image = torch.rand(1, 1, 32, 32)
    _, expected = network(image, taps=(0, 4, 16))
    run = []
    for index, layer in enumerate(network.layers):
        layer.register_forward_hook(lambda *_, index=index: run.append(index))
    features = network(image, taps=(0, 4, 16), stop=True)
    assert all(torch.equal(a, b) for a, b in zip(features, expected, strict=True))
    assert run == list(range(17))


def test_xavier_initialisation():
    torch.manual_seed(0)
    for module in (build_network("resnet", 3, 3, width=32, blocks=1, init="xavier"), PatchProjection([64, 128])):
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                fans = nn.init._calculate_fan_in_and_fan_out(layer.weight)
                assert layer.weight.std().item() == pytest.approx(0.02 * math.sqrt(2 / sum(fans)), rel=0.15)
                assert not layer.bias.any()
    with pytest.raises(ValueError, match="normal, xavier or truncated, not 'orthogonal'"):
        build_network("resnet", 1, 1, width=4, init="orthogonal")


def test_projection_gives_unit_vectors_of_the_chosen_positions():
    torch.manual_seed(0)
    head = PatchProjection([3, 5], width=8).double()
    features = [randn(2, 3, 4, 6), randn(2, 5, 2, 3)]
    ids = [torch.tensor([5, 23, 0]), torch.tensor([[4, 1], [0, 5]])]
    outputs = head(features, ids)
    assert [tuple(o.shape) for o in outputs] == [(2, 3, 8), (2, 2, 8)]
    for tap, (output, feature) in enumerate(zip(outputs, features, strict=True)):
        for n in range(2):
            for p in range(output.shape[1]):
                place = int(ids[tap][p] if tap == 0 else ids[tap][n, p])
                first, _, second = head.heads[tap]
                vector = feature[n, :, place // feature.shape[-1], place % feature.shape[-1]]
                raw = second.weight @ (first.weight @ vector + first.bias).clamp(min=0) + second.bias
                assert torch.allclose(output[n, p], raw / (raw.norm() + 1e-7), atol=1e-12)
    vectors = [gather_positions(f, i) for f, i in zip(features, ids, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(outputs, head(vectors), strict=True))


def test_random_positions_do_not_repeat():
    torch.manual_seed(0)
    many, few = random_positions([torch.zeros(2, 1, 16, 16), torch.zeros(2, 1, 3, 3)], 100)
    assert len(many) == len(set(many.tolist())) == 100
    assert max(many) > 200
    assert sorted(few.tolist()) == list(range(9))
