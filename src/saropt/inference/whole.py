"""Arrays in one piece, padded as the tile engine pads scenes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import DirectionCard
from saropt.inference.runtimes import Backend
from saropt.inference.tiling import halo_of
from saropt.scenes import reflect_indices


def translate_whole(network: NDArray[np.float32], card: DirectionCard, backend: Backend) -> NDArray[np.float32]:
    """Run (C, H, W) through the network at once, mirrored outwards by the halo and to a multiple of the stride.

    Networks that see their whole window get the image mirrored to a multiple of the stride only.
    """
    if backend.needs_samples:
        backend.freeze(_mirrored(network, 0, card.stride)[None])
    halo = 0 if card.receptive_field is None else halo_of(card.receptive_field, card.stride)
    _, height, width = network.shape
    output = backend(_mirrored(network, halo, card.stride)[None])[0]
    return output[:, halo : halo + height, halo : halo + width]


def _mirrored(network: NDArray[np.float32], halo: int, stride: int) -> NDArray[np.float32]:
    _, height, width = network.shape
    rows = reflect_indices(-halo, math.ceil(height / stride) * stride + 2 * halo, height)
    cols = reflect_indices(-halo, math.ceil(width / stride) * stride + 2 * halo, width)
    return np.ascontiguousarray(network[:, rows[:, None], cols[None, :]])
