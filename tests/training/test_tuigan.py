"""TuiGAN from a run to translated scenes: one batch, one device, two directions, images it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from saropt import Translator
from saropt.cli import main
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene, write_array
from saropt.training import Loop, TranslatorTask, read_config


@pytest.fixture(scope="module")
def run(db_root, new_config, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "two-images"
    Loop(TranslatorTask, new_config("tuigan"), DataRoot.open(db_root), folder, accelerator="cpu").run()
    return folder


def test_every_step_gets_the_same_windows(db_root, new_config):
    first, other = (
        TranslatorTask(new_config("tuigan", engine={"seed": seed}), DataRoot.open(db_root)) for seed in (0, 1)
    )
    batches = [first.draw(step, 0) for step in (0, 1, 2, 5)]
    assert all(torch.equal(batch["sar"], batches[0]["sar"]) for batch in batches)
    assert all(torch.equal(batch["optical"], batches[0]["optical"]) for batch in batches)
    assert not torch.equal(other.draw(0, 0)["sar"], batches[0]["sar"])


def test_one_device_only(db_root, new_config):
    with pytest.raises(InputError, match="devices=2: tuigan learns from one batch"):
        TranslatorTask(new_config("tuigan"), DataRoot.open(db_root), processes=2)


def test_translates_a_scene_of_another_size(run, tmp_path):
    """Odd sides, both directions; any tiling gives the same pixels, in torch and in the static graph."""
    fields = np.random.default_rng(3).normal(-12.0, 3.0, (2, 301, 187)).astype(np.float32)
    write_array(tmp_path / "scene.tif", fields, band_names=["VV", "VH"])
    found = []
    for backend in ("onnx", "torch"):
        translator = Translator.load(run, direction="sar2opt", backend=backend)
        assert translator.exact
        assert translator.path.suffix == (".onnx" if backend == "onnx" else ".safetensors")
        for tile in (64, 1024):
            out = translator.translate(tmp_path / "scene.tif", tmp_path / "out.tif", tile=tile, overwrite=True)
            with Scene.open(out) as made:
                assert (made.count, made.height, made.width, made.dtype) == (3, 301, 187, "uint8")
                found.append(made.read()[0])
    assert found[0].std() > 0
    assert all(np.abs(other - found[0]).max() <= 1 for other in found[1:])
    back = Translator.load(run, direction="opt2sar")
    assert back.translate_array(np.full((3, 70, 90), 99, np.uint8)).shape == (2, 70, 90)


def test_both_directions_are_loaded(run):
    for model in (run, run / "translator.safetensors"):
        assert [t.direction for t in Translator.load_all(model)] == ["sar2opt", "opt2sar"]
    (only,) = Translator.load_all(run / "translator-opt2sar.onnx")
    assert only.direction == "opt2sar"
    assert Translator.load_all(run)[0].path == run / "translator-sar2opt.onnx"
    assert Translator.load_all(run, backend="torch")[0].path == run / "translator.safetensors"
    with pytest.raises(InputError, match=r"sar2opt, opt2sar \(direction=\.\.\. chooses one\)") as caught:
        Translator.load(run)
    assert caught.value.command_line_text().endswith("sar2opt, opt2sar (--to=optical|sar chooses one)")


@pytest.mark.parametrize("form", ["", "translator.safetensors", "translator-sar2opt.onnx"])
def test_evaluate_measures_every_direction_of_a_file(form, run, db_root, tmp_path, capsys):
    assert main(["evaluate", str(run / form), "--data", str(db_root), "--out", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    (model,) = report["models"]
    directions = ["sar2opt"] if form.endswith("onnx") else ["sar2opt", "opt2sar"]
    assert (model["model"], list(model["directions"]), list(report["baselines"])) == (
        "two-images",
        directions,
        directions,
    )
    assert all(0 < scores["mae"] < 1 for scores in model["directions"].values())
    printed = capsys.readouterr().out
    page = (tmp_path / "report" / "report.html").read_text()
    for direction, title in (("sar2opt", "SAR to optical"), ("opt2sar", "Optical to SAR")):
        assert (f"{direction}, toy" in printed) is (direction in directions)
        assert (f"<h2>{title}</h2>" in page) is (direction in directions)


def test_evaluate_takes_the_files_of_both_directions_for_one_model(run, db_root, tmp_path):
    files = [str(run / f"translator-{direction}.onnx") for direction in ("sar2opt", "opt2sar")]
    assert main(["evaluate", *files, "--data", str(db_root), "--out", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [list(model["directions"]) for model in report["models"]] == [["sar2opt", "opt2sar"]]
    assert main(["evaluate", files[0], files[0], "--data", str(db_root), "--out", str(tmp_path / "twice")]) == 2


def test_the_preset_trains_on_two_images_alone(tmp_path):
    """Its documented use: one raster of the window's size on each side, and no val split."""
    root = tmp_path / "root"
    write_simulated_root(root, scenes=(1, 0, 0), size=256)
    config = read_config(
        "tuigan", Path("tuigan"), ["engine.max_steps=1", "arguments.width=2", "arguments.inner_steps=1"]
    )
    paths = Loop(TranslatorTask, config, DataRoot.open(root), tmp_path / "run", accelerator="cpu").run()
    assert paths[0].is_file()
