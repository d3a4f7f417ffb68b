"""Sections of a report: measurements on every tile besides the metrics of image quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from saropt.evaluation.metric import Tile
from saropt.evaluation.tiles import Pixels, Place, Rasters


@dataclass(frozen=True)
class TileView:
    """One tile of a translated raster, as sections see it.

    Attributes:
        rasters: the rasters that the tile belongs to.
        place: what was read, in its own units.
        tile: the comparison in [0, 1].
        output, truth: translation and truth in their own units, bands of the output, valid where both are.
    """

    rasters: Rasters
    place: Place
    tile: Tile
    output: Pixels
    truth: Pixels


class Section(Protocol):
    """Looks at all tiles of one direction, and fills one section of the report.

    Attributes:
        key: under which the summary stands in the report, by direction.
        convention: how the numbers are computed.
    """

    @property
    def key(self) -> str: ...
    @property
    def convention(self) -> str: ...

    def see(self, model: str, view: TileView) -> None:
        """Take one tile of a model; the first model's tiles also stand for what needs no model."""

    def summary(self) -> dict[str, Any]:
        """The section; empty where there was nothing to measure."""
