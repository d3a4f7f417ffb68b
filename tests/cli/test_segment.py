"""`saropt segment` and `saropt evaluate --segmenter` from end to end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from saropt.cli import main
from saropt.scenes import Scene

TINY = ("--set", "arguments={width: 8, encoder: [1], middle: 1, decoder: [1]}")
QUICK = ("--set", "data.crop=64", "--set", "data.batch_size=2", "--set", "engine.validation_windows=2")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def segmenters(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run folders of a tiny segmenter of each modality, six steps."""
    folders = {}
    for modality in ("sar", "optical"):
        folder = folders[modality] = tmp_path_factory.mktemp("segmenters") / modality
        options = ["--modality", modality, "--network", "compact", "--max-steps", 6, "--device", "cpu", *TINY, *QUICK]
        assert run("segment", "train", data_root, "--out", folder, *options) == 0
    return folders


def test_train_and_resume(segmenters: dict[str, Path], data_root: Path, tmp_path: Path, capsys) -> None:
    folder = shutil.copytree(segmenters["sar"], tmp_path / "run")
    assert run("segment", "train", data_root, "--out", folder, "--max-steps", 8, "--device", "cpu", "--resume") == 0
    out = capsys.readouterr().out
    assert "val: pixel_accuracy" in out
    assert f"wrote {folder / 'segmenter.safetensors'}" in out
    assert json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 8


def test_predict(segmenters: dict[str, Path], data_root: Path, tmp_path: Path, capsys) -> None:
    scene, out = data_root / "sar" / "test_000.tif", tmp_path / "classes.tif"
    assert run("segment", "predict", segmenters["sar"], scene, out, "--tile", 64) == 0
    assert "water, forest" in capsys.readouterr().out
    with Scene.open(scene) as given, Scene.open(out) as made:
        assert (made.width, made.height, made.count, made.dtype) == (128, 128, 1, "uint8")
        assert made.georeference == given.georeference
        assert set(np.unique(made.read_stored()[0])) <= {1, 2, 3, 4, 5, 6}
        assert made.tags["SAROPT_CLASSES"].startswith("1=water, 2=forest")


def test_evaluate(run_folder: Path, segmenters: dict[str, Path], data_root: Path, tmp_path: Path, capsys) -> None:
    arguments = ["evaluate", run_folder, "--data", data_root, "--out", tmp_path / "report"]
    assert run(*arguments, "--segmenter", segmenters["optical"] / "segmenter.safetensors") == 0
    out = capsys.readouterr().out
    judged = json.loads((tmp_path / "report" / "report.json").read_text())["segmentation"]["sar2opt"]
    assert "segmented by optical" in out
    assert f"{judged['models']['tiny']['pixel_accuracy']:.3f}" in out
    assert "real images" in out
    assert judged["real"]["pixels"] == 128 * 128


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def check(*arguments: object) -> str:
        capsys.readouterr()
        assert run(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("saropt: error: ")
        assert err.count("\n") == 1
        return err

    return check


class TestRefusals:
    def test_train(self, refused, segmenters: dict[str, Path], data_root: Path, db_root: Path, tmp_path: Path) -> None:
        start = ["segment", "train", data_root, "--out", tmp_path / "run"]
        optical = ["--modality", "optical", "--network", "compact"]
        assert "modality: Field required" in refused(*start)
        assert "thermal" in refused(*start, "--modality", "thermal")
        assert "'vgg'" in refused(*start, "--modality", "sar", "--network", "vgg")
        assert "magic: Extra inputs" in refused(*start, *optical, "--set", "magic=1")
        assert "smaller than the training window of 256" in refused(*start, *optical)
        assert "cannot resume" in refused(*start, *optical, "--resume")
        assert "no such folder" in refused("segment", "train", tmp_path / "none", "--out", tmp_path / "run", *optical)
        unlabelled = ["segment", "train", db_root, "--out", tmp_path / "run", *optical, "--set", "data.crop=64"]
        assert "names no classes" in refused(*unlabelled)
        assert "holds a run already" in refused("segment", "train", data_root, "--out", segmenters["sar"], *optical)
        assert list(tmp_path.iterdir()) == []

    def test_predict(
        self, refused, segmenters: dict[str, Path], run_folder: Path, data_root: Path, tmp_path: Path
    ) -> None:
        scene, out = data_root / "sar" / "test_000.tif", tmp_path / "out.tif"
        translator = run_folder / "translator.safetensors"
        assert "is a translator, not a segmenter" in refused("segment", "predict", translator, scene, out)
        assert "is an .onnx file" in refused("segment", "predict", run_folder / "translator.onnx", scene, out)
        assert "no such file" in refused("segment", "predict", tmp_path / "none.safetensors", scene, out)
        assert "no such file" in refused("segment", "predict", segmenters["sar"], tmp_path / "none.tif", out)
        assert "the segmenter takes VH" in refused(
            "segment", "predict", segmenters["sar"], data_root / "optical" / "test_000.tif", out
        )
        assert "has no band 'HH'" in refused("segment", "predict", segmenters["sar"], scene, out, "--bands", "HH")
        assert "declared as amplitude" in refused(
            "segment", "predict", segmenters["sar"], scene, out, "--units", "amplitude"
        )
        assert list(tmp_path.iterdir()) == []
        model = segmenters["sar"] / "segmenter.safetensors"
        assert "is a segmenter, not a translator" in refused("translate", scene, out, "--model", model)

    def test_evaluate(
        self, refused, segmenters: dict[str, Path], run_folder: Path, data_root: Path, tmp_path: Path
    ) -> None:
        arguments = ["evaluate", run_folder, "--data", data_root, "--out", tmp_path / "report", "--segmenter"]
        assert "which no translator here makes" in refused(*arguments, segmenters["sar"])
        assert "is a translator" in refused(*arguments, run_folder / "translator.safetensors")
        assert not (tmp_path / "report").exists()
