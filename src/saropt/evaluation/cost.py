"""What a translator costs: time and parameters."""

from __future__ import annotations

from typing import Any

from saropt.artifacts import DirectionCard, count_parameters
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


class Macs:
    """Billions of multiply-accumulates of one forward pass over a tile of 256x256, by the shapes of its layers."""

    def __init__(self, count: int) -> None:
        self._count = count

    @classmethod
    def of(cls, subject: Subject) -> Macs | None:
        """None for baselines, samplers, files that are no `.safetensors` and networks that cannot be counted."""
        model = subject.model
        if model is None or model.sampler is not None or model.path.suffix != ".safetensors":
            return None
        count = count_macs(model.card.directions[model.direction])
        return None if count is None else cls(count)

    def add(self, tile: Tile) -> None:
        """Tiles tell nothing."""

    def figures(self) -> dict[str, Any]:
        """See `Accumulator`."""
        return {"gmac": self._count / 1e9}


def count_macs(direction: DirectionCard, side: int = 256) -> int | None:
    """Multiply-accumulates of convolutions and matrix products over one window; None where they cannot be counted.

    Nothing is computed: the network is built without weights.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from saropt.networks import build_network

    bands = direction.channels
    try:
        with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
            network = build_network(direction.network, *bands, **direction.arguments).eval()
            network(torch.empty(1, bands[0], side, side))
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return None
    return counter.get_total_flops() // 2


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
register_metric(
    Metric(
        "gmac",
        "GMAC",
        "billions of multiply-accumulates of one forward pass over 256x256 pixels",
        digits=1,
        needs=("weights in .safetensors",),
        shown=False,
        split=Macs.of,
    )
)
register_metric(
    Metric(
        "images_per_s",
        "images/s in training",
        "windows of one role that the training took in a second, without validation and saving",
        digits=2,
        shown=False,
        section="training",
    )
)
