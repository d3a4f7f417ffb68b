"""The card of a translator file: everything that running it needs, and everything that trusting it needs."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from saropt.radiometry import Recipe, recipe_from_dict

FORMAT_VERSION = 1
Direction = Literal["sar2opt", "opt2sar"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


AnyCard = TypeVar("AnyCard", "Card", "SegmenterCard", "MatcherCard")


class SideCard(_Strict):
    """One side of a translator, or the input of a segmenter.

    Attributes:
        bands: band names in network order.
        units: SAR units, or the optical units as in the data root.
        dtype: numpy data type of rasters on this side; output rasters are written in it.
        recipe: `Recipe.to_dict()` of the normalisation.
        statistics: statistics that the inverse of the recipe uses for outputs; inputs are fitted per scene.
    """

    bands: tuple[str, ...] = Field(min_length=1)
    units: str
    dtype: str
    recipe: dict[str, Any]
    statistics: tuple[float, ...] = ()

    @field_validator("recipe")
    @classmethod
    def _known_recipe(cls, value: dict[str, Any]) -> dict[str, Any]:
        recipe_from_dict(value)
        return value

    def make_recipe(self) -> Recipe:
        return recipe_from_dict(self.recipe)


class DirectionCard(_Strict):
    """The network of one direction.

    Attributes:
        network, arguments: registered name and arguments of the network.
        stride: tile origins and sizes are multiples of it.
        receptive_field: input pixels that one output pixel sees, or None when it sees the whole tile.
        statistics: "none" when the network holds no instance statistics; "scene" when they are frozen from the scene
            before translating; "training" when they were frozen from training windows into the weights.
        tile: side in pixels of the windows a scene is translated in, unless the caller asks for another.
    """

    network: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    stride: int = Field(ge=1)
    receptive_field: int | None = None
    statistics: Literal["none", "scene", "training"] = "none"
    tile: int = Field(1024, ge=1)


class TrainingCard(_Strict):
    """Where the weights come from."""

    data: str
    split: str
    steps: int
    seed: int
    licence: str
    attribution: str = ""
    config: dict[str, Any] = Field(default_factory=dict)


class Card(_Strict):
    """Card of a translator file (docs/formats.md).

    Attributes:
        realism: blend of the shipped weights, from 0 (fidelity end) to 1 (realism end), when the file holds both.
        quality: measured figures, split -> metric -> value.
        notes: where the translator works and where it fails, for a person.
    """

    format_version: int = FORMAT_VERSION
    name: str
    method: str
    directions: dict[Direction, DirectionCard] = Field(min_length=1)
    sar: SideCard
    optical: SideCard
    gsd_m: float = Field(gt=0)
    training: TrainingCard
    realism: float | None = Field(None, ge=0.0, le=1.0)
    quality: dict[str, dict[str, float]] = Field(default_factory=dict)
    licence: str = "Apache-2.0"
    notes: str = ""

    def source(self, direction: Direction) -> SideCard:
        """The input side of a direction."""
        return self.sar if direction == "sar2opt" else self.optical

    def target(self, direction: Direction) -> SideCard:
        """The output side of a direction."""
        return self.optical if direction == "sar2opt" else self.sar


class SegmenterCard(_Strict):
    """Card of a segmenter file (docs/formats.md).

    Attributes:
        modality: which side of a data root it segments.
        network, arguments, stride, receptive_field, tile: as in `DirectionCard`, of a segmenter network.
        input: the input side.
        classes: label value -> class name; logits stand in ascending order of the values.
        ignore_index: label value of pixels without a label in the training data, or None.
        quality: measured figures, split -> metric -> value.
    """

    kind: Literal["segmenter"] = "segmenter"
    format_version: int = FORMAT_VERSION
    name: str
    modality: Literal["sar", "optical"]
    network: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    stride: int = Field(ge=1)
    receptive_field: int | None = None
    tile: int = Field(1024, ge=1)
    input: SideCard
    classes: dict[int, str] = Field(min_length=2)
    ignore_index: int | None = None
    gsd_m: float = Field(gt=0)
    training: TrainingCard
    quality: dict[str, dict[str, float]] = Field(default_factory=dict)
    licence: str = "Apache-2.0"
    notes: str = ""


class MatcherCard(_Strict):
    """Card of a matcher file (docs/formats.md).

    Attributes:
        network, arguments, receptive_field: of the keypoint network, which takes grey images of any scale.
        quality: measured figures, split -> metric -> value.
    """

    kind: Literal["matcher"] = "matcher"
    format_version: int = FORMAT_VERSION
    name: str
    network: Literal["keypoint_cnn"] = "keypoint_cnn"
    arguments: dict[str, Any] = Field(default_factory=dict)
    receptive_field: int = Field(ge=1)
    gsd_m: float = Field(gt=0)
    training: TrainingCard
    quality: dict[str, dict[str, float]] = Field(default_factory=dict)
    licence: str = "Apache-2.0"
    notes: str = ""


def parse_card(text: str) -> Card:
    """The card of a translator from its JSON.

    Raises:
        ValueError: not JSON, of a segmenter, another format version, or a field that does not fit; one line.
    """
    return _parsed(Card, text, "translator")


def parse_segmenter_card(text: str) -> SegmenterCard:
    """The card of a segmenter from its JSON.

    Raises:
        ValueError: not JSON, of a translator, another format version, or a field that does not fit; one line.
    """
    return _parsed(SegmenterCard, text, "segmenter")


def parse_matcher_card(text: str) -> MatcherCard:
    """The card of a matcher from its JSON.

    Raises:
        ValueError: not JSON, of something else, another format version, or a field that does not fit; one line.
    """
    return _parsed(MatcherCard, text, "matcher")


def _parsed(model: type[AnyCard], text: str, wanted: str) -> AnyCard:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"card: is no JSON ({error.msg})") from error
    fields = values if isinstance(values, dict) else {}
    kind = fields.get("kind", "translator")
    if kind != wanted:
        raise ValueError(f"is a {kind}, not a {wanted}")
    version = fields.get("format_version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise ValueError(f"has format version {version}; this saropt reads version {FORMAT_VERSION}: upgrade saropt")
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "card"
        raise ValueError(f"card: {place}: {first['msg']}") from error
