"""NetworkContract: what every registered generator must keep, run over the whole registry."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from small_networks import CASES, SMALL, small, with_noise
from torch import nn

from saropt.networks import build_network, freeze_statistics, has_instance_statistics, list_networks


def settle(network: nn.Module, image: torch.Tensor) -> None:
    """Running statistics of one image: with those of a fresh BatchNorm nothing of it comes through."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(image)
    network.eval()


def test_the_registry_is_known_here():
    """A new network must come with small arguments, or build quickly by itself."""
    assert {name.split()[0] for name in SMALL} <= set(list_networks())


@pytest.mark.parametrize("name", CASES)
class TestNetworkContract:
    BANDS: ClassVar = [(1, 3), (2, 1), (13, 3)]

    @pytest.mark.parametrize(("in_channels", "out_channels"), BANDS)
    def test_shapes(self, name, in_channels, out_channels):
        network = small(name, in_channels, out_channels)
        height, width = network.stride * 2, network.stride * 3
        if height < 64:
            height, width = 64 // network.stride * network.stride, 96 // network.stride * network.stride
        if network.stride >= 256:
            height = width = network.stride
        with torch.no_grad():
            output = network(torch.rand(2, in_channels, height, width) * 2 - 1)
        assert output.shape == (2, out_channels, height, width)
        assert output.dtype == torch.float32
        assert torch.isfinite(output).all()
        assert output.std() > 0

    def test_translates_by_its_stride(self, name):
        """A shift of the input by the stride shifts the output by the stride, and by nothing less."""
        network = small(name, 1, 1).double()
        if network.receptive_field is None:
            pytest.skip("sees the whole tile")
        stride, reach = network.stride, network.receptive_field
        side = (2 * reach + 4 * stride) // stride * stride
        image = with_noise(network, torch.rand(1, 1, side + stride, side + stride, dtype=torch.float64) * 2 - 1)
        freeze_statistics(network, image[..., :side, :side])
        edge = (reach // 2 // stride + 1) * stride
        with torch.no_grad():
            plain = network(image[..., :side, :side])
            moved = network(image[..., stride:, stride:])
            inner = slice(edge, side - edge - stride)
            shifted = slice(edge + stride, side - edge)
            assert inner.stop > inner.start
            assert torch.allclose(moved[..., inner, inner], plain[..., shifted, shifted], atol=1e-12)

    def test_refuses_sizes_off_the_stride(self, name):
        network = small(name, 1, 1)
        side = max(network.stride, 64) + max(1, network.stride // 2)
        try:
            with torch.no_grad():
                output = network(torch.zeros(1, 1, side, side))
        except RuntimeError:
            return
        assert output.shape[-1] != side

    def test_receptive_field(self, name):
        """Gradients of one output pixel, at every place in a cell of the stride, stay in the stated field and nearly
        fill it."""
        network = small(name, 1, 1).double()
        stride, stated = network.stride, network.receptive_field
        side = 256 if stated is None else (2 * stated + 4 * stride) // stride * stride
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        image = torch.rand(1, 1, side, side, dtype=torch.float64) * 2 - 1
        freeze_statistics(network, image)
        start = side // 2 // stride * stride
        extents, before, after = [], [], []
        for position in range(start, start + (stride if stated is not None else 1)):
            image.requires_grad_(True)
            output = network(image)[0, 0, position, position]
            (gradient,) = torch.autograd.grad(output, image)
            for axis in (0, 1):
                seen = (gradient[0, 0] != 0).any(axis).nonzero().flatten()
                extents.append(int(seen[-1] - seen[0]) + 1)
                before.append(start - int(seen[0]))
                after.append(int(seen[-1]) - (start + stride - 1))
        if stated is None:
            assert min(extents) >= side - 2
            return
        assert max(extents) <= stated, "one output pixel sees more than the stated field"
        assert max(extents) >= stated - stride, "the stated field is wider than needed"
        halo = -(-(stated // 2) // stride) * stride
        assert max(before + after) <= halo, "a halo of half the field does not cover a cell of the stride"

    def test_state_round_trip(self, name):
        first, second = small(name, 2, 3), build_network(name.split()[0], 2, 3, **SMALL.get(name, {})).eval()
        image = torch.rand(1, 2, *(max(first.stride, 64),) * 2) * 2 - 1
        with torch.no_grad():
            before = first(image)
            assert not torch.equal(before, second(image))
            second.load_state_dict(first.state_dict())
            assert torch.equal(before, second(image))

    def test_every_parameter_learns(self, name):
        network = small(name, 1, 2).train()
        image = torch.rand(2, 1, *(max(network.stride, 64),) * 2)
        network(image).square().mean().backward()
        dead = [key for key, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
        assert dead == []

    def test_tile_equals_whole(self, name):
        """Tiles on the stride's grid with a halo over the receptive field come out as the whole image does."""
        network = small(name, 2, 3)
        if network.receptive_field is None:
            pytest.skip("sees the whole tile: it is blended, not tile-exact")
        stride = network.stride
        halo = -(-(network.receptive_field // 2) // stride) * stride
        side = 2 * halo + 8 * stride
        image = with_noise(network, torch.rand(1, 2, side, side + 4 * stride) * 2 - 1)
        settle(network, image)
        freeze_statistics(network, image[..., : 8 * stride, : 8 * stride])
        assert not has_instance_statistics(network)
        core = 4 * stride
        with torch.no_grad():
            whole = network(image)
            for row in range(halo, side - halo, core):
                for column in range(halo, side + 4 * stride - halo, core):
                    window = image[..., row - halo : row + core + halo, column - halo : column + core + halo]
                    tile = network(window)[..., halo : halo + core, halo : halo + core]
                    expected = whole[..., row : row + core, column : column + core]
                    assert torch.allclose(tile, expected, atol=1e-4)
        assert whole.std() > 1e-3
