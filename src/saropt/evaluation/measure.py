"""The rows of a report: a model or a baseline in one direction, and what is gathered about it tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saropt.domain import (
    Direction,
    Role,
    canonical_band,
    canonical_bands,
    describe_role,
    describe_units,
    listed,
    match_bands,
    match_some_bands,
)
from saropt.errors import InputError, counted
from saropt.evaluation.accumulate import ImageQuality
from saropt.evaluation.baselines import Baseline
from saropt.evaluation.extractors import Weights
from saropt.evaluation.gallery import Gallery, Shot, as_rgb, heat
from saropt.evaluation.ground import GroundErrors
from saropt.evaluation.metric import Subject, Tile
from saropt.evaluation.outputs import ChosenBands, ModelOutput, segment_raster, translate_rasters
from saropt.evaluation.section import Section, TileView
from saropt.evaluation.segmentation import Judge
from saropt.evaluation.shown_tiles import ShownTiles
from saropt.evaluation.tile_image import TileImage
from saropt.evaluation.tiles import Pixels, Place, Rasters, scale_in_words
from saropt.evaluation.verdicts import verdicts
from saropt.inference import ScratchRaster, Translator
from saropt.roots import DataRoot
from saropt.scenes import Scene


def model_name(model: Translator) -> str:
    """What a report calls a model.

    >>> model_name(Translator.load("losangeles-s1", speckle=4.0))
    'losangeles-s1, speckle of 4 looks'
    """
    return model.card.name if model.speckle is None else f"{model.card.name}, speckle of {model.speckle:g} looks"


@dataclass
class ModelRow:
    """A model and what is gathered about it.

    Attributes:
        inputs: positions of the bands that it takes in the data's images, by role.
        outputs: positions of the bands that it gives in the data's image of the output role.
        alone: whether it gets none of its optional inputs.
        places: role -> positions in the model's bands of those that the data have, where some may be missing.
        ignored: names of rasters whose earlier optical image shows cloud alone, and was ignored.
    """

    model: Translator
    subject: Subject
    inputs: Mapping[Role, list[int]]
    outputs: list[int]
    warnings: list[str]
    alone: bool = False
    places: Mapping[Role, Sequence[int]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    quality: ImageQuality = field(init=False)
    gallery: Gallery = field(default_factory=Gallery)

    def __post_init__(self) -> None:
        self.quality = ImageQuality(self.subject)

    @property
    def name(self) -> str:
        name = model_name(self.model)
        return f"{name}, {describe_role(self.first_input).title} alone" if self.alone else name

    @property
    def first_input(self) -> Role:
        """The role of the input that gives the grid."""
        return self.model.direction.inputs[0]

    def figures(self, baselines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The figures with warnings, which compare them with those of the baselines by name (no oracles)."""
        found, hidden = self.quality.figures(), []
        if self.ignored:
            images = counted(len(self.ignored), "earlier optical image")
            hidden = [f"{images} ignored (cloud or snow alone): {listed(self.ignored)}"]
        drawn = {"seed": self.subject.seed} if self.subject.draws else {}
        return found | drawn | {"warnings": [*self.warnings, *hidden, *verdicts(found, baselines)]}


@dataclass
class BaselineRow:
    """A baseline and what is gathered about it."""

    baseline: Baseline
    quality: ImageQuality

    def looks_at(self, default: Sequence[Role]) -> Sequence[Role]:
        """The roles of its input."""
        return (*(self.baseline.looks_at or default), *self.baseline.further)


def _true_scale(root: DataRoot, role: Role) -> str | None:
    """The scale of the first true image that can be read."""
    for path in filter(None, (root.path_of(role, name) for name in root.splits)):
        with suppress(InputError), Scene.open(path, units=root.image(role).units) as scene:
            return scale_in_words(root.image(role).units, scene.dtype, root.image(role).range)
    return None


def make_model_row(
    model: Translator,
    root: DataRoot,
    weights: Weights | None,
    samples: int | None = None,
    seed: int = 0,
    *,
    alone: bool = False,
) -> ModelRow:
    """An empty row of a model, with warnings about bands and units that are not those of the data.

    Args:
        alone: the model gets none of its optional inputs.

    Raises:
        InputError: the data lack an image or a band that the model needs.
    """
    images = root.images
    warnings: list[str] = []
    network = model.card.directions[model.direction]
    needed = [image.role for image in network.inputs if not image.optional]
    missing = [role for role in (*needed, model.direction.output) if role not in images]
    if missing:
        raise InputError(model.card.name, f"needs {', '.join(missing)} images; {root.name} has {', '.join(images)}")
    some = {
        image.role: match_some_bands(image.bands, images[image.role].bands)
        for image in network.inputs
        if image.partial and not (alone and image.optional) and image.role in images
    }
    some = {role: found for role, found in some.items() if found}
    inputs = {
        image.role: _positions(model.card.name, image.bands, images[image.role].bands, warnings)
        for image in network.inputs
        if not (alone and image.optional) and image.role not in some and image.role in images
    }
    inputs |= {role: [there for _, there in found] for role, found in some.items()}
    places = {role: [wanted for wanted, _ in found] for role, found in some.items()}
    given, true = model.target, images[model.direction.output]
    outputs = _positions(model.card.name, given.bands, true.bands, warnings)
    scales = scale_in_words(given.units, given.dtype), _true_scale(root, model.direction.output)
    if given.units != true.units or (scales[1] is not None and scales[0] != scales[1]):
        both = (given.units, true.units) if given.units != true.units else scales
        warnings.append(
            f"its output is in {both[0]!r}, the truth in {both[1]!r}: each is scaled by its own range, "
            "so the errors hold the difference of the scales as well"
        )
    if model.reliability is not None and root.name in model.reliability.data:
        warnings.append(
            "its map of reliability was calibrated on this data set: fewer pixels of new scenes may be inside"
        )
    subject = Subject([true.bands[i] for i in outputs], model, weights, samples, seed)
    return ModelRow(model, subject, inputs, outputs, warnings, alone, places)


def _positions(model: str, wanted: Sequence[str], data: Sequence[str], warnings: list[str]) -> list[int]:
    """Positions in the data's bands of the bands that a model is made for."""
    named = f"is made for the bands {', '.join(wanted)}"
    try:
        found = match_bands(wanted, data)
    except ValueError:
        raise InputError(model, f"{named}; the data have {', '.join(data)}") from None
    meant = canonical_bands(data)
    if [meant[i] for i in found] != [canonical_band(band) for band in wanted]:
        warnings.append(f"it {named}, the data have {', '.join(data)}")
    return found


@dataclass
class DirectionRows:
    """All that is measured in one direction; its models give the same bands.

    Attributes:
        all_bands: the bands of the data's image of the output role.
        outputs: positions of those that the models give.
        baseline_inputs: the roles that the baselines look at: all inputs that no raster lacks.
        earlier: role of an image of another date -> positions of its bands that are those of today's image.
        notes: sentences about images of other dates that have other bands.
    """

    direction: Direction
    all_bands: Sequence[str]
    outputs: list[int]
    baseline_inputs: Sequence[Role]
    models: Sequence[ModelRow]
    baselines: Sequence[BaselineRow]
    sections: Sequence[Section]
    judge: Judge | None = None
    ground: GroundErrors | None = None
    shown: ShownTiles | None = None
    earlier: Mapping[Role, list[int]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def inputs(self) -> tuple[Role, ...]:
        """The roles that models and baselines look at."""
        return (*self.direction.inputs, *(role for row in self.baselines for role in row.baseline.further))


class RasterOutputs:
    """What models and segmenters make of the rasters of one name, in temporary files that are read tile by tile.

    Args:
        stack: closes the files.

    Raises:
        InputError: a model or a segmenter refuses the rasters, or labels are missing that a judge needs.
    """

    def __init__(self, rasters: Rasters, directions: Iterable[DirectionRows], stack: ExitStack) -> None:
        self._models: dict[int, ModelOutput] = {}
        self._labels: dict[int | Direction, ScratchRaster] = {}
        for rows in directions:
            judge, role = rows.judge, rows.direction.output
            if judge is not None:
                judge.check(rasters)
                true = rasters.source(role, judge.bands(rows.all_bands), stack)
                self._labels[rows.direction] = segment_raster(judge.segmenter, true, rasters.units(role), stack)
            for row in rows.models:
                output = translate_rasters(row.model, row.subject, rasters, row.inputs, stack, row.places)
                self._models[id(row)] = output
                row.ignored += [rasters.name] if output.ignored else []
                if judge is not None:
                    source = ChosenBands(output.image, judge.bands(row.subject.bands))
                    units = row.model.target.units
                    self._labels[id(row)] = segment_raster(judge.segmenter, source, units, stack)

    def of(self, row: ModelRow, place: Place) -> Pixels:
        """The output of a model at a place, in its own units.

        Raises:
            InputError: it is not finite at valid pixels.
        """
        made, target, valid = self._models[id(row)], row.model.target, place.valid
        values, _ = made.image.read(place.window)
        if values.dtype.kind == "f" and not np.isfinite(values[:, valid]).all():
            raise InputError(row.name, f"gives values that are not finite at valid pixels of {place.name}")
        true = place.images[row.model.direction.output]
        declared = true.range if true.units == target.units else None
        return Pixels(values, valid, target.units, target.bands, np.dtype(target.dtype), declared)

    def spreads(self, row: ModelRow, place: Place) -> dict[str, NDArray[np.float32]]:
        """The maps (B, h, w) of a model at a place, in its own units: the deviation of its samples, the half-width."""
        made = self._models[id(row)]
        maps = {"deviation": made.deviation, "half_width": made.reliability}
        bands = len(row.model.target.bands)
        return {name: one.read(place.window)[0][:bands] for name, one in maps.items() if one is not None}

    def change(self, row: ModelRow, place: Place) -> NDArray[np.uint8] | None:
        """The likelihood of change (h, w) in per cent that a model gives; None where it gives none."""
        origin = self._models[id(row)].origin
        return None if origin is None or row.alone else origin.read(place.window)[0][1]

    def labels(self, of: ModelRow | Direction, place: Place) -> NDArray[np.uint8]:
        """The label values (h, w) that the judge gives the output of a model, or the true image of a direction."""
        key = of if isinstance(of, Direction) else id(of)
        labels: NDArray[np.uint8] = self._labels[key].read(place.window)[0][0]
        return labels


def measure_place(rows: DirectionRows, rasters: Rasters, place: Place, outputs: RasterOutputs) -> None:
    """Measure one tile of all models and baselines of a direction.

    What metrics need of the true tile is computed once for all of them.

    Raises:
        InputError: an output is not finite at valid pixels, or units have no fixed range.
    """
    direction = rows.direction
    present = [role for role in rows.inputs if role in place.images]
    inputs = {role: place.images[role].in_unit_range(place.name) for role in present}
    true = place.images[direction.output]
    truth = TileImage(true.in_unit_range(place.name)[rows.outputs], place.valid)
    if rows.judge is not None:
        rows.judge.see(None, rasters.scene, place, outputs.labels(direction, place))
    true_here = replace(true, values=true.values[rows.outputs], valid=place.valid)
    for row in rows.models:
        pixels = outputs.of(row, place)
        tile = Tile.of(pixels.in_unit_range(row.name), inputs[row.first_input][row.inputs[row.first_input]], truth)
        maps = {name: _unit_spread(pixels, one, row.name) for name, one in outputs.spreads(row, place).items()}
        deviation, half_width = maps.get("deviation"), maps.get("half_width")
        tile = replace(tile, scene=rasters.scene, deviation=deviation, half_width=half_width)
        view = TileView(rasters, place, tile, pixels, true_here)
        _measure_model(row, view, rows.sections)
        if rows.ground is not None:
            rows.ground.see(row.name, rasters, place, tile, outputs.change(row, place))
        if rows.judge is not None:
            rows.judge.see(row.name, rasters.scene, place, outputs.labels(row, place))
        if rows.shown is not None and rows.shown.wants(place):
            judged = rows.judge is not None
            classes = (outputs.labels(direction, place), outputs.labels(row, place)) if judged else None
            rows.shown.add(row.name, place, _shot(row, view, 0.0), classes)
    filled = {role: _filled(inputs[role], place.images[role].valid) for role in present}
    for baseline in rows.baselines:
        roles = baseline.looks_at(rows.baseline_inputs)
        if any(role not in inputs for role in roles) or not baseline.baseline.take_dates(*_dates(rasters, roles)):
            continue
        bands = [rows.earlier.get(role, slice(None)) for role in roles]
        given = filled
        if baseline.baseline.fills:
            given = {role: np.where(place.images[role].valid, inputs[role], np.nan) for role in roles}
        seen = [given[role][chosen] for role, chosen in zip(roles, bands, strict=True)]
        tile = measure_baseline(baseline, seen, filled[roles[0]][bands[0]], truth, rasters.scene)
        if rows.ground is not None:
            rows.ground.see(baseline.baseline.name, rasters, place, tile, None)


def _dates(rasters: Rasters, roles: Sequence[Role]) -> tuple[datetime | None, list[datetime | None]]:
    """The dates of the scene, which is its first raster, and of the rasters of some roles."""
    return next(iter(rasters.scenes.values())).acquired, [rasters.scenes[role].acquired for role in roles]


def _measure_model(row: ModelRow, view: TileView, sections: Sequence[Section]) -> None:
    numbers = row.quality.add(view.tile, view.rasters.scene)
    for section in sections:
        section.see(row.name, view)
    if row.gallery.slot(numbers["psnr"]):
        row.gallery.add(_shot(row, view, numbers["psnr"]))


def measure_baseline(
    row: BaselineRow, inputs: Sequence[NDArray[np.float32]], source: NDArray[np.float32], truth: TileImage, scene: str
) -> Tile:
    """Measure one tile of a scene for a baseline, which looks at all bands of its inputs (C, h, w) in [0, 1].

    Args:
        source: the first of the inputs without holes, to which metrics compare the output.
    """
    seen = np.concatenate(inputs) if len(inputs) > 1 else inputs[0]
    tile = Tile.of(row.baseline.predict(seen, truth.values, truth.mask), source, truth)
    row.quality.add(tile, scene)
    return tile


def _filled(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values (C, h, w) with the mean of each band where they are not valid; .5 where nothing is."""
    if valid.all():
        return values
    means = values[:, valid].mean(axis=1) if valid.any() else np.full(len(values), 0.5, np.float32)
    return np.where(valid, values, means[:, None, None]).astype(np.float32)


def _shot(row: ModelRow, view: TileView, psnr: float) -> Shot:
    tile, place, valid = view.tile, view.place, view.truth.valid
    first = place.images[row.first_input]
    source_bands = [first.bands[i] for i in row.inputs[row.first_input]]
    return Shot(
        f"{place.name}, row {place.window.row}, column {place.window.col}",
        psnr,
        as_rgb(tile.source, source_bands, _display_gain(first)),
        as_rgb(tile.output.values, row.subject.bands, _display_gain(view.output)),
        as_rgb(tile.truth.values, row.subject.bands, _display_gain(view.truth)),
        heat(np.where(valid, np.abs(tile.output.values - tile.truth.values).mean(0), 0.0)),
    )


def _unit_spread(output: Pixels, spread: NDArray[np.float32], source: str) -> NDArray[np.float32]:
    """A deviation or half-width in [0, 1]: how far it moves the output, up or down, whichever is more."""
    spread = np.where(output.valid, spread, 0.0)
    middle, low, high = (
        replace(output, values=output.values + sign * spread).in_unit_range(source) for sign in (0.0, -1.0, 1.0)
    )
    return np.fmax(high - middle, middle - low)


def _display_gain(pixels: Pixels) -> float:
    """Reflectances times 10,000 rarely pass .3: they are shown, not measured, brighter."""
    if pixels.dtype == np.uint8:
        return 1.0
    return 10.0 / 3.0 if describe_units(pixels.units).factor > 1.0 else 1.0
