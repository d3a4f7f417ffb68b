"""Projection heads of contrastive translation (F of CUT, Park et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saropt.networks.initialisation import initialise


class PatchProjection(nn.Module):
    """One head for each tap: Linear-ReLU-Linear, then normalised to unit length. Heads are built in the constructor,
    not at the first forward pass.

    560,384 parameters for the published taps of 3, 128, 256, 256 and 256 channels.

    Args:
        channels: channels of the taps.
        width: length of the vectors.

    >>> PatchProjection([3], width=16)([torch.ones(2, 5, 3)])[0].shape
    torch.Size([2, 5, 16])
    """

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width)) for count in channels
        )
        initialise(self, "xavier")

    def forward(self, features: Sequence[Tensor], ids: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Unit vectors x / (||x|| + 1e-7), (N, P, width) per tap.

        Args:
            features: maps (N, C, H, W) per tap, or, without `ids`, vectors (N, P, C) per tap.
            ids: positions (P,) or (N, P) per tap, for `gather_positions`.
        """
        vectors = features
        if ids is not None:
            vectors = [gather_positions(feature, places) for feature, places in zip(features, ids, strict=True)]
        projected = [head(x) for head, x in zip(self.heads, vectors, strict=True)]
        return [x / (x.norm(dim=-1, keepdim=True) + 1e-7) for x in projected]


def random_positions(features: Sequence[Tensor], count: int) -> list[Tensor]:
    """For each map (N, C, H, W), `count` random positions (P,) of its H x W without repetition, or all of them where
    there are fewer.

    >>> [len(set(ids.tolist())) for ids in random_positions([torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 2, 2)], 16)]
    [16, 4]
    """
    return [torch.randperm(f.shape[-2] * f.shape[-1])[:count].to(f.device) for f in features]


def gather_positions(feature: Tensor, ids: Tensor) -> Tensor:
    """Vectors (N, P, C) of a map (N, C, H, W) at row-major positions `ids`, (P,) for all images or (N, P).

    >>> gather_positions(torch.arange(4.0).reshape(1, 1, 2, 2), torch.tensor([3, 0])).flatten().tolist()
    [3.0, 0.0]
    """
    flat = feature.flatten(2)
    if ids.dim() == 1:
        return flat.index_select(2, ids).transpose(1, 2)
    return flat.gather(2, ids[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
