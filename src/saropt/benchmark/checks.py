"""What would make the evaluation of a row fail or leave columns without figures, looked for before it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from saropt.benchmark.columns import BY_CLASS
from saropt.benchmark.suite import NETWORK, Suite
from saropt.domain import OPTICAL_TO_SAR, SAR_TO_OPTICAL, Direction, Role
from saropt.errors import InputError
from saropt.evaluation import METRICS
from saropt.evaluation.extractors import INCEPTION_FILE, LPIPS_FILE, weight_files
from saropt.evaluation.tiles import DECLARE_RANGE
from saropt.methods import get_method
from saropt.radiometry import to_unit_range
from saropt.roots import DataRoot
from saropt.scenes import Scene
from saropt.training import TrainingConfig

_SAMPLED_PIXELS = 1 << 14


def directions_of(config: TrainingConfig) -> list[Direction]:
    """The directions that a run will translate in.

    >>> [str(direction) for direction in directions_of(TrainingConfig(method="cran"))]
    ['sar2opt', 'opt2sar']
    """
    arguments = get_method(config.method).config_type(**config.arguments)
    direction = getattr(arguments, "direction", None)
    return [SAR_TO_OPTICAL, OPTICAL_TO_SAR] if direction is None else [direction]


def check_figures(root: DataRoot, config: TrainingConfig, split: str, weights: str | Path | None) -> None:
    """Refuse data whose figures cannot be taken.

    Raises:
        InputError: pixels have no fixed range and dataset.yaml declares none, or FID cannot be had of so many bands.
    """
    roles = {role for direction in directions_of(config) for role in (*direction.inputs, direction.output)}
    for role in sorted(roles & set(root.images)):
        spec, path = root.images[role], next(iter(root.rasters(role, split).values()))
        with Scene.open(path, units=spec.units) as scene:
            sample = scene.sample(_SAMPLED_PIXELS)
            try:
                to_unit_range(sample, spec.units, scene.dtype if scene.dtype == "uint8" else sample.dtype, spec.range)
            except ValueError as error:
                raise InputError(root.path / "dataset.yaml", f"{role}: {error}; {DECLARE_RANGE}") from error
    check_fid({role: image.bands for role, image in root.images.items()}, config, weights)


def empty_columns(suite: Suite, classes: Iterable[str] | None, weights: str | Path | None) -> list[str]:
    """A line for each reason for which columns of a suite get no figures.

    Args:
        classes: of the data; None where they are not known yet.
        weights: folder of published weights.

    >>> from saropt.benchmark import load_suite
    >>> empty_columns(load_suite("cran-table4"), None, None)
    ['cran-table4: the columns fid.network, fid get no figures without their weights file (weights)']
    """
    found: dict[str, list[str]] = {}
    segmenters = suite.segmenters or suite.judges or any(run.segmenters for run in suite.runs)
    known = None if classes is None else set(classes)
    for column in suite.columns:
        key, _, part = column.removesuffix(NETWORK).partition(".")
        if key not in METRICS:
            continue
        metric = METRICS[key]
        file = LPIPS_FILE if key == "lpips" else INCEPTION_FILE
        if "weights file" in metric.needs and file not in weight_files(weights):
            found.setdefault("get no figures without their weights file (weights)", []).append(column)
        elif metric.section == "segmentation" and not segmenters:
            found.setdefault("get no figures: the suite trains no segmenters", []).append(column)
        elif key in BY_CLASS and known is not None and part not in known:
            classes_there = f"the data have {', '.join(sorted(known))}" if known else "the data have no classes"
            found.setdefault(f"get no figures: {classes_there}", []).append(column)
    return [f"{suite.name}: the columns {', '.join(columns)} {why}" for why, columns in found.items()]


def check_fid(bands: Mapping[Role, Sequence[str]], config: TrainingConfig, weights: str | Path | None) -> None:
    """Refuse numbers of bands that FID cannot be had of, where the weights for FID are given.

    Args:
        bands: role -> bands of the data, of which the run's configuration may choose some.

    Raises:
        InputError: an output has other than one or three bands.

    >>> check_fid({"sar": ["VV", "VH"], "optical": ["B4", "B3", "B2"]}, TrainingConfig(method="cran"), None)
    """
    if INCEPTION_FILE not in weight_files(weights):
        return
    bands = {**bands, **config.data.bands}
    for direction in directions_of(config):
        names = bands[direction.output]
        if len(names) not in (1, 3):
            reason = f"FID is of one or three bands, {direction.output} has {', '.join(names)}: name some"
            raise InputError("data.bands", f"{reason}, or leave the weights out")
