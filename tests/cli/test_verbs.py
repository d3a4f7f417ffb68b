"""Every verb from end to end on small data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from saropt.cli import main
from saropt.scenes import Scene


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_simulated_root_is_described(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "inspect", data_root) == 0
    out = capsys.readouterr().out
    for words in ("train 2, val 1, test 1", "sigma0_db", "128x128", "float32", "EPSG:32611", "built-up", "0.00%"):
        assert words in out


def test_raster_is_described(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from saropt.scenes import write_array

    values = np.linspace(-30, 0, 100 * 200, dtype=np.float32).reshape(1, 100, 200)
    values[:, :25] = -99
    write_array(tmp_path / "scene.tif", values, band_names=["VV"], nodata=-99)
    assert run("data", "inspect", tmp_path / "scene.tif") == 0
    rows = capsys.readouterr().out.splitlines()
    facts = {row[:15].strip(): row[15:].strip() for row in rows}
    assert facts["size"] == "200x100 pixels"
    assert facts["units that fit"] == "sigma0_db, gamma0_db"
    assert facts["invalid pixels"] == "25.00%"
    assert facts["nodata"] == "-99"
    low, high = (float(row.split()[column]) for row in rows if row.startswith(" VV") for column in (1, 5))
    assert (low, high) == pytest.approx((-22.5, 0), abs=0.01)


def test_mismatched_pair_is_named(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from saropt.scenes import write_array

    root = tmp_path / "root"
    shutil.copytree(data_root, root)
    write_array(root / "optical" / "val_000.tif", np.zeros((3, 128, 100), np.uint8), overwrite=True)
    assert run("data", "inspect", root) == 2
    assert "val_000.tif: SAR and optical are not on one grid" in capsys.readouterr().err


def test_train_writes_a_run_folder(run_folder: Path) -> None:
    names = {path.name for path in run_folder.iterdir()}
    assert {"config.yaml", "checkpoint.pt", "translator.safetensors", "translator.onnx", "metrics.jsonl"} <= names
    assert json.loads((run_folder / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 6


def test_training_is_resumed_with_its_own_config(run_folder: Path, data_root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run_folder, copy)
    assert run("train", "regression", data_root, "--out", copy, "--max-steps", 8, "--device", "cpu", "--resume") == 0
    assert json.loads((copy / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 8


@pytest.mark.parametrize("form", ["translator.onnx", "translator.safetensors", ""])
def test_translate(
    form: str, run_folder: Path, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, out = data_root / "sar" / "test_000.tif", tmp_path / "out.tif"
    assert run("translate", scene, out, "--model", run_folder / form, "--tile", 64) == 0
    assert "A model's guess, not a measurement".lower() in capsys.readouterr().out.lower()
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]
    with Scene.open(scene) as given, Scene.open(out) as made:
        assert (made.width, made.height, made.count, made.dtype) == (128, 128, 3, "uint8")
        assert made.georeference == given.georeference
        first = made.read()[0]
        assert first.std() > 0
    assert run("translate", scene, out, "--model", run_folder / form) == 2
    assert run("translate", scene, out, "--model", run_folder / form, "--overwrite", "--bands", "1") == 0
    with Scene.open(out) as made:
        assert np.abs(made.read()[0] - first).max() <= 1


def test_evaluate(run_folder: Path, data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", run_folder, "--data", data_root, "--out", tmp_path / "report"]
    assert run(*arguments) == 0
    out = capsys.readouterr().out
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    scores = report["models"][0]["directions"]["sar2opt"]
    assert f"{scores['psnr']:.2f}" in out
    assert all(name in out for name in ("tiny", "train_mean", "linear", "histogram_match", "image_mean_oracle"))
    assert (tmp_path / "report" / "report.html").stat().st_size > 1000
    assert run(*arguments) == 2
    assert run(*arguments, "--overwrite") == 0


def test_methods(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("methods") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("compact", "pix2pix", "regression", "CVPR 2017"))
    assert run("methods", "sgcl") == 0, "its defaults alone are no valid config: segmenters are missing"
    assert "lambda_sc: 1.0" in capsys.readouterr().out
    assert run("methods", "pix2pix") == 0
    assert "lambda_l1: 100.0" in capsys.readouterr().out


def test_models_lists_local_files(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("translator.onnx", "translator.safetensors"):
        shutil.copy(run_folder / name, tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"nonsense")
    monkeypatch.chdir(tmp_path)
    assert run("models") == 0
    rows = capsys.readouterr().out.splitlines()
    assert sum("sar2opt" in row and "VH (sigma0_db)" in row for row in rows) >= 2
    assert any("broken.onnx" in row and "cannot be used" in row for row in rows)
    assert run("models", "translator.onnx") == 0
    out = capsys.readouterr().out
    assert "split train, 6 steps, seed 0" in out
    assert "naf_unet" in out


def test_run_is_exported_and_translates(run_folder: Path, data_root: Path, tmp_path: Path) -> None:
    assert run("export", run_folder, tmp_path / "int8.onnx", "--int8", "--data", data_root) == 0
    scene = data_root / "sar" / "test_000.tif"
    for model, out in ((run_folder, "a.tif"), (tmp_path / "int8.onnx", "b.tif")):
        assert run("translate", scene, tmp_path / out, "--model", model) == 0
    with Scene.open(tmp_path / "a.tif") as single, Scene.open(tmp_path / "b.tif") as eight_bit:
        difference = np.abs(single.read()[0] - eight_bit.read()[0])
    assert 0 < difference.mean() < 10


def test_export_that_has_nothing_to_do_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "s1-losangeles", tmp_path / "out.onnx") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
