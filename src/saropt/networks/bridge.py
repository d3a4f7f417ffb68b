"""A rectified flow from a regression translator's output, with small noise, to the truth, in a few Euler steps.

Posterior-mean rectified flow (Ohayon, Michaeli & Elad, ICLR 2025): z_t = (1 - t) (mu + sigma eps) + t y goes straight
from the posterior mean mu to the image y, and its expected velocity is (E[y | z_t] - z_t) / (1 - t).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from saropt.networks.nafunet import NAFUNet
from saropt.networks.registry import Generator, build_network, network
from saropt.networks.sampling import SamplingNetwork


@network("bridge")
class Bridge(SamplingNetwork):
    """A frozen regressor, and a NAF U-Net that sees z_t, mu, the source and t as bands and gives mu + residual.

    The weights of the regressor are buffers: they are stored in files, but no optimizer changes them. Where the
    receptive field of the regressor is finite, that of the whole chain is finite too, and translation is tile-exact:
    all steps run on the tile with its halo.

    Shapes: (N, in_channels [+ out_channels of noise], H, W) -> (N, out_channels, H, W); with `time` (N,) given, source,
    noise and truth y in this order -> the estimate of y at z_t. H and W are multiples of the stride.

    Args:
        regressor, regressor_arguments: registered network that gives mu.
        width, encoder, middle, decoder, unshuffle: of the `NAFUNet`.
        sigma: standard deviation of the noise on mu, which lies in [-1, 1].
        steps: Euler steps.

    >>> network = Bridge(1, 3, regressor_arguments={"width": 4}, width=4)
    >>> network(torch.zeros(1, 1, 32, 32)).shape
    torch.Size([1, 3, 32, 32])
    """

    has_static_graph: ClassVar[bool] = True
    sampler = "euler"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        regressor: str = "naf_unet",
        regressor_arguments: Mapping[str, Any] | None = None,
        width: int = 32,
        encoder: Sequence[int] = (1, 2),
        middle: int = 4,
        decoder: Sequence[int] = (1, 2),
        unshuffle: int = 2,
        sigma: float = 0.1,
        steps: int = 2,
    ) -> None:
        super().__init__(in_channels, out_channels)
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self.sigma, self.steps, self.noise_channels = sigma, steps, out_channels
        self.regressor = build_network(regressor, in_channels, out_channels, **(regressor_arguments or {}))
        _to_buffers(self.regressor.eval())
        bands = 2 * out_channels + in_channels + 1
        self.refiner = NAFUNet(bands, out_channels, width, encoder, middle, decoder, unshuffle)
        parts = [cast("Generator", self.regressor), *[cast("Generator", self.refiner)] * steps]
        fields = [part.receptive_field for part in parts]
        self.receptive_field = None if None in fields else 2 * sum(cast("int", field) // 2 for field in fields)
        self.stride = math.lcm(*(part.stride for part in parts))
        self.tile = parts[0].tile

    def train(self, mode: bool = True) -> Bridge:
        """Set the mode of the U-Net; the regressor stays in eval mode."""
        super().train(mode)
        self.regressor.eval()
        return self

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        source, noise = self.split_noise(x)
        if time is not None:
            noise, truth = noise.split(self.out_channels, dim=1)
        mean = self.regressor(source).clamp(-1.0, 1.0)
        state = mean + self.sigma * noise
        if time is not None:
            share = time[:, None, None, None]
            return self._estimate((1.0 - share) * state + share * truth, mean, source, share.expand_as(mean[:, :1]))
        for step in range(self.steps):
            estimate = self._estimate(state, mean, source, torch.full_like(mean[:, :1], step / self.steps))
            state = state + (estimate - state) / (self.steps - step)
        return state

    def _estimate(self, state: Tensor, mean: Tensor, source: Tensor, time: Tensor) -> Tensor:
        return mean + self.refiner(torch.cat([state, mean, source, time], dim=1))


def _to_buffers(module: nn.Module) -> None:
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
