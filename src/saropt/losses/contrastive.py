"""Contrastive losses between the features of an image and of its translation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """PatchNCE (CUT, Park et al., ECCV 2020, eq. 3): mean cross entropy of finding each query's own position.

    The positive of query i is key i of the same image, its negatives are the image's other keys; the keys get no
    gradient. The published code keeps a further column of similarity -10 per query, which adds exp(-10 / temperature)
    to the sum: nothing in any floating-point type at 0.07. Inside autocast it is still formed in single precision.

    Args:
        queries, keys: unit vectors (N, P, C) at the same positions of translation and source.

    >>> vectors = torch.eye(4)[None]
    >>> round(patch_nce(vectors, vectors).item(), 4)
    0.0
    """
    with torch.autocast(queries.device.type, enabled=False):
        similarity = single(queries) @ single(keys.detach()).transpose(1, 2) / temperature
    targets = torch.arange(queries.shape[1], device=queries.device).expand(similarity.shape[:2])
    return functional.cross_entropy(similarity.flatten(0, 1), targets.flatten())


def single(values: Tensor) -> Tensor:
    """Half-precision values as float32; others as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
