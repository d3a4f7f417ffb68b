"""What a translator costs: time and parameters."""

from __future__ import annotations

from typing import Any

from saropt.artifacts import count_parameters
from saropt.evaluation.metric import Metric, Subject, Tile, register_metric


class Speed:
    """Time of translation over the pixels that were translated."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @classmethod
    def of(cls, subject: Subject) -> Speed | None:
        """None for baselines."""
        return None if subject.model is None else cls(subject)

    def add(self, tile: Tile) -> None:
        """Tiles tell nothing: whoever translates counts in the subject."""

    def figures(self) -> dict[str, Any]:
        """See `Accumulator`; nothing before the first pixel."""
        subject = self._subject
        return {"seconds_per_megapixel": subject.seconds / (subject.pixels / 1e6)} if subject.pixels else {}


class Parameters:
    """Millions of numbers in the weights of the model's direction."""

    def __init__(self, count: int) -> None:
        self._count = count

    @classmethod
    def of(cls, subject: Subject) -> Parameters | None:
        """None for baselines, and for files that are no `.safetensors`."""
        model = subject.model
        if model is None or model.path.suffix != ".safetensors" or not model.path.is_file():
            return None
        return cls(count_parameters(model.path)[model.direction])

    def add(self, tile: Tile) -> None:
        """Tiles tell nothing."""

    def figures(self) -> dict[str, Any]:
        """See `Accumulator`."""
        return {"parameters_m": self._count / 1e6}


register_metric(
    Metric(
        "seconds_per_megapixel",
        "s per Mpx",
        "wall time of translation, reading and writing included, over the pixels of the rasters",
        digits=2,
        split=Speed.of,
    )
)
register_metric(
    Metric(
        "parameters_m",
        "parameters, M",
        "millions of numbers in the weights of a direction",
        needs=("weights in .safetensors",),
        shown=False,
        split=Parameters.of,
    )
)
