"""Weight initialisations of the CycleGAN and CUT code bases."""

from __future__ import annotations

from typing import Literal

from torch import nn

Initialisation = Literal["normal", "xavier", "truncated"]


def initialise(module: nn.Module, kind: Initialisation = "normal", gain: float = 0.02) -> None:
    """Convolutions and linear layers N(0, gain) or Xavier normal, batch-norm weights N(1, gain), biases 0; in place.

    "truncated" is a normal distribution cut at two standard deviations.

    Raises:
        ValueError: an unknown `kind`.
    """
    if kind not in ("normal", "xavier", "truncated"):
        raise ValueError(f"init must be normal, xavier or truncated, not {kind!r}")
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            if kind == "normal":
                nn.init.normal_(layer.weight, 0.0, gain)
            elif kind == "truncated":
                nn.init.trunc_normal_(layer.weight, 0.0, gain, -2.0 * gain, 2.0 * gain)
            else:
                nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, gain)
            nn.init.zeros_(layer.bias)


def normal_init(module: nn.Module, gain: float = 0.02) -> None:
    """`initialise` with normal weights, as pix2pix and CycleGAN do."""
    initialise(module, "normal", gain)
