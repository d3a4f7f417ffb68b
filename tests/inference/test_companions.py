"""Earlier images: tile by tile, and said in the tags."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio

from companion_files import HEIGHT, WIDTH, read, tags, write_optical
from reference_files import BANDS, reference_translator
from saropt.errors import InputError
from saropt.inference import TranslateOptions, Translator
from saropt.scenes import Scene, write_array
from saropt.scenes.gdal_settings import CACHE_BYTES
from translator_fixtures import GEOREFERENCE


def test_untrained_it_copies_the_reference_and_says_so(fresh, scene, colours, tmp_path):
    old = write_optical(tmp_path / "old.tif", colours, tags={"ACQUISITION_DATE": "2019-06-12"})
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old))
    assert np.array_equal(read(result.path), colours)
    origin = result.products["origin"]
    assert (read(origin)[0] == 0).all()
    assert "0 is unchanged, from 2019-06-12" in tags(origin)["SAROPT_CONTENT"]
    assert tags(result.path)["SAROPT_OPTICAL_REFERENCE"] == "old.tif"
    assert tags(result.path)["SAROPT_OPTICAL_REFERENCE_DATE"].startswith("2019-06-12")
    assert tags(result.path)["ACQUISITION_DATE"].startswith("2020-11-07")
    assert result.warnings == ("no earlier SAR image was given: change is judged by the new one alone",)


def test_without_any_earlier_image_all_is_from_radar(fresh, scene, tmp_path):
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions())
    assert (read(result.products["origin"])[0] == 100).all()
    assert len(result.warnings) == 2
    assert "the translation comes from radar" in result.warnings[1]


@pytest.mark.parametrize("relative", [False, True])
def test_any_tile_gives_the_same_products(scene, colours, make_scene, tmp_path, relative):
    translator = Translator.load(reference_translator(tmp_path, fresh=False, relative=relative))
    old, old_sar = write_optical(tmp_path / "old.tif", colours), make_scene(HEIGHT, WIDTH, 20, "old_sar.tif")
    results = []
    for tile in (64, 512):
        options = TranslateOptions(reference=old, reference_sar=old_sar, tile=tile)
        result = translator.run(scene, tmp_path / f"{tile}.tif", options)
        results.append([read(path).astype(int) for path in result.products.values()])
    assert 5 < results[0][1][0].mean() < 95
    for small, large in zip(*results, strict=True):
        assert np.abs(small - large).max() <= 1


def test_a_relative_translator_takes_the_stretch_of_the_earlier_image(scene, tmp_path):
    """Where a mask hides the earlier image, what comes from radar is as bright as the clear part says."""
    translator = Translator.load(reference_translator(tmp_path, fresh=False, relative=True))
    dark = np.random.default_rng(5).integers(20, 60, (3, HEIGHT, WIDTH)).astype(np.uint8)
    hidden = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    hidden[:, HEIGHT // 2 :] = 1
    mask = write_array(tmp_path / "mask.tif", hidden, georeference=GEOREFERENCE)
    made = []
    for factor in (1, 2):
        old = write_optical(tmp_path / f"old{factor}.tif", factor * dark)
        options = TranslateOptions(reference=old, reference_mask=mask)
        made.append(read(translator.translate(scene, tmp_path / f"{factor}.tif", **vars(options))).astype(int))
    from_radar = np.s_[:, HEIGHT - 40 :]
    seen = made[1][from_radar] < 255
    assert made[0][from_radar].max() > 20
    assert np.abs(made[1] - 2 * made[0])[from_radar][seen].max() <= 2
    assert not np.array_equal(made[0], read(translator.translate(scene, tmp_path / "alone.tif")))


def test_colours_that_a_program_marked_contradict_nothing(scene, colours, tmp_path):
    """GDAL marks any three bands of 8 bits as red, green and blue; names that a file states do contradict."""
    path = reference_translator(tmp_path, fresh=True, bands=("SWIR", "NIR", "visible"))
    translator, old = Translator.load(path), tmp_path / "old.tif"
    place = {"crs": GEOREFERENCE.crs, "transform": GEOREFERENCE.transform}
    with rasterio.open(old, "w", "GTiff", WIDTH, HEIGHT, 3, dtype="uint8", photometric="RGB", **place) as dataset:
        dataset.write(colours)
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old))
    assert np.array_equal(read(result.path), colours)
    line = f"{old}: its bands are marked red, green, blue: taken as SWIR, NIR, visible, in this order"
    assert line in result.warnings
    named = write_optical(tmp_path / "named.tif", colours)
    with pytest.raises(InputError, match="holds B4, B3, B2, not SWIR, NIR, visible"):
        translator.run(scene, tmp_path / "other.tif", TranslateOptions(reference=named))


def test_bands_of_companions_without_names_are_told(fresh, scene, colours, tmp_path):
    old = write_array(tmp_path / "old.tif", colours.astype(np.float32), georeference=GEOREFERENCE)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old))
    assert f"{old}: its bands have no names: taken as B4, B3, B2, in this order" in result.warnings


def test_a_later_reference_is_told_of(fresh, scene, colours, tmp_path):
    old = write_optical(tmp_path / "old.tif", colours, tags={"ACQUISITION_DATE": "2021-01-02"})
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old))
    assert f"{old} is of 2021-01-02, the scene of 2020-11-07: it is later" in result.warnings


def test_a_later_date_among_several_is_told_of(fresh, scene, make_scene, tmp_path):
    dates = []
    for day in ("2019-05-01", "2021-05-01", "2022-05-01"):
        old = make_scene(HEIGHT, WIDTH, 20, f"{day}.tif")
        with rasterio.open(old, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
            dataset.update_tags(ACQUISITION_DATE=day)
        dates.append(old)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference_sar=tuple(dates)))
    assert [line for line in result.warnings if "it is later" in line] == [
        f"{path} is of {path.stem}, the scene of 2020-11-07: it is later" for path in dates[1:]
    ]


def test_another_mask_is_other_work(fresh, scene, colours, tmp_path):
    """The key of an interrupted run holds what every companion is."""
    old = write_optical(tmp_path / "old.tif", colours)
    options = [
        TranslateOptions(reference=old),
        TranslateOptions(),
        TranslateOptions(reference_sar=scene),
        TranslateOptions(keep_clear=old),
    ]
    with Scene.open(scene) as opened:
        assert len({fresh._resume_key(opened, one, [], {}) for one in options}) == 4


def test_unfit_companions_are_refused(fresh, scene, colours, tmp_path):
    nowhere = write_array(tmp_path / "nowhere.tif", colours[:, :50], band_names=BANDS)
    floats = write_optical(tmp_path / "floats.tif", colours.astype(np.float32))
    for changes, message in (
        ({"reference": nowhere}, "nowhere.tif"),
        ({"keep_clear": floats}, "holds float32, the output is uint8"),
        ({"reference": scene}, "has 1 band \\(VH\\), not B4, B3, B2"),
        ({"inputs": {"dem": scene}}, "is given as dem, but the translator takes sar, sar_reference, optical_reference"),
    ):
        with pytest.raises(InputError, match=message):
            fresh.run(scene, tmp_path / "out.tif", TranslateOptions(**changes))
        assert not list(tmp_path.glob("out*"))
    with pytest.raises(Exception, match="masks an earlier image, and none is given"):
        TranslateOptions(reference_mask=scene)


def test_half_widths_without_the_images_they_were_calibrated_with(tmp_path):
    """A scene that lacks an input which all scenes of the calibration had is told so."""
    translator = Translator.load("flood-reference", reliability=True)
    assert translator.reliability.inputs == ("sar", "sar_reference", "optical_reference")
    random = np.random.default_rng(0)
    sar = write_array(tmp_path / "sar.tif", random.integers(1, 200, (1, 64, 64)).astype(np.uint8))
    old = write_array(tmp_path / "old.tif", random.integers(1, 200, (3, 64, 64)).astype(np.uint8))
    for options, told in (
        (TranslateOptions(), ["earlier SAR and earlier optical: without them"]),
        (TranslateOptions(reference=old), ["earlier SAR: without it"]),
        (TranslateOptions(reference=old, reference_sar=sar), []),
    ):
        result = translator.run(sar, tmp_path / "out.tif", replace(options, overwrite=True))
        lines = [line for line in result.warnings if "half-widths" in line]
        assert lines == [
            f"the half-widths were calibrated with {part} they may hold fewer of the true values" for part in told
        ]
        assert read(result.products["reliability"]).shape == (4, 64, 64)


def test_a_bright_earlier_image_is_told_of_unless_its_clouds_are_masked(tmp_path):
    """Reflectance above .3 in all bands on a fifth of the image; s1-reference takes reflectance times 10,000."""
    translator, random = Translator.load("s1-reference"), np.random.default_rng(0)
    bands = ("VV", "VH"), ("B4", "B3", "B2", "B8")
    sar = write_array(tmp_path / "sar.tif", random.normal(-12, 3, (2, 64, 64)).astype(np.float32), band_names=bands[0])
    values = random.integers(400, 2500, (4, 64, 64)).astype(np.uint16)
    clear = write_array(tmp_path / "clear.tif", values, band_names=bands[1])
    values[:, :, :13] = 7000
    cloudy = write_array(tmp_path / "cloudy.tif", values, band_names=bands[1])
    mask = write_array(tmp_path / "mask.tif", (values[:1] == 7000).astype(np.uint8))
    line = f"20% of {cloudy} is brighter than 0.3 in all bands, as clouds and snow are"
    for options, told in (
        (TranslateOptions(reference=clear), []),
        (TranslateOptions(reference=cloudy), [f"{line}: it counts as ground unless a mask is given"]),
        (TranslateOptions(reference=cloudy, reference_mask=mask), []),
    ):
        result = translator.run(sar, tmp_path / "out.tif", replace(options, overwrite=True))
        assert [line for line in result.warnings if "brighter" in line] == told


def test_earlier_images_of_other_sensors_are_taken_by_the_names_of_their_bands(tmp_path):
    """s1-reference takes red, green, blue and near infrared times 10,000; Landsat as it is stored is refused."""
    translator, random = Translator.load("s1-reference"), np.random.default_rng(0)
    radar = random.normal(-12, 3, (2, 64, 64)).astype(np.float32)
    sar = write_array(tmp_path / "sar.tif", radar, band_names=["VV", "VH"])
    red, green, blue, nir = values = random.integers(400, 2500, (4, 64, 64)).astype(np.uint16)
    planet = ["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"]
    landsat = ["SR_B4", "SR_B3", "SR_B2", "SR_B5"]
    stored = np.rint((values / 1e4 + 0.2) / 2.75e-5).astype(np.uint16)
    kept = []
    for number, (image, names) in enumerate(
        (
            (values, ["B4", "B3", "B2", "B8"]),
            (np.stack([blue - 99, blue, green - 99, green, red - 99, red, red + 99, nir]), planet),
            (values, landsat),
        )
    ):
        earlier = write_array(tmp_path / f"{number}.tif", image, band_names=names)
        kept.append(read(translator.translate(sar, tmp_path / f"out{number}.tif", reference=earlier)))
    assert np.array_equal(kept[0], kept[1])
    assert np.array_equal(kept[0], kept[2])
    raw = write_array(tmp_path / "raw.tif", stored, band_names=landsat)
    with pytest.raises(InputError, match="are these numbers of Landsat"):
        translator.translate(sar, tmp_path / "out.tif", reference=raw)
    cent = write_array(tmp_path / "cent.tif", (values / 100.0).astype(np.float32), band_names=["B4", "B3", "B2", "B8"])
    with pytest.raises(InputError, match="is this reflectance in per cent"):
        translator.translate(sar, tmp_path / "out.tif", reference=cent)
    assert not (tmp_path / "out.tif").exists()


def test_decoded_blocks_of_all_rasters_have_room(fresh, scene, colours, make_scene, tmp_path, monkeypatch):
    room, valid = [], Scene._valid

    def recorded(self, stored, area):
        room.append(rasterio.env.getenv()["GDAL_CACHEMAX"])
        return valid(self, stored, area)

    monkeypatch.setattr(Scene, "_valid", recorded)
    old, old_sar = write_optical(tmp_path / "old.tif", colours), make_scene(HEIGHT, WIDTH, 20, "old_sar.tif")
    fresh.run(scene, tmp_path / "alone.tif", TranslateOptions())
    assert set(room) == {CACHE_BYTES}
    room.clear()
    fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_sar=old_sar, tile=64))
    assert set(room[-3:]) == {3 * CACHE_BYTES}
    assert room.count(CACHE_BYTES) < 4
