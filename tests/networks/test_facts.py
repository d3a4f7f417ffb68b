"""Published facts of the networks: parameter counts, output sizes, initialisation, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saropt.networks import (
    MultiScalePatchGAN,
    PatchGAN,
    build_network,
    freeze_statistics,
    has_instance_statistics,
    list_networks,
    network_arguments,
)
from saropt.networks.frozen_statistics import FrozenInstanceNorm
from saropt.networks.nafunet import NormedGate
from saropt.networks.registry import network as register_network


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "bands", "parameters"),
    [("resnet", (3, 3), 11_378_179), ("resnet", (1, 3), 11_371_907), ("unet_256", (3, 3), 54_413_955)],
)
def test_parameter_counts_of_generators(name, bands, parameters):
    with torch.device("meta"):
        network = build_network(name, *bands)
    assert count(network) == parameters


@pytest.mark.parametrize(("channels", "norm", "parameters"), [(3, "instance", 2_764_737), (6, "batch", 2_768_705)])
def test_patchgan_count_and_output(channels, norm, parameters):
    network = PatchGAN(channels, norm=norm).eval()
    assert count(network) == parameters
    with torch.no_grad():
        *features, logits = network(torch.zeros(1, channels, 256, 256))
    assert logits.shape == (1, 1, 30, 30)
    assert [f.shape[1] for f in features] == [64, 128, 256, 512]


def test_patchgan_sees_70_pixels():
    network = PatchGAN(1, width=8, norm="none").double()
    image = torch.rand(1, 1, 256, 256, dtype=torch.float64, requires_grad=True)
    logits = network(image)[-1]
    (gradient,) = torch.autograd.grad(logits[0, 0, 15, 15], image)
    rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == 70


def test_patchgan_norms():
    for norm, counts in {"instance": (3, 0), "batch": (0, 3), "none": (0, 0)}.items():
        layers = list(PatchGAN(1, 8, norm=norm).modules())
        kinds = (nn.InstanceNorm2d, nn.BatchNorm2d)
        assert tuple(sum(isinstance(layer, kind) for layer in layers) for kind in kinds) == counts
    with pytest.raises(ValueError, match="instance, batch, none"):
        PatchGAN(1, norm="group")


def test_multi_scale_halves_the_image():
    network = MultiScalePatchGAN(2, width=4, scales=2)
    image = torch.rand(1, 2, 128, 128)
    fine, coarse = network(image)
    assert fine[0].shape[-1] == 2 * coarse[0].shape[-1]
    pooled = nn.functional.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
    assert torch.equal(network.scales[1](pooled)[-1], coarse[-1])


def test_initialisation_of_the_code_base():
    torch.manual_seed(0)
    for name in ("resnet", "unet_256"):
        arguments = {"width": 32} if name == "unet_256" else {"width": 32, "blocks": 2}
        for layer in build_network(name, 3, 3, **arguments).modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
                assert layer.bias is None or not layer.bias.any()
            elif isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1.0, abs=0.02)


def test_a_fresh_naf_block_is_the_identity():
    """Their last convolutions start at zero: the blocks do nothing, whatever their number."""
    torch.manual_seed(0)
    shallow = build_network("naf_unet", 1, 1, width=8, encoder=[0], decoder=[0], middle=0, unshuffle=2)
    deep = build_network("naf_unet", 1, 1, width=8, encoder=[2], decoder=[1], middle=3, unshuffle=2)
    deep.load_state_dict(shallow.state_dict(), strict=False)
    image = torch.rand(1, 1, 32, 32)
    assert torch.equal(shallow(image), deep(image))


def test_naf_gates_normalise_channels_as_layer_norm_does():
    torch.manual_seed(0)
    gate = NormedGate(6, depthwise=False).double()
    nn.init.normal_(gate.out.weight)
    x = 3.0 + torch.randn(2, 6, 4, 5, dtype=torch.float64)
    normed = nn.functional.layer_norm(x.movedim(1, -1), (6,), eps=gate.eps).movedim(-1, 1)
    expected = x + gate.out(gate.first(normed) * gate.second(normed))
    assert torch.allclose(gate(x), expected, atol=1e-5)


def test_resnet_has_no_activation_after_the_residual_sum():
    network = build_network("resnet", 1, 1, width=8, blocks=1)
    block = next(layer for layer in network.layers if type(layer).__name__ == "ResidualBlock")
    image = torch.randn(1, 32, 16, 16)
    assert torch.equal(block(image), image + block.body(image))
    assert block(image).min() < -0.5


def test_unet_bottleneck_is_one_pixel():
    network = build_network("unet_256", 1, 1, width=2).eval()
    image = torch.zeros(1, 1, 256, 256)
    for down in network.down:
        image = down(image)
    assert image.shape == (1, 16, 1, 1)
    assert sum(isinstance(layer, nn.Dropout) for layer in network.modules()) == 3


def test_receptive_fields_of_the_full_networks():
    with torch.device("meta"):
        assert build_network("unet_256", 1, 3).receptive_field is None
        assert 169 <= build_network("resnet", 1, 3).receptive_field <= 173
        assert 183 <= build_network("resnet", 1, 3, antialias=True).receptive_field <= 187
        bundled = build_network("naf_unet", 1, 3)
        assert bundled.stride == 16


class TestFrozenStatistics:
    def test_equals_instance_norm_on_the_very_sample(self):
        torch.manual_seed(0)
        network = build_network("resnet", 1, 2, width=8, blocks=2).eval()
        image = torch.rand(1, 1, 64, 64)
        with torch.no_grad():
            expected = network(image)
            assert has_instance_statistics(network)
            frozen = freeze_statistics(network, image)
            assert not has_instance_statistics(frozen)
            assert torch.allclose(frozen(image), expected, atol=1e-5)

    def test_pools_over_samples(self):
        samples = torch.cat([torch.randn(3, 4, 16, 16), 5 + 2 * torch.randn(2, 4, 16, 16)])
        frozen = freeze_statistics(nn.Sequential(nn.InstanceNorm2d(4)), samples)
        output = frozen(samples)
        assert torch.allclose(output.mean((0, 2, 3)), torch.zeros(4), atol=1e-5)
        assert torch.allclose(output.var((0, 2, 3), correction=0), torch.ones(4), atol=1e-3)

    def test_keeps_affine_weights(self):
        layer = nn.InstanceNorm2d(3, affine=True)
        nn.init.uniform_(layer.weight)
        nn.init.uniform_(layer.bias)
        image = torch.randn(1, 3, 8, 8)
        expected = layer(image)
        assert torch.allclose(freeze_statistics(nn.Sequential(layer), image)(image), expected, atol=1e-5)

    def test_statistics_do_not_move_afterwards_and_are_saved(self):
        network = freeze_statistics(build_network("resnet", 1, 1, width=8, blocks=1), torch.rand(2, 1, 32, 32))
        before = {key: value.clone() for key, value in network.state_dict().items()}
        scales = [key for key in before if key.endswith("scale")]
        assert len(scales) == sum(isinstance(layer, FrozenInstanceNorm) for layer in network.modules()) == 7
        network(torch.rand(1, 1, 32, 32) * 9)
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())

    def test_without_instance_norm_nothing_changes(self):
        network = build_network("naf_unet", 1, 1, width=8, encoder=[1], decoder=[1], middle=1, unshuffle=2)
        keys = list(network.state_dict())
        assert not has_instance_statistics(network)
        assert list(freeze_statistics(network, torch.rand(1, 1, 16, 16)).state_dict()) == keys


class TestRegistry:
    def test_names(self):
        assert list_networks() == sorted(list_networks())
        assert {"naf_unet", "resnet", "unet_256"} <= set(list_networks())

    def test_arguments(self):
        assert network_arguments("resnet") == {"width": 64, "blocks": 9, "antialias": False, "init": "normal"}

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"unknown network 'vgg'; known: .*naf_unet"):
            build_network("vgg", 1, 1)
        with pytest.raises(ValueError, match="no argument depth; known: width, blocks"):
            build_network("resnet", 1, 1, depth=3)

    def test_twice(self):
        with pytest.raises(ValueError, match="registered twice"):
            register_network("resnet")(nn.Identity)

    def test_levels_must_agree(self):
        with pytest.raises(ValueError, match="same number of levels"):
            build_network("naf_unet", 1, 1, encoder=[1, 1], decoder=[1])
