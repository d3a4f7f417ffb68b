"""`saropt translate` into an object store: the very bytes of a local translation, all or nothing, resumable."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saropt.errors import InputError
from saropt.inference import Translator
from saropt.scenes import SceneWriter, remote, write_array

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run` that tries again at once."""
    monkeypatch.setattr(remote, "FIRST_DELAY_S", 0.01)
    return run


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    (tmp_path / "staging").mkdir()
    return tmp_path / "staging"


def test_one_scene(run: Run, scenes: Path, staging: Path, tmp_path: Path, object_store: Any) -> None:
    scene = sorted(scenes.iterdir())[0]
    assert run(scene, tmp_path / "out.tif")[0] == 0
    code, said, errors = run(scene, "s3://bucket/f/out.tif", "--staging", staging)
    assert (code, errors) == (0, "")
    assert said.startswith("wrote s3://bucket/f/out.tif with ")
    assert object_store.objects == {"bucket/f/out.tif": (tmp_path / "out.tif").read_bytes()}
    assert list(staging.iterdir()) == []
    code, said, errors = run(scene, "s3://bucket/f/out.tif", "--staging", staging)
    assert (code, said) == (2, "")
    assert errors.startswith("saropt: error: s3://bucket/f/out.tif: exists already")
    assert run(scene, "s3://bucket/f/out.tif", "--staging", staging, "--overwrite")[0] == 0
    assert list(object_store.objects) == ["bucket/f/out.tif"]
    assert object_store.methods("PUT") == ["bucket/f/out.tif", "bucket/f/.out.tif.part", "bucket/f/out.tif"]


@pytest.mark.parametrize(
    "addresses", [("s3://bucket/a.tif", "/vsis3/bucket/a.tif"), ("/vsis3/bucket/a.tif", "s3://bucket/a.tif")]
)
def test_an_object_is_not_replaced_by_its_own_translation(
    run: Run, scenes: Path, addresses: tuple[str, str], object_store: Any
) -> None:
    content = object_store.objects["bucket/a.tif"] = sorted(scenes.iterdir())[0].read_bytes()
    code, said, errors = run(*addresses, "--overwrite")
    assert (code, said) == (2, "")
    assert errors.startswith(f"saropt: error: {addresses[1]}: is an input")
    assert object_store.objects == {"bucket/a.tif": content}


def test_a_store_that_does_not_answer_is_told_of_the_scene(run: Run, tmp_path: Path, object_store: Any) -> None:
    object_store.refuse = lambda method, key, query: 500
    code, said, errors = run("s3://bucket/a.tif", tmp_path / "out.tif")
    assert (code, said, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("saropt: error: s3://bucket/a.tif: cannot be opened")
    assert ".msk" not in errors


def test_a_failed_upload_is_gone_on_with(
    run: Run, scenes: Path, staging: Path, tmp_path: Path, object_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finished file stays and is named; --resume uploads it without the network."""
    scene = sorted(scenes.iterdir())[0]
    object_store.refuse = lambda method, key, query: 403 if method == "PUT" else None
    code, said, errors = run(scene, "s3://bucket/out.tif", "--staging", staging)
    assert (code, said, errors.count("\n")) == (2, "", 1)
    assert object_store.objects == {}
    kept = next(path for path in staging.iterdir() if path.suffix == ".tif" and path.name[0] != ".")
    assert errors.startswith("saropt: error: s3://bucket/out.tif: cannot be uploaded: ")
    assert f"stays in {kept} (--resume goes on with it)" in errors
    content = kept.read_bytes()
    object_store.refuse = lambda method, key, query: None
    code, _, errors = run(scene, "s3://bucket/out.tif", "--staging", staging, "--resume", "--tile", 64)
    assert code == 2
    assert "begun with other settings" in errors

    writes = []
    write = SceneWriter.write
    monkeypatch.setattr(SceneWriter, "write", lambda *arguments: writes.append(arguments) or write(*arguments))
    assert run(scene, "s3://bucket/out.tif", "--staging", staging, "--resume")[0] == 0
    assert writes == []
    assert object_store.objects == {"bucket/out.tif": content}
    assert list(staging.iterdir()) == []


def test_an_interrupt_is_gone_on_with(
    run_folder: Path, scenes: Path, staging: Path, tmp_path: Path, object_store: Any
) -> None:
    scene = sorted(scenes.iterdir())[0]
    translator = Translator.load(run_folder)
    translator.translate(scene, tmp_path / "out.tif", tile=32)

    def interrupt(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translator.translate(scene, "s3://bucket/out.tif", tile=32, staging=staging, progress=interrupt)
    assert object_store.objects == {}
    assert list(staging.glob(".*.part.json")) != []
    translator.translate(scene, "s3://bucket/out.tif", tile=32, staging=staging, resume=True)
    assert object_store.objects == {"bucket/out.tif": (tmp_path / "out.tif").read_bytes()}
    assert list(staging.iterdir()) == []


def test_a_folder_with_workers(run: Run, scenes: Path, staging: Path, tmp_path: Path, object_store: Any) -> None:
    assert run(scenes, tmp_path / "out")[0] == 0
    local = {f"bucket/f/{path.name}": path.read_bytes() for path in (tmp_path / "out").iterdir()}
    bad = sorted(local)[1]
    object_store.refuse = lambda method, key, query: 403 if method == "PUT" and key == bad else None
    code, said, errors = run(f"{scenes}/*.tif", "s3://bucket/f/", "--staging", staging, "--workers", 2)
    assert (code, errors.count("\n")) == (2, 1)
    assert said.startswith("wrote 3 of 4 scenes to s3://bucket/f/ with ")
    assert f"s3://{bad}: cannot be uploaded" in errors
    assert object_store.objects == {key: value for key, value in local.items() if key != bad}
    object_store.refuse = lambda method, key, query: None
    code, _, errors = run(scenes, "s3://bucket/f", "--staging", staging)
    assert code == 2
    assert "exists already (and 2 more)" in errors
    code, said, _ = run(scenes, "s3://bucket/f", "--staging", staging, "--resume")
    assert code == 0
    assert "4 of 4 scenes, 3 of them before" in said
    assert object_store.objects == local
    assert list(staging.iterdir()) == []


def test_a_scene_is_not_replaced_by_its_translation(run: Run, object_store: Any, staging: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("/vsis3/bucket/a.tif\n")
    code, _, errors = run(tmp_path / "list.txt", "s3://bucket/", "--staging", staging, "--overwrite")
    assert code == 2
    assert "is a scene that a translation would replace" in errors


def test_staging_must_be_a_folder(run: Run, scenes: Path, object_store: Any, tmp_path: Path) -> None:
    scene = sorted(scenes.iterdir())[0]
    code, said, errors = run(scene, "s3://bucket/out.tif", "--staging", tmp_path / "none")
    assert (code, said, errors.count("\n")) == (2, "", 1)
    assert "none: is no folder" in errors
    assert object_store.methods("PUT") == []


@pytest.mark.slow
def test_a_killed_process_is_gone_on_with(
    run_folder: Path, scenes: Path, staging: Path, tmp_path: Path, object_store: Any
) -> None:
    """Killed while it uploads: nothing is there, and --resume brings it."""
    scene = sorted(scenes.iterdir())[0]
    code = """
import os, sys
import rasterio.shutil
from saropt.inference import Translator
rasterio.shutil.copyfiles = lambda *paths: os._exit(9)
Translator.load(sys.argv[1]).translate(sys.argv[2], "s3://bucket/out.tif", staging=sys.argv[3])
"""
    done = subprocess.run([sys.executable, "-c", code, run_folder, scene, staging], env={**os.environ}, timeout=120)
    assert done.returncode == 9
    assert object_store.objects == {}
    translator = Translator.load(run_folder)
    translator.translate(scene, tmp_path / "out.tif")
    translator.translate(scene, "s3://bucket/out.tif", staging=staging, resume=True)
    assert object_store.objects == {"bucket/out.tif": (tmp_path / "out.tif").read_bytes()}
    assert list(staging.iterdir()) == []


def test_an_object_of_other_work_is_not_replaced_by_a_resumed_run(
    scenes: Path, staging: Path, tmp_path: Path, object_store: Any
) -> None:
    """One that an unfinished run of the same work left is."""
    scene = tmp_path / "scene.tif"
    values = np.random.default_rng(0).normal(-14, 3, (1, 64, 64)).astype(np.float32)
    write_array(scene, values, band_names=["VH"])
    translator = Translator.load("s1-world", reliability=True, threads=1)
    translator.translate(scene, tmp_path / "out.tif", units="sigma0_db")
    key = "bucket/out_reliability.tif"
    content = object_store.objects[key] = sorted(scenes.iterdir())[0].read_bytes()
    options = {"units": "sigma0_db", "staging": staging, "resume": True}
    with pytest.raises(InputError, match=r"out_reliability\.tif: exists already"):
        translator.translate(scene, "s3://bucket/out.tif", **options)
    assert object_store.objects == {key: content}
    own = object_store.objects[key] = (tmp_path / "out_reliability.tif").read_bytes()
    translator.translate(scene, "s3://bucket/out.tif", **options)
    assert object_store.objects == {key: own, "bucket/out.tif": (tmp_path / "out.tif").read_bytes()}
