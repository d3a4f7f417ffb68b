"""ResNet generator of CycleGAN (Zhu et al., ICCV 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from saropt.networks.initialisation import normal_init
from saropt.networks.registry import network


class ResidualBlock(nn.Module):
    """y = x + f(x) with two reflection-padded 3x3 convolutions; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
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
    11,378,179 parameters for 3 -> 3 channels with nine blocks.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        self.tile = 512
        self.stride = 4
        self.receptive_field = 7 + 2 + 4 + 2 * 2 * 4 * blocks + 4 + 2 + 6 + 2
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_unit(nn.Conv2d(in_channels, width, 7), width)]
        for channels in (width, 2 * width):
            layers += _unit(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1), 2 * channels)
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for channels in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1)
            layers += _unit(up, channels // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def _unit(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]
