"""`saropt translate` of many scenes: one line for each that fails, exit 2, the others whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from saropt.cli import main
from saropt.scenes import Scene, SceneWriter

Run = Callable[..., tuple[int, str, str]]


def test_folder_then_resume_then_refusal(run: Run, scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, errors = run(scenes, out)
    assert (code, errors) == (0, "")
    assert said.startswith(f"wrote 4 of 4 scenes to {out} with ")
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(path.name for path in scenes.iterdir())
    with Scene.open(out / names[0]) as scene:
        assert scene.tags["SAROPT_SOURCE"] == names[0]
    kept = (out / names[1]).stat()
    (out / names[0]).unlink()
    code, _, errors = run(scenes, out)
    assert (code, errors.count("\n")) == (2, 1)
    assert "exists already (and 2 more)" in errors
    code, said, _ = run(scenes, out, "--resume")
    assert code == 0
    assert "4 of 4 scenes, 3 of them before" in said
    assert (out / names[1]).stat().st_mtime_ns == kept.st_mtime_ns
    assert run(f"{scenes}/*.tif", out, "--overwrite")[0] == 0
    assert (out / names[1]).stat().st_mtime_ns > kept.st_mtime_ns


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_several_runs_share_a_folder(options: list[str], run: Run, scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    held = out / sorted(scenes.iterdir())[0].name
    writer = SceneWriter(held, width=8, height=8, band_names=["b"], dtype="uint8")
    code, said, errors = run(scenes, out, "--resume", *options)
    assert (code, errors) == (0, "")
    assert said.startswith(f"wrote 3 of 4 scenes to {out} with ")
    assert said.endswith("left 1 of 4 scenes to other processes, which are writing them\n")
    writer.abandon()
    code, said, _ = run(scenes, out, "--resume", *options)
    assert code == 0
    assert "wrote 4 of 4 scenes, 3 of them before" in said
    assert held.is_file()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_without_a_result_leaves_no_folder(workers: int, run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.tif").write_text("no raster")
    code, said, errors = run(f"{tmp_path}/*.tif", tmp_path / "out", "--workers", workers)
    assert (code, said, errors.count("\n")) == (2, "", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]
    (tmp_path / "out").mkdir()
    assert run(f"{tmp_path}/*.tif", tmp_path / "out", "--workers", workers)[0] == 2
    assert (tmp_path / "out").is_dir()


def test_resume_and_overwrite_contradict_each_other(run: Run, scenes: Path, tmp_path: Path) -> None:
    for scene in (scenes, sorted(scenes.iterdir())[0]):
        code, said, errors = run(scene, tmp_path / "out", "--resume", "--overwrite")
        assert (code, said) == (2, "")
        assert errors.startswith("saropt: error: --resume: keeps what an earlier run has made, --overwrite replaces it")
    assert not list(tmp_path.iterdir())


def test_failures_are_lines_at_the_end(run: Run, scenes: Path, tmp_path: Path) -> None:
    good = sorted(scenes.iterdir())[0]
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/text.tif\n{good}\n{tmp_path}/missing.tif\n")
    code, said, errors = run(tmp_path / "list.txt", tmp_path / "out", "--workers", 2)
    assert code == 2
    assert "wrote 1 of 3 scenes" in said
    lines = sorted(errors.splitlines())
    assert lines[0] == f"saropt: error: {tmp_path}/missing.tif: no such file"
    assert lines[1].startswith(f"saropt: error: {tmp_path}/text.tif: is not a raster")
    assert len(lines) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == [good.name]


def test_refusals_before_any_work(run: Run, scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("x/a.tif\ny/a.tif\n")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    one = sorted(scenes.iterdir())[0]
    for arguments, words in (
        ((tmp_path / "list.txt", tmp_path / "out"), "same name"),
        ((scenes, tmp_path / "no" / "out"), "does not exist"),
        ((scenes, tmp_path / "list.txt"), "is a file"),
        ((scenes, "https://host/out"), "local folder"),
        ((one, "https://host/out.tif"), "local folder"),
        ((one, "/vsimem/out.tif"), "local folder"),
        ((one, tmp_path / "out.tif", "--staging", tmp_path), "is for outputs in object stores"),
        ((scenes, tmp_path / "out", "--staging", tmp_path), "is for outputs in object stores"),
        ((tmp_path / "empty", tmp_path / "out"), "without rasters"),
        ((one, tmp_path / "out.tif", "--workers", 2), "apply to several scenes"),
        ((one, tmp_path / "out.tif", "--executor", "ray"), "apply to several scenes"),
        ((one, tmp_path / "out.tif", "--address", "127.0.0.1:6379"), "apply to several scenes"),
        ((scenes, tmp_path / "out", "--address", "host:6379"), "goes with executor ray"),
        ((scenes, tmp_path / "out", "--workers", 0), "--workers"),
    ):
        code, said, errors = run(*arguments)
        assert (code, said, errors.count("\n")) == (2, "", 1)
        assert words in errors
        assert sorted(tmp_path.rglob("*")) == before


def test_scenes_whose_products_would_have_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "a_reliability"):
        (tmp_path / f"{name}.tif").write_text("no raster")
    given = ["translate", f"{tmp_path}/*.tif", str(tmp_path / "out"), "--model", "s1-world", "--overwrite"]
    assert main([*given, "--reliability"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert f"{tmp_path}/a_reliability.tif: a product of it and one of {tmp_path}/a.tif would both" in errors
    assert main(given) == 2
    assert "would both" not in capsys.readouterr().err
