"""The parts of a card that say how far a translation is to be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from saropt.artifacts.checks import Finite, Positive

QUANTILES = {"5 % quantile": 0.05, "25 % quantile": 0.25, "median": 0.5, "75 % quantile": 0.75, "95 % quantile": 0.95}
TEXTURE = "texture"


class Strict(BaseModel):
    """Base of all parts of a card: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReliabilityCard(Strict):
    """How the half-widths of a translator were calibrated (docs/evaluation.md).

    Attributes:
        alpha: share of the pixels of a scene that may lie outside of their half-width, in expectation over scenes.
        scale: by output band, the half-width over the error that the network of errors predicts.
        budget: half-width, in the units of the output and as the mean over bands, up to which a pixel is reliable.
        realism: blend of the weights that it holds for; None where the file has one set.
        data: names of the data roots that it was calibrated on.
        inputs: roles of the inputs that all of their scenes had; empty where that is unknown.
        scenes: their number of scenes.
        coverage, least_coverage: share of a scene's pixels inside their half-width, mean over scenes and least, each
            scene measured with a calibration that has not seen it.

    >>> fields = {"scale": (2.0,), "budget": 12.0, "data": ("a",), "scenes": 20, "coverage": 0.91}
    >>> ReliabilityCard(alpha=0.1, least_coverage=0.8, **fields).realism is None
    True
    """

    alpha: float = Field(gt=0.0, lt=1.0)
    scale: tuple[Positive, ...] = Field(min_length=1)
    budget: Positive
    realism: float | None = None
    data: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    scenes: int = Field(ge=1)
    coverage: float = Field(ge=0.0, le=1.0)
    least_coverage: float = Field(ge=0.0, le=1.0)


class SeenCard(Strict):
    """What the scenes of the training looked like, as `saropt.inference.familiarity` describes a scene.

    Attributes:
        features: names, BAND NAME each.
        scenes: the features of every scene, network values; None for those of a missing band.
        spread: standard deviation over the scenes, by feature.
        threshold: distance to the nearest other scene that 95 % of the scenes stay below.

    >>> fields = {"features": ("VV median",), "scenes": ((0.1,), (0.3,)), "spread": (0.1,)}
    >>> SeenCard(threshold=1.5, **fields).features
    ('VV median',)
    """

    features: tuple[str, ...] = Field(min_length=1)
    scenes: tuple[tuple[Finite | None, ...], ...] = Field(min_length=2)
    spread: tuple[Positive, ...]
    threshold: Positive

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if {len(self.spread), *map(len, self.scenes)} != {len(self.features)}:
            raise ValueError("the features and their figures differ in number")
        return self

    def is_of(self, bands: Iterable[str]) -> bool:
        """Whether all features are those of an image with these bands.

        >>> fields = {"features": ("VV median",), "scenes": ((0.1,), (0.3,)), "spread": (0.1,)}
        >>> SeenCard(threshold=1.5, **fields).is_of(["VH"])
        False
        """
        return set(self.features) <= set(feature_names(bands))


def feature_names(bands: Iterable[str]) -> list[str]:
    """Names of the features of an image with these bands.

    >>> feature_names(["VV"])[:2]
    ['VV 5 % quantile', 'VV 25 % quantile']
    """
    return [f"{band} {name}" for band in bands for name in (*QUANTILES, TEXTURE)]
