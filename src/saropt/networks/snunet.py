"""SNUNet-CD (Fang et al., "SNUNet-CD: A Densely Connected Siamese Network for Change Detection of VHR Images", IEEE
GRSL 2022), as a network that judges SAR and optical images by their land cover."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualUnit(nn.Module):
    """ReLU(n(c(ReLU(n(a)))) + a) with a = conv3(x), taken before its norm."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.entry = nn.Conv2d(before, channels, 3, padding=1)
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        return torch.relu(self.body(x) + x)


class ChannelAttention(nn.Module):
    """Weights (N, C, 1, 1) in [0, 1]: sigmoid(mlp(average) + mlp(maximum)) with one MLP without biases (CBAM)."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, channels // ratio, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // ratio, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        average, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return torch.sigmoid(self.mlp(average) + self.mlp(maximum))


class SNUNet(nn.Module):
    """Nested U-Net over the encoder maps of two images, with the ensemble channel attention module (ECAM) at its end.

    Node x{i}_{j} is at scale 1/2^i; x{i}_0 are encoder maps of both images (x4_0 of the second alone), and x{i}_{j}
    joins both x{i}_0, all x{i}_1..j-1 and the doubled x{i+1}_{j-1}. 12,034,978 parameters with one encoder for two
    images of three channels and two classes, 12,032,442 without attention.

    Args:
        first_channels, second_channels: channels of the two images.
        classes: channels of the logits.
        width: channels at full size; doubles per scale.
        siamese: share the first encoder unit too, as in the paper; both images then have equal channels. Otherwise
            each image has its own first unit.
        attention: ECAM in front of the last layer; else logits of the four nodes are combined.

    Raises:
        ValueError: siamese with unequal channels.

    >>> logits, maps = SNUNet(1, 3, classes=2, width=4)(torch.zeros(2, 1, 32, 32), torch.zeros(2, 3, 32, 32))
    >>> logits.shape
    torch.Size([2, 2, 32, 32])
    """

    stride = 16
    smallest_batch = 1
    scales = 5

    def __init__(
        self,
        first_channels: int,
        second_channels: int,
        classes: int,
        width: int = 32,
        siamese: bool = False,
        attention: bool = True,
    ) -> None:
        super().__init__()
        if siamese and first_channels != second_channels:
            raise ValueError(f"siamese needs equal channels, not {first_channels} and {second_channels}")
        widths = [width * 2**scale for scale in range(self.scales)]
        self.first_entry = None if siamese else ResidualUnit(first_channels, widths[0])
        self.entry = ResidualUnit(second_channels, widths[0])
        self.encoder = nn.ModuleList(ResidualUnit(widths[i - 1], widths[i]) for i in range(1, self.scales))
        self.pool = nn.MaxPool2d(2)
        self.up, self.node = nn.ModuleDict(), nn.ModuleDict()
        for j in range(1, self.scales):
            for i in range(self.scales - j):
                self.up[f"{i + 1}_{j - 1}"] = nn.ConvTranspose2d(widths[i + 1], widths[i + 1], 2, stride=2)
                self.node[f"{i}_{j}"] = ResidualUnit((j + 1) * widths[i] + widths[i + 1], widths[i])
        nodes = self.scales - 1
        self.attention = attention
        if attention:
            self.intra = ChannelAttention(width, 4)
            self.inter = ChannelAttention(nodes * width, 16)
            self.head = nn.Conv2d(nodes * width, classes, 1)
        else:
            self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for _ in range(nodes))
            self.head = nn.Conv2d(nodes * classes, classes, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (N, classes, H, W) of two images on one grid, H and W multiples of 16, and two of its maps.

        "deepest" is x4_0 (N, 16 width, H/16, W/16), which depends on the second image alone; "fused" is x3_1
        (N, 8 width, H/8, W/8), the deepest map that depends on both.
        """
        x: dict[tuple[int, int], Tensor] = {}
        a, b = (self.entry if self.first_entry is None else self.first_entry)(first), self.entry(second)
        both = [torch.cat([a, b], dim=1)]
        x[0, 0] = b
        for i, unit in enumerate(self.encoder, start=1):
            b = unit(self.pool(b))
            x[i, 0] = b
            if i < self.scales - 1:
                a = unit(self.pool(a))
                both.append(torch.cat([a, b], dim=1))
        for j in range(1, self.scales):
            for i in range(self.scales - j):
                doubled = self.up[f"{i + 1}_{j - 1}"](x[i + 1, j - 1])
                joined = [both[i], *(x[i, k] for k in range(1, j)), doubled]
                x[i, j] = self.node[f"{i}_{j}"](torch.cat(joined, dim=1))
        outputs = [x[0, j] for j in range(1, self.scales)]
        return self._classify(outputs), {"deepest": x[self.scales - 1, 0], "fused": x[self.scales - 2, 1]}

    def _classify(self, outputs: list[Tensor]) -> Tensor:
        if not self.attention:
            return self.head(torch.cat([head(x) for head, x in zip(self.heads, outputs, strict=True)], dim=1))
        joined = torch.cat(outputs, dim=1)
        intra = self.intra(torch.stack(outputs).sum(dim=0)).repeat(1, len(outputs), 1, 1)
        return self.head(self.inter(joined) * (joined + intra))
