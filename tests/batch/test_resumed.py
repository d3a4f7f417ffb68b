"""What a resumed batch takes for finished, makes again, and leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from saropt.batch.jobs import Job, Outcome, Work, attempt, plan_jobs, unfinished
from saropt.cli import main
from saropt.errors import InputError
from saropt.inference import LoadOptions, TranslateOptions, Translator

Factory = Callable[..., Path]
WORK = Work("s1-world", LoadOptions(reliability=True), TranslateOptions(units="sigma0_db", resume=True))


@pytest.fixture(scope="module")
def translator() -> Translator:
    return WORK.open(threads=1)


@pytest.fixture
def finished(translator: Translator, make_scene: Factory, tmp_path: Path) -> Job:
    """A job that is done, with its two products."""
    jobs, _ = plan_jobs([str(make_scene(64, 64, name="a.tif"))], tmp_path / "out")
    assert attempt(translator, WORK, jobs[0]) == Outcome(jobs[0], warnings=_warnings(translator, jobs[0]))
    return jobs[0]


def _warnings(translator: Translator, job: Job) -> tuple[str, ...]:
    return translator.run(job.scene, job.out, TranslateOptions(units="sigma0_db", overwrite=True)).warnings


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def _with_stac(work: Work) -> Work:
    return Work(work.model, work.load, TranslateOptions(units="sigma0_db", resume=True, stac=True))


@pytest.mark.parametrize("name", ["a.tif", "a_reliability.tif"])
@pytest.mark.parametrize("lost", [Path.unlink, _cut])
def test_what_is_lost_or_torn_is_made_again(
    name: str, lost: Callable[[Path], None], translator: Translator, finished: Job
) -> None:
    folder = Path(finished.out).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert unfinished(WORK, [finished], translator) == []
    lost(folder / name)
    assert unfinished(WORK, [finished], translator) == [finished]
    outcome = attempt(translator, WORK, finished)
    assert (outcome.error, outcome.found) == (None, False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert unfinished(WORK, [finished], translator) == []


def test_one_scene_that_is_finished_is_left_alone(
    finished: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(finished.out)
    command = ["translate", finished.scene, str(out), "--model", "s1-world", "--reliability", "--resume"]
    before = out.stat().st_mtime_ns
    with monkeypatch.context() as patched:
        patched.setattr(Translator, "run", None)
        assert main([*command, "--units", "sigma0_db"]) == 0
    assert capsys.readouterr().out == f"{out} is finished: nothing to do\n"
    assert main([*command, "--units", "gamma0_db"]) == 2
    assert "was made of another scene, by another translator or with other settings" in capsys.readouterr().err
    assert out.stat().st_mtime_ns == before
    _cut(out)
    assert main([*command, "--units", "sigma0_db"]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {out}")


def test_a_product_of_other_work_is_never_replaced(translator: Translator, finished: Job, make_scene: Factory) -> None:
    other = Path(finished.out).with_name("a_reliability.tif")
    translator.run(make_scene(64, 72, name="b.tif"), other, TranslateOptions(units="sigma0_db", overwrite=True))
    content = other.read_bytes()
    with pytest.raises(InputError, match=r"a_reliability\.tif: was made of another scene"):
        unfinished(WORK, [finished], translator)
    Path(finished.out).unlink()
    outcome = attempt(translator, WORK, finished)
    assert str(outcome.error) == f"{other}: exists already (overwrite=True replaces it)"
    assert other.read_bytes() == content


def test_an_image_that_is_no_raster_is_one_line(translator: Translator, finished: Job) -> None:
    Path(finished.out).write_text("mine")
    outcome = attempt(translator, WORK, finished)
    assert "is not a raster" in str(outcome.error)
    assert Path(finished.out).read_text() == "mine"


def test_a_finished_output_is_not_made_again(translator: Translator, finished: Job) -> None:
    with pytest.raises(InputError, match=r"a\.tif: exists already"):
        translator.run(finished.scene, finished.out, WORK.translate)


def test_an_item_that_lacks_is_written(translator: Translator, finished: Job) -> None:
    work, item = _with_stac(WORK), Path(finished.out).with_name("a.json")
    assert unfinished(work, [finished], translator) == [finished]
    assert attempt(translator, work, finished) == Outcome(finished, found=True)
    told = json.loads(item.read_text())
    assert set(told["assets"]) == {"image", "reliability"}
    told["properties"]["title"] = "with a word of its reader"
    item.write_text(json.dumps(told))
    assert unfinished(work, [finished], translator) == []
    told["properties"]["start_datetime"] = "1999-01-01T00:00:00Z"
    item.write_text(json.dumps(told))
    assert attempt(translator, work, finished).found
    assert json.loads(item.read_text())["properties"]["start_datetime"] == "2020-11-07T00:00:00Z"


@pytest.mark.parametrize("content", ['{"mine": 1}', "[]", "mine", '{"type": "Feature", "assets": {"image": null}}'])
@pytest.mark.parametrize("is_finished", [True, False])
def test_another_file_in_the_place_of_the_item_stays(
    content: str, is_finished: bool, translator: Translator, finished: Job
) -> None:
    work, item = _with_stac(WORK), Path(finished.out).with_name("a.json")
    item.write_text(content)
    if not is_finished:
        Path(finished.out).unlink()
    outcome = attempt(translator, work, finished)
    assert "a.json: is no STAC item of a.tif" in str(outcome.error)
    assert item.read_text() == content
