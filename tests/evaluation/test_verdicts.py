"""Verdicts, leaks and intervals in whole evaluations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from evaluation_roots import make_model, make_root, run
from rasterio import warp
from rasterio.crs import CRS

from saropt.evaluation.leaks import find_leaks
from saropt.evaluation.verdicts import below_constant, verdicts
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Scene, write_array

SPLITS = {"t1": "train", **{f"s{k}": "test" for k in range(6)}}


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values, 3, 0)


def half_red(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values // 2, np.full_like(values, 127), np.full_like(values, 127)])


def test_six_scenes_have_intervals_and_tests(tmp_path: Path) -> None:
    models = [make_model("half", half_red), make_model("grey", grey)]
    report = run(models, make_root(tmp_path, SPLITS), tmp_path / "out", tile=32)
    assert (report["n"], report["scenes"]) == (24, 6)
    half, copy = (entry["directions"]["sar2opt"] for entry in report["models"])
    low, high, effective = half["intervals"]["psnr"]
    assert low < half["psnr"] < high
    assert 0 < effective <= 24
    sums = half["by_scene"]["psnr"]
    assert sum(total for total, _ in sums.values()) / 24 == pytest.approx(half["psnr"])
    (test,) = [test for test in report["tests"]["sar2opt"] if {test["row"], test["other"]} == {"half", "grey"}]
    assert test["psnr"][0] > 0 > test["mae"][1]
    warning = next(text for text in copy["warnings"] if text.startswith("PSNR"))
    assert "the constant train mean" in warning
    assert "dB more)" in warning
    html = (tmp_path / "out" / "report.html").read_text()
    assert "half against grey" in html
    assert "grey †" in html


def test_rasters_of_a_group_are_one_scene(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS)
    rows = [f"{name},{split},{'one' if name in ('s0', 's1') else ''}" for name, split in SPLITS.items()]
    (root / "splits.csv").write_text("\n".join(["name,split,group", *rows]) + "\n")
    report = run([make_model("half", half_red)], root, tmp_path / "out", tile=32)
    assert report["scenes"] == 5
    assert report["models"][0]["directions"]["sar2opt"]["by_scene"]["psnr"]["group one"][1] == 8


def test_four_scenes_have_no_interval_and_a_note_says_why(tmp_path: Path) -> None:
    splits = {"t1": "train", **{f"s{k}": "test" for k in range(4)}}
    report = run([make_model("half", half_red)], make_root(tmp_path, splits), tmp_path / "out", tile=32)
    assert report["models"][0]["directions"]["sar2opt"]["intervals"] == {}
    assert any("4 scenes, and at least 5 are needed" in note for note in report["notes"])


def test_equal_pixels_in_train_and_test_are_told_and_so_is_the_model_that_saw_them(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS)
    (root / "sar" / "s3.tif").write_bytes((root / "sar" / "t1.tif").read_bytes())
    models = [make_model("half", half_red, training="toy"), make_model("grey", grey)]
    report = run(models, root, tmp_path / "out", tile=32)
    leak = "1 of 6 rasters hold pixels of the training data (s3)"
    assert any(leak in note for note in report["notes"])
    trained, other = (entry["directions"]["sar2opt"]["warnings"] for entry in report["models"])
    assert any(leak in text for text in trained)
    assert not any(leak in text for text in other)
    on_train = run([models[0]], root, tmp_path / "train", tile=32, split="train")
    assert "scored on the split 'train'" in on_train["models"][0]["directions"]["sar2opt"]["warnings"][-1]


def test_overlapping_footprints_are_told_and_neighbours_are_not(tmp_path: Path) -> None:
    root = make_root(tmp_path, {"t1": "train", "near": "test", "over": "test"})
    for name, column in (("t1", 0), ("near", 64), ("over", 32)):
        path = root / "sar" / f"{name}.tif"
        with Scene.open(path) as scene:
            values = scene.read()[0]
        transform = Affine(10.0, 0.0, 500000.0 + 10.0 * column, 0.0, -10.0, 4000000.0)
        write_array(path, values, georeference=Georeference(CRS.from_epsg(32611), transform), overwrite=True)
    data = DataRoot.open(root)
    found = find_leaks(data, data.names("test"), data, data.names("train"), "sar")
    assert found == ["1 of 2 rasters overlap the training data on the ground (over)"]


def test_groups_of_the_train_split_are_told(tmp_path: Path) -> None:
    root = make_root(tmp_path, SPLITS)
    rows = [f"{name},{split},{'one' if name in ('t1', 's0', 's4') else name}" for name, split in SPLITS.items()]
    (root / "splits.csv").write_text("\n".join(["name,split,group", *rows]) + "\n")
    report = run([make_model("half", half_red)], root, tmp_path / "out", tile=32)
    told = "The split shares places with the train split: 2 of 6 rasters are of 1 group of the training data (one)."
    assert told in report["notes"]


def test_of_many_leaks_the_first_are_named_and_the_others_counted(tmp_path: Path) -> None:
    data = DataRoot.open(make_root(tmp_path, {f"t{k}": "train" for k in range(5)}))
    found = find_leaks(data, data.names("train"), data, data.names("train"), "sar")
    assert found[0] == "5 of 5 rasters are in the training data by name (t0, t1, t2 and 2 more)"


def test_the_same_ground_in_two_utm_zones_is_told(tmp_path: Path) -> None:
    root = make_root(tmp_path, {"t1": "train", "far": "test", "same": "test"})
    for name, code, x, y in (("t1", 32632, 760000, 5000000), ("far", 32632, 800000, 5000000), ("same", 32633, 0, 0)):
        path = root / "sar" / f"{name}.tif"
        with Scene.open(path) as scene:
            values = scene.read()[0]
        if name == "same":
            (x,), (y,) = warp.transform("EPSG:32632", "EPSG:32633", [760000.0], [5000000.0])
        place = Georeference(CRS.from_epsg(code), Affine(10.0, 0.0, x, 0.0, -10.0, y))
        write_array(path, values, georeference=place, overwrite=True)
    data = DataRoot.open(root)
    found = find_leaks(data, data.names("test"), data, data.names("train"), "sar")
    assert found == ["1 of 2 rasters overlap the training data on the ground (same)"]


def test_a_figure_too_near_to_the_truth_is_doubted() -> None:
    assert "second half of a cycle" in verdicts({"psnr": 41.0}, {})[0]
    assert verdicts({"psnr": 25.0}, {}) == []


def test_rows_over_other_tiles_are_compared_over_the_tiles_of_both() -> None:
    def row(values: dict[str, float]) -> dict:
        return {
            "psnr": sum(values.values()) / len(values),
            "by_scene": {"psnr": {k: [v, 1] for k, v in values.items()}},
        }

    better = row({"easy": 25.0, "hard": 15.0})
    assert verdicts(better, {"copy_reference": row({"easy": 24.0})}) == []
    assert verdicts(better, {"copy_reference": row({"hard": 16.0})}) == [
        "PSNR 20.00 dB is below a copy of the earlier image (16.00 dB against 15.00 dB over 1 of 2 tiles, not tested)"
    ]
    assert not below_constant(better, {"train_mean": row({"easy": 24.0})})
    assert verdicts(better, {"copy_reference": row({"other": 30.0})}) == []
