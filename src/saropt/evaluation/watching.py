"""What else is measured on every tile beside image quality: each watcher fills one section of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from saropt.evaluation.tiles import Pair, Picture
from saropt.scenes import Window


@dataclass(frozen=True)
class Tile:
    """One tile of a translated raster.

    Attributes:
        pair, window: the raster pair and the tile's place in it.
        given, output, wanted: input, translation and truth, (C, h, w) in [0, 1].
        made, truth: translation and truth in their own units.
        valid: (h, w).
    """

    pair: Pair
    window: Window
    given: NDArray[np.float32]
    output: NDArray[np.float32]
    wanted: NDArray[np.float32]
    made: Picture
    truth: Picture
    valid: NDArray[np.bool_]


class Watcher(Protocol):
    """Looks at all tiles of one direction.

    Attributes:
        section: key of the report under which its summary stands, by direction.
        convention: how its numbers are computed.
    """

    @property
    def section(self) -> str: ...
    @property
    def convention(self) -> str: ...

    def see(self, model: str, tile: Tile) -> None:
        """Take one tile of a model; the first model's tiles also stand for what needs no model."""

    def summary(self) -> dict[str, Any]:
        """The section; empty where there was nothing to measure."""
