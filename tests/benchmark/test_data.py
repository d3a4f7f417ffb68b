"""Suites and their data: what changed is trained anew, and a row that fails leaves the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import rasterio
import yaml

from saropt.benchmark import Suite, run_suite
from saropt.benchmark.data_key import content_key, scenes_key
from saropt.cli import main
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.training import Loop

NETWORK = {"network": "naf_unet", "network_arguments": {"width": 8, "encoder": [1], "decoder": [1], "middle": 1}}
SIMULATED = {"scenes": (2, 1, 2), "size": 64, "bands": ("VH",)}
BASE = {
    "arguments": NETWORK,
    "data": {"crop": 32, "batch_size": 1},
    "engine": {"max_steps": 2, "validate_every": 0, "sample_every": 0, "ema": 0, "log_every": 1},
}


def suite(*runs: dict, **changes) -> dict:
    return {"name": "own", "title": "t", "base": BASE, "runs": list(runs), "columns": ["psnr"], **changes}


ONE = {"name": "one", "method": "regression"}


@pytest.fixture
def root(tmp_path) -> Path:
    """A data root whose optical images are not compressed, so that their size says nothing of their pixels."""
    root = write_simulated_root(tmp_path / "root", **SIMULATED)
    for path in (root / "optical").iterdir():
        rewrite(path, 1)
    return root


def rewrite(path: Path, divisor: int) -> None:
    with rasterio.open(path) as file:
        values, profile = file.read() // divisor, file.profile
    path.unlink()
    plain = {key: profile[key] for key in ("width", "height", "count", "dtype", "crs", "transform", "nodata")}
    with rasterio.open(path, "w", driver="GTiff", **plain) as file:
        file.write(values.astype(profile["dtype"]))


def trainings(out: Path) -> set[Path]:
    return set((out / "trainings").glob("regression-*"))


def test_changed_pixels_of_the_same_size_are_other_data(root, tmp_path):
    out, made = tmp_path / "out", DataRoot.open(root)
    run_suite(Suite(**suite(ONE)), out, root, accelerator="cpu")
    first, before = trainings(out), content_key(made)
    copied = shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    run_suite(Suite(**suite(ONE)), out, copied, accelerator="cpu")
    assert trainings(out) == first, "a copy is the same data"
    for path in (root / "optical").iterdir():
        rewrite(path, 2)
    assert content_key(made) != before
    run_suite(Suite(**suite(ONE)), out, root, accelerator="cpu")
    assert len(trainings(out)) == 2


def test_rows_with_other_simulated_training_pairs_share_their_scenes(tmp_path):
    shifted = {**ONE, "name": "shifted", "simulate": {"misregistration_px": 4.0}}
    other = {**ONE, "name": "other", "simulate": {"seed": 9}}
    table = run_suite(Suite(**suite(ONE, shifted, other, simulate=SIMULATED)), tmp_path, accelerator="cpu")
    assert table.sets == 3
    ranks = {row.name: row.cells["sar2opt"]["psnr"].rank for row in table.rows if row.kind == "method"}
    assert ranks["other"] is None
    assert {ranks["one"], ranks["shifted"]} <= {1, 2}
    keys = {scenes_key(DataRoot.open(path), "test") for path in (tmp_path / "data").iterdir() if path.is_dir()}
    assert len(keys) == 2


def test_a_row_that_diverges_leaves_the_others_and_is_named(root, tmp_path, capsys):
    wild = {"name": "wild", "method": "regression", "config": {"arguments": {"learning_rate": 1e30}}}
    engine = {**BASE["engine"], "max_steps": 6}
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(suite(wild, ONE, base={**BASE, "engine": engine})))
    assert main(["benchmark", str(path), "--data", str(root), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("saropt: error: own: wild, seed 0: ")
    assert said.err.count("\n") == 1
    assert "losses stopped being finite" in said.err
    text = (tmp_path / "out" / "own" / "table.md").read_text()
    assert "| one | " in text
    assert "| wild (failed) | – |" in text


def test_a_row_that_starts_from_a_failed_one_says_so_and_the_failed_one_is_tried_once(root, tmp_path, monkeypatch):
    tried, train = [], Loop.run

    def run(loop, *arguments):
        tried.append(loop.folder)
        return train(loop, *arguments)

    monkeypatch.setattr(Loop, "run", run)
    wild = {"name": "wild", "method": "regression", "config": {"arguments": {"learning_rate": 1e30}}}
    later = [{**ONE, "name": name, "config": {"arguments": {"start": "$run:wild"}}} for name in ("second", "third")]
    rows = suite(wild, *later, base={**BASE, "engine": {**BASE["engine"], "max_steps": 6}})
    failed = run_suite(Suite(**rows), tmp_path, root, only=["second", "third"], accelerator="cpu").failed
    assert "losses stopped being finite" in failed[0]
    assert failed[0].startswith("wild, seed 0: ")
    assert failed[1:] == tuple(f"{name}, seed 0: starts from wild, which failed" for name in ("second", "third"))
    assert len(tried) == 1


def test_columns_without_figures_are_told_before_the_training(root, tmp_path):
    told = []
    columns = ["psnr", "lpips", "class_iou.water"]
    run_suite(Suite(**suite(ONE, columns=columns)), tmp_path, root, only=[], accelerator="cpu", tell=told.append)
    assert told == [
        "own: the columns lpips get no figures without their weights file (weights)",
        "own: the columns class_iou.water get no figures: the suite trains no segmenters",
    ]


def test_names_of_data_stay_inside_the_folder_of_the_suite(tmp_path):
    roots = []
    for number, name in enumerate(("../../outside", "sen1/2")):
        roots.append(write_simulated_root(tmp_path / f"root{number}", **SIMULATED, seed=number))
        description = yaml.safe_load((roots[-1] / "dataset.yaml").read_text())
        (roots[-1] / "dataset.yaml").write_text(yaml.safe_dump(description | {"name": name}))
    run_suite(Suite(**suite(ONE)), tmp_path / "a" / "out", roots, only=[], accelerator="cpu")
    assert sorted(path.parent.name for path in (tmp_path / "a" / "out" / "own").rglob("table.md")) == [
        "_._.._outside",
        "own",
        "sen1_2",
    ]
    assert not (tmp_path / "outside").exists()
