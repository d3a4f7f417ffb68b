"""HAT, the hybrid attention transformer (Chen et al., "Activating More Pixels in Image Super-Resolution Transformer",
CVPR 2023), as a translator, and its residual hybrid attention group (RHAG). Maps are (N, H, W, C) inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from saropt.networks.registry import network

Attention = Literal["fused", "plain"]


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, kind: Attention) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v; "fused" by scaled_dot_product_attention, "plain" written out.

    Shapes: q (N, G, n, d), k and v (N, G, m, d), bias broadcast to (N, G, n, m) -> (N, G, n, d).
    """
    if kind == "fused":
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5 + bias, dim=-1) @ v


def windows(x: Tensor, side: int) -> Tensor:
    """(N, H, W, C) -> (N, windows, side^2, C), row by row.

    >>> windows(torch.zeros(1, 8, 8, 3), 4).shape
    torch.Size([1, 4, 16, 3])
    """
    n, h, w, c = x.shape
    return x.view(n, h // side, side, w // side, side, c).transpose(2, 3).reshape(n, -1, side * side, c)


def unwindows(x: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `windows`.

    >>> maps = torch.rand(1, 8, 8, 3)
    >>> torch.equal(unwindows(windows(maps, 4), 4, 8, 8), maps)
    True
    """
    n, _, _, c = x.shape
    return x.view(n, height // side, width // side, side, side, c).transpose(2, 3).reshape(n, height, width, c)


def shift_mask(height: int, width: int, side: int, shift: int, like: Tensor) -> Tensor:
    """(windows, side^2, side^2): 0 between pixels that were neighbours before the cyclic shift, else -100."""
    rows, columns = torch.arange(height, device=like.device), torch.arange(width, device=like.device)
    part_rows = (rows >= height - side).long() + (rows >= height - shift).long()
    part_columns = (columns >= width - side).long() + (columns >= width - shift).long()
    region = windows((3 * part_rows[:, None] + part_columns)[None, :, :, None], side)[0, :, :, 0]
    return (region[:, :, None] != region[:, None, :]).to(like.dtype) * -100.0


def relative_positions(side: int) -> Tensor:
    """(side^2, side^2) indices into a table of (2 side - 1)^2 biases, by row and column of a query minus those of a key
    (Swin's and HAT's order, so that published tables fit)."""
    places = torch.arange(side)
    return _table_indices(places[:, None] - places[None, :] + side - 1, 2 * side - 1)


def overlap_positions(side: int, wide: int) -> Tensor:
    """(side^2, wide^2) indices into a table of (side + wide - 1)^2 biases, by row and column of a key of the concentric
    wider window minus those of a query, each counted from the corner of its own window; as in HAT's code, what is below
    zero counts from the table's end."""
    queries, keys = torch.arange(side), torch.arange(wide)
    span = side + wide - 1
    return _table_indices(keys[None, :] - queries[:, None] + side - wide + 1, span) % span**2


def _table_indices(difference: Tensor, span: int) -> Tensor:
    """(n^2, m^2) indices, row by row, of differences (n, m) along one axis."""
    n, m = difference.shape
    return (difference[:, None, :, None] * span + difference[None, :, None, :]).reshape(n * n, m * m)


class PositionBias(nn.Module):
    """Learned bias (heads, queries, keys) by indices (queries, keys) into a table of `size` rows."""

    positions: Tensor

    def __init__(self, positions: Tensor, size: int, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(size, heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.register_buffer("positions", positions, persistent=False)

    def forward(self) -> Tensor:
        return self.table[self.positions].permute(2, 0, 1)


class ChannelAttentionBlock(nn.Module):
    """CAB: conv3 C -> C/compress, GELU, conv3 -> C, weighted by channel attention over the whole map."""

    def __init__(self, channels: int, compress: int, squeeze: int) -> None:
        super().__init__()
        inner = channels // squeeze
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels // compress, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(channels // compress, channels, 3, padding=1),
        )
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(_bands_first(x))
        return _bands_last(y * self.weigh(y))


class HybridAttentionBlock(nn.Module):
    """HAB: x + droppath(window attention(n)) + 0.01 CAB(n), n = norm(x); then x + droppath(MLP(norm(x)))."""

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        shifted: bool,
        *,
        mlp_ratio: float,
        compress: int,
        squeeze: int,
        drop_path: float,
        attention: Attention,
    ) -> None:
        super().__init__()
        self.heads, self.window, self.attention = heads, window, attention
        self.shift = window // 2 if shifted else 0
        self.drop_path = drop_path
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.bias = PositionBias(relative_positions(window), (2 * window - 1) ** 2, heads)
        self.project = nn.Linear(channels, channels)
        self.channel = ChannelAttentionBlock(channels, compress, squeeze)
        self.mlp = _mlp(channels, mlp_ratio)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        mixed = _drop_path(self._attention(normed), self.drop_path, self.training) + 0.01 * self.channel(normed)
        x = x + mixed
        return x + _drop_path(self.mlp(self.norm2(x)), self.drop_path, self.training)

    def _attention(self, x: Tensor) -> Tensor:
        _, height, width, channels = x.shape
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        parts = windows(x, self.window)
        n, count, tokens, _ = parts.shape
        # windows and heads in one dimension: the bias then need not be repeated for the images of a batch
        split = self.qkv(parts).view(n, count, tokens, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        q, k, v = split.reshape(3, n, count * self.heads, tokens, -1)
        bias = self.bias()
        if self.shift:
            bias = bias + shift_mask(height, width, self.window, self.shift, x)[:, None]
        else:
            bias = bias[None].expand(count, -1, -1, -1)
        out = attend(q, k, v, bias.reshape(1, count * self.heads, tokens, tokens), self.attention)
        out = out.view(n, count, self.heads, tokens, -1).transpose(2, 3).reshape(n, count, tokens, channels)
        x = unwindows(self.project(out), self.window, height, width)
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x


class OverlapAttentionBlock(nn.Module):
    """OCAB: queries of each window attend to the keys of a window wider by `overlap`, zero-padded; then an MLP."""

    def __init__(
        self, channels: int, heads: int, window: int, overlap: float, mlp_ratio: float, attention: Attention
    ) -> None:
        super().__init__()
        self.heads, self.window, self.attention = heads, window, attention
        self.wide = window + int(overlap * window)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.bias = PositionBias(overlap_positions(window, self.wide), (window + self.wide - 1) ** 2, heads)
        self.project = nn.Linear(channels, channels)
        self.mlp = _mlp(channels, mlp_ratio)

    def forward(self, x: Tensor) -> Tensor:
        n, height, width, channels = x.shape
        q, kv = self.qkv(self.norm1(x)).split([channels, 2 * channels], dim=-1)
        q = windows(q, self.window)
        count, tokens = q.shape[1:3]
        q = q.view(n, count, tokens, self.heads, -1).transpose(2, 3).reshape(n, count * self.heads, tokens, -1)
        margin = (self.wide - self.window) // 2
        patches = functional.unfold(_bands_first(kv), self.wide, padding=margin, stride=self.window)
        k, v = (
            patches.view(n, 2, self.heads, channels // self.heads, self.wide**2, count)
            .permute(1, 0, 5, 2, 4, 3)
            .reshape(2, n, count * self.heads, self.wide**2, -1)
        )
        bias = self.bias()[None].expand(count, -1, -1, -1).reshape(1, count * self.heads, tokens, self.wide**2)
        out = attend(q, k, v, bias, self.attention)
        out = out.view(n, count, self.heads, tokens, -1).transpose(2, 3).reshape(n, count, tokens, channels)
        x = x + unwindows(self.project(out), self.window, height, width)
        return x + self.mlp(self.norm2(x))


class RHAG(nn.Module):
    """Residual hybrid attention group: x + conv3(OCAB(HAB_1 .. HAB_d(x))); every second HAB is shifted.

    Shapes: (N, H, W, C) -> the same, H and W multiples of `window`.

    Args:
        drop_path: stochastic depth of each HAB; its length is the group's depth.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window: int,
        drop_path: Sequence[float],
        *,
        mlp_ratio: float = 2.0,
        compress: int = 3,
        squeeze: int = 30,
        overlap: float = 0.5,
        attention: Attention = "fused",
    ) -> None:
        super().__init__()
        if channels % heads or channels < squeeze or channels < compress:
            raise ValueError(f"width {channels} must be a multiple of {heads} heads and not below squeeze and compress")
        if attention not in ("fused", "plain"):
            raise ValueError(f"attention must be fused or plain, not {attention!r}")
        self.blocks = nn.Sequential(
            *(
                HybridAttentionBlock(
                    channels,
                    heads,
                    window,
                    bool(index % 2),
                    mlp_ratio=mlp_ratio,
                    compress=compress,
                    squeeze=squeeze,
                    drop_path=rate,
                    attention=attention,
                )
                for index, rate in enumerate(drop_path)
            )
        )
        self.overlap = OverlapAttentionBlock(channels, heads, window, overlap, mlp_ratio, attention)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.overlap(self.blocks(x))
        return x + _bands_last(self.conv(_bands_first(y)))


class RHAGBody(nn.Module):
    """Norm, groups of RHAG, norm and conv3, with a skip around all: the body of HAT on maps (N, C, H, W).

    Args:
        drop_path: stochastic depth of the last block, from 0 at the first.
        arguments: further ones of `RHAG`.
    """

    def __init__(
        self,
        channels: int,
        depths: Sequence[int],
        heads: Sequence[int],
        window: int,
        *,
        drop_path: float,
        **arguments: Any,
    ) -> None:
        super().__init__()
        if len(depths) != len(heads):
            raise ValueError("depths and heads must have the same length")
        rates = torch.linspace(0.0, drop_path, sum(depths), device="cpu").split(list(depths))
        self.entry, self.norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.groups = nn.Sequential(
            *(
                RHAG(channels, count, window, group.tolist(), **arguments)
                for count, group in zip(heads, rates, strict=True)
            )
        )
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.groups(self.entry(_bands_last(x))))
        return x + self.conv(_bands_first(y))


@network("hat")
class HAT(nn.Module):
    """The body of HAT at full resolution behind one conv3, and its tail; tanh output.

    20,772,507 parameters for width 180, depths and heads 6x6, window 16, upscale 4, and 9,621,183 for HAT-S (width 144,
    compress 24, squeeze 24); as here by default, 2,888,803 for 3 -> 3 bands. Channel attention pools over the whole
    window: not tile-exact, scenes are translated in blended windows.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, upscale H, upscale W) in [-1, 1], H and W multiples of `window`.

    Args:
        width: channels.
        depths, heads: attention blocks and heads of each RHAG.
        window: side of the attention windows in pixels.
        compress, squeeze: divisors of the channels inside the channel attention blocks.
        overlap: how much wider the key windows of the overlapping attention are.
        drop_path: stochastic depth of the last block, from 0 at the first.
        upscale: 1, or a power of two for super-resolution; a translator keeps the grid.
        attention: "fused" (scaled_dot_product_attention) or "plain"; the same mathematics.

    Raises:
        ValueError: arguments that do not go together.

    >>> network = HAT(1, 3, width=30, depths=(1,), heads=(2,))
    >>> network(torch.zeros(1, 1, 16, 16)).shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int = 96,
        depths: Sequence[int] = (4, 4, 4, 4),
        heads: Sequence[int] = (4, 4, 4, 4),
        window: int = 8,
        mlp_ratio: float = 2.0,
        compress: int = 3,
        squeeze: int = 30,
        overlap: float = 0.5,
        drop_path: float = 0.1,
        upscale: int = 1,
        attention: Attention = "fused",
    ) -> None:
        super().__init__()
        if upscale < 1 or upscale & (upscale - 1):
            raise ValueError(f"upscale must be a power of two, not {upscale}")
        self.tile = 256
        self.stride = window
        self.receptive_field = None
        self.entry = nn.Conv2d(in_channels, width, 3, padding=1)
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
        tail: list[nn.Module] = [nn.Conv2d(width, 64, 3, padding=1), nn.LeakyReLU()]
        for _ in range(upscale.bit_length() - 1):
            tail += [nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2)]
        self.tail = nn.Sequential(*tail, nn.Conv2d(64, out_channels, 3, padding=1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.body(self.entry(x)))


def _bands_first(x: Tensor) -> Tensor:
    # movedim with negative dimensions makes broken graphs when it is exported
    return x.permute(0, 3, 1, 2)


def _bands_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _mlp(channels: int, ratio: float) -> nn.Sequential:
    hidden = int(channels * ratio)
    return nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))


def _drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Stochastic depth: drop the branch of an image with probability `rate`, else scale it by 1 / (1 - rate)."""
    if rate == 0.0 or not training:
        return x
    kept = torch.rand(len(x), 1, 1, 1, dtype=x.dtype, device=x.device) >= rate
    return x * kept / (1.0 - rate)
