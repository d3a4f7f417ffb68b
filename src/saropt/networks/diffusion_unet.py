"""The U-Net of guided diffusion (Dhariwal & Nichol, NeurIPS 2021), conditioned as by Bai, Pu & Xu ("Conditional
Diffusion for SAR to Optical Image Translation", IEEE GRSL 2023): the noise-free source is concatenated to x_t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from saropt.networks.diffusion_schedule import Prediction, Schedule, sample, time_features
from saropt.networks.registry import network
from saropt.networks.sampling import SamplingNetwork


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels), channels)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class TimedBlock(nn.Module):
    """Residual block of two 3x3 convolutions; the time scales and shifts what its second norm gives."""

    def __init__(self, channels: int, out_channels: int, time_width: int) -> None:
        super().__init__()
        self.entry = nn.Sequential(_norm(channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time_width, 2 * out_channels))
        self.norm = _norm(out_channels)
        self.exit = nn.Sequential(nn.SiLU(), _zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1)))
        self.skip = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        return self.skip(x) + self.exit(self.norm(self.entry(x)) * (1.0 + scale) + shift)


class Attention(nn.Module):
    """Self-attention over all pixels."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = _norm(channels)
        self.mix = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        per_head = self.mix(self.norm(x)).unflatten(1, (self.heads, 3, -1)).flatten(4).transpose(3, 4)
        mixed = functional.scaled_dot_product_attention(*per_head.unbind(2))
        return x + self.out(mixed.transpose(2, 3).reshape(x.shape))


class _Stage(nn.Module):
    def __init__(self, channels: int, out_channels: int, time_width: int, heads: int) -> None:
        super().__init__()
        self.block = TimedBlock(channels, out_channels, time_width)
        self.attention = Attention(out_channels, heads) if heads else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.attention(self.block(x, time))


@network("diffusion_unet")
class DiffusionUNet(SamplingNetwork):
    """A diffusion model of the target given the source, with its schedule and sampler.

    164,309,379 parameters for 3 -> 3 bands at the defaults, which are the paper's. Attention sees the whole window, so
    scenes are translated in blended windows.

    Shapes: (N, in_channels [+ noise_channels], H, W) -> (N, out_channels, H, W) in [-1, 1]; with `time` (N,) given, x_t
    and source (N, out_channels + in_channels, H, W) -> prediction (N, out_channels, H, W). H and W are multiples of the
    stride, 2^(levels - 1).

    Args:
        width: channels of the first level.
        multipliers: channels of each level in multiples of it.
        blocks: residual blocks per level on the way down; one more on the way up.
        attention: levels with attention, given as reduction factors; (16, 32) are maps of 16 and 8 pixels for images of
            256.
        heads: number of attention heads.
        times, beta_first, beta_last: number of times, first and last variance of the linear schedule.
        zero_terminal_snr: see `Schedule.linear`; not with prediction "eps", which says nothing of the image at x_T.
        prediction: what the network predicts: "eps", "v" or "x0".
        sampler: "ancestral" (fresh noise at every step) or "ddim" (the first noise decides).
        steps: number of steps of the sampler.

    >>> network = DiffusionUNet(1, 3, width=8, multipliers=(1, 2), blocks=1, attention=(), sampler="ddim", steps=2)
    >>> network.eval()(torch.zeros(1, 1, 16, 16)).shape, network.noise_channels
    (torch.Size([1, 3, 16, 16]), 3)
    """

    has_static_graph: ClassVar[bool] = False
    sampler: Literal["ancestral", "ddim"]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 128,
        multipliers: Sequence[int] = (1, 1, 2, 2, 4, 4),
        blocks: int = 3,
        attention: Sequence[int] = (16, 32),
        heads: int = 4,
        times: int = 2000,
        beta_first: float = 5e-5,
        beta_last: float = 0.01,
        zero_terminal_snr: bool = False,
        prediction: Prediction = "eps",
        sampler: Literal["ancestral", "ddim"] = "ancestral",
        steps: int = 250,
    ) -> None:
        super().__init__(in_channels, out_channels)
        if prediction not in ("eps", "v", "x0"):
            raise ValueError(f"prediction must be eps, v or x0, not {prediction!r}")
        if sampler not in ("ancestral", "ddim"):
            raise ValueError(f"sampler must be ancestral or ddim, not {sampler!r}")
        if zero_terminal_snr and prediction == "eps":
            raise ValueError("zero_terminal_snr needs prediction v or x0: eps at x_T says nothing of the image")
        self.tile = 256
        self.stride = 2 ** (len(multipliers) - 1)
        self.receptive_field = None
        self.prediction, self.sampler, self.steps = prediction, sampler, steps
        self.schedule = Schedule.linear(times, beta_first, beta_last, zero_terminal_snr)
        self.times = self.schedule.times(steps)
        self.noise_channels = out_channels * (steps if sampler == "ancestral" else 1)
        self._build(width, [width * factor for factor in multipliers], blocks, set(attention), heads)

    def _build(self, width: int, widths: list[int], blocks: int, attention: set[int], heads: int) -> None:
        time_width = 4 * width
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, time_width), nn.SiLU(), nn.Linear(time_width, time_width))
        self.entry = nn.Conv2d(self.out_channels + self.in_channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels, skips = width, [width]
        for level, wide in enumerate(widths):
            level_heads = heads if 2**level in attention else 0
            for _ in range(blocks):
                self.down.append(_Stage(channels, wide, time_width, level_heads))
                channels = wide
                skips.append(channels)
            if level < len(widths) - 1:
                self.down.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
        self.middle = nn.ModuleList(
            [_Stage(channels, channels, time_width, heads), _Stage(channels, channels, time_width, 0)]
        )
        for level, wide in reversed(list(enumerate(widths))):
            level_heads = heads if 2**level in attention else 0
            for _ in range(blocks + 1):
                self.up.append(_Stage(channels + skips.pop(), wide, time_width, level_heads))
                channels = wide
            if level:
                convolution = nn.Conv2d(channels, channels, 3, padding=1)
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), convolution))
        exit_layer = _zeroed(nn.Conv2d(channels, self.out_channels, 3, padding=1))
        self.exit = nn.Sequential(_norm(channels), nn.SiLU(), exit_layer)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        return self._sample(x) if time is None else self.evaluate(x, time)

    def evaluate(self, x: Tensor, time: Tensor) -> Tensor:
        """The network's output for x_t and the source (N, C, H, W), at times (N,)."""
        features = self.time(time_features(time, self.width).to(x.dtype))
        x = self.entry(x)
        skips = [x]
        for layer in self.down:
            x = layer(x, features) if isinstance(layer, _Stage) else layer(x)
            skips.append(x)
        for layer in self.middle:
            x = layer(x, features)
        for layer in self.up:
            x = layer(torch.cat([x, skips.pop()], dim=1), features) if isinstance(layer, _Stage) else layer(x)
        return self.exit(x)

    def _sample(self, x: Tensor) -> Tensor:
        source, noise = self.split_noise(x)

        def predict(noisy: Tensor, time: int) -> Tensor:
            now = torch.full((len(x),), time, device=x.device)
            return self.evaluate(torch.cat([noisy, source], dim=1), now).float()

        stochastic, bands = self.sampler == "ancestral", self.out_channels

        def noise_of(number: int) -> Tensor:
            return noise[:, number * bands : (number + 1) * bands]

        image = noise
        for image in sample(predict, self.prediction, self.schedule, self.times, noise_of, stochastic):  # noqa: B007
            pass
        return image
