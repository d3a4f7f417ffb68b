"""Whatever is wrong with the input: exit 2, one line, nothing left behind."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from saropt.cli import main
from saropt.scenes import write_array

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run the command line; it must refuse with one line that holds the given words."""

    def run(*arguments: object, words: tuple[str, ...] = ()) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("saropt: error: ")
        assert err.count("\n") == 1
        for word in words:
            assert word in err
        return err

    return run


def whole(path: Path) -> None:
    values = np.random.default_rng(0).normal(-12, 3, (1, 200, 200)).astype(np.float32)
    write_array(path, values, band_names=["VH"])


def truncated(path: Path) -> None:
    whole(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero_size(path: Path) -> None:
    entries = [(256, 0), (257, 0), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 0)]
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + struct.pack("<I", 0))


SCENES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such file"),
    "empty": (lambda path: path.touch(), "empty"),
    "text": (lambda path: path.write_text("not a raster"), "not a raster"),
    "truncated": (truncated, "in.tif"),
    "zero size": (zero_size, "in.tif"),
    "all nodata": (lambda path: write_array(path, np.full((1, 64, 64), -99, np.float32), nodata=-99), "no valid pixel"),
    "all NaN": (lambda path: write_array(path, np.full((1, 64, 64), np.nan, np.float32)), "no valid pixel"),
    "three bands": (lambda path: write_array(path, np.full((3, 64, 64), -9, np.float32)), "has 3 bands"),
    "other polarisation": (
        lambda path: write_array(path, np.full((1, 64, 64), -9, np.float32), band_names=["VV"]),
        "holds VV",
    ),
    "not decibels": (lambda path: write_array(path, np.full((1, 64, 64), 900, np.float32)), "--units"),
    "directory": (lambda path: path.mkdir(), "is a directory"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "no such file"),
}


@pytest.mark.parametrize("kind", SCENES)
def test_unusable_scenes(kind: str, refused: Refused, run_folder: Path, tmp_path: Path) -> None:
    make, words = SCENES[kind]
    make(tmp_path / "in.tif")
    before = sorted(tmp_path.rglob("*"))
    refused("translate", tmp_path / "in.tif", tmp_path / "out.tif", "--model", run_folder, words=(words, "in.tif"))
    assert sorted(tmp_path.rglob("*")) == before


def test_scene_without_read_permission(
    refused: Refused, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, opened = tmp_path / "in.tif", Path.open
    whole(scene)

    def guarded(path: Path, *arguments: object, **options: object) -> object:
        if path == scene:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", guarded)
    refused("translate", scene, tmp_path / "out.tif", "--model", run_folder, words=("in.tif", "permission"))
    assert list(tmp_path.iterdir()) == [scene]


def test_unusable_outputs(refused: Refused, run_folder: Path, tmp_path: Path) -> None:
    scene = tmp_path / "in.tif"
    whole(scene)
    (tmp_path / "folder.tif").mkdir()
    taken = tmp_path / "taken.tif"
    taken.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for out, words in (
        (tmp_path / "no" / "out.tif", "does not exist"),
        (tmp_path / "folder.tif", "is a directory"),
        (taken, "exists already"),
        (tmp_path / "out.jpg", "out.jpg"),
        (scene / "out.tif", "out.tif"),
        (Path("/proc/out.tif"), "/proc/out.tif"),  # a folder that even root cannot write to
    ):
        refused("translate", scene, out, "--model", run_folder, words=(words,))
        assert sorted(tmp_path.rglob("*")) == before
    assert taken.read_text() == "mine"


def test_full_disk(run_folder: Path, tmp_path: Path) -> None:
    whole(tmp_path / "in.tif")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    scene, code = str(tmp_path / "in.tif"), "import sys; from saropt.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "translate", scene, str(tmp_path / "out.tif"), "--model", str(run_folder)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("saropt: error: ")
    assert "out.tif" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]


def test_unusable_translators(refused: Refused, run_folder: Path, tmp_path: Path) -> None:
    scene, out = tmp_path / "in.tif", tmp_path / "out.tif"
    whole(scene)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes((run_folder / "translator.onnx").read_bytes()[:1000])
    for model, words in (
        ("nothing", "neither a file nor a bundled translator"),
        (tmp_path, "is a folder without"),
        (run_folder / "checkpoint.pt", "pickle"),
        (cut, "cut.onnx"),
        (scene, "in.tif"),
    ):
        refused("translate", scene, out, "--model", model, words=(words,))
        refused("models", model, words=(words,))
    refused("translate", scene, out, "--model", run_folder, "--to", "sar", words=("sar2opt",))
    refused("translate", scene, out, "--model", run_folder, "--realism", "0.5", words=("realism",))
    refused("translate", scene, out, "--model", run_folder, "--bands", "HH", words=("HH", "1 VH"))
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["translate"], "Missing argument"),
        (["nothing"], "No such command"),
        (["data"], "Missing command"),
        (["translate", "a", "b", "--tile", "0"], "--tile"),
        (["translate", "a", "b", "--realism", "2"], "--realism"),
        (["translate", "a", "b", "--backend", "abacus"], "abacus"),
        (["translate", "a", "b", "--colour"], "--colour"),
        (["methods", "alchemy"], "compact"),
        (["data", "simulate", "out", "--scenes", "1,2"], "--scenes"),
        (["data", "inspect", "nowhere"], "nowhere"),
        (["train", "pix2pix", "nowhere", "--out", "run"], "nowhere"),
    ],
)
def test_usage(
    arguments: list[str], words: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(*arguments, words=(words,))
    assert not list(tmp_path.iterdir())


def test_training_and_evaluation_refuse(refused: Refused, data_root: Path, run_folder: Path, tmp_path: Path) -> None:
    new = tmp_path / "run"
    refused("train", "regression", data_root, "--out", run_folder, words=("--resume",))
    refused("train", "regression", data_root, "--out", new, "--resume", words=("cannot resume",))
    refused("train", "alchemy", data_root, "--out", new, words=("alchemy", "pix2pix"))
    refused("train", "regression", data_root, "--out", new, "--set", "engine.magic=1", words=("engine.magic",))
    refused("train", "regression", data_root, "--out", new, "--set", "data.crop=4096", words=("4096",))
    refused("train", "regression", data_root, "--out", new, "--config", tmp_path / "no.yaml", words=("no.yaml",))
    refused("evaluate", run_folder, "--data", data_root, "--out", new, "--split", "holiday", words=("holiday",))
    refused("evaluate", run_folder, "--data", tmp_path, "--out", new, words=("dataset.yaml",))
    assert not new.exists()


def test_data_refuse(refused: Refused, data_root: Path, tmp_path: Path) -> None:
    refused("data", "simulate", data_root, words=("not an empty folder",))
    refused("data", "simulate", tmp_path / "a", "--units", "furlongs", words=("furlongs",))
    refused("data", "simulate", tmp_path / "a", "--bands", "HH", words=("HH",))
    refused("data", "simulate", tmp_path / "a", "--size", "3", words=("size",))
    refused("data", "inspect", data_root / "splits.csv", words=("splits.csv",))
    refused("data", "inspect", tmp_path, words=("dataset.yaml",))
    assert not list(tmp_path.iterdir())
