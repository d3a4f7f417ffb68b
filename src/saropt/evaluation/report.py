"""What report.json holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import saropt
from saropt.artifacts import Card
from saropt.evaluation import ground, segmentation
from saropt.evaluation.curves import read_curves
from saropt.evaluation.intervals import CONVENTION, TESTS_CONVENTION, few_scenes
from saropt.evaluation.measure import DirectionRows, model_name
from saropt.evaluation.metric import METRICS
from saropt.evaluation.network_values import scale_of
from saropt.evaluation.spec import EvaluationSpec
from saropt.evaluation.tiles import MIN_VALID, LeftOut
from saropt.evaluation.verdicts import paired_tests
from saropt.radiometry import RANGES
from saropt.roots import DataRoot

NO_RANKING = "PSNR alone does not rank translators: the blurriest often come first. Look at the images and baselines."
GENERAL_CONVENTIONS: Mapping[str, Any] = {
    "scaling": RANGES,
    "std": "population standard deviation over tiles",
    "intervals": CONVENTION,
    "tests": TESTS_CONVENTION,
    "invalid pixels": f"left out; tiles less than {MIN_VALID:.0%} valid are skipped and counted",
    "null": "not finite (the PSNR of equal images is infinite) or not defined",
    "image_mean_oracle": "looks at the truth: each tile's own mean colour; no translator",
}


def conventions(sections: Mapping[str, str]) -> dict[str, Any]:
    """How all figures of a report are computed: of every metric in the main tables and in these sections.

    Args:
        sections: key of a section -> its convention.

    >>> conventions({})["mae"]
    'mean absolute error in [0, 1] per tile, then mean over tiles'
    """
    found: dict[str, Any] = {"scaling": GENERAL_CONVENTIONS["scaling"]}
    found |= {key: _sentence(key) for key, metric in METRICS.items() if not metric.section}
    found |= GENERAL_CONVENTIONS
    for section, sentence in sections.items():
        found[section] = sentence
        found |= {key: _sentence(key) for key, metric in METRICS.items() if metric.section == section}
    return found


def _leaked(card: Card, spec: EvaluationSpec, root: DataRoot, leaks: Sequence[str]) -> list[str]:
    """What a model may have seen of the split when it was trained, as far as its card says where that was."""
    splits = card.training.splits_of(*root.data_names)
    if not splits:
        return []
    if spec.split in splits:
        return [f"it is scored on the split {spec.split!r} that it was trained on"]
    return [f"the split shares places with its training data: {leak}" for leak in leaks]


def _sentence(key: str) -> str:
    metric = METRICS[key]
    return f"{metric.convention}; needs {', '.join(metric.needs)}" if metric.needs else metric.convention


def build_report(
    spec: EvaluationSpec,
    root: DataRoot,
    rows: Sequence[DirectionRows],
    counts: Mapping[str, int],
    notes: Sequence[str],
    leaks: Sequence[str] = (),
    left_out: LeftOut | None = None,
) -> dict[str, Any]:
    """All that was gathered, ready for JSON.

    Args:
        counts: `rasters` of the split, `n` tiles, and tiles `skipped`.
        notes: sentences for a person.
        leaks: what the split shares with the training data (`find_leaks`).
        left_out: the rasters of the split of which no tile is measured; none when None.
    """
    models: dict[str, dict[str, Any]] = {model_name(model): {} for model in spec.models}
    baselines: dict[str, dict[str, Any]] = {}
    for d in rows:
        baselines[d.direction] = {row.baseline.name: row.quality.figures() for row in d.baselines}
        rivals = {row.baseline.name for row in d.baselines if not row.baseline.oracle}
        known = {name: figures for name, figures in baselines[d.direction].items() if name in rivals}
        for row in d.models:
            figures = row.figures(known)
            figures["warnings"] += _leaked(row.model.card, spec, root, leaks)
            models.setdefault(row.name, {})[d.direction] = figures
    qualities = [row.quality for d in rows for row in d.models] + [row.quality for d in rows for row in d.baselines]
    tiles = max((quality.tiles_by_scene for quality in qualities), key=len, default=[])
    scenes, few = len(tiles), few_scenes(len(tiles), tiles)
    shared = [f"The split shares places with the train split: {leak}." for leak in leaks]
    left_out = left_out or LeftOut()
    report: dict[str, Any] = {
        "saropt": saropt.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": root.name,
            "gsd_m": root.gsd_m,
            "images": {role: {"bands": list(image.bands), "units": image.units} for role, image in root.images.items()},
            "licence": root.licence,
            "rasters": counts["rasters"],
        },
        "split": spec.split,
        "tile": spec.tile,
        "n": counts["n"],
        "skipped": counts["skipped"],
        "left_out": left_out.reasons,
        "warnings": left_out.lines(spec.split, counts["rasters"]),
        "conventions": {},
        "scenes": scenes,
        "notes": [NO_RANKING, *notes, *([few] if few else []), *shared],
        "directions": {d.direction: _describe(d, root) for d in rows},
        "models": [{"model": name, "directions": directions} for name, directions in models.items()],
        "baselines": baselines if spec.baselines else {},
        "tests": {
            d.direction: paired_tests(
                {name: by[d.direction] for name, by in models.items() if d.direction in by} | baselines[d.direction],
                [row.name for row in d.models],
            )
            for d in rows
        },
    }
    sections: dict[str, str] = {}
    for d in rows:
        if d.ground is not None and (by_ground := d.ground.summary()):
            report.setdefault(ground.KEY, {})[d.direction] = by_ground
            sections[ground.KEY] = ground.CONVENTION
        if d.judge is not None:
            report.setdefault(segmentation.KEY, {})[d.direction] = d.judge.summary()
            sections[segmentation.KEY] = segmentation.CONVENTION
        for section in d.sections:
            if found := section.summary():
                report.setdefault(section.key, {})[d.direction] = found
                sections[section.key] = section.convention
    report["conventions"] = conventions(sections)
    if spec.runs:
        report["curves"] = {name: read_curves(folder) for name, folder in spec.runs.items()}
    ready: dict[str, Any] = finite(report)
    return ready


def _describe(rows: DirectionRows, root: DataRoot) -> dict[str, Any]:
    """A direction, and the scale that the figures of its models are on."""
    output = rows.direction.output
    described = {"inputs": list(rows.direction.inputs), "output": output}
    scales = [scale_of(row.model.target, root.images[output].range) for row in rows.models]
    return described | ({"scale": scales[0]} if scales else {})


def finite(value: Any) -> Any:
    """A value for JSON: numbers that are not finite become None.

    >>> finite({"psnr": math.inf, "mae": 0.0})
    {'psnr': None, 'mae': 0.0}
    """
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
