"""Freezes instance statistics, so that a network gives the same output for the tiles of a scene as for the scene.

InstanceNorm takes mean and variance from the very tile it sees: two overlapping tiles then differ everywhere
(by 16 % of the output's standard deviation for a ResNet generator). Here one forward pass over sampled tiles of the
scene pools the statistics of each layer over all samples, layer after layer in the same pass, and keeps them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FrozenInstanceNorm(nn.Module):
    """y = x * scale + shift per channel; `scale` and `shift` hold the frozen statistics and affine weights."""

    gain: Tensor
    offset: Tensor

    def __init__(self, source: nn.InstanceNorm2d) -> None:
        super().__init__()
        channels = source.num_features
        self.eps = source.eps
        self.calibrating = True
        self.register_buffer("scale", torch.ones(1, channels, 1, 1))
        self.register_buffer("shift", torch.zeros(1, channels, 1, 1))
        gain = source.weight if source.weight is not None else torch.ones(channels)
        offset = source.bias if source.bias is not None else torch.zeros(channels)
        self.register_buffer("gain", gain.detach().clone().view(1, -1, 1, 1))
        self.register_buffer("offset", offset.detach().clone().view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.calibrating:
            variance, mean = torch.var_mean(x.double(), dim=(0, 2, 3), keepdim=True, correction=0)
            self.scale = (self.gain * torch.rsqrt(variance + self.eps)).float()
            self.shift = (self.offset - mean * self.scale).float()
        return x * self.scale + self.shift


def has_instance_statistics(module: nn.Module) -> bool:
    """Whether the network normalises by statistics of its own input (InstanceNorm).

    >>> has_instance_statistics(nn.InstanceNorm2d(3)), has_instance_statistics(nn.BatchNorm2d(3))
    (True, False)
    """
    return any(isinstance(layer, nn.InstanceNorm2d) and not layer.track_running_stats for layer in module.modules())


@torch.no_grad()
def freeze_statistics(module: nn.Module, samples: Tensor) -> nn.Module:
    """Replace every InstanceNorm2d of `module`, in place, by its statistics over `samples` (N, C, h, w).

    Returns:
        The module, in eval mode.

    >>> network = freeze_statistics(nn.Sequential(nn.InstanceNorm2d(1)), torch.tensor([[[[0.0, 2.0]]]]))
    >>> network(torch.tensor([[[[1.0]]]])).item()
    0.0
    """
    replaced = []
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.InstanceNorm2d):
                frozen = FrozenInstanceNorm(child)
                setattr(parent, name, frozen)
                replaced.append(frozen)
    module.eval()
    if replaced:
        module(samples)
    for frozen in replaced:
        frozen.calibrating = False
    return module
