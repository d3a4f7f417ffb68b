"""QS-Attn (Hu et al., "QS-Attn: Query-Selected Attention for Contrastive Learning in I2I Translation", CVPR 2022).

CUT whose deep taps do not compare random positions. Each position of the source attends to the others; the positions of
least entropy are the queries, and their attention rows, taken from the source alone, route the features of both source
and translation before the heads. Gradients reach the encoder through these rows too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor
from torch.nn import functional

from saropt.methods.cut import CUT, CUTConfig
from saropt.methods.registry import register
from saropt.networks import gather_positions

Mode = Literal["global", "local", "local_global"]
_WINDOW = 7
_ROWS_AT_ONCE = 512


class QSAttnConfig(CUTConfig):
    """Config of `qs-attn`.

    Attributes:
        mode: attention over all positions ("global"), over 7x7 windows ("local"), or entropy from windows and routing
            over all positions ("local_global").
        attended_taps: those of `nce_taps` whose positions are selected and routed; the others stay as in CUT.
    """

    mode: Mode = "global"
    attended_taps: tuple[int, ...] = (12, 16)

    @model_validator(mode="after")
    def _known_taps(self) -> QSAttnConfig:
        if not set(self.attended_taps) <= set(self.nce_taps):
            raise ValueError("attended_taps must be among nce_taps")
        return self


@register("qs-attn", paper="Hu et al., CVPR 2022")
class QSAttn(CUT):
    """CUT with queries chosen and routed by attention.

    >>> QSAttn.name, QSAttn.unpaired
    ('qs-attn', True)
    """

    config_type = QSAttnConfig
    config: QSAttnConfig

    def vectors(self, key_maps: list[Tensor], query_maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        keys, queries = super().vectors(key_maps, query_maps)
        for index, tap in enumerate(self.config.nce_taps):
            if tap in self.config.attended_taps:
                route = select_queries(key_maps[index], self.config.mode, self.config.num_patches)
                keys[index], queries[index] = route(key_maps[index]), route(query_maps[index])
        return keys, queries


def select_queries(source: Tensor, mode: Mode, count: int) -> Callable[[Tensor], Tensor]:
    """The routing by the `count` attention rows of least entropy of a feature map (N, C, H, W).

    Returns:
        A function of a map (N, C, H, W) to its features (N, P, C), averaged by the selected rows of the source.
    """
    entropy = attention_entropy(source) if mode == "global" else window_entropy(source)
    ids = entropy.topk(min(count, entropy.shape[1]), dim=1, largest=False).indices
    if mode == "local":
        weights = torch.softmax((_windows(source, ids) * gather_positions(source, ids)[:, :, None]).sum(dim=-1), dim=-1)
        return lambda image: (weights[..., None] * _windows(image, ids)).sum(dim=2)
    rows = torch.softmax(gather_positions(source, ids) @ source.flatten(2), dim=-1)
    return lambda image: rows @ image.flatten(2).transpose(1, 2)


@torch.no_grad()
def attention_entropy(feature: Tensor) -> Tensor:
    """Entropy (N, H W) of each position's softmax over the inner products with all positions of (N, C, H, W)."""
    flat = feature.flatten(2)
    rows = flat.split(_ROWS_AT_ONCE, dim=2)
    return torch.cat([_entropy(part.transpose(1, 2) @ flat, dim=2) for part in rows], dim=1)


@torch.no_grad()
def window_entropy(feature: Tensor) -> Tensor:
    """As `attention_entropy`, over the 7x7 positions around each; those beyond the border have inner product 0."""
    height, width = feature.shape[-2:]
    padded = functional.pad(feature, (_WINDOW // 2,) * 4)
    products = [
        (feature * padded[..., dy : dy + height, dx : dx + width]).sum(dim=1)
        for dy in range(_WINDOW)
        for dx in range(_WINDOW)
    ]
    return _entropy(torch.stack(products, dim=1), dim=1).flatten(1)


def _entropy(logits: Tensor, dim: int) -> Tensor:
    logarithm = torch.log_softmax(logits, dim=dim)
    return -(logarithm.exp() * logarithm).sum(dim=dim)


def _windows(feature: Tensor, ids: Tensor) -> Tensor:
    """The zero-padded 7x7 windows (N, P, 49, C) around positions `ids` (N, P)."""
    width = feature.shape[-1]
    padded = functional.pad(feature, (_WINDOW // 2,) * 4)
    steps = torch.arange(_WINDOW, device=feature.device)
    offsets = (steps[:, None] * padded.shape[-1] + steps).flatten()
    corners = ids // width * padded.shape[-1] + ids % width
    places = corners[..., None] + offsets
    return gather_positions(padded, places.flatten(1)).unflatten(1, places.shape[1:])
