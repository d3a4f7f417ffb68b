"""Small networks of every kind, and their inputs."""

from __future__ import annotations

import torch
from torch import nn

from saropt.networks import build_network, list_networks

SMALL = {
    "bridge": {
        "regressor_arguments": {"width": 4, "encoder": [1], "decoder": [1], "middle": 1},
        **{"width": 8, "encoder": [1], "decoder": [1], "middle": 1},
    },
    "diffusion_unet": {
        **{"width": 8, "multipliers": [1, 1, 1, 2], "blocks": 1, "attention": [8], "heads": 2},
        **{"times": 20, "steps": 2},
    },
    "cran": {"width": 4},
    "cran_cyclegan": {"width": 4},
    "cran_unet": {"width": 4},
    "cran_unet without last join": {"width": 4, "last_join": False},
    "hat": {"width": 8, "depths": [2], "heads": [2], "window": 4, "squeeze": 4},
    "s2oformer": {"width": 8, "depths": [2], "heads": [2], "window": 4, "squeeze": 4},
    "naf_unet": {"width": 8, "encoder": [1, 1], "decoder": [1, 1], "middle": 1, "unshuffle": 2},
    "resnet": {"width": 8, "blocks": 2},
    "resnet antialiased": {"width": 8, "blocks": 2, "antialias": True},
    "tuigan": {"width": 4, "scales": 3},
    "unet_256": {"width": 4},
}
CASES = sorted({*list_networks(), *SMALL} - {"reference_unet"})
"""All networks that take any bands and give any; `reference_unet` has tests of its own (test_reference.py)."""


def small(name: str, in_channels: int, out_channels: int, **changes) -> nn.Module:
    """A small network whose every branch is alive, in eval mode."""
    torch.manual_seed(0)
    network = build_network(name.split()[0], in_channels, out_channels, **{**SMALL.get(name, {}), **changes})
    for parameter in network.parameters():
        if not parameter.any() and parameter.ndim == 4:
            nn.init.normal_(parameter, 0.0, 0.3)
    return network.eval()


def with_noise(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """The image with the bands of noise that a sampler takes behind its own."""
    count, _, height, width = image.shape
    return torch.cat([image, torch.randn(count, getattr(network, "noise_channels", 0), height, width).to(image)], dim=1)
