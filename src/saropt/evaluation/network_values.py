"""Image quality on network values, and the scales that figures are on.

The main figures go by a fixed range of the units, the same for every recipe. Papers take theirs on what the network
gives: values that a recipe has clipped and stretched. One pair of images has quite different figures on the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saropt.artifacts import ImageCard
from saropt.evaluation.accumulate import ImageQuality
from saropt.evaluation.metric import Subject, Tile
from saropt.evaluation.section import TileView
from saropt.radiometry import describe_range

KEY = "network_values"


class NetworkValues:
    """All metrics of image quality of every model, on (y + 1) / 2 of the network values y of output and truth.

    Args:
        subjects: name of a model -> what is measured, and the card of its output image, whose recipe and statistics
            make network values.
    """

    key = KEY
    convention = (
        "metrics on (y + 1) / 2 of network values y, which the recipe and the statistics of the model's output make of "
        "translation and truth"
    )

    def __init__(self, subjects: Mapping[str, tuple[Subject, ImageCard]]) -> None:
        self._normalisers = {name: card.normaliser() for name, (_, card) in subjects.items()}
        self._quality = {name: ImageQuality(subject) for name, (subject, _) in subjects.items()}

    def see(self, model: str, view: TileView) -> None:
        """See `Section`; a truth in other units than the model's is passed over."""
        normaliser = self._normalisers[model]
        if view.truth.units != normaliser.units:
            return
        output, truth = ((normaliser.forward(pixels.values) + 1) / 2 for pixels in (view.output, view.truth))
        self._quality[model].add(Tile.of(output, view.tile.source, truth, view.truth.valid), view.rasters.scene)

    def summary(self) -> dict[str, Any]:
        """Model -> figures."""
        return {name: quality.figures() for name, quality in self._quality.items() if quality.n}


def scale_of(card: ImageCard, declared: tuple[float, float] | None) -> dict[str, Any]:
    """The scales that the figures of a model are on: number of bands, range of the main figures, and what network
    values span.

    Args:
        card: of the output image.
        declared: the range that the data root declares.

    >>> image = {"role": "optical", "bands": ("B4", "B3"), "units": "reflectance x 10000", "dtype": "uint16"}
    >>> scale_of(ImageCard(**image, recipe={"kind": "reflectance"}), None)
    {'bands': 2, 'range': 'reflectance 0..1', 'network': 'reflectance 0..0.4'}
    """
    return {
        "bands": len(card.bands),
        "range": describe_range(card.units, card.dtype, declared),
        "network": card.make_recipe().span(card.units),
    }
