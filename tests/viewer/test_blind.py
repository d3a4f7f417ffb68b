"""Blind tests: nothing tells which picture is real, answers are kept, and a server that starts again goes on."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from affine import Affine
from asking import ORDER, PLACE
from fastapi.testclient import TestClient
from PIL import Image
from test_serve import serving

from saropt.cli import main
from saropt.errors import InputError
from saropt.evaluation.blind_test import read_answers
from saropt.scenes import Georeference, Scene, Window, write_array
from saropt.viewer.blind import Study, crops
from saropt.viewer.blind_app import create_blind_app

SIDE, TRIALS = 48, 6


@pytest.fixture
def study_file(tmp_path: Path, simulated: tuple[np.ndarray, np.ndarray]) -> Path:
    """Two true rasters with translations of two methods: turned upside down, and negative."""
    optical = simulated[1]
    for folder in ("truth", "one", "two"):
        (tmp_path / folder).mkdir()
    bands: dict[str, Any] = {"band_names": ["B4", "B3", "B2"], "georeference": PLACE}
    for name, shown in (("secret-a", optical), ("secret-b", optical[:, :, ::-1])):
        write_array(tmp_path / "truth" / f"{name}.tif", shown, **bands)
        write_array(tmp_path / "one" / f"{name}.tif", shown[:, ::-1], **bands)
        write_array(tmp_path / "two" / f"{name}.tif", 255 - shown, **bands)
    content = {
        "name": "Two pictures",
        "seed": 3,
        "trials": TRIALS,
        "side": SIDE,
        "truth": "truth",
        "translations": {"method-one": "one", "method-two": "two"},
        "question": "Which one shows the flood?",
    }
    file = tmp_path / "flood.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture
def asked(study_file: Path) -> Iterator[tuple[Study, TestClient]]:
    with (
        Study(study_file, study_file.parent) as study,
        TestClient(create_blind_app(study), "http://localhost") as client,
    ):
        yield study, client


def halves(png: bytes) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.split(np.asarray(Image.open(io.BytesIO(png))), 2, axis=1)
    return left, right


def test_a_participant_from_first_to_last(asked: tuple[Study, TestClient]) -> None:
    """Each trial comes once; the picture holds the true crop on the side that the file of answers says."""
    study, client = asked
    assert client.get("/api/study").json()["answers"] == ["left", "right", "both", "neither"]
    seconds = ["left", "right", "both", "neither", "left", "right"]
    for position in range(TRIALS):
        here = f"/api/participants/p1/trials/{position}"
        picture = client.get(here)
        answer = {"real": "left", "second": seconds[position]}
        assert client.post(here, json=answer, headers=ORDER).json()["done"] == position + 1
        row = read_answers(study.answers_file)[position]
        truth, guess = crops(study.trials[int(row["trial"])], SIDE)
        left, right = halves(picture.content)
        assert np.array_equal(left, truth if row["real_side"] == "left" else guess)
        assert np.array_equal(right, guess if row["real_side"] == "left" else truth)
        assert row["correct"] == str(int(row["real_side"] == "left"))
        meant = {"left": row["real_side"] == "left", "right": row["real_side"] == "right"}.get(seconds[position])
        assert row["second_meant"] == (seconds[position] if meant is None else "real" if meant else "guess")
        assert float(row["seconds"]) >= 0
    assert client.get("/api/participants/p1").json() == {"done": TRIALS, "trial": None}
    rows = read_answers(study.answers_file)
    assert sorted(int(row["trial"]) for row in rows) == list(range(TRIALS))
    assert {row["method"] for row in rows} == {"method-one", "method-two"}


def test_nothing_tells_which_is_which(asked: tuple[Study, TestClient]) -> None:
    """No answer of the server names a file, a method or a side, and no header differs with the side of the truth."""
    study, client = asked
    texts, sides, headers = [client.get("/api/study").text, client.get("/api/openapi.json").text], [], []
    for code in ("a", "b", "c", "d"):
        for position in range(TRIALS):
            here = f"/api/participants/{code}/trials/{position}"
            picture = client.get(here)
            assert Image.open(io.BytesIO(picture.content)).info == {}
            assert b"tEXt" not in picture.content
            headers.append(sorted(picture.headers.keys()))
            texts += [
                client.get(f"/api/participants/{code}").text,
                client.post(here, json={"real": "left", "second": "both"}, headers=ORDER).text,
            ]
            sides.append(read_answers(study.answers_file)[-1]["real_side"])
    assert all(one == headers[0] for one in headers)
    assert 4 < sides.count("left") < 20
    for text in texts:
        assert not any(word in text for word in ("secret", "method-", "correct", "truth", str(study.key)))


def test_order_and_sides_differ_between_participants(asked: tuple[Study, TestClient]) -> None:
    _, client = asked
    first = [client.get(f"/api/participants/{code}/trials/0").content for code in ("a", "b", "c", "d", "e", "f")]
    assert len(set(first)) > 2
    assert client.get("/api/participants/a/trials/0").content == first[0]


def answered(study_file: Path, position: int) -> Study:
    """The study after a start and the answer to the next picture, which is the one at this position."""
    with Study(study_file, study_file.parent) as study:
        assert study.place("p").trial == position
        study.picture("p", position)
        study.answer("p", position, "right", "both")
    return study


def test_goes_on_after_a_start(study_file: Path) -> None:
    """An answer that was half written when the server was killed is asked again."""
    for position in range(3):
        study = answered(study_file, position)
        with study.answers_file.open("a") as stream:
            stream.write("2026-01-01,half")
    assert len(read_answers(study.answers_file)) == 3
    rows = list(csv.DictReader(io.StringIO(study.answers_file.read_text())))
    assert [row["position"] for row in rows[:3]] == ["1", "2", "3"]


def test_an_answer_that_lacks_only_its_line_end_is_kept(study_file: Path) -> None:
    for position in range(3):
        study = answered(study_file, position)
        study.answers_file.write_bytes(study.answers_file.read_bytes()[:-1])
    assert [row["position"] for row in read_answers(study.answers_file)] == ["1", "2", "3"]


def test_answers_that_are_refused(asked: tuple[Study, TestClient]) -> None:
    study, client = asked
    here = "/api/participants/p/trials/0"
    good = {"real": "left", "second": "both"}
    assert client.post(here, json=good).status_code == 403
    assert client.post(here, json=good | {"second": "perhaps"}, headers=ORDER).status_code == 422
    assert client.post(here, json={"real": "left"}, headers=ORDER).status_code == 422
    assert client.post(here, json=good | {"real": "both"}, headers=ORDER).status_code == 422
    assert client.get("/api/participants/p/trials/1").status_code == 409
    assert client.post("/api/participants/p/trials/1", json=good, headers=ORDER).status_code == 409
    assert client.get("/api/participants/..%2f/trials/0").status_code in (404, 422)
    assert client.get("/api/participants/=1+1").status_code == 422
    assert not study.answers_file.exists()
    assert client.post(here, json=good, headers=ORDER).status_code == 200
    assert client.post(here, json=good, headers=ORDER).status_code == 409
    assert len(read_answers(study.answers_file)) == 1
    for gone in ("/api/catalogue", "/api/jobs", "/api/layers/0123456789abcdef"):
        assert client.get(gone).status_code == 404


@pytest.mark.parametrize("folder", ["one", "truth"])
def test_other_pixels_are_another_study(study_file: Path, folder: str) -> None:
    """Rasters that are made anew under their names: neither a running study nor its answers go on with them."""
    with Study(study_file, study_file.parent) as study:
        study.answer("p", 0, "left", "both")
        for path in sorted((study_file.parent / folder).iterdir()):
            with Scene.open(path) as scene:
                pixels = scene.read_stored()[0]
            bands: dict[str, Any] = {"band_names": ["B4", "B3", "B2"], "georeference": PLACE}
            write_array(path, 255 - pixels, overwrite=True, **bands)
        shown = next(at for at in range(TRIALS) if study.trials[study._arranged("q", at)[0]].method == "method-one")
        study._done["q"] = shown
        with pytest.raises(InputError, match="has changed since the study began: start the server again"):
            study.picture("q", shown)
    with pytest.raises(InputError, match="holds answers to another version of this study"):
        Study(study_file, study_file.parent)


def test_values_beyond_8_bits_share_one_stretch(study_file: Path) -> None:
    folder = study_file.parent
    for name in ("truth", "one", "two"):
        for path in (folder / name).iterdir():
            with Scene.open(path) as scene:
                pixels = scene.read()[0].astype(np.uint16) * 40
            write_array(path, pixels, band_names=["B4", "B3", "B2"], georeference=PLACE, overwrite=True)
    with Study(study_file, folder) as study:
        trial = study.trials[1]
        truth, guess = crops(trial, SIDE)
    crop = Window(trial.row, trial.column, SIDE, SIDE)
    stored = []
    for path in (trial.truth, trial.guess):
        with Scene.open(path) as scene:
            stored.append(scene.read(crop)[0].astype(float).transpose(1, 2, 0))
    real, made = stored
    low, high = np.percentile(real, 2, axis=(0, 1)), np.percentile(real, 98, axis=(0, 1))
    for shown, values in ((truth, real), (guess, made)):
        assert np.abs(shown - np.clip((values - low) / (high - low), 0, 1) * 255).max() <= 0.51


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"side": 512}, "smaller than the study's crops of 512 pixels"),
        ({"truth": "nowhere"}, "no such folder"),
        ({"translations": {"m": "empty"}}, "no raster has the name"),
        ({"translations": {"m": "grey"}}, "it has colours and"),
        ({"translations": {"m": "far"}}, "translation and true raster are not on one grid: 40,000 pixels apart"),
        ({"translations": {"m": "wide"}}, "it holds uint16, "),
        ({"translations": {"m": "unit", "n": "wide"}, "truth": "wide"}, "in 51..255: both need the same units"),
        ({"translations": {"m": "empty-pixels"}}, "only 0 valid crops of 48 pixels that overlap no other, for m has"),
        ({"trials": 25}, "only 24 valid crops of 48 pixels that overlap no other, for method-one has no more: trials"),
        ({"trials": 0}, "trials: "),
        ({"answers": ["left", "both", "Left"]}, "answers: Value error, two of them are the same"),
        ({"wrong": 1}, "wrong: "),
    ],
)
def test_studies_that_are_refused(
    study_file: Path, change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = study_file.parent
    pixels = np.full((3, 160, 224), 255, np.uint8)
    pixels[:, ::2] = 51
    kept = {"band_names": ["B4", "B3", "B2"], "georeference": PLACE}
    there = {**kept, "georeference": Georeference(PLACE.crs, PLACE.transform @ Affine.translation(40_000, 0))}
    made: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "grey": (pixels[:1], {}),
        "far": (pixels, there),
        "wide": (pixels.astype(np.uint16), kept),
        "unit": (pixels / np.float32(255), kept),
        "empty-pixels": (0 * pixels, {**kept, "nodata": 0}),
    }
    (folder / "empty").mkdir()
    for name, (values, options) in made.items():
        (folder / name).mkdir()
        write_array(folder / name / "secret-a.tif", values, **options)
    study_file.write_text(yaml.safe_dump(yaml.safe_load(study_file.read_text()) | change))
    assert main(["serve", str(folder), "--blind", str(study_file), "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_no_ground_is_shown_twice(study_file: Path) -> None:
    """Who sees a picture again beside another one knows that it is real: 2 rasters hold 3 x 4 crops each."""
    study_file.write_text(study_file.read_text().replace(f"trials: {TRIALS}", "trials: 24"))
    trials = Study(study_file, study_file.parent).trials
    assert [trial.method for trial in trials] == ["method-one", "method-two"] * 12
    seen: dict[str, np.ndarray] = {name: np.zeros((160, 224), int) for name in ("secret-a", "secret-b")}
    for trial in trials:
        seen[trial.name][trial.row : trial.row + SIDE, trial.column : trial.column + SIDE] += 1
    assert [(int(counts.max()), int(counts.sum())) for counts in seen.values()] == [(1, 12 * SIDE**2)] * 2


def test_capital_letters_make_no_other_person_and_no_other_answer(study_file: Path) -> None:
    """Telephones write the first letter large."""
    study_file.write_text(study_file.read_text() + "answers: [Left, RIGHT, Both]\n")
    with (
        Study(study_file, study_file.parent) as study,
        TestClient(create_blind_app(study), "http://localhost") as client,
    ):
        for position, (code, second) in enumerate([("P1", "Left"), ("p1", "RIGHT"), ("P1", "Both")]):
            here = f"/api/participants/{code}/trials/{position}"
            assert client.get(here).status_code == 200
            answer = client.post(here, json={"real": "left", "second": second}, headers=ORDER)
            assert answer.json()["done"] == position + 1
    rows = read_answers(study.answers_file)
    assert {row["participant"] for row in rows} == {"p1"}
    assert rows[0]["second_meant"] == ("real" if rows[0]["real_side"] == "left" else "guess")
    assert rows[1]["second_meant"] == ("real" if rows[1]["real_side"] == "right" else "guess")
    assert rows[2]["second_meant"] == "Both"


def test_another_version_of_the_study_is_refused(study_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Study(study_file, study_file.parent) as study:
        study.answer("p", 0, "left", "both")
    study_file.write_text(study_file.read_text().replace("seed: 3", "seed: 4"))
    assert main(["serve", str(study_file.parent), "--blind", str(study_file), "--port", "0"]) == 2
    assert "another version of this study" in capsys.readouterr().err


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
def test_the_page(study_file: Path) -> None:
    """By keys and clicks to the end, on a phone; a reload goes on at the same pair."""
    sync_api = pytest.importorskip("playwright.sync_api")
    complaints: list[str] = []
    with serving(study_file.parent, "--blind", study_file, "--port", 0) as (_, line), sync_api.sync_playwright() as p:
        assert "flood.answers.csv" in line
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = p.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN").new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("response", lambda answer: answer.status >= 400 and complaints.append(answer.url))
        page.goto(line.split()[0])
        page.click('[data-key="language"]')
        assert [page.get_attribute("input", name) for name in ("autocapitalize", "spellcheck")] == ["off", "false"]
        page.fill("input", "p1")
        page.keyboard.press("Enter")
        for position in range(TRIALS):
            page.get_by_text(f"Pair {position + 1} of {TRIALS}").wait_for()
            assert page.is_disabled('[data-key="next"]')
            page.keyboard.press("ArrowRight")
            page.get_by_text("Neither").click()
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            if position == 0:
                shown = page.evaluate("[...document.images].map(one => [one.complete, one.naturalWidth])")
                assert shown == [[True, 2 * SIDE]] * 2
                page.reload()
                page.keyboard.press("Tab")
                page.click('[data-key="begin"]')
                page.get_by_text(f"Pair 1 of {TRIALS}").wait_for()
                page.keyboard.press("ArrowRight")
                page.get_by_text("Neither").click()
            page.click('[data-key="next"]')
        page.get_by_text("Thank you").wait_for()
        browser.close()
    rows = read_answers(study_file.with_name("flood.answers.csv"))
    assert [(row["answer"], row["second_meant"]) for row in rows] == [("right", "neither")] * TRIALS
    assert complaints == []
