"""The network between an earlier optical image and radar: what it copies, what it makes, tiles, export."""

from __future__ import annotations

import pytest
import torch

from saropt.networks import build_network

SMALL = {"width": 8, "encoder": [1, 1], "decoder": [1, 1], "middle": 1}


def network(alive: bool = True, sar: int = 2, bands: int = 3, **changes):
    torch.manual_seed(0)
    built = build_network("reference_unet", sar + bands + 1, bands + 2, **{**SMALL, **changes})
    if alive:
        for parameter in built.parameters():
            if parameter.ndim == 4 and not parameter.flatten(1).any(dim=1).all():
                torch.nn.init.normal_(parameter, 0.0, 0.3)
        built.unet.exit.bias.data.zero_()
    return built.eval()


def inputs(sar: int = 2, bands: int = 3, height: int = 32, width: int = 48):
    torch.manual_seed(1)
    valid = (torch.rand(2, 1, height, width) < 0.6).float()
    reference = (torch.rand(2, bands, height, width) * 2 - 1) * valid
    return torch.cat([torch.rand(2, sar, height, width) * 2 - 1, reference, valid], dim=1)


def test_the_untrained_network_copies_the_reference_where_there_is_one():
    x = inputs()
    with torch.no_grad():
        made = network(alive=False)(x)
    valid = (x[:, -1] > 0.5)[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(made[:, :3][valid], x[:, 2:5][valid])
    origin, change = made[:, 3], made[:, 4]
    assert (origin[x[:, -1] > 0.5] == -1.0).all()
    assert (origin[x[:, -1] < 0.5] == 1.0).all()
    assert (change < -0.9).all()


def test_it_starts_from_a_translator_of_sar_alone():
    x = inputs()
    torch.manual_seed(2)
    alone = build_network("naf_unet", 2, 3, **SMALL).eval()
    built = network(alive=False)
    built.start_from(alone)
    with torch.no_grad():
        made, translated = built(x), alone(x[:, :2])
    missing = (x[:, -1] < 0.5)[:, None].expand(-1, 3, -1, -1)
    assert torch.allclose(made[:, :3][missing], translated[missing], atol=1e-6)
    assert torch.equal(made[:, :3][~missing], x[:, 2:5][~missing])
    with pytest.raises(ValueError, match="naf_unet of the same width"):
        built.start_from(build_network("naf_unet", 2, 3, **{**SMALL, "width": 4}))


def test_the_image_is_the_mixture_that_its_origin_says():
    x, built = inputs(), network()
    with torch.no_grad():
        candidate, gate, change = built.decide(x)
        made = built(x)
    gate, change = (1.0 / (1.0 + torch.exp(-logit.double())) for logit in (gate, change))
    radar = ((gate - 0.35) / 0.3).clamp(0.0, 1.0)
    radar[x[:, -1:] < 0.5] = 1.0
    expected = radar * candidate + (1.0 - radar) * x[:, 2:5]
    assert 0.05 < radar.mean() < 0.95
    assert torch.allclose(made[:, :3].double(), expected, atol=1e-5)
    assert torch.allclose((made[:, 3:4].double() + 1) / 2, radar, atol=1e-5)
    assert torch.allclose((made[:, 4:].double() + 1) / 2, change, atol=1e-5)


def test_tiles_equal_the_whole():
    built = network()
    halo = -(-(built.receptive_field // 2) // built.stride) * built.stride
    side = 2 * halo + 4 * built.stride
    x = inputs(height=side, width=side)
    core = slice(halo, halo + built.stride * 2)
    with torch.no_grad():
        whole = built(x)[..., core, core]
        tile = built(x[..., : 2 * halo + 2 * built.stride, : 2 * halo + 2 * built.stride])[..., core, core]
    assert torch.allclose(tile, whole, atol=1e-5)


def test_bands_and_likelihoods_are_checked():
    with pytest.raises(ValueError, match="an image, its earlier version, its validity"):
        build_network("reference_unet", 3, 5)
    with pytest.raises(ValueError, match="keep and replace"):
        network(keep=0.7, replace=0.6)


def relative_inputs(built, known: bool = True):
    """Inputs with medians behind them, and what the same network without `relative` would be given."""
    x = inputs()
    medians = torch.tensor([[0.3, 0.6, 0.9], [0.5, 0.2, 1.4]])
    level = medians if known else built.usual.detach().reshape(1, 3).expand(2, 3)
    told = (medians if known else torch.zeros_like(medians))[..., None, None].expand(-1, -1, *x.shape[-2:])
    return torch.cat([x, told], dim=1), level.double()[..., None, None]


@pytest.mark.parametrize("known", [True, False])
def test_a_relative_network_works_in_multiples_of_the_medians(known):
    torch.manual_seed(3)
    built = build_network("reference_unet", 2 + 3 + 1 + 3, 5, relative=True, **SMALL).eval()
    torch.nn.init.normal_(built.unet.exit.weight, 0.0, 0.3)
    built.unet.exit.bias.data.zero_()
    built.usual.data[:] = torch.tensor([0.4, 0.7, 0.2])[:, None, None]
    x, median = relative_inputs(built, known)
    values, valid = (x[:, 2:5].double() + 1.0), x[:, 5:6].double()
    seen = valid * (torch.minimum(values / (2.0 * median), torch.tensor(2.0)) - 1.0)
    with torch.no_grad():
        plain = built.unet(torch.cat([x[:, :2], seen.float(), x[:, 5:6]], dim=1)).double()
        candidate, gate, _ = built.decide(x)
        made = built(x).double()
    expected = (plain[:, :3] + 1.0) * 2.0 * median - 1.0
    assert torch.allclose(candidate.double(), expected, atol=1e-5)
    radar = ((torch.sigmoid(gate.double()) - 0.35) / 0.3).clamp(0.0, 1.0)
    radar[valid < 0.5] = 1.0
    assert torch.allclose(made[:, :3], radar * expected + (1.0 - radar) * x[:, 2:5].double(), atol=1e-4)
    assert torch.equal(
        made[:, :3].float()[radar.expand(-1, 3, -1, -1) == 0], x[:, 2:5][radar.expand(-1, 3, -1, -1) == 0]
    )


def test_a_fresh_relative_network_copies_too():
    built = build_network("reference_unet", 2 + 3 + 1 + 3, 5, relative=True, **SMALL).eval()
    x, _ = relative_inputs(built)
    with torch.no_grad():
        made = built(x)
    valid = (x[:, 5] > 0.5)[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(made[:, :3][valid], x[:, 2:5][valid])
