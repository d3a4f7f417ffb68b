"""Weight initialisation of the pix2pix and CycleGAN code base."""

from __future__ import annotations

from torch import nn


def normal_init(module: nn.Module, gain: float = 0.02) -> None:
    """Convolutions and linear layers N(0, gain), batch-norm weights N(1, gain), biases 0; in place."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, gain)
            nn.init.zeros_(layer.bias)
