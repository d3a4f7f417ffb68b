"""Clouds of earlier optical images without a mask: not used where they are most of the image, and a line says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from companion_files import read, tags
from saropt.cli import main
from saropt.inference import TranslateOptions, Translator
from saropt.inference.clouds import find_clouds
from saropt.inference.companion import Companion
from saropt.radiometry import ValueRule
from saropt.radiometry.clouds import looks_like_cloud
from saropt.roots.description import write_description
from saropt.roots.simulated_dates import as_reflectance
from saropt.scenes import Scene, Window, write_array
from saropt.simulate import DatesConfig, simulate_dates

SAR, OPTICAL = ("VV", "VH"), ("B4", "B3", "B2", "B8")
CLOUD = 5000


def ground(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(300, 900, (4, 64, 64)).astype(np.uint16)


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


@pytest.mark.parametrize(("red", "told"), [(5900, False), (6100, True)])
def test_ground_above_the_range_is_told_of(scene, tmp_path, red, told):
    bare = ground()
    bare[0, :2] = red
    earlier = optical(tmp_path / "bare.tif", bare)
    result = Translator.load("s1-reference").run(scene, tmp_path / "out.tif", TranslateOptions(reference=earlier))
    most = "3% of its pixels are above reflectance 0.6, the most that is taken"
    line = f"{earlier}: {most}: where they are kept they come out as that"
    assert (line in result.warnings) == told


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
    hidden[..., 48:] = 1
    mask = write_array(tmp_path / "mask.tif", hidden)
    for share, harmonised in ((1.0, False), (0.4, True)):
        deck = optical(tmp_path / f"deck{share}.tif", under_cloud(share))
        options = TranslateOptions(reference=deck, keep_clear=today, keep_clear_mask=mask)
        result = translator.run(scene, tmp_path / f"out{share}.tif", options)
        assert ("SAROPT_HARMONISED" in tags(result.path)) == harmonised
        assert any("is ignored" in one for one in result.warnings) != harmonised


def broken_clouds(side: int) -> np.ndarray:
    """Ground under clouds of some pixels each, in a corner of which are none."""
    rng = np.random.default_rng(7)
    values = rng.integers(300, 900, (4, side, side)).astype(np.uint16)
    for row, col in rng.integers(0, side - 12, (400, 2)):
        values[:, row : row + 12, col : col + 12] = CLOUD
    values[:, : side // 3, : side // 3] = 700
    return values


def grown(pixels: np.ndarray, radius: int) -> np.ndarray:
    """Pixels within a radius of those that are set, mirrored at the edges."""
    padded, side = np.pad(pixels, radius, mode="reflect"), len(pixels)
    result = np.zeros_like(pixels)
    for row in range(-radius, radius + 1):
        for col in range(-radius, radius + 1):
            if row**2 + col**2 <= radius**2:
                result |= padded[radius + row :, radius + col :][:side, :side]
    return result


def test_most_of_an_image_is_cloud_its_clouds_and_their_edges_come_from_radar(tmp_path):
    """As with a mask of the clouds and all within 8 pixels of them, at every tile size."""
    translator = Translator.load("s1-reference")
    values = broken_clouds(192)
    before = optical(tmp_path / "before.tif", values)
    decibels = np.random.default_rng(0).normal([[[-10]], [[-17]]], 2, (2, 192, 192)).astype(np.float32)
    scene = write_array(tmp_path / "sar.tif", decibels, band_names=SAR)
    clouds = values[0] == CLOUD
    near = grown(grown(~grown(~clouds, 2), 2), 8)
    assert clouds.mean() > 0.5
    assert near.mean() < 0.95
    mask = write_array(tmp_path / "mask.tif", near[None].astype(np.uint8))
    masked = translator.run(scene, tmp_path / "masked.tif", TranslateOptions(reference=before, reference_mask=mask))
    for tile in (64, 128):
        result = translator.run(scene, tmp_path / f"{tile}.tif", TranslateOptions(reference=before, tile=tile))
        for name in ("image", "origin"):
            assert np.array_equal(read(result.products[name]), read(masked.products[name]))
        line = f"{clouds.mean():.0%} of {before} looks like cloud or snow: that and 8 pixels around it come from radar"
        assert f"{line}; a mask decides in its place" in result.warnings


def test_clouds_are_the_same_in_every_window(tmp_path):
    with Scene.open(optical(tmp_path / "before.tif", broken_clouds(84))) as raster:
        clouds, rule = find_clouds(raster.sample(), OPTICAL, 10_000.0), ValueRule(None, "uint16")
        values, valid = clouds.read(raster, Window(0, 0, 84, 84), rule)
        for row, col in np.ndindex(12, 12):
            part, seen = clouds.read(raster, Window(7 * row, 7 * col, 7, 7), rule)
            place = np.s_[7 * row : 7 * row + 7, 7 * col : 7 * col + 7]
            assert np.array_equal(part, values[:, *place])
            assert np.array_equal(seen, valid[place])


def test_colours_of_today_are_matched_without_the_clouds(tmp_path):
    values = broken_clouds(128)
    with Scene.open(optical(tmp_path / "before.tif", values)) as raster:
        clouds = find_clouds(raster.sample(), OPTICAL, 10_000.0)
        reference, rule = Companion(raster), ValueRule(None, "uint16")
        reference.hide_clouds(clouds, rule)
        with Scene.open(optical(tmp_path / "today.tif", values // 3)) as today:
            assert reference.match_colours(today, rule)
        assert (reference.read(Window(0, 0, 8, 8))[0] == 233).all()


def test_haze_and_some_clouds_are_left_to_the_network(tmp_path):
    """Ground can be seen through haze, and white roofs are no clouds."""
    haze, some = np.full((4, 4000), 1500), np.random.default_rng(3).integers(300, 900, (4, 4000))
    haze[0], haze[2] = 1000, 1700
    some[:, :900] = CLOUD
    assert looks_like_cloud(*(haze[[2, 1, 0]] / 10_000)).all()
    assert find_clouds(np.hstack([haze[:, :3000], some[:, 900:1900]]), OPTICAL, 10_000.0) is None
    assert find_clouds(some, OPTICAL, 10_000.0) is None
    assert find_clouds(some[:, :3000], OPTICAL, 10_000.0).share == pytest.approx(0.3)


def test_clear_simulated_ground_is_no_cloud():
    """It is whiter than most land."""
    two = simulate_dates(128, 1, dates=DatesConfig("spring"))
    assert find_clouds(as_reflectance(two.optical).reshape(4, -1), OPTICAL, 10_000.0) is None


def test_clouds_are_found_before_colours_are_matched(tmp_path):
    """Darkened to the colours of today they would pass for ground."""
    translator = Translator.load("s1-reference")
    values = broken_clouds(128)
    decibels = np.random.default_rng(0).normal([[[-10]], [[-17]]], 2, (2, 128, 128)).astype(np.float32)
    scene = write_array(tmp_path / "sar.tif", decibels, band_names=SAR)
    hidden = np.zeros((1, 128, 128), np.uint8)
    hidden[:, 64:] = 1
    options = TranslateOptions(
        reference=optical(tmp_path / "before.tif", values),
        keep_clear=optical(tmp_path / "today.tif", values // 3),
        keep_clear_mask=write_array(tmp_path / "mask.tif", hidden),
    )
    result = translator.run(scene, tmp_path / "out.tif", options)
    assert "SAROPT_HARMONISED" in tags(result.path)
    assert sum("looks like cloud or snow: that and 8 pixels" in one for one in result.warnings) == 1
    assert (read(result.products["origin"])[0, 64:][values[0, 64:] == CLOUD] == 100).all()


@pytest.mark.parametrize("today", [False, True])
def test_clouds_that_leave_nothing_are_the_translation_of_radar(scene, tmp_path, today):
    """All lies within 8 pixels of a cloud, and half of the image is ground."""
    values = ground()
    for row, col in np.ndindex(4, 4):
        values[:, 16 * row : 16 * row + 12, 16 * col : 16 * col + 12] = CLOUD
    options = TranslateOptions(reference=optical(tmp_path / "before.tif", values))
    if today:
        hidden = np.zeros((1, 64, 64), np.uint8)
        hidden[..., 48:] = 1
        mask = write_array(tmp_path / "mask.tif", hidden)
        options = replace(options, keep_clear=optical(tmp_path / "today.tif", ground(3)), keep_clear_mask=mask)
    translator = Translator.load("s1-reference")
    result = translator.run(scene, tmp_path / "out.tif", options)
    alone = translator.run(scene, tmp_path / "alone.tif", TranslateOptions())
    assert np.array_equal(read(result.path)[:, :, 48:], read(alone.path)[:, :, 48:])
    assert sum("looks like cloud or snow: that and 8 pixels" in one for one in result.warnings) == 1


def test_what_is_not_measured_is_no_cloud(tmp_path):
    values = broken_clouds(96)
    values[:, :20, :20] = 65535
    with Scene.open(optical(tmp_path / "before.tif", values)) as raster:
        clouds = find_clouds(raster.sample(), OPTICAL, 10_000.0)
        _, valid = clouds.read(
            raster, Window(0, 0, 28, 28), ValueRule(None, "uint16").with_fill(65535.0, all_bands=True)
        )
    assert not valid[:20, :20].any()
    assert valid[:22, 20:22].all()


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
