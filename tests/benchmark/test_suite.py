"""Suites: what they may say, and what a file that says something else is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from saropt.benchmark import Suite, list_suites, load_suite
from saropt.benchmark.suite import merged, placed, rows_named
from saropt.domain import Direction
from saropt.errors import InputError
from saropt.methods import get_method
from saropt.training import TrainingConfig

SMALL = {"name": "s", "title": "t", "runs": [{"name": "a", "method": "cut"}]}


@pytest.mark.parametrize("name", list_suites())
def test_shipped_suites_hold_rows_that_can_be_trained(name):
    suite = load_suite(name)
    assert suite.name == name
    segmenters = {modality: Path("segmenter.safetensors") for modality in suite.segmenters}
    for run in suite.runs:
        starts = {name: Path("translator.safetensors") for name in rows_named(run.config)}
        values = placed(merged(suite.base, {**run.config, "method": run.method}), segmenters, starts)
        config = TrainingConfig.model_validate(values)
        get_method(config.method).config_type(**config.arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "colour: Extra inputs"),
        ({"runs": []}, "runs: "),
        ({"runs": [{"name": "a", "method": "cut"}] * 2}, "two runs have one name"),
        ({"published": {"data": {"rows": {"b": {}}}}}, "rows that do not exist: b"),
        ({"columns": ["pmr.trained"]}, "'pmr.trained' is of a matcher that the suite does not have"),
        ({"columns": ["ir.rift-like"], "matchers": ["sift"]}, "'ir.rift-like' is of a matcher"),
        ({"name": "../up"}, "'../up' is no name of a folder"),
        ({"name": ""}, "'' is no name of a folder"),
        ({"name": "Reports"}, "'Reports' is a folder that suites share"),
        ({"columns": []}, "columns: Tuple should have at least 1 item"),
        ({"columns": ["psrn"]}, "column 'psrn' is no metric: is psnr meant?"),
        ({"columns": ["class_iou"]}, "holds a figure for each class: name one"),
        ({"columns": ["psnr.B4"]}, "psnr has no parts"),
        ({"base": {"engine": {"seed": 5}}}, "base sets engine.seed: the suite's `seeds` give it"),
        (
            {"runs": [{"name": "a", "method": "cut", "config": {"card": {"name": "x"}}}]},
            "'a' sets card.name: it is the row's method",
        ),
        ({"base": {"arguments": {"start": "$run:a"}}}, "'a' starts from 'a', which is no earlier row"),
        ({"best_by": "fid"}, "best_by: 'fid' is no column of the suite"),
        *(
            ({"best_by": column, "columns": [column]}, f"best_by: no value of {column!r} is better than another")
            for column in ("sharpness", "bias_per_band.B4", "collapse_ratio", "std.psnr", "n")
        ),
        ({"translated": ["sar"]}, "translated: the suite has no judges of these roles"),
        ({"matchers": ["orb"]}, "matchers: Value error, unknown matcher 'orb'; known: rift, sift"),
        (
            {"runs": [{"name": "a", "method": "cran-refine", "config": {"arguments": {"start": "$run:b"}}}]},
            "starts from 'b', which is no earlier row",
        ),
    ],
)
def test_a_wrong_suite_is_told_in_one_line(changes, message, tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}))
    with pytest.raises(InputError, match=message) as caught:
        load_suite(path)
    assert "\n" not in str(caught.value)


def test_published_figures_stand_in_columns():
    for name in list_suites():
        suite = load_suite(name)
        for published in suite.published.values():
            by_direction = list(published.rows.values())
            assert {m for by in by_direction for figures in by.values() for m in figures} <= set(suite.columns), name
            roles = {Direction.parse(direction).output for by in by_direction for direction in by}
            assert roles <= set(published.scale), f"{name}: a scale is part of every published row"


def test_an_unknown_suite_names_the_shipped_ones():
    with pytest.raises(InputError, match="ci-smoke"):
        load_suite("nothing")


def test_merged_goes_into_sections_and_leaves_the_base():
    base = {"data": {"crop": 64, "flips": True}, "method": "cut"}
    assert merged(base, {"data": {"crop": 32}}) == {"data": {"crop": 32, "flips": True}, "method": "cut"}
    assert base["data"]["crop"] == 64


def test_places_are_filled():
    values = {"arguments": {"sar_segmenter": "$sar_segmenter", "start": "$run:first", "other": "x"}}
    assert rows_named(values) == ["first"]
    filled = placed(values, {"sar": Path("a/b")}, {"first": Path("c")})
    assert filled == {"arguments": {"sar_segmenter": "a/b", "start": "c", "other": "x"}}
    with pytest.raises(InputError, match="trains no such segmenter"):
        placed(values, {}, {})


def test_columns_of_details_parts_and_network_values_are_known():
    columns = ["psnr.network", "class_iou.water", "rmse_per_band.B4", "fid_by_n.500.network", "std.psnr", "n"]
    assert Suite(**SMALL, columns=columns).columns == tuple(columns)
