"""A suite: which methods with which settings and seeds, on which data, judged by what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from saropt.benchmark.columns import check_column
from saropt.domain import Role
from saropt.errors import InputError
from saropt.evaluation import METRICS
from saropt.evaluation.metric import metric_of
from saropt.files import read_yaml, validated
from saropt.matching import MATCHERS
from saropt.training.config import KnownRole, apply_settings, read_config

SEGMENTER_PLACE = re.compile(r"\$(\w+)_segmenter")
RUN_PLACE = "$run:"
TRAINED_MATCHER = "trained"
TRUE_IMAGES = "true images"
NETWORK = ".network"
PLACES = ("data", "matchers", "reports", "segmenters", "trainings", "translated")
"""Folders that suites share below `--out`; none of them can be a suite's own."""
GIVEN = {"engine": ("seed", "the suite's `seeds` give it"), "card": ("name", "it is the row's method")}
"""Section -> key of a row's configuration that the suite sets, and why."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Simulation(_Section):
    """Arguments of `saropt.roots.write_simulated_root`; `scene` holds fields of `saropt.simulate.SceneConfig`."""

    scenes: tuple[int, int, int]
    size: int = Field(256, ge=32)
    seed: int = Field(0, ge=0)
    units: str = "amplitude"
    bands: tuple[str, ...] = ("VV", "VH")
    looks: float = 4.4
    misregistration_px: float = 0.0
    misregistration_subpixel: bool = False
    misregistration_test: bool = False
    scene: dict[str, Any] = Field(default_factory=dict)


class Scale(_Section):
    """The scale of published figures.

    Attributes:
        bands: how many bands they are of.
        range: what [0, 1] was, in the words of `saropt.evaluation.network_values.scale_of`; None where the source does
            not say.
    """

    bands: int = Field(ge=1)
    range: str | None = None


class Published(_Section):
    """A paper's figures on one data set.

    Attributes:
        scale: output role -> scale of all figures of image quality.
        note: what a reader of the figures must know.
        rows: row -> direction -> metric -> figure.
    """

    scale: dict[KnownRole, Scale] = Field(default_factory=dict)
    note: str = ""
    rows: dict[str, dict[str, dict[str, float]]]


class RunSpec(_Section):
    """One row: a method and what sets it apart.

    Attributes:
        name: the row's name.
        method: a registered method.
        preset: a preset of the method that lies below the suite's `base`.
        config: over the suite's `base`, sections as in a training preset. "$run:ROW" stands for the translator of an
            earlier row with the same seed.
        simulate: over the suite's simulation, where the rows differ in their data.
        segmenters: over the suite's segmenters, where the rows differ in what guides and judges them.
        tested_on: the SAR band that a row of one SAR band is tested on in place of its own; `polarisations` sets it.
    """

    name: str
    method: str
    preset: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    simulate: dict[str, Any] = Field(default_factory=dict)
    segmenters: dict[KnownRole, dict[str, Any]] = Field(default_factory=dict)
    tested_on: str | None = None


class Suite(_Section):
    """A benchmark suite.

    Attributes:
        simulate: simulated data to use when no data root is given.
        segmenters: role -> configuration of a segmenter of its images, which is trained first; rows name it as
            "$sar_segmenter", "$optical_segmenter" and so on.
        judges: the same for segmenters that only judge translated images; the `segmenters` do it when there are none.
        translated: roles whose judges learn from what the row makes of the train and val splits, not from true images.
        matchers: registered matchers (`saropt.matching.MATCHERS`) that match translations with the truth.
        matcher: configuration of a matcher to train first that does it too, under the name "trained".
        best_by: column by which each row shows its best seed, in place of the mean over seeds.
        across: whether the rows of each of several data roots are scored on all the others as well.
        polarisations: whether each row is trained on each SAR band alone, tested on that and on each of the others, and
            trained on all bands together.
        base: configuration of all rows.
        columns: metrics of the table, in order; "class_iou.NAME" and "class_accuracy.NAME" are of one class,
            "fid_by_n.500" is of the first 500 tiles, "pmr.NAME", "ir.NAME" and "ir_ed.NAME" of a matcher (sift,
            rift-like, trained, or one of published figures only), "pixel_accuracy_real" of the true images as the
            row's segmenters see them; "psnr.network" and so on are of network values
            (`saropt.evaluation.network_values`).
        costs: row, or "discriminators" -> published parameters (M) and operations (G) of both directions together;
            they stand below the table beside those that are counted (`saropt.benchmark.costs`).
        published: data set -> the paper's figures. They are found by the name in the data's dataset.yaml; those of the
            data set "unnamed", which the paper does not name, stand below every table.

    >>> load_suite("ci-smoke").columns
    ('psnr', 'ssim', 'mae', 'collapse_ratio', 'pixel_accuracy')
    """

    name: str
    title: str
    source: str = ""
    simulate: Simulation | None = None
    split: Literal["train", "val", "test"] = "test"
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    segmenters: dict[KnownRole, dict[str, Any]] = Field(default_factory=dict)
    judges: dict[KnownRole, dict[str, Any]] = Field(default_factory=dict)
    translated: tuple[KnownRole, ...] = ()
    matchers: tuple[str, ...] = ()
    matcher: dict[str, Any] | None = None
    best_by: str | None = None
    across: bool = False
    polarisations: bool = False
    base: dict[str, Any] = Field(default_factory=dict)
    runs: tuple[RunSpec, ...] = Field(min_length=1)
    columns: tuple[str, ...] = Field(("psnr", "ssim", "mae", "collapse_ratio"), min_length=1)
    costs: dict[str, tuple[float, float]] = Field(default_factory=dict)
    published: dict[str, Published] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, value: str) -> str:
        _check_plain(value)
        if value.casefold() in PLACES:
            raise ValueError(f"{value!r} is a folder that suites share: choose another name")
        return value

    @field_validator("columns")
    @classmethod
    def _columns_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for column in value:
            check_column(column.removesuffix(NETWORK))
        return value

    @field_validator("matchers")
    @classmethod
    def _matchers_are_registered(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            MATCHERS[name]
        return value

    @model_validator(mode="after")
    def _rows_are_distinct(self) -> Suite:
        names = [run.name for run in self.runs]
        if not all(name.strip() and name.isprintable() for name in names):
            raise ValueError("a run has no name, or one that cannot be printed")
        if len(set(names)) < len(names):
            raise ValueError("two runs have one name")
        if self.best_by is not None and self.best_by not in self.columns:
            raise ValueError(f"best_by: {self.best_by!r} is no column of the suite")
        metric = None if self.best_by is None else metric_of(self.best_by)
        if self.best_by is not None and (metric is None or not metric.better):
            raise ValueError(f"best_by: no value of {self.best_by!r} is better than another")
        if set(self.translated) - set(self.judges):
            raise ValueError("translated: the suite has no judges of these roles")
        unknown = {row for figures in self.published.values() for row in figures.rows} - {*names, TRUE_IMAGES}
        if unknown:
            raise ValueError(f"published figures of rows that do not exist: {', '.join(sorted(unknown))}")
        for position, run in enumerate(self.runs):
            for needed in self.needed(run):
                if needed not in names[:position]:
                    raise ValueError(f"{run.name!r} starts from {needed!r}, which is no earlier row")
        for where, values in (("base", self.base), *((repr(run.name), run.config) for run in self.runs)):
            for section, (key, why) in GIVEN.items():
                if isinstance(values.get(section), dict) and key in values[section]:
                    raise ValueError(f"{where} sets {section}.{key}: {why}")
        return self

    @model_validator(mode="after")
    def _columns_have_their_matcher(self) -> Suite:
        names = {MATCHERS[matcher]().name for matcher in self.matchers}
        names |= set() if self.matcher is None else {TRAINED_MATCHER}
        published = [by for figures in self.published.values() for by in figures.rows.values()]
        cells = [c for by in published for found in by.values() for c in found]
        names |= {column.partition(".")[2] for column in cells}
        rates = matching_rates()
        for column in self.columns:
            rate, _, name = column.partition(".")
            if rate in rates and name not in names:
                raise ValueError(f"column {column!r} is of a matcher that the suite does not have")
        return self

    @property
    def on_network_values(self) -> bool:
        """Whether a column is of network values."""
        return any(column.endswith(NETWORK) for column in self.columns)

    def needed(self, run: RunSpec) -> list[str]:
        """The rows that a row starts from."""
        return rows_named(merged(self.base, run.config))

    def row(self, name: str) -> RunSpec:
        """The row of this name."""
        return next(run for run in self.runs if run.name == name)


def _check_plain(name: str) -> None:
    """Refuse what cannot be the name of one folder.

    Raises:
        ValueError: it is empty, hidden, or holds a slash or a sign that cannot be printed.
    """
    if not name.strip() or name.startswith(".") or set(name) & set("/\\") or not name.isprintable():
        raise ValueError(f"{name!r} is no name of a folder: it must be one word or more without slashes")


def matching_rates() -> list[str]:
    """The metrics that are of one matcher each."""
    return [key for key, metric in METRICS.items() if metric.section == "matching"]


def list_suites() -> dict[str, Path]:
    """Name -> file of the suites in the package.

    >>> "ci-smoke" in list_suites()
    True
    """
    folder = Path(str(files("saropt.benchmark"))) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_suite(suite: str | Path, settings: Sequence[str] = ()) -> Suite:
    """A shipped suite by name, or one from a file.

    A suite may `include: NAME` the keys of a file in suites/shared, or of one beside it; its own keys lie over them.

    Args:
        settings: dotted assignments over the suite, such as "base.engine.max_steps=10" or
            "segmenters.sar.network=unet".

    Raises:
        InputError: no such suite, or a file that does not fit; one line.

    >>> load_suite("sgcl-table1").title
    "SGCL's Table 1: methods on WHU-OPT-SAR"
    """
    shipped = list_suites()
    path = shipped.get(str(suite), Path(suite))
    if not path.is_file():
        raise InputError(suite, f"is neither a file nor a shipped suite ({', '.join(shipped)})")
    values = read_yaml(path)
    if "include" in values:
        included = path.parent / "shared" / f"{values['include']}.yaml"
        below = included if included.is_file() else path.parent / str(values["include"])
        values = merged(read_yaml(below), {key: value for key, value in values.items() if key != "include"})
    apply_settings(values, settings)
    return validated(Suite, values, path)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mappings merged key by key."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def row_values(suite: Suite, run: RunSpec) -> dict[str, Any]:
    """The configuration of a row before places are filled: its preset, the suite's base, and its own settings.

    Raises:
        InputError: there is no such preset, or it is of another method.
    """
    values = suite.base
    if run.preset is not None:
        preset = read_config(run.method, Path(run.preset), []).model_dump(mode="json", exclude_unset=True)
        values = merged(preset, values)
    return merged(values, run.config | {"method": run.method})


def rows_named(value: Any) -> list[str]:
    """The rows that a configuration names as "$run:ROW"."""
    if isinstance(value, dict):
        return [name for entry in value.values() for name in rows_named(entry)]
    return [value.removeprefix(RUN_PLACE)] if isinstance(value, str) and value.startswith(RUN_PLACE) else []


def placed(value: Any, segmenters: dict[Role, Path], runs: dict[str, Path]) -> Any:
    """`value` with the places of segmenters and of other rows' translators filled in.

    Raises:
        InputError: a segmenter is asked for that the suite does not train.
    """
    if isinstance(value, dict):
        return {key: placed(entry, segmenters, runs) for key, entry in value.items()}
    if isinstance(value, str) and (found := SEGMENTER_PLACE.fullmatch(value)):
        if found[1] not in segmenters:
            raise InputError(value, "the suite trains no such segmenter")
        return str(segmenters[found[1]])
    if isinstance(value, str) and value.startswith(RUN_PLACE):
        return str(runs[value.removeprefix(RUN_PLACE)])
    return value
