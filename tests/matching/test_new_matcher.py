"""A new matcher is one module: commands, reports and suites take its name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plugin_files import run_with_plugin, write_plugin
from saropt.errors import InputError
from saropt.matching import Features, Sift, match_pair, match_scenes
from saropt.scenes import write_array

MATCHER = """
from saropt.matching import MATCHERS, Sift


@MATCHERS.register("half-sift")
class HalfSift(Sift):
    name = "half-sift"

    def detect(self, image, valid, limit):
        return super().detect(image, valid, limit // 2)
"""
PROGRAM = """
import sys
from saropt.benchmark import Suite
from saropt.cli import main

scene, moved, root, out = sys.argv[1:]
assert main(["match", scene, moved, "--method", "half-sift", "--transform", "translation"]) == 0
assert main(["evaluate", "s1-losangeles", "--data", root, "--out", out, "--matcher", "half-sift"]) == 0
Suite(name="s", title="t", runs=[{"name": "a", "method": "cut"}], matchers=["half-sift"], columns=("pmr.half-sift",))
"""


def test_a_new_matcher_is_one_module(texture: np.ndarray, tmp_path: Path) -> None:
    image = np.rint(1 + 254 * (texture - texture.min()) / np.ptp(texture)).astype(np.uint8)[None]
    scene = write_array(tmp_path / "scene.tif", image)
    moved = write_array(tmp_path / "moved.tif", image[:, 5:, 9:])
    root = tmp_path / "root"
    (root / "sar").mkdir(parents=True)
    (root / "optical").mkdir()
    write_array(root / "sar" / "a.tif", image)
    write_array(root / "optical" / "a.tif", np.repeat(image, 3, 0))
    (root / "splits.csv").write_text("name,split\na,test\n")
    (root / "dataset.yaml").write_text(
        "name: toy\ngsd_m: 10\nsar: {bands: [VH], units: amplitude}\noptical: {bands: [R, G, B], units: uint8}\n"
    )
    plugin = write_plugin(tmp_path / "plugin", "saropt.matchers", MATCHER)
    printed = run_with_plugin(plugin, PROGRAM, scene, moved, root, tmp_path / "out")
    assert "half-sift PMR" in printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    raw = report["matching"]["sar2opt"]["raw"]
    assert list(raw) == ["sift", "rift-like", "half-sift"]
    assert 0 < raw["half-sift"]["keypoints"] <= 250 * raw["half-sift"]["tiles"]
    assert raw["half-sift"]["ir_ed"] == 1.0


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "matcher mine: must give Features, not NoneType"),
        (
            Features(np.ones((3, 1)), np.ones((3, 4), np.float32)),
            r"points \(N, 2\) and descriptors \(N, D\), not \(3, 1\)",
        ),
        (Features(np.ones((3, 2)), np.ones((5, 4), np.float32)), r"not \(3, 2\) and \(5, 4\)"),
        (Features(np.ones((3, 2)), np.ones(3, np.float32)), r"not \(3, 2\) and \(3,\)"),
        (Features(np.full((3, 2), np.nan), np.ones((3, 4), np.float32)), "that are finite numbers"),
    ],
)
def test_a_matcher_that_gives_no_keypoints(found: object, message: str, texture: np.ndarray, tmp_path: Path) -> None:
    class Mine(Sift):
        name = "mine"

        def detect(self, image: np.ndarray, valid: np.ndarray, limit: int) -> Features:
            return found  # type: ignore[return-value]

    with pytest.raises(InputError, match=message):
        match_pair(Mine(), texture, texture, np.ones(texture.shape, bool))
    path = write_array(tmp_path / "scene.tif", texture[None])
    with pytest.raises(InputError, match=message):
        match_scenes(path, path, Mine())
