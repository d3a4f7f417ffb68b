"""A new metric is one module: it appears wherever metrics are listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation_roots import make_root

from plugin_files import run_with_plugin, write_plugin
from saropt.evaluation import METRICS, Metric, conventions, register_metric

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
