"""Earlier optical images that show cloud alone are not used, and a line says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from companion_files import read, tags
from saropt.cli import main
from saropt.inference import TranslateOptions, Translator
from saropt.roots.description import write_description
from saropt.scenes import write_array

SAR, OPTICAL = ("VV", "VH"), ("B4", "B3", "B2", "B8")
CLOUD = 5000


def ground(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(300, 1500, (4, 64, 64)).astype(np.uint16)


def under_cloud(share: float) -> np.ndarray:
    values = ground()
    values[:, : round(64 * share)] = CLOUD + np.random.default_rng(2).integers(0, 500, (1, round(64 * share), 64))
    return values


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    decibels = np.random.default_rng(0).normal([[[-10]], [[-17]]], 2, (2, 64, 64)).astype(np.float32)
    return write_array(tmp_path / "sar.tif", decibels, band_names=SAR)


def optical(path: Path, values: np.ndarray) -> Path:
    return write_array(path, values, band_names=OPTICAL)


def test_a_closed_deck_is_ignored_with_a_warning(scene, tmp_path):
    translator = Translator.load("s1-reference")
    deck = optical(tmp_path / "deck.tif", under_cloud(1.0))
    alone = translator.run(scene, tmp_path / "alone.tif", TranslateOptions())
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(reference=deck))
    assert np.array_equal(read(result.path), read(alone.path))
    assert np.array_equal(read(result.products["origin"]), read(alone.products["origin"]))
    what = "it is ignored, and the image comes from radar; with a mask it is used"
    line = f"100% of {deck} looks like cloud or snow: {what}"
    assert [one for one in result.warnings if "cloud" in one] == [line]
    written = tags(result.products["origin"])
    assert written["SAROPT_OPTICAL_REFERENCE_IGNORED"] == "deck.tif"
    assert "SAROPT_OPTICAL_REFERENCE" not in written
    assert written["SAROPT_CONTENT"] == "origin of each pixel in per cent: all is from radar"


@pytest.mark.parametrize("masked", [True, False])
def test_a_mask_and_some_ground_make_it_used(scene, tmp_path, masked):
    translator = Translator.load("s1-reference")
    options = TranslateOptions(reference=optical(tmp_path / "deck.tif", under_cloud(1.0 if masked else 0.85)))
    if masked:
        options = replace(options, reference_mask=write_array(tmp_path / "mask.tif", np.zeros((1, 64, 64), np.uint8)))
    result = translator.run(scene, tmp_path / "out.tif", options)
    alone = translator.run(scene, tmp_path / "alone.tif", TranslateOptions())
    assert not np.array_equal(read(result.path), read(alone.path))
    assert tags(result.path)["SAROPT_OPTICAL_REFERENCE"] == "deck.tif"
    assert not any("is ignored" in one for one in result.warnings)


def test_a_closed_deck_does_not_get_the_colours_of_today(scene, tmp_path):
    """Matched to ground, the deck would pass for ground."""
    translator = Translator.load("s1-reference")
    today = optical(tmp_path / "today.tif", ground(3))
    hidden = np.zeros((1, 64, 64), np.uint8)
    hidden[:, 32:] = 1
    mask = write_array(tmp_path / "mask.tif", hidden)
    for share, harmonised in ((1.0, False), (0.5, True)):
        deck = optical(tmp_path / f"deck{share}.tif", under_cloud(share))
        options = TranslateOptions(reference=deck, keep_clear=today, keep_clear_mask=mask)
        result = translator.run(scene, tmp_path / f"out{share}.tif", options)
        assert ("SAROPT_HARMONISED" in tags(result.path)) == harmonised
        assert any("is ignored" in one for one in result.warnings) != harmonised


def test_half_widths_that_rest_on_an_ignored_image(scene, tmp_path):
    translator = Translator.load("s1-reference", reliability=True)
    translator.reliability = translator.reliability.model_copy(update={"inputs": ("sar", "optical_reference")})
    deck, half = (optical(tmp_path / f"{share}.tif", under_cloud(share)) for share in (1.0, 0.5))
    line = "the half-widths were calibrated with earlier optical: without it they may hold fewer of the true values"
    for reference, told in ((deck, True), (half, False)):
        result = translator.run(scene, tmp_path / f"o{told}.tif", TranslateOptions(reference=reference))
        assert (line in result.warnings) == told


def test_a_report_names_images_that_were_ignored(tmp_path):
    root = tmp_path / "root"
    for role in ("sar", "optical", "optical_reference"):
        (root / role).mkdir(parents=True)
    for name, share in (("clear", 0.2), ("deck", 1.0)):
        decibels = np.random.default_rng(4).normal(-12, 2, (2, 64, 64)).astype(np.float32)
        write_array(root / "sar" / f"{name}.tif", decibels, band_names=SAR)
        optical(root / "optical" / f"{name}.tif", ground(5))
        optical(root / "optical_reference" / f"{name}.tif", under_cloud(share))
    reflectance = {"bands": list(OPTICAL), "units": "reflectance x 10000"}
    described = {"sar": {"bands": list(SAR), "units": "sigma0_db"}, "optical": reflectance}
    description = {"name": "r", "gsd_m": 10, **described, "optical_reference": reflectance}
    write_description(root, description, [("clear", "test"), ("deck", "test")])
    arguments = ["--data", str(root), "--out", str(tmp_path / "report")]
    assert main(["evaluate", "s1-reference", *arguments]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    warnings = report["models"][0]["directions"]["sar+sarref+optref2opt"]["warnings"]
    assert "1 earlier optical image ignored (cloud or snow alone): deck" in warnings
