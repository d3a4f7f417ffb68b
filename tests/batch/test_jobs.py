"""Which scenes a call means, and where their translations go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.shutil import copy

from saropt.batch.jobs import Job, Outcome, Work, attempt, plan_jobs, translate_when_free
from saropt.batch.scene_lists import list_scenes
from saropt.errors import BusyError, InputError
from saropt.inference import LoadOptions, TranslateOptions, Translator
from saropt.inference.sampling import Sampling
from saropt.scenes import SceneWriter, write_array

BUSY = "is being written by another process"
Factory = Callable[..., Path]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_folders_lists_and_globs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "s/b.tif", "s/a.TIFF", "s/c.png", "s/.hidden.tif", "s/a.tif.aux.xml", "s/deep/d.tif")
    (tmp_path / "list.txt").write_text("# two\ns/b.tif\n\nhttps://example.org/x.tif?sig=1\n")
    assert list_scenes("s") == ["s/a.TIFF", "s/b.tif", "s/c.png"]
    assert list_scenes("s/*.tif") == ["s/b.tif"]
    assert list_scenes("s/**/*.tif") == ["s/b.tif", "s/deep/d.tif"]
    assert list_scenes("list.txt") == ["s/b.tif", "https://example.org/x.tif?sig=1"]
    for single in ("s/b.tif", "missing.tif", "missing.txt", "https://example.org/*.tif", "/vsizip/s.zip/[a].tif"):
        assert list_scenes(single) is None
    touch(tmp_path, "s[1].tif")
    assert list_scenes("s[1].tif") is None


def test_nothing_in_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# none\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for given, words in (
        (tmp_path / "list.txt", "lists no scene"),
        (tmp_path / "binary.txt", "no readable list"),
        (tmp_path / "*.tif", "matches no file"),
        (tmp_path, "directory without rasters"),
    ):
        with pytest.raises(InputError, match=words):
            list_scenes(str(given))


def test_plan(tmp_path: Path) -> None:
    out = tmp_path / "out"
    scenes = [str(tmp_path / "a.tif"), "https://example.org/b.tif?c=d.e"]
    jobs, finished = plan_jobs(scenes, out)
    assert (jobs, finished) == ([Job(scenes[0], out / "a.tif"), Job(scenes[1], out / "b.tif")], [])
    touch(out, "a.tif", ".b.tif.part")
    with pytest.raises(InputError, match="exists already"):
        plan_jobs(scenes, out)
    assert plan_jobs(scenes, out, resume=True) == (jobs[1:], jobs[:1])
    assert plan_jobs(scenes, out, overwrite=True) == (jobs, [])


def test_plan_refuses(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "file")
    for scenes, folder, words in (
        (["x/a.tif", "y/a.png"], tmp_path / "new", "same name"),
        (["x/a.tif", "x/a.tif"], tmp_path / "new", "is listed twice"),
        (["a.tif"], tmp_path / "no" / "out", "does not exist"),
        (["a.tif"], tmp_path / "file", "is a file"),
        (["a.tif"], Path("s3://bucket/out"), "local folder"),
        ([str(tmp_path / "a.tif")], tmp_path, "would replace"),
    ):
        with pytest.raises(InputError, match=words):
            plan_jobs(scenes, folder, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "file"]


def test_plan_refuses_outputs_in_the_place_of_rasters_of_other_scenes(tmp_path: Path) -> None:
    earlier = tmp_path / "b.tif"
    companions = {"x/a.tif": {"reference": str(earlier)}, "x/c.tif": {"reference_sar": (str(earlier), "d.tif")}}
    for scene in companions:
        with pytest.raises(InputError, match=f"comes with {scene}, and a translation would replace it"):
            plan_jobs([scene, "x/b.tif"], tmp_path, companions={scene: companions[scene]}, overwrite=True)
    write_array(earlier, np.ones((1, 8, 8), np.uint8))
    copy(earlier, tmp_path / "earlier.vrt", driver="VRT")
    virtual = {"x/a.tif": {"reference": str(tmp_path / "earlier.vrt")}}
    with pytest.raises(InputError, match=r"comes with x/a\.tif, and a translation would replace it"):
        plan_jobs(["x/a.tif", "x/b.tif"], tmp_path, companions=virtual, overwrite=True)


def test_plan_refuses_scenes_whose_products_would_have_one_name(tmp_path: Path) -> None:
    suffixes = ("", "_origin")
    for scenes in (["x/a.tif", "x/a_origin.tif"], ["x/a_origin.tif", "x/a.tif"]):
        with pytest.raises(InputError, match=r"both be written to .*/out/a_origin\.tif") as refused:
            plan_jobs(scenes, tmp_path / "out", overwrite=True, suffixes=suffixes)
        assert all(scene in str(refused.value) for scene in scenes)
        assert not (tmp_path / "out").exists()
        jobs, _ = plan_jobs(scenes, tmp_path / "out")
        assert len(jobs) == 2, "translators without a map of origin take both"
        (tmp_path / "out").rmdir()
    earlier = str(tmp_path / "a_origin.tif")
    with pytest.raises(InputError, match="is a scene that a translation would replace"):
        plan_jobs(["x/a.tif", earlier], tmp_path, overwrite=True, suffixes=("", "_origin", "_origin_origin"))
    with pytest.raises(InputError, match=r"comes with x/a\.tif, and a translation would replace it"):
        plan_jobs(["x/a.tif"], tmp_path, companions={"x/a.tif": {"reference": earlier}}, suffixes=suffixes)


@pytest.mark.parametrize(
    ("model", "options", "samples"),
    [
        ("s1-world", {"reliability": True}, None),
        ("s1-world", {}, None),
        ("s1-reference", {}, None),
        ("s1-world", {}, 2),
        ("s1-world", {}, 1),
    ],
)
def test_the_suffixes_are_those_of_the_products(model: str, options: dict[str, Any], samples: int | None) -> None:
    work = Work(model, LoadOptions(**options), TranslateOptions(samples=samples))
    translator = work.open(threads=1)
    products = translator.products(None if samples is None else Sampling(samples, 0))
    assert work.suffixes == tuple(product.suffix for product in products)


def test_what_runs_on_gpus(make_translator: Factory) -> None:
    graph, weights = str(make_translator()), str(make_translator("naf_unet", ".safetensors"))
    for model, device, expected in [
        (graph, "auto", False),
        (graph, "cuda", True),
        (weights, "auto", True),
        (weights, "cpu", False),
        ("s1-losangeles", "auto", False),
    ]:
        assert Work(model, LoadOptions(device=device)).wants_gpu == expected, (model, device)
    with pytest.raises(InputError, match="neither a file nor a bundled"):
        assert Work("nothing").wants_gpu


def test_attempts(make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    work = Work(str(make_translator()))
    translator = work.open(threads=1)
    good, bad = (
        Job(str(make_scene(64, 64)), tmp_path / "out.tif"),
        Job(str(tmp_path / "no.tif"), tmp_path / "no-out.tif"),
    )
    assert attempt(translator, work, good) == Outcome(good)
    assert str(attempt(translator, work, bad).error) == f"{bad.scene}: no such file"
    assert "exists already" in str(attempt(translator, work, good).error)
    before = good.out.stat()
    assert attempt(translator, work, good, again=True) == Outcome(good, found=True), "whoever died had finished it"
    after = good.out.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("resume", [False, True])
def test_an_output_that_another_process_writes(
    resume: bool, make_translator: Factory, make_scene: Factory, tmp_path: Path
) -> None:
    """Those that resume one folder share its scenes; to others it is an error."""
    work = Work(str(make_translator()), translate=TranslateOptions(resume=resume))
    translator, job = work.open(threads=1), Job(str(make_scene(64, 64)), tmp_path / "out.tif")
    writer = SceneWriter(job.out, width=8, height=8, band_names=["b"], dtype="uint8")
    outcome = attempt(translator, work, job)
    assert outcome.busy == resume
    assert str(outcome.error) == ("None" if resume else f"{job.out}: {BUSY}")
    writer.finish()
    outcome = attempt(translator, work, job)  # what is there now is not this work
    assert not outcome.found
    assert "exists" in str(outcome.error) or "other settings" in str(outcome.error)


def test_patience_with_an_output_that_is_held(make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    translator, scene, out = Translator.load(make_translator()), make_scene(64, 64), tmp_path / "out.tif"
    writer = SceneWriter(out, width=8, height=8, band_names=["b"], dtype="uint8")
    with pytest.raises(BusyError, match="another process"):
        translate_when_free(translator, scene, out, TranslateOptions(), patience_s=0.1)
    writer.abandon()
    translate_when_free(translator, scene, out, TranslateOptions(), patience_s=0.1)
    assert out.is_file()
