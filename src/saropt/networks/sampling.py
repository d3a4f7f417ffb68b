"""The base class of networks that draw their outputs from noise."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from saropt.radiometry import position_noise

SamplerKind = Literal["ancestral", "ddim", "euler"]


class SamplingNetwork(nn.Module):
    """Base of generators that turn the source and unit normal noise into one sample of the possible target images.

    `forward(x)` takes the source's bands with `noise_channels` bands of noise behind them; without those it takes the
    noise of seed 0 at the origin, so that the same source gives the same output. `forward(x, time)` is one evaluation
    of the network inside the sampler, for training.

    Attributes:
        sampler, steps: how samples are drawn, and in how many steps.
        noise_channels: bands of noise that one sample takes.
        has_static_graph: whether `forward(x)` can be exported as one graph of reasonable size; otherwise it calls
            `evaluate(x, time)` repeatedly.

    >>> from saropt.networks import build_network
    >>> network = build_network("bridge", 1, 3)
    >>> isinstance(network, SamplingNetwork), network.noise_channels, network.steps
    (True, 3, 2)
    """

    has_static_graph: ClassVar[bool]
    sampler: SamplerKind
    steps: int
    noise_channels: int

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels

    def split_noise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, in_channels, H, W) and noise (N, noise_channels, H, W) of an input of either form."""
        if x.shape[1] == self.in_channels:
            noise = torch.from_numpy(position_noise(0, self.noise_channels, 0, 0, *x.shape[-2:]))
            return x, noise.to(x).expand(len(x), -1, -1, -1)
        return x[:, : self.in_channels], x[:, self.in_channels :]


def draw(network: SamplingNetwork, source: Tensor) -> Tensor:
    """A random sample (N, out_channels, H, W) for a source (N, in_channels, H, W), with the noise of torch's own
    generator and with gradients: for training.

    >>> from saropt.networks import DiffusionUNet
    >>> network = DiffusionUNet(1, 3, width=8, multipliers=(1, 2), blocks=1, attention=(), sampler="ddim", steps=1)
    >>> draw(network, torch.zeros(1, 1, 16, 16)).shape
    torch.Size([1, 3, 16, 16])
    """
    noise = torch.randn(len(source), network.noise_channels, *source.shape[-2:], device=source.device)
    sample: Tensor = network(torch.cat([source, noise], dim=1))
    return sample
