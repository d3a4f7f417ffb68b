"""A new metric is one module: it appears wherever metrics are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_roots import make_root

from plugin_files import run_with_plugin, write_plugin
from saropt.errors import InputError
from saropt.evaluation import METRICS, ImageQuality, Metric, Subject, Tile, conventions, register_metric

METRIC = """
from saropt.evaluation import Metric, register_metric

register_metric(
    Metric(
        "largest_error",
        "largest error",
        "largest absolute error of a tile, then mean over tiles",
        digits=4,
        better=-1,
        tile=lambda tile: abs(tile.output.values - tile.truth.values).max(),
    )
)
"""
PROGRAM = """
import copy, json, sys
from saropt.benchmark import RowReports, Suite, build_table
from saropt.cli import main

root, out = sys.argv[1:]
assert main(["evaluate", "s1-losangeles", "--data", root, "--out", out]) == 0
report = json.loads(open(out + "/report.json").read())
worse = copy.deepcopy(report)
worse["models"][0]["directions"]["sar2opt"]["largest_error"] += 1
runs = [{"name": name, "method": "cut"} for name in ("good", "bad")]
suite = Suite(name="s", title="t", runs=runs, columns=("largest_error",))
rows = {name: RowReports({0: found}, "data", "scenes") for name, found in (("bad", worse), ("good", report))}
print(build_table(suite, rows).markdown())
"""


def test_a_new_metric_is_one_module(tmp_path: Path) -> None:
    root = make_root(tmp_path, {"a": "train", "b": "test"})
    plugin = write_plugin(tmp_path / "plugin", "saropt.metrics", METRIC)
    printed = run_with_plugin(plugin, PROGRAM, root, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    figures = report["models"][0]["directions"]["sar2opt"]
    assert 0 < figures["largest_error"] <= 1
    assert figures["std"]["largest_error"] == 0
    assert 0 < report["baselines"]["sar2opt"]["train_mean"]["largest_error"] <= 1
    assert report["conventions"]["largest_error"] == "largest absolute error of a tile, then mean over tiles"
    text = f"{figures['largest_error']:.4f}"
    html = (tmp_path / "out" / "report.html").read_text()
    assert "largest error ↓" in html
    assert f">{text}<" in html
    terminal, _, suite = printed.partition("wrote ")
    assert "largest error" in terminal
    assert text in terminal
    assert "SAR→OPT largest error" in suite
    assert f"| good | **{text}** |" in suite, "less is better, as the metric says"


def test_conventions_are_those_of_the_registry() -> None:
    found = conventions({"matching": "how matching goes"})
    of_sections = {key for key, metric in METRICS.items() if metric.section not in ("", "matching")}
    assert set(METRICS) - of_sections <= set(found)
    assert not of_sections & set(found)
    assert found["matching"] == "how matching goes"
    assert found["fid"].endswith("needs weights file, one or three bands")


def test_a_metric_says_how_it_is_measured() -> None:
    with pytest.raises(ValueError, match="'none' must have one of tile, split and section"):
        Metric("none", "none", "nothing")
    with pytest.raises(ValueError, match="metric 'psnr' is registered twice"):
        register_metric(Metric("psnr", "PSNR", "again", section="matching"))


def measured(monkeypatch: pytest.MonkeyPatch, **how: Any) -> dict[str, Any]:
    """The figures of one tile of two bands, with a metric `mine` more."""
    monkeypatch.setitem(METRICS._items, "mine", Metric("mine", "mine", "for a test", **how))
    quality = ImageQuality(Subject(["a", "b"]))
    quality.add(Tile.of(np.full((2, 16, 16), 0.5), np.zeros((1, 16, 16)), np.ones((2, 16, 16))))
    return quality.figures()


@pytest.mark.parametrize(
    ("given", "per_band", "message"),
    [
        (None, False, "metric mine: must give one number for a tile, not None"),
        ("1", False, "must give one number for a tile, not '1'"),
        (1j, False, "must give one number for a tile, not 1j"),
        (np.zeros((2, 16, 16)), False, r"one number for a tile, not an array of shape \(2, 16, 16\)"),
        (np.zeros(3), True, r"must give 2 numbers \(one for each band\) for a tile, not an array of shape \(3,\)"),
        (1.0, True, r"must give 2 numbers \(one for each band\) for a tile, not 1\.0"),
        ("12", True, "must give 2 numbers"),
        ({1: 1.0, 2: 2.0}, True, "must give 2 numbers"),
    ],
)
def test_a_metric_that_gives_no_numbers(
    given: Any, per_band: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=message):
        measured(monkeypatch, tile=lambda tile: given, per_band=per_band)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "metric mine: its accumulator must give figures by name, not None"),
        ({"mine": "good"}, "its accumulator must give a number for mine, not 'good'"),
        ({"mine": 1.0, "n": 2, "psnr": 99.0}, "its accumulator gives n, psnr, which the report has already"),
    ],
)
def test_an_accumulator_that_gives_no_figures(given: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine:
        def add(self, tile: Tile) -> None: ...
        def figures(self) -> Any:
            return given

    with pytest.raises(InputError, match=message):
        measured(monkeypatch, split=lambda subject: Mine())


def test_numbers_of_any_kind_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(monkeypatch, tile=lambda tile: np.float32(0.5))["mine"] == 0.5
    assert measured(monkeypatch, tile=lambda tile: torch.tensor(2))["mine"] == 2.0
    assert measured(monkeypatch, tile=lambda tile: [1, np.int64(2)], per_band=True)["mine"] == {"a": 1.0, "b": 2.0}


def test_names_that_a_report_needs_are_no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    own = set(measured(monkeypatch, tile=lambda tile: 1.0)) - set(METRICS) - {"distributions"}
    for key in {*own, "warnings", "seed"}:
        with pytest.raises(ValueError, match=f"metric '{key}' needs another name"):
            register_metric(Metric(key, "t", "c", tile=lambda tile: 1.0))
