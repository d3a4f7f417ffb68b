"""S2OFormer (Fu et al., slides of 2024): a U-shaped translator whose bottom is made of RHAGs.

The slides name RHAG as its core and stress hierarchical maps, but show no layer table: this is our reading.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saropt.networks.hat import Attention, RHAGBody
from saropt.networks.registry import network


@network("s2oformer")
class S2OFormer(nn.Module):
    """conv3 at full size, two convolutions of stride 2, the body of HAT at a quarter, two pixel shuffles with skips.

    Channels are width/4, width/2 and width at 1, 1/2 and 1/4. Channel attention pools over the whole window: not
    tile-exact, scenes are translated in blended windows.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W) in [-1, 1], H and W multiples of 4 `window`.

    Args:
        width, depths, heads, window, mlp_ratio, compress, squeeze, overlap, drop_path, attention: as in `HAT`; width a
            multiple of 4. Depths, heads and window are the slides'.

    Raises:
        ValueError: arguments that do not go together.

    >>> network = S2OFormer(1, 3, width=32, depths=(1,), heads=(2,))
    >>> network(torch.zeros(1, 1, 32, 32)).shape
    torch.Size([1, 3, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 180,
        depths: Sequence[int] = (4, 4, 4, 4),
        heads: Sequence[int] = (4, 4, 4, 4),
        window: int = 8,
        mlp_ratio: float = 2.0,
        compress: int = 3,
        squeeze: int = 30,
        overlap: float = 0.5,
        drop_path: float = 0.1,
        attention: Attention = "fused",
    ) -> None:
        super().__init__()
        if width % 4:
            raise ValueError(f"width must be a multiple of 4, not {width}")
        self.tile = 256
        self.stride = 4 * window
        self.receptive_field = None
        quarter, half = width // 4, width // 2
        self.entry = nn.Conv2d(in_channels, quarter, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Sequential(nn.GELU(), nn.Conv2d(before, after, 3, stride=2, padding=1))
            for before, after in ((quarter, half), (half, width))
        )
        self.body = RHAGBody(
            width,
            depths,
            heads,
            window,
            drop_path=drop_path,
            mlp_ratio=mlp_ratio,
            compress=compress,
            squeeze=squeeze,
            overlap=overlap,
            attention=attention,
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2), nn.GELU())
            for before, after in ((width, half), (half, quarter))
        )
        self.join = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.GELU()) for channels in (half, quarter)
        )
        self.exit = nn.Conv2d(quarter, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        full = self.entry(x)
        half = self.down[0](full)
        x = self.body(self.down[1](half))
        for up, join, skip in zip(self.up, self.join, (half, full), strict=True):
            x = join(torch.cat([skip, up(x)], dim=1))
        return torch.tanh(self.exit(x))
