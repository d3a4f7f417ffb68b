"""ResNet generator of CycleGAN (Zhu et al., ICCV 2017), and its antialiased form of CUT (Park et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from saropt.networks.blur import BlurDown, BlurUp
from saropt.networks.initialisation import Initialisation, initialise
from saropt.networks.registry import network


class ResidualBlock(nn.Module):
    """y = x + f(x) with two reflection-padded 3x3 convolutions; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


@network("resnet")
class ResNetGenerator(nn.Module):
    """c7s1-64, d128, d256, `blocks` residual blocks, u128, u64, c7s1; InstanceNorm, tanh output.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W) in [-1, 1], H and W multiples of 4.
    11,378,179 parameters for 3 -> 3 channels with nine blocks, antialiased or not.

    Args:
        antialias: convolve with stride 1 and blur while resampling, as CUT does, in place of strided convolutions.
        init: "normal" (CycleGAN) or "xavier" (CUT).

    Attributes:
        stage_taps: indices of the outputs of the first three stages (c7s1, d128, d256), after their ReLU and blur.

    The layers' indices are those of the published code, so that taps mean what they mean there: at 256x256, taps
    0, 4, 8, 12, 16 of the antialiased form are (in_channels, 262, 262), (128, 256, 256) and (256, 128, 128) before
    their norms, and the outputs (256, 64, 64) of the first and fifth residual block.

    >>> import torch
    >>> network = ResNetGenerator(1, 3, width=8, blocks=2)
    >>> network(torch.zeros(1, 1, 32, 32)).shape, network.tap_channels([0, 4])
    (torch.Size([1, 3, 32, 32]), [1, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        blocks: int = 9,
        antialias: bool = False,
        init: Initialisation = "normal",
    ) -> None:
        super().__init__()
        self.tile = 512
        self.stride = 4
        # blurred, a pixel sees up to 39 + 16 blocks, reaching three pixels further back than ahead
        self.receptive_field = 42 + 16 * blocks if antialias else 27 + 16 * blocks
        self.stage_taps = (3, 7, 11) if antialias else (3, 6, 9)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_unit(nn.Conv2d(in_channels, width, 7), width)]
        for channels in (width, 2 * width):
            down = nn.Conv2d(channels, 2 * channels, 3, stride=1 if antialias else 2, padding=1)
            layers += _unit(down, 2 * channels)
            if antialias:
                layers.append(BlurDown(2 * channels))
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for channels in (4 * width, 2 * width):
            if antialias:
                layers.append(BlurUp())
                up: nn.Module = nn.Conv2d(channels, channels // 2, 3, padding=1)
            else:
                up = nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1)
            layers += _unit(up, channels // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self._channels = []
        channels = in_channels
        for layer in layers:
            channels = getattr(layer, "out_channels", channels)
            self._channels.append(channels)
        initialise(self, init)

    def tap_channels(self, taps: Sequence[int]) -> list[int]:
        """Channels of the features at `taps`.

        Raises:
            ValueError: there is no layer of such an index.
        """
        if not all(0 <= tap < len(self._channels) for tap in taps):
            raise ValueError(f"taps must lie in 0..{len(self._channels) - 1}, not {', '.join(map(str, taps))}")
        return [self._channels[tap] for tap in taps]

    def forward(
        self, x: Tensor, taps: Sequence[int] | None = None, stop: bool = False
    ) -> Tensor | list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The translation; with `taps` also the features after these layers, from the same pass.

        Args:
            x: images (N, in_channels, H, W).
            taps: ascending layer indices.
            stop: end after the last tap.

        Returns:
            The output; (output, features) with `taps`; features with `taps` and `stop`.
        """
        if taps is None:
            return self.layers(x)
        features = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in taps:
                features.append(x)
            if stop and index == taps[-1]:
                return features
        return x, features


def _unit(convolution: nn.Module, channels: int) -> list[nn.Module]:
    # InstanceNorm returns a view: a ReLU in place on it would make autograd copy its gradient
    return [convolution, nn.InstanceNorm2d(channels), nn.ReLU()]
