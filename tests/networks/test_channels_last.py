"""Layers that compute otherwise in training on a CPU: values and gradients of the layers of torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saropt.networks import build_network, channels_last
from saropt.networks.channels_last import Conv3x3, InstanceNorm
from saropt.networks.winograd import winograd


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def with_gradients(function, *inputs: Tensor) -> list[Tensor]:
    """Value of a function and its gradients for a random gradient of the value."""
    inputs = tuple(x.detach().requires_grad_() for x in inputs)
    value = function(*inputs)
    return [value.detach(), *torch.autograd.grad(value, inputs, random(*value.shape, seed=9, dtype=value.dtype))]


def agree(found: list[Tensor], expected: list[Tensor], tolerance: float) -> bool:
    return all(
        (a.double() - b.double()).abs().max() <= tolerance * b.abs().max() for a, b in zip(found, expected, strict=True)
    )


def by_the_sum(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[c, i + u, j + v]."""
    height, width = x.shape[2] - 2, x.shape[3] - 2
    total = bias.view(1, -1, 1, 1)
    for u in range(3):
        for v in range(3):
            shifted = x[:, :, u : u + height, v : v + width]
            total = total + (shifted[:, None] * weight[None, :, :, u, v, None, None]).sum(dim=2)
    return total


@pytest.mark.parametrize("size", [(4, 4), (12, 20), (8, 2056)])  # the last in more than one strip
def test_winograd_is_the_sum_of_a_convolution(size):
    inputs = random(2, 5, size[0] + 2, size[1] + 2), random(7, 5, 3, 3, seed=1), random(7, seed=2)
    assert agree(with_gradients(winograd, *inputs), with_gradients(by_the_sum, *inputs), 1e-12)


def test_winograd_in_single_precision():
    inputs = random(2, 64, 34, 34), random(128, 64, 3, 3, seed=1), random(128, seed=2)
    found = with_gradients(winograd, *(x.float() for x in inputs))
    assert agree(found, with_gradients(by_the_sum, *inputs), 2e-5)


def test_only_what_is_asked_for_gets_a_gradient():
    x, weight, bias = random(1, 2, 6, 6), random(3, 2, 3, 3).requires_grad_(), random(3)
    winograd(x, weight, bias).sum().backward()
    assert weight.grad is not None
    assert x.grad is bias.grad is None


def test_instance_norm_by_its_formula():
    def formula(x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()

    x = 3.0 * random(2, 6, 12, 20) + 5.0
    expected = with_gradients(formula, x)
    assert agree(with_gradients(InstanceNorm(6), x), expected, 1e-12)
    assert agree(with_gradients(InstanceNorm(6), x.float()), expected, 5e-6)
    assert agree(with_gradients(InstanceNorm(6), x.bfloat16()), expected, 2e-2)


@pytest.mark.parametrize(("antialias", "calls"), [(False, 4), (True, 7)])
def test_a_generator_has_the_values_and_gradients_of_plain_layers(monkeypatch, antialias, calls):
    torch.manual_seed(0)
    network = build_network("resnet", 1, 3, width=64, blocks=2, antialias=antialias).double()
    image = random(1, 1, 32, 32)
    seen = []
    monkeypatch.setattr(channels_last, "winograd", lambda *inputs: (seen.append(1), winograd(*inputs))[1])

    def gradients() -> list[Tensor]:
        network.zero_grad()
        (network(image) * random(1, 3, 32, 32, seed=1)).sum().backward()
        return [weight.grad.clone() for weight in network.parameters() if weight.ndim == 4]

    fast, fast_value = gradients(), network(image).detach()
    assert len(seen) == 2 * calls
    monkeypatch.setattr(channels_last, "trains_on_cpu", lambda x: False)
    plain = gradients()
    assert len(seen) == 2 * calls
    assert agree([fast_value, *fast], [network(image).detach(), *plain], 1e-9)


@pytest.mark.parametrize(
    ("shape", "dtype", "fast"),
    [
        ((1, 4, 16, 16), torch.float32, True),
        ((1, 4, 18, 16), torch.float32, False),
        ((1, 4, 16, 16), torch.bfloat16, False),
    ],
)
def test_where_winograd_is_taken(monkeypatch, shape, dtype, fast):
    seen = []
    monkeypatch.setattr(channels_last, "winograd", lambda *inputs: (seen.append(1), winograd(*inputs))[1])
    layer, plain = Conv3x3(4, 128, padding=1), nn.Conv2d(4, 128, 3, padding=1)
    plain.load_state_dict(layer.state_dict())
    image = random(*shape, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = layer(image)
        assert agree([found.detach()], [plain(image).detach()], 2e-5)
    assert bool(seen) is fast
    with torch.no_grad():
        assert torch.equal(layer(image), plain(image))
