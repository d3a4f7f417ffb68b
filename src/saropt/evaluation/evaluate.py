"""Measures models and trivial baselines on one split of a data root, and writes report.json and report.html."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction, Role, is_sar, list_roles
from saropt.errors import InputError, MissingExtraError, OptionError
from saropt.evaluation.accumulate import ImageQuality
from saropt.evaluation.baselines import BASELINES, fit_all
from saropt.evaluation.by_class import ClassErrors, Labels
from saropt.evaluation.earlier_bands import earlier_bands, train_order
from saropt.evaluation.extractors import known_weights
from saropt.evaluation.ground import GroundErrors
from saropt.evaluation.leaks import find_leaks
from saropt.evaluation.matching import MatchingRates
from saropt.evaluation.measure import (
    BaselineRow,
    DirectionRows,
    ModelRow,
    RasterOutputs,
    make_model_row,
    measure_place,
)
from saropt.evaluation.metric import Subject
from saropt.evaluation.network_values import NetworkValues
from saropt.evaluation.reference_baselines import REFERENCE_BASELINES
from saropt.evaluation.report import build_report
from saropt.evaluation.report_files import check_folder, report_folder, write_report
from saropt.evaluation.section import Section
from saropt.evaluation.segmentation import make_judges
from saropt.evaluation.shown_tiles import ShownTiles
from saropt.evaluation.spec import EvaluationResult, EvaluationSpec
from saropt.evaluation.speckle import SpeckleStatistics
from saropt.evaluation.tiles import MIN_VALID, LeftOut, Place, open_rasters, stream_tiles, tile_windows
from saropt.inference import Translator
from saropt.progress import Progress, silent
from saropt.roots import DataRoot
from saropt.roots.scene_inputs import scene_inputs_of, stated_scene_inputs


def evaluate(spec: EvaluationSpec, out: str | Path, *, progress: Progress = silent) -> EvaluationResult:
    """Measure models on a split and write `report.json` and `report.html` into a folder.

    Files take their names at the end, `report.json` last. With `overwrite`, pictures and figures of an earlier report
    that this one does not have are removed.

    Only sums by scene are kept in memory. Baselines are fitted on the train split. Intervals and tests are over scenes
    (`saropt.evaluation.intervals`).

    Args:
        out: a folder, made if it is not there.

    Raises:
        InputError: the data cannot be used, a report exists and `overwrite` is False, or the output of a model does not
            fit.
        MissingExtraError: `html` is True and jinja2 is not installed.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = write_simulated_root("root", scenes=(1, 0, 1), size=128)
    >>> result = evaluate(EvaluationSpec(data=root, tile=128, html=False), "report")
    >>> sorted(result.baselines["sar2opt"])
    ['copy_input', 'histogram_match', 'image_mean_oracle', 'linear', 'train_mean']
    """
    out = Path(out)
    if spec.html and importlib.util.find_spec("jinja2") is None:
        raise MissingExtraError("the HTML report", "train")
    check_folder(out, spec.html, spec.overwrite)
    root = _opened(spec.data)
    if not root.paired:
        raise InputError(root.path, "is unpaired: there is no truth to compare with")
    names = list(root.names(spec.split))
    train_root = root if spec.baselines_from is None else _opened(spec.baselines_from)
    _check_models(spec.models)
    train = _train_names(train_root) if spec.baselines else []
    steps = _Steps(progress, len(names) + len(train))
    unknown = [name for name in spec.tiles if name not in names]
    if unknown:
        raise OptionError("tiles", ", ".join(unknown), f"split {spec.split!r} has no such raster")
    with report_folder(out, spec.html, spec.overwrite):
        report, rows = _measured(spec, root, names, train_root, train, steps)
        paths, removed = write_report(report, rows, out, spec.html)
    return EvaluationResult(report, tuple(paths), tuple(removed))


def _measured(
    spec: EvaluationSpec,
    root: DataRoot,
    names: Sequence[str],
    train_root: DataRoot,
    train: Sequence[str],
    steps: _Steps,
) -> tuple[dict[str, Any], list[DirectionRows]]:
    """The report, and the rows with what was gathered for it."""
    rows = _prepare(spec, root, bool(train))
    if train:
        _fit(rows, root, train_root, train, spec.tile, steps)
    told = _scene_inputs(spec, root, names)
    counted, skipped, left_out = _measure_split(spec, root, names, rows, steps, told)
    if not counted:
        raise InputError(root.path, f"split {spec.split!r} has no tile that is at least {MIN_VALID:.0%} valid")
    notes = [note for d in rows for note in d.notes]
    if spec.read_scene_inputs:
        known_of = Counter(key for known in told.values() for key in known)
        words = ", ".join(f"{key} of {count}" for key, count in known_of.items()) or "nothing"
        notes.append(f"Models that take scene inputs were told: {words} of {len(names)} rasters.")
    if spec.baselines and not train:
        notes.append(f"{train_root.name} has no train split: the fitted baselines are left out.")
    elif train_root is not root:
        notes.append(f"The baselines are fitted on the train split of {train_root.name}.")
    leaks = _leaks(spec, root, names, train_root, rows)
    counts = {"rasters": len(names), "n": counted, "skipped": skipped}
    return build_report(spec, root, rows, counts, notes, leaks, left_out), rows


class _Steps:
    """Counts steps for a progress function."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def step(self, what: str) -> None:
        self._done += 1
        self._progress(self._done, self._total, what)


def _opened(data: str | Path | DataRoot) -> DataRoot:
    return data if isinstance(data, DataRoot) else DataRoot.open(data)


def _check_models(models: Sequence[Translator]) -> None:
    first_of: dict[str, Translator] = {}
    seen = set()
    for model in models:
        card = model.card
        first = first_of.setdefault(card.name, model).card
        known = (card.name, model.direction) in seen
        if known or (card.method, card.training) != (first.method, first.training):
            raise InputError(card.name, "two models have this name")
        seen.add((card.name, model.direction))


def _directions(models: Sequence[Translator], roles: Collection[Role]) -> list[Direction]:
    """The directions of the models, in the order of their roles; without models, SAR to optical and back."""
    order = list_roles()
    found = {model.direction for model in models}
    found = found or {d for d in (SAR_TO_OPTICAL, OPTICAL_TO_SAR) if {*d.inputs, d.output} <= set(roles)}
    return sorted(found, key=lambda d: ([order.index(role) for role in d.inputs], order.index(d.output)))


def _prepare(spec: EvaluationSpec, root: DataRoot, trained: bool) -> list[DirectionRows]:
    """Empty rows of all directions.

    Raises:
        InputError: models, segmenters, weights or samples that do not fit the data or each other.
    """
    directions = _directions(spec.models, root.images)
    weights = known_weights(spec.weights)
    judges = make_judges(spec.segmenters, root, directions)
    drawing = _drawing(spec)
    models = [
        make_model_row(model, root, weights, spec.samples if model in drawing else None, spec.seed)
        for model in spec.models
    ]
    models += [
        make_model_row(model, root, weights, seed=spec.seed, alone=True)
        for model in spec.models
        if any(image.optional for image in model.inputs)
    ]
    prepared = []
    for direction in directions:
        here = [row for row in models if row.model.direction == direction]
        all_bands = root.images[direction.output].bands
        outputs = _common_outputs(here) if here else list(range(len(all_bands)))
        bands = [all_bands[i] for i in outputs]
        weights.check(len(bands), direction)
        earlier, notes = earlier_bands(root, direction, outputs)
        usable = {role for role in root.images if role in earlier or "_reference" not in role}
        there = {*direction.inputs} & usable
        known = (*BASELINES, *REFERENCE_BASELINES) if spec.baselines else ()
        kinds = [
            kind
            for kind in known
            if (trained or not kind.fitted) and {*kind.looks_at} <= there and {*kind.further} <= usable
        ]
        kinds = [kind for kind in kinds if len(direction.inputs) == 1 or not kind.one_input]
        baselines = [BaselineRow(kind(), ImageQuality(Subject(bands, weights=weights))) for kind in kinds]
        sections = _make_sections(spec, root, direction)
        if spec.network_values:
            targets = {row.name: (Subject(bands, weights=weights), row.model.target) for row in here}
            sections.append(NetworkValues(targets))
        inputs = [role for role in direction.inputs if role in root.images and not root.images[role].optional]
        judge = judges.get(direction)
        ground = None
        if (reference := f"{direction.output}_reference") in there:
            ground = GroundErrors(root, reference, earlier[reference], spec.changed)
        labels = Labels(root) if _has_labels(root) else None
        shown = ShownTiles(spec.tiles, judge, labels) if spec.tiles else None
        rows = DirectionRows(
            direction, all_bands, outputs, inputs, here, baselines, sections, judge, ground, shown, earlier, notes
        )
        prepared.append(rows)
    if spec.changed and all(rows.ground is None for rows in prepared):
        raise OptionError("changed", ",".join(spec.changed), "no translator takes an earlier image of these data")
    return prepared


def _drawing(spec: EvaluationSpec) -> list[Translator]:
    """The models that are asked for several samples."""
    if spec.seed and not any(Subject((), model).draws for model in spec.models):
        raise OptionError("seed", spec.seed, "no model draws samples or speckle")
    if spec.samples is None:
        return []
    if spec.samples < 2:
        raise OptionError("samples", spec.samples, "a deviation needs at least 2")
    drawing = [model for model in spec.models if model.sampler is not None]
    if not drawing:
        names = ", ".join(sorted({model.card.name for model in spec.models})) or "a baseline"
        raise OptionError("samples", spec.samples, f"{names} has one output only: it draws no samples")
    return drawing


def _common_outputs(rows: Sequence[ModelRow]) -> list[int]:
    """Positions of the output bands that all models of a direction share, so that the baselines give them too."""
    for row in rows[1:]:
        if row.outputs != rows[0].outputs:
            raise InputError(row.name, f"gives other bands than {rows[0].name}: evaluate them one at a time")
    return rows[0].outputs


def _make_sections(spec: EvaluationSpec, root: DataRoot, direction: Direction) -> list[Section]:
    """Matching where asked for, errors by class where there are labels, speckle where SAR comes out."""
    sections: list[Section] = [MatchingRates(spec.matchers, spec.tiles)] if spec.matchers else []
    if _has_labels(root):
        sections.append(ClassErrors(root))
    if is_sar(direction.output):
        sections.append(SpeckleStatistics())
    return sections


def _has_labels(root: DataRoot) -> bool:
    return len(root.classes) > 1 and (root.path / "label").is_dir()


def _train_names(root: DataRoot) -> list[str]:
    try:
        return list(root.names("train"))
    except InputError:
        return []


def _roles(rows: Iterable[DirectionRows], root: DataRoot) -> list[Role]:
    """The roles of all inputs, of what baselines look at and of all outputs that the data have, each once."""
    roles = dict.fromkeys(role for d in rows for role in (*d.inputs, d.direction.output))
    return [role for role in roles if role in root.images]


def _leaks(
    spec: EvaluationSpec, root: DataRoot, names: Sequence[str], train_root: DataRoot, rows: Sequence[DirectionRows]
) -> list[str]:
    """What the split shares with the train split; nothing is compared where the train split itself is scored."""
    train = _train_names(train_root)
    roles = [role for role in _roles(rows, root) if role in train_root.images and not root.images[role].optional]
    if not train or not roles or (train_root is root and spec.split == "train"):
        return []
    return find_leaks(root, names, train_root, train, roles[0])


def _fit(
    rows: Sequence[DirectionRows],
    root: DataRoot,
    train_root: DataRoot,
    names: Sequence[str],
    tile: int,
    steps: _Steps,
) -> None:
    """Fit the baselines of all directions in one pass over the train split, in the order of the root's bands."""
    order = train_order(root, train_root)
    for name in names:
        for place in stream_tiles(train_root, [name], tile, _roles(rows, train_root)):
            valid = place.valid
            if not valid.any():
                continue
            for d in rows:
                for row in d.baselines:
                    _update(row, d, place, order)
        steps.step(f"baselines {name}")
    try:
        fit_all([row.baseline for d in rows for row in d.baselines], ())
    except ValueError as error:
        raise InputError(train_root.name, f"split 'train': {error}") from error


def _update(row: BaselineRow, rows: DirectionRows, place: Place, order: Mapping[Role, list[int]]) -> None:
    """Give a baseline the pixels of a place that are valid in all that it looks at."""
    roles = [*row.looks_at(rows.baseline_inputs), rows.direction.output]
    if any(role not in place.images for role in roles):
        return
    valid = np.logical_and.reduce([place.valid, *(place.images[role].valid for role in roles)])
    if not valid.any():
        return
    pixels = [
        replace(place.images[role], values=place.images[role].values[order[role]][:, valid]).in_unit_range(place.name)
        for role in roles
    ]
    seen = [image[rows.earlier.get(role, slice(None))] for role, image in zip(roles[:-1], pixels[:-1], strict=True)]
    target = pixels[-1][rows.outputs].astype(np.float64)
    row.baseline.update(np.concatenate(seen).astype(np.float64), target)


def _scene_inputs(spec: EvaluationSpec, root: DataRoot, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Raster name -> what the models are told of it; empty where they are told nothing."""
    if not spec.read_scene_inputs:
        return {}
    taking = [model for model in spec.models if model.scene_inputs]
    if not taking:
        raise OptionError("read_scene_inputs", True, "none of the models takes month, latitude or incidence")
    stated = stated_scene_inputs(root)
    return {name: scene_inputs_of(root, taking[0].direction.inputs[0], name, stated) for name in names}


def _measure_split(
    spec: EvaluationSpec,
    root: DataRoot,
    names: Sequence[str],
    rows: Sequence[DirectionRows],
    steps: _Steps,
    told: Mapping[str, Mapping[str, float]],
) -> tuple[int, int, LeftOut]:
    """Measure every tile of the split; the numbers of tiles that were measured and that were skipped, and the rasters
    of which none was measured."""
    counted = skipped = 0
    left_out = LeftOut()
    needed = [role for role in _roles(rows, root) if not root.images[role].optional]
    further = {*needed} - {role for d in rows for role in (d.direction.inputs[0], d.direction.output)}
    for name in names:
        with open_rasters(root, name, _roles(rows, root), told.get(name)) as rasters, ExitStack() as stack:
            left_out.note(rasters)
            outputs = None
            for window in tile_windows(*rasters.shape, spec.tile):
                place = rasters.read(window)
                if not left_out.look_at(place, needed, further):
                    skipped += 1
                    continue
                counted += 1
                outputs = outputs or RasterOutputs(rasters, rows, stack)
                for d in rows:
                    measure_place(d, rasters, place, outputs)
        steps.step(f"{spec.split} {name}")
    return counted, skipped, left_out
