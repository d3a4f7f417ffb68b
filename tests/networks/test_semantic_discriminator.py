"""SNUNet-CD: published counts and wiring; other segmenters behind the same interface."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from saropt.networks import SNUNet, build_semantic_discriminator, list_semantic_discriminators


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("classes", "attention", "parameters"), [(2, True, 12_034_978), (4, True, 12_035_236), (2, False, 12_032_442)]
)
def test_parameter_counts(classes, attention, parameters):
    with torch.device("meta"):
        assert count(SNUNet(3, 3, classes, siamese=True, attention=attention)) == parameters


def test_each_modality_has_its_own_first_unit():
    with torch.device("meta"):
        shared, own = SNUNet(3, 3, 4, siamese=True), SNUNet(2, 3, 4)
    first = (2 * 9 + 1) * 32 + (32 * 9 + 1) * 32 + 4 * 32
    assert count(own) - count(shared) == first
    with pytest.raises(ValueError, match="equal channels, not 2 and 3"):
        SNUNet(2, 3, 4, siamese=True)


def test_maps():
    network = SNUNet(2, 3, 5, width=4).eval()
    with torch.no_grad():
        logits, maps = network(torch.rand(2, 2, 64, 96), torch.rand(2, 3, 64, 96))
    assert logits.shape == (2, 5, 64, 96)
    assert maps["deepest"].shape == (2, 64, 4, 6)
    assert maps["fused"].shape == (2, 32, 8, 12)


def test_the_deepest_map_sees_the_second_image_alone():
    network = SNUNet(1, 1, 2, width=4, siamese=True).eval()
    first, second = (torch.rand(1, 1, 32, 32, requires_grad=True) for _ in range(2))
    _, maps = network(first, second)
    gradients = torch.autograd.grad(maps["deepest"].sum(), (first, second), allow_unused=True, retain_graph=True)
    assert gradients[0] is None
    assert gradients[1].abs().sum() > 0
    for gradient in torch.autograd.grad(maps["fused"].sum(), (first, second)):
        assert gradient.abs().sum() > 0


def test_wiring():
    """The nodes one by one, as the paper's figure joins them, and ECAM with its attention written out."""
    torch.manual_seed(0)
    net = SNUNet(1, 1, 3, width=4, siamese=True).double().eval()
    a, b = torch.rand(2, 1, 1, 32, 32, dtype=torch.float64)

    def unit(f, *xs):
        x = functional.conv2d(torch.cat(xs, 1), f.entry.weight, f.entry.bias, padding=1)
        first, _, second, norm = f.body
        return torch.relu(norm(second(torch.relu(first(x)))) + x)

    def up(name, x):
        return net.up[name](x)

    def down(x, level):
        return unit(net.encoder[level - 1], functional.max_pool2d(x, 2))

    def attention(f, x):
        shares = [f.mlp(functional.adaptive_avg_pool2d(x, 1)), f.mlp(functional.adaptive_max_pool2d(x, 1))]
        return torch.sigmoid(sum(shares))

    n = net.node
    with torch.no_grad():
        a0, b0 = unit(net.entry, a), unit(net.entry, b)
        a1, b1 = down(a0, 1), down(b0, 1)
        a2, b2 = down(a1, 2), down(b1, 2)
        a3, b3 = down(a2, 3), down(b2, 3)
        b4 = down(b3, 4)
        x01 = unit(n["0_1"], a0, b0, up("1_0", b1))
        x11 = unit(n["1_1"], a1, b1, up("2_0", b2))
        x21 = unit(n["2_1"], a2, b2, up("3_0", b3))
        x31 = unit(n["3_1"], a3, b3, up("4_0", b4))
        x02 = unit(n["0_2"], a0, b0, x01, up("1_1", x11))
        x12 = unit(n["1_2"], a1, b1, x11, up("2_1", x21))
        x22 = unit(n["2_2"], a2, b2, x21, up("3_1", x31))
        x03 = unit(n["0_3"], a0, b0, x01, x02, up("1_2", x12))
        x13 = unit(n["1_3"], a1, b1, x11, x12, up("2_2", x22))
        x04 = unit(n["0_4"], a0, b0, x01, x02, x03, up("1_3", x13))
        joined = torch.cat([x01, x02, x03, x04], 1)
        intra = attention(net.intra, x01 + x02 + x03 + x04)
        logits = net.head(attention(net.inter, joined) * (joined + torch.cat([intra] * 4, 1)))
        found, maps = net(a, b)
    assert torch.allclose(found, logits, atol=1e-10)
    assert torch.allclose(maps["deepest"], b4, atol=1e-10)
    assert torch.allclose(maps["fused"], x31, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("compact", {"width": 4}),
        ("deeplabv3plus", {"encoder": "resnet18"}),
        ("segformer", {}),
        ("snunet", {"width": 4, "attention": False}),
        ("unet", {}),
    ],
)
def test_any_segmenter_can_judge(name, arguments):
    network = build_semantic_discriminator(name, 2, 3, 4, **arguments).eval()
    images = torch.rand(1, 2, 64, 64), torch.rand(1, 3, 64, 64, requires_grad=True)
    logits, maps = network(*images)
    assert logits.shape == (1, 4, 64, 64)
    for feature in maps.values():
        assert feature.ndim == 4
        assert feature.shape[-1] <= 8
        (gradient,) = torch.autograd.grad(feature.square().sum(), images[1], retain_graph=True)
        assert gradient.abs().sum() > 0
    with torch.no_grad():
        again = network(*images)
    assert torch.equal(again[1]["deepest"], maps["deepest"])


def test_refusals():
    assert "snunet" in list_semantic_discriminators()
    with pytest.raises(ValueError, match=r"unknown semantic discriminator 'vgg'; known: .*snunet"):
        build_semantic_discriminator("vgg", 1, 3, 2)
    with pytest.raises(ValueError, match="snunet has no argument depth; known: width, siamese, attention"):
        build_semantic_discriminator("snunet", 1, 3, 2, depth=3)
