"""Windows of a scene that a network's instance statistics are frozen on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.inference.engine import Source, TileReader
from saropt.scenes import Window

_WINDOWS, _SIDE = 16, 256


def freezing_windows(scene: Source, reader: TileReader, stride: int, name: str | Path) -> NDArray[np.float32]:
    """Normalised windows (N, C, side, side) spread evenly over the scene; they depend on it alone, never on the tiling.

    Raises:
        InputError: all are mostly nodata.
    """
    side = max(stride, min(_SIDE, scene.height, scene.width) // stride * stride)
    across = max(1, min(math.isqrt(_WINDOWS), scene.width // side))
    down = max(1, min(_WINDOWS // across, scene.height // side))
    windows = []
    for i in range(down):
        for j in range(across):
            row = (scene.height - side) * (2 * i + 1) // (2 * down)
            col = (scene.width - side) * (2 * j + 1) // (2 * across)
            network, valid = reader(Window(row, col, side, side))
            if valid.mean() > 0.5 or (down == across == 1):
                windows.append(network)
    if not windows:
        raise InputError(name, "is mostly nodata: no window to take the network's statistics from")
    return np.stack(windows)
