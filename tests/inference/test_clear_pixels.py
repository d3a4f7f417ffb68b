"""Today's clear pixels: kept as they are, and said in the tags."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from companion_files import HEIGHT, WIDTH, read, tags, write_optical
from saropt.errors import InputError
from saropt.inference import TranslateOptions, Translator
from saropt.scenes import write_array
from translator_fixtures import GEOREFERENCE


def test_clear_pixels_of_today_are_kept_exactly(fresh, scene, colours, tmp_path):
    old, today = write_optical(tmp_path / "old.tif", colours), colours[:, ::-1].copy()
    today[:, :, :50] = 0
    now = write_optical(tmp_path / "today.tif", today, nodata=0)
    cloud = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    cloud[0, :70] = 7
    mask = write_array(tmp_path / "clouds.tif", cloud, band_names=["cloud"], georeference=GEOREFERENCE)
    options = TranslateOptions(reference=old, keep_clear=now, keep_clear_mask=mask)
    result = fresh.run(scene, tmp_path / "out.tif", options)
    clear = (today != 0).all(axis=0) & (cloud[0] == 0)
    assert np.array_equal(read(result.path)[:, clear], today[:, clear])
    radar, _, kept = read(result.products["origin"])
    assert np.array_equal(kept, np.where(clear, 100, 0))
    assert (radar == 0).all()
    words = tags(result.products["origin"])["SAROPT_CONTENT"]
    assert words.endswith("0 is unchanged, from old.tif or kept from today.tif; 100 is from radar")


def test_the_reference_gets_the_colours_of_todays_clear_pixels(fresh, scene, colours, tmp_path):
    """Today is brighter, and flooded in a corner: no seam is left between clear pixels and the earlier image."""
    old = write_optical(tmp_path / "old.tif", colours // 2 + 10)
    now = (colours.astype(int) * 3 // 4 + 30).astype(np.uint8)
    now[:, :30, 100:] = 5
    today = now.copy()
    today[:, :, :60] = 0
    clear = write_optical(tmp_path / "today.tif", today, nodata=0)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, keep_clear=clear))
    assert "clear pixels of today" in tags(result.path)["SAROPT_HARMONISED"]
    made = read(result.path).astype(int)
    assert np.array_equal(made[:, :, 60:], now[:, :, 60:])
    assert np.abs(made - now)[:, :, :60].max() <= 3


def test_an_image_of_today_without_any_mask_is_told_of(fresh, scene, colours, tmp_path):
    now = write_optical(tmp_path / "today.tif", colours)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(keep_clear=now))
    assert any("has no masked pixel" in warning for warning in result.warnings)
    assert np.array_equal(read(result.path), colours)
    words = tags(result.products["origin"])["SAROPT_CONTENT"]
    assert words.endswith("0 is kept from today.tif; 100 is from radar")


def test_nodata_values_of_today_are_not_kept(fresh, scene, colours, tmp_path):
    """Where a band has the output's nodata, undeclared, the earlier image is taken."""
    old, today = write_optical(tmp_path / "old.tif", colours), colours[:, ::-1].copy()
    today[:, :, :64] = 0
    today[1, 100:110, 100:110] = 0
    now = write_optical(tmp_path / "today.tif", today)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, keep_clear=now))
    kept = read(result.products["origin"])[-1] == 100
    assert np.array_equal(kept, (today != 0).all(axis=0))
    assert (read(result.path) > 0).all()


def test_reflectance_of_today_in_other_units(tmp_path):
    """Stored with a scale it is kept in the output's units; out of their range it is refused."""
    random = np.random.default_rng(0)
    sar = random.normal(-12, 2, (2, 64, 64)).astype(np.float32)
    now = random.integers(300, 4000, (4, 64, 64)).astype(np.uint16)
    now[:, :4, :4] = 45000
    scene = write_array(tmp_path / "s.tif", sar, band_names=["VV", "VH"], georeference=GEOREFERENCE)
    names = ["B4", "B3", "B2", "B8"]
    scaled = write_array(tmp_path / "scaled.tif", now, band_names=names, georeference=GEOREFERENCE)
    with rasterio.open(scaled, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.scales, dataset.offsets = [2e-4] * 4, [-0.01] * 4
    translator = Translator.load("s1-world")
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(keep_clear=scaled, units="sigma0_db"))
    assert np.array_equal(read(result.path)[..., 4:], 2 * now[..., 4:] - 100)
    assert (read(result.path)[:, :4, :4] < 15000).all()
    bright = np.full_like(now, 30000) + now
    large = write_array(tmp_path / "large.tif", bright, band_names=names, georeference=GEOREFERENCE)
    with pytest.raises(
        InputError, match=r"large.tif: nothing states its units, and reflectance x 10000 does not fit"
    ) as error:
        translator.run(scene, tmp_path / "no.tif", TranslateOptions(keep_clear=large, units="sigma0_db"))
    assert "--units" not in error.value.command_line_text()
    assert not (tmp_path / "no.tif").exists()


def test_clear_pixels_of_another_day_are_told_of(fresh, scene, colours, tmp_path):
    """Their file and date are in the tags."""
    for day, told in (("2017-01-01", True), ("2020-11-07", False), (None, False)):
        stated = {} if day is None else {"ACQUISITION_DATE": day}
        now = write_optical(tmp_path / f"now{day}.tif", colours, tags=stated)
        result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(keep_clear=now, overwrite=True))
        line = f"{now} is of {day}, the scene of 2020-11-07: its pixels are kept all the same"
        assert (line in result.warnings) == told
        assert tags(result.path)["SAROPT_KEEP_CLEAR"] == now.name
        assert tags(result.path).get("SAROPT_KEEP_CLEAR_DATE") == day
        assert tags(result.products["origin"]).get("SAROPT_KEEP_CLEAR_DATE") == day


def test_fill_of_the_reference_gets_no_colours_and_dark_ground_does_not_become_fill(tmp_path):
    """With undeclared fill as with declared fill; ground that a gain would make black counts as ground."""
    random = np.random.default_rng(0)
    names = ["B4", "B3", "B2", "B8"]
    sar = random.normal([[[-10]], [[-17]]], 2, (2, 64, 64)).astype(np.float32)
    scene = write_array(tmp_path / "sar.tif", sar, band_names=["VV", "VH"])
    old = random.integers(600, 1500, (4, 64, 64)).astype(np.uint16)
    now = 2 * old - 800
    old[:, :, :16], old[:, :16, 40:] = 0, 200
    now[:, :, :20], now[:, :16] = 0, 0
    today = write_array(tmp_path / "today.tif", now, band_names=names, nodata=0)
    translator, made = Translator.load("s1-reference"), []
    for name, nodata in (("declared.tif", 0), ("fill.tif", None)):
        reference = write_array(tmp_path / name, old, band_names=names, nodata=nodata)
        result = translator.run(
            scene, tmp_path / f"out_{name}", TranslateOptions(reference=reference, keep_clear=today)
        )
        assert "SAROPT_HARMONISED" in tags(result.path)
        made.append((read(result.path), read(result.products["origin"])))
        told = [line for line in result.warnings if "fill (0)" in line]
        assert [line.startswith(f"{reference}: 25.00% of") for line in told] == [True] * (nodata is None)
    for one, other in zip(*made, strict=True):
        assert np.array_equal(one, other)
    assert (made[0][1][1, :16, 44:60] > 0).all()
