"""Contrastive losses between the features of an image and of its translation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def patch_nce(queries: Tensor, keys: Tensor, temperature: float = 0.07) -> Tensor:
    """PatchNCE (CUT, Park et al., ECCV 2020, eq. 3): mean cross entropy of finding each query's own position.

    The positive of query i is key i of the same image, and its negatives are the other keys of the image. Keys get no
    gradient. The published code has one more column of similarity -10 for each query; it adds exp(-10 / temperature) to
    the sum, which is below the precision of every floating-point type at 0.07. The loss is computed in single
    precision, inside autocast as well.

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
    """Half-precision values converted to float32; other values unchanged.

    >>> single(torch.zeros(2, dtype=torch.float16)).dtype, single(torch.zeros(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
