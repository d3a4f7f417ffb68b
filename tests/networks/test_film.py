"""Scene inputs in a network: FiLM by its equation, and no effect until it is trained or where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from saropt.domain import encode_scene_inputs
from saropt.networks import FiLM, build_network

SMALL = {"width": 8, "encoder": [1, 1], "decoder": [1, 1], "middle": 1, "unshuffle": 2}


def alive(network: torch.nn.Module, films: bool) -> torch.nn.Module:
    """The network with weights that are not zero; those of its FiLM too where asked for."""
    torch.manual_seed(1)
    for name, parameter in network.named_parameters():
        if not parameter.any() and (films or not name.startswith("films")):
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return network.eval()


def told(image: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    return torch.cat([image, vector[:, :, None, None].expand(-1, -1, *image.shape[2:])], dim=1)


def test_film_is_the_equation_of_the_paper():
    """Perez et al., equation 2, with plain loops in double precision."""
    random = np.random.default_rng(0)
    x, v, weight = random.normal(size=(2, 3, 4, 5)), random.normal(size=(2, 4)), random.normal(size=(6, 4))
    expected = np.zeros_like(x)
    for n in range(2):
        for c in range(3):
            gamma = 1.0 + sum(weight[c, k] * v[n, k] for k in range(4))
            beta = sum(weight[3 + c, k] * v[n, k] for k in range(4))
            for row in range(4):
                for col in range(5):
                    expected[n, c, row, col] = gamma * x[n, c, row, col] + beta
    film = FiLM(4, 3).double()
    film.weight.data = torch.from_numpy(weight)[:, :, None, None]
    made = film(torch.from_numpy(x), torch.from_numpy(v)).detach().numpy()
    np.testing.assert_allclose(made, expected, rtol=1e-12, atol=1e-12)


def test_an_untrained_one_and_an_unknown_scene_give_the_network_without_it():
    torch.manual_seed(0)
    plain = build_network("naf_unet", 2, 3, **SMALL)
    torch.manual_seed(0)
    filmed = build_network("naf_unet", 2 + 5, 3, scene_bands=5, **SMALL)
    plain, filmed = alive(plain, films=False), alive(filmed, films=False)
    assert {name for name in filmed.state_dict() if name not in plain.state_dict()} == {
        f"films.{level}.weight" for level in range(3)
    }
    filmed.load_state_dict(plain.state_dict(), strict=False)
    image, vector = torch.rand(2, 2, 64, 64) * 2 - 1, torch.randn(2, 5)
    with torch.no_grad():
        expected = plain(image)
        assert torch.equal(filmed(told(image, vector)), expected)  # untrained
        filmed = alive(filmed, films=True)
        assert torch.equal(filmed(told(image, torch.zeros(2, 5))), expected)  # unknown
        assert not torch.allclose(filmed(told(image, vector)), expected, atol=1e-2)


@pytest.mark.parametrize("level", range(3))
def test_each_level_has_its_part(level):
    network = alive(build_network("naf_unet", 2 + 5, 3, scene_bands=5, **SMALL), films=False)
    image, vector = torch.rand(1, 2, 64, 64) * 2 - 1, torch.randn(1, 5)
    with torch.no_grad():
        before = network(told(image, vector))
        network.films[level].weight.normal_(0.0, 0.3)
        assert (network(told(image, vector)) - before).abs().max() > 1e-2


def test_the_encoding():
    for month in range(1, 13):
        angle = 2 * math.pi * (month - 0.5) / 12
        assert encode_scene_inputs(["month"], {"month": month}) == pytest.approx([math.sin(angle), math.cos(angle), 1])
    south = encode_scene_inputs(["month", "latitude"], {"month": 1, "latitude": -36.0})
    north = encode_scene_inputs(["month", "latitude"], {"month": 7, "latitude": 36.0})
    assert south == pytest.approx(north)
    assert north[3:] == pytest.approx([0.4, 1.0])
    assert encode_scene_inputs(["incidence", "month"], {"incidence": 43.0}) == [0.5, 1.0, 0.0, 0.0, 0.0]
    assert encode_scene_inputs([], {"month": 7}) == []
