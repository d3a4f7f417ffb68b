"""The card of a translator file: all that is needed to run it, and to judge whether to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from saropt.artifacts.card_version_1 import upgrade
from saropt.artifacts.checks import OneLine, Positive, ReceptiveField, Stride, check_output
from saropt.artifacts.image_card import ImageCard
from saropt.artifacts.trust import ReliabilityCard, SeenCard, Strict
from saropt.domain import Direction, Role, known_scene_inputs, scene_bands
from saropt.errors import counted
from saropt.files import load_json

FORMAT_VERSION = 2
SceneInputs = Annotated[tuple[str, ...], AfterValidator(known_scene_inputs)]

AnyCard = TypeVar("AnyCard", "Card", "SegmenterCard", "MatcherCard")


class SamplerCard(Strict):
    """How a sampler draws its outputs.

    Attributes:
        kind, steps: the sampler and its default number of steps.
        noise: the source of its noise. "position-hash" is `saropt.radiometry.position_noise`, a function of seed, band
            and pixel position, so that the same seed gives the same image for any tiling.
        noise_bands: bands of unit normal noise that the network takes behind the source's.

    >>> SamplerCard(kind="euler", steps=2, noise_bands=3).noise
    'position-hash'
    """

    kind: Literal["ancestral", "ddim", "euler"]
    steps: int = Field(ge=1)
    noise: Literal["position-hash"] = "position-hash"
    noise_bands: int = Field(ge=1)

    @classmethod
    def of(cls, network: Any) -> SamplerCard | None:
        """The sampler of a `saropt.networks.SamplingNetwork`, None of any other network."""
        bands = getattr(network, "noise_channels", 0)
        return cls(kind=network.sampler, steps=network.steps, noise_bands=bands) if bands else None


class DirectionCard(Strict):
    """The network of one direction, and the images that go in and come out.

    Attributes:
        inputs: in the order of the network's input bands.
        outputs: in the order of the network's output bands; the first is the image of the direction's output role.
        scene_inputs: numbers that describe the whole scene (`saropt.domain.SCENE_INPUTS`), each of which may be
            missing. The network takes their bands, constant over the scene, behind those of the images.
        network, arguments: registered name and arguments of the network.
        stride: tile origins and sizes are multiples of it.
        receptive_field: input pixels that one output pixel sees, or None when it sees the whole tile.
        statistics: "none" when the network holds no instance statistics; "scene" when they are frozen from the scene
            before translating; "training" when they were frozen from training windows into the weights.
        tile: default side in pixels of the windows in which a scene is translated.
        sampler: for networks that draw their outputs from noise; None for all others.
        reliability: where the file holds a network of errors as well, whose calibration this is.

    >>> from saropt.inference.bundled import card_of, find_translator
    >>> described = card_of(find_translator("s1-losangeles")).directions[Direction.parse("sar2opt")]
    >>> described.network, described.channels, described.stride
    ('naf_unet', (1, 3), 16)
    """

    inputs: tuple[ImageCard, ...] = Field(min_length=1)
    outputs: tuple[ImageCard, ...] = Field(min_length=1)
    scene_inputs: SceneInputs = ()
    network: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    stride: Stride
    receptive_field: ReceptiveField | None = None
    statistics: Literal["none", "scene", "training"] = "none"
    tile: int = Field(1024, ge=1)
    sampler: SamplerCard | None = None
    reliability: ReliabilityCard | None = None

    @model_validator(mode="after")
    def _outputs_can_be_written(self) -> Self:
        for image in self.outputs:
            check_output(image.dtype, image.units, len(image.bands), image.recipe, image.statistics)
        if self.outputs[0].product != "image":
            raise ValueError(f"the product of the first output is {self.outputs[0].product}, not image")
        bands = len(self.outputs[0].bands)
        if self.reliability is not None and len(self.reliability.scale) != bands:
            raise ValueError(
                f"reliability.scale has {len(self.reliability.scale)} numbers for {counted(bands, 'band')}"
            )
        return self

    @property
    def direction(self) -> Direction:
        """The roles of the inputs and of the first output."""
        return Direction([image.role for image in self.inputs], self.outputs[0].role)

    @property
    def channels(self) -> tuple[int, int]:
        """Bands that the network takes (without a sampler's noise) and gives."""
        taken = sum(image.channels for image in self.inputs) + scene_bands(self.scene_inputs)
        return taken, sum(len(image.bands) for image in self.outputs)


class EarlierTraining(Strict):
    """The training of a file whose weights or outputs another training learnt from.

    Attributes:
        data, split: in words.
        sets: data set -> its splits that were learnt from; empty where `data` and `split` are the names of one.

    >>> EarlierTraining(data="simulated", split="train", steps=100).split
    'train'
    """

    data: str
    split: str
    steps: int
    sets: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def splits_of(self, *data: str) -> set[str]:
        """The splits of the data sets of these names that were learnt from.

        >>> training = EarlierTraining(data="a and b", split="train", steps=10, sets={"a": ("train", "val")})
        >>> sorted(training.splits_of("a", "b")), EarlierTraining(data="b", split="test", steps=10).splits_of("b")
        (['train', 'val'], {'test'})
        """
        known = self.sets or {self.data: (self.split,)}
        return {split for name in data for split in known.get(name, ())}


class TrainingCard(EarlierTraining):
    """Where the weights come from.

    Attributes:
        licence, attribution: of the data, those of earlier trainings among them.
        earlier: the trainings of the files that it started from or was taught by, and those before them.
        seen: the distribution of the scenes, of the first input; None where they were too few to tell.
        scene_inputs: name (`saropt.domain.SCENE_INPUTS`) -> the values of the scenes, each once; those that no scene
            tells of are left out.

    >>> TrainingCard(data="simulated", split="train", steps=100, seed=0, licence="Apache-2.0").steps
    100
    """

    seed: int
    licence: str
    attribution: str = ""
    config: dict[str, Any] = Field(default_factory=dict)
    seen: SeenCard | None = None
    scene_inputs: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    earlier: tuple[EarlierTraining, ...] = ()

    @property
    def sources(self) -> str:
        """The names of all data that were learnt from.

        >>> training = TrainingCard(data="mine", split="train", steps=10, seed=0, licence="none")
        >>> world = EarlierTraining(data="world", split="train", steps=100)
        >>> training.model_copy(update={"earlier": (world,)}).sources
        'mine, world'
        """
        return ", ".join(dict.fromkeys(one.data for one in (self, *self.earlier)))

    def splits_of(self, *data: str) -> set[str]:
        """The splits of the data sets of these names that were learnt from, by earlier trainings too.

        >>> training = TrainingCard(data="mine", split="train", steps=10, seed=0, licence="none")
        >>> training.splits_of("mine"), training.splits_of("world")
        ({'train'}, set())
        """
        return super().splits_of(*data).union(*(one.splits_of(*data) for one in self.earlier))


class Card(Strict):
    """Card of a translator file (docs/formats.md).

    Attributes:
        realism: blend of the shipped weights, from 0 (fidelity end) to 1 (realism end), when the file holds both.
        quality: measured figures, split -> metric -> value.
        notes: text for the user that says where the translator works and where it fails.

    >>> from saropt.inference.bundled import card_of, find_translator
    >>> card = card_of(find_translator("s1-losangeles"))
    >>> card.source(Direction.parse("sar2opt")).bands, card.gsd_m
    (('VH',), 10.0)
    """

    format_version: int = FORMAT_VERSION
    name: OneLine
    method: OneLine
    directions: dict[Direction, DirectionCard] = Field(min_length=1)
    gsd_m: Positive
    training: TrainingCard
    realism: float | None = Field(None, ge=0.0, le=1.0)
    quality: dict[str, dict[str, float]] = Field(default_factory=dict)
    licence: str = "Apache-2.0"
    notes: str = ""

    @model_validator(mode="after")
    def _directions_are_those_of_their_images(self) -> Self:
        for name, described in self.directions.items():
            if described.direction != name:
                raise ValueError(f"direction {name} has the inputs and outputs of {described.direction}")
            if described.inputs[0].optional:
                raise ValueError(f"direction {name}: the first input cannot be optional, it gives the grid")
        if self.training.seen is not None:
            sides = [image for one in self.directions.values() for image in (one.inputs[0], one.outputs[0])]
            if not any(self.training.seen.is_of(image.bands) for image in sides):
                raise ValueError("training.seen tells of other bands than those of the inputs")
        return self

    def seen_by(self, direction: Direction) -> SeenCard | None:
        """What the training's scenes looked like, where that is told of the direction's first input: it is of the first
        direction of a training of both."""
        seen = self.training.seen
        is_told = (
            seen is not None and direction == next(iter(self.directions)) and seen.is_of(self.source(direction).bands)
        )
        return seen if is_told else None

    def source(self, direction: Direction) -> ImageCard:
        """The first input of a direction, on whose grid the output lies."""
        return self.directions[direction].inputs[0]

    def target(self, direction: Direction) -> ImageCard:
        """The output image of a direction."""
        return self.directions[direction].outputs[0]

    @property
    def images(self) -> Mapping[Role, ImageCard]:
        """Role -> image, over all directions. A role that is an output of some direction has the description of the
        output."""
        found = {image.role: image for described in self.directions.values() for image in described.inputs}
        return found | {described.outputs[0].role: described.outputs[0] for described in self.directions.values()}


class SegmenterCard(Strict):
    """Card of a segmenter file (docs/formats.md).

    Attributes:
        network, arguments, stride, receptive_field, tile: as in `DirectionCard`, of a segmenter network.
        input: the image that it segments.
        classes: label value -> class name; the logits are in ascending order of the values.
        ignore_index: label value of pixels without a label in the training data, or None.
        quality: measured figures, split -> metric -> value.

    >>> image = ImageCard(role="sar", bands=("VV",), units="sigma0_db", dtype="float32", recipe={"kind": "db_clip"})
    >>> training = TrainingCard(data="simulated", split="train", steps=100, seed=0, licence="Apache-2.0")
    >>> fields = {"network": "compact", "stride": 8, "input": image, "gsd_m": 10.0, "training": training}
    >>> SegmenterCard(name="land", classes={1: "water", 2: "forest"}, **fields).classes[2]
    'forest'
    """

    kind: Literal["segmenter"] = "segmenter"
    format_version: int = FORMAT_VERSION
    name: OneLine
    network: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    stride: Stride
    receptive_field: ReceptiveField | None = None
    tile: int = Field(1024, ge=1)
    input: ImageCard
    classes: dict[int, str] = Field(min_length=2)
    ignore_index: int | None = None
    gsd_m: Positive
    training: TrainingCard
    quality: dict[str, dict[str, float]] = Field(default_factory=dict)
    licence: str = "Apache-2.0"
    notes: str = ""


class MatcherCard(Strict):
    """Card of a matcher file (docs/formats.md).

    Attributes:
        network, arguments, receptive_field: of the keypoint network, which takes grey images of any scale.
        quality: measured figures, split -> metric -> value.

    >>> training = TrainingCard(data="simulated", split="train", steps=100, seed=0, licence="Apache-2.0")
    >>> MatcherCard(name="points", receptive_field=65, gsd_m=10.0, training=training).network
    'keypoint_cnn'
    """

    kind: Literal["matcher"] = "matcher"
    format_version: int = FORMAT_VERSION
    name: OneLine
    network: Literal["keypoint_cnn"] = "keypoint_cnn"
    arguments: dict[str, Any] = Field(default_factory=dict)
    receptive_field: ReceptiveField
    gsd_m: Positive
    training: TrainingCard
    quality: dict[str, dict[str, float]] = Field(default_factory=dict)
    licence: str = "Apache-2.0"
    notes: str = ""


def parse_card(text: str) -> Card:
    """The card of a translator from its JSON.

    Raises:
        ValueError: not JSON, of a segmenter, another format version, or a field that does not fit; one line.

    >>> from saropt.inference.bundled import card_of, find_translator
    >>> parse_card(card_of(find_translator("s1-losangeles")).model_dump_json()).name
    's1-losangeles'
    """
    return _parsed(Card, text, "translator")


def parse_segmenter_card(text: str) -> SegmenterCard:
    """The card of a segmenter from its JSON.

    Raises:
        ValueError: not JSON, of a translator, another format version, or a field that does not fit; one line.

    >>> parse_segmenter_card("not JSON")
    Traceback (most recent call last):
    ...
    ValueError: card: is no JSON (Expecting value)
    """
    return _parsed(SegmenterCard, text, "segmenter")


def parse_matcher_card(text: str) -> MatcherCard:
    """The card of a matcher from its JSON.

    Raises:
        ValueError: not JSON, of something else, another format version, or a field that does not fit; one line.

    >>> parse_matcher_card("not JSON")
    Traceback (most recent call last):
    ...
    ValueError: card: is no JSON (Expecting value)
    """
    return _parsed(MatcherCard, text, "matcher")


def _parsed(model: type[AnyCard], text: str, wanted: str) -> AnyCard:
    try:
        values = load_json(text)
    except ValueError as error:
        raise ValueError(f"card: is no JSON ({getattr(error, 'msg', error)})") from error
    fields = values if isinstance(values, dict) else {}
    kind = fields.get("kind", "translator")
    if kind != wanted:
        raise ValueError(f"is a {kind}, not a {wanted}")
    version = fields.get("format_version", 1)
    if version not in (1, FORMAT_VERSION):
        known = f"this saropt reads versions 1 to {FORMAT_VERSION}"
        raise ValueError(f"has format version {version}; {known}: upgrade saropt")
    try:
        return model.model_validate(upgrade(values) if version == 1 else values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ValueError(": ".join(part for part in ("card", place, " ".join(reason.split())) if part)) from error
