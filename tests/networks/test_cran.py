"""Published facts of the CRAN translator and of the networks it is compared with."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from saropt.networks import PatchGAN, build_network


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


PAIR = [(1, 3), (3, 1)]


@pytest.mark.parametrize(
    ("name", "bands", "arguments", "parameters"),
    [
        ("cran", [(1, 3)], {}, 53_731_880),
        ("cran", [(3, 1)], {}, 53_759_778),
        ("cran", PAIR, {"skip": "second"}, 107_491_658),
        ("cran_unet", PAIR, {}, 107_162_340),
        ("cran_cyclegan", PAIR, {}, 113_726_932),
    ],
    ids=["sar2opt", "opt2sar", "pair", "U-Net pair", "CycleGAN pair"],
)
def test_parameter_counts(name, bands, arguments, parameters):
    with torch.device("meta"):
        assert sum(count(build_network(name, *channels, **arguments)) for channels in bands) == parameters


@pytest.mark.parametrize(
    ("name", "arguments", "passes", "published", "operations"),
    [
        ("cran", {}, 1, 79.41, 79.408),
        ("cran_unet", {}, 1, None, 89.610),
        ("cran_unet", {"last_join": False}, 1, 89.50, 89.501),
        ("cran_cyclegan", {}, 2, None, 152.587),
        ("cran_cyclegan", {"last_join": False}, 2, 152.39, 152.389),
    ],
)
def test_operations_of_table_5(name, arguments, passes, published, operations):
    """Products and bias additions of the pair, transposed convolutions counted on their output grid; in the "CycleGAN"
    each translator runs twice. The two comparison networks meet the paper without the join before the last layer."""
    counted: list[int] = []

    def count_operations(layer, _, output):
        counted.append((layer.weight.numel() + len(layer.bias)) * (output.shape[-1] // 2 * 2) ** 2)

    with torch.device("meta"):
        for channels in PAIR:
            network = build_network(name, *channels, **arguments)
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    layer.register_forward_hook(count_operations)
            network(torch.zeros(1, channels[0], 256, 256))
    found = passes * sum(counted) / 1e9
    assert found == pytest.approx(operations, abs=0.001)
    if published is not None:
        assert found == pytest.approx(published, abs=0.005)


@pytest.mark.parametrize(("bands", "parameters"), [(3, 2_764_737), (1, 2_762_689)])
def test_discriminator_keeps_the_size_in_its_last_layers(bands, parameters):
    network = PatchGAN(bands, norm="instance", same=True)
    assert count(network) == parameters
    outputs = network(torch.zeros(1, bands, 256, 256))
    assert [out.shape[-1] for out in outputs] == [128, 64, 32, 32, 32]
    assert outputs[-1].shape == (1, 1, 32, 32)


def test_discriminator_sees_70_pixels():
    network = PatchGAN(1, width=8, norm="none", same=True).double()
    image = torch.rand(1, 1, 256, 256, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[-1][0, 0, 15, 15], image)
    rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == 70


def test_latent_sees_191_pixels():
    network = build_network("cran", 1, 1, width=2, norm="none").double()
    image = torch.rand(1, 1, 512, 512, dtype=torch.float64, requires_grad=True)
    x = image
    for first, second in zip(network.first, network.second, strict=True):
        x = second(first(x))
    assert x.shape[-1] == 16
    (gradient,) = torch.autograd.grad(x[0, 0, 8, 8], image)
    rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
    assert int(rows[-1] - rows[0]) + 1 == 191


@pytest.mark.parametrize("norm", ["instance", "none"])
@pytest.mark.parametrize("skip", ["first", "second"])
def test_equals_the_layer_table(skip, norm):
    """Layer by layer as published, with every operation written out."""
    torch.manual_seed(0)
    network = build_network("cran", 2, 3, width=3, skip=skip, norm=norm).double()
    weights = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    for layer in weights:
        nn.init.normal_(layer.weight, 0.0, 0.2)
    image = torch.rand(1, 2, 64, 64, dtype=torch.float64) * 2 - 1

    def run(x, layer, active=True, normed=True):
        x = torch.where(x > 0, x, 0.2 * x) if active else x
        if isinstance(layer, nn.ConvTranspose2d):
            x = functional.conv_transpose2d(x, layer.weight, layer.bias, 2)[..., :-1, :-1]
        elif layer.stride == (2, 2):
            x = functional.conv2d(functional.pad(x, (0, 1, 0, 1)), layer.weight, layer.bias, 2)
        else:
            x = functional.conv2d(x, layer.weight, layer.bias, 1, 1)
        if normed and norm == "instance":
            mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
            x = (x - mean) / (variance + 1e-5).sqrt()
        return x

    def layers(modules):
        return [m for part in modules for m in part.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]

    x, maps = image, []
    for scale, (first, second) in enumerate(zip(layers(network.first), layers(network.second), strict=True)):
        a = run(x, first, active=scale > 0, normed=scale > 0)
        x = run(a, second)
        maps.append(a if skip == "first" else x)
    for depth, (keep, grow) in enumerate(zip(layers(network.keep), layers(network.grow), strict=True)):
        x = run(torch.cat([maps[5 - depth], x], 1) if depth else x, keep)
        x = run(torch.cat([aligned(image, x.shape[-1]), x], 1), grow, normed=depth < 5)
    assert torch.allclose(network(image), torch.tanh(x), atol=1e-9)


def aligned(image: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear sampling at side equidistant places from the first pixel to the last."""
    places = torch.arange(side, dtype=image.dtype) * ((image.shape[-1] - 1) / max(side - 1, 1))
    low = places.floor().long().clamp_max(image.shape[-1] - 2)
    share = places - low
    rows = image[:, :, low] * (1 - share)[:, None] + image[:, :, low + 1] * share[:, None]
    return rows[..., low] * (1 - share) + rows[..., low + 1] * share


def test_starts_from_truncated_normals():
    torch.manual_seed(0)
    network = build_network("cran", 1, 3, width=8)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert layer.weight.abs().max() <= 0.04
            assert not layer.bias.any()
    deep = network.second[-1][1].weight
    # a normal cut at two of its standard deviations keeps 0.8796 of its spread
    assert deep.std().item() == pytest.approx(0.02 * 0.8796, rel=0.02)


def test_refusals():
    for argument in ("norm", "skip"):
        with pytest.raises(ValueError, match=f"{argument} must be one of .*, not 'none of these'"):
            build_network("cran", 1, 3, width=2, **{argument: "none of these"})
