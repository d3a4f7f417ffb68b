"""Earlier images, masks and today's clear pixels: on any grid, tile by tile, and said in the tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform

from reference_files import BANDS, reference_translator
from saropt.errors import InputError
from saropt.inference import TranslateOptions, Translator, companions
from saropt.inference.companions import Ground
from saropt.scenes import Georeference, Scene, open_scene, write_array
from translator_fixtures import GEOREFERENCE

Factory = Callable[..., Path]
HEIGHT, WIDTH = 220, 180


def read(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def tags(path: Path | str) -> dict[str, str]:
    with rasterio.open(path) as dataset:
        return dataset.tags()


def write_optical(path: Path, values: np.ndarray, place: Georeference = GEOREFERENCE, **options) -> Path:
    return write_array(path, values, band_names=BANDS, georeference=place, **options)


@pytest.fixture
def colours() -> np.ndarray:
    rng = np.random.default_rng(3)
    smooth = np.kron(rng.integers(30, 220, (3, HEIGHT // 20, WIDTH // 20)), np.ones((20, 20)))
    return smooth.astype(np.uint8)


@pytest.fixture
def scene(make_scene: Factory) -> Path:
    return make_scene(HEIGHT, WIDTH)


@pytest.fixture
def fresh(tmp_path: Path) -> Translator:
    return Translator.load(reference_translator(tmp_path, fresh=True))


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
    assert "the whole image comes from radar" in result.warnings[1]


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


def test_references_come_from_any_grid_and_projection(fresh, scene, colours, tmp_path):
    """A reference in degrees, of half the scene: it is copied where it lies, elsewhere all is from radar."""
    west, north, east, south = 400_000.0, 3_800_000.0, 400_000.0 + 10 * WIDTH, 3_800_000.0 - 10 * HEIGHT
    longitudes, latitudes = transform("EPSG:32611", "EPSG:4326", [west, east], [north, south])
    step = (longitudes[1] - longitudes[0]) / WIDTH
    place = Georeference(CRS.from_epsg(4326), from_origin(longitudes[0], latitudes[0] + step, step, step))
    flat = np.stack([np.full((HEIGHT, WIDTH // 2), value, np.uint8) for value in (40, 90, 140)])
    old = write_optical(tmp_path / "degrees.tif", flat, place, tags={"ACQUISITION_DATE": "2019-06-12"})
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old))
    assert tags(result.path)["SAROPT_OPTICAL_REFERENCE_DATE"].startswith("2019-06-12")
    image, radar = read(result.path), read(result.products["origin"])[0]
    left, right = np.s_[20:-60, 20 : WIDTH // 2 - 20], np.s_[20:-60, WIDTH // 2 + 20 :]
    assert (radar[left] == 0).all()
    assert (radar[right] == 100).all()
    assert [int(band[left].mean().round()) for band in image] == [40, 90, 140]
    assert image[(slice(None), *left)].std(axis=(1, 2)).max() == 0


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


def test_masked_clouds_of_the_reference_come_from_radar(fresh, scene, colours, tmp_path):
    old = write_optical(tmp_path / "old.tif", colours)
    cloud = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    cloud[0, 40:90, 30:120] = 1
    mask = write_array(tmp_path / "clouds.tif", cloud, band_names=["cloud"], georeference=GEOREFERENCE)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))
    radar = read(result.products["origin"])[0]
    assert np.array_equal(radar, np.where(cloud[0] == 1, 100, 0))
    assert np.array_equal(read(result.path)[:, cloud[0] == 0], colours[:, cloud[0] == 0])


def test_a_mask_that_hides_the_whole_image_is_named(fresh, scene, colours, tmp_path):
    old = write_optical(tmp_path / "old.tif", colours)
    everywhere = np.ones((1, HEIGHT, WIDTH), np.uint8)
    mask = write_array(tmp_path / "clouds.tif", everywhere, band_names=["cloud"], georeference=GEOREFERENCE)
    with pytest.raises(InputError, match=r"old.tif: .*clouds.tif hides all of it: in a mask 0 is clear"):
        fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))


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


def test_beside_a_scene_with_control_points(scene, colours, fresh, tmp_path):
    """Companions have the same points; elsewhere, or on a grid, they cannot be laid on it."""

    def points(shift: float) -> Georeference:
        corners = [(row, col) for row in (0, HEIGHT) for col in (0, WIDTH)]
        gcps = [GroundControlPoint(row, col, 5e5 + shift + 10 * col, 4e6 - 10 * row) for row, col in corners]
        return Georeference(gcps=tuple(gcps), gcp_crs=CRS.from_epsg(32611))

    radar = write_array(tmp_path / "radar.tif", read(scene), band_names=["VH"], georeference=points(0))
    same = write_optical(tmp_path / "same.tif", colours, points(0))
    result = fresh.run(radar, tmp_path / "out.tif", TranslateOptions(reference=same))
    assert np.array_equal(read(result.path), colours)
    for other in (points(2e5), GEOREFERENCE):
        old = write_optical(tmp_path / "old.tif", colours, other, overwrite=True)
        with pytest.raises(InputError, match=r"old.tif: cannot be laid on .*radar.tif, which has control points"):
            fresh.run(radar, tmp_path / "no.tif", TranslateOptions(reference=old))
        with pytest.raises(InputError, match="project the scene first"):
            fresh.run(radar, tmp_path / "no.tif", TranslateOptions(reference=same, reference_mask=old))


def test_beside_a_scene_with_rpcs(scene, colours, fresh, tmp_path):
    """As beside control points: the same RPCs or no place at all."""

    def place(longitude: float) -> Georeference:
        ones = " ".join(["1"] + ["0"] * 19)
        offsets = {"LINE_OFF": HEIGHT / 2, "SAMP_OFF": WIDTH / 2, "LAT_OFF": -33, "LONG_OFF": longitude}
        scales = {"LINE_SCALE": HEIGHT / 2, "SAMP_SCALE": WIDTH / 2, "LAT_SCALE": 0.02, "LONG_SCALE": 0.02}
        heights = {"HEIGHT_OFF": 0, "HEIGHT_SCALE": 500}
        line, sample = " ".join(["0", "0", "-1"] + ["0"] * 17), " ".join(["0", "1"] + ["0"] * 18)
        rest = {"LINE_NUM_COEFF": line, "LINE_DEN_COEFF": ones, "SAMP_NUM_COEFF": sample, "SAMP_DEN_COEFF": ones}
        return Georeference(rpcs={key: str(value) for key, value in (offsets | scales | heights | rest).items()})

    radar = write_array(tmp_path / "radar.tif", read(scene), band_names=["VH"], georeference=place(151))
    assert open_scene(radar).georeference.rpcs
    same, placeless = write_optical(tmp_path / "same.tif", colours, place(151)), tmp_path / "placeless.tif"
    write_array(placeless, colours, band_names=BANDS)
    line = f"{placeless}: taken to lie pixel on pixel on {radar}, as they lack a common place"
    for old, told in ((same, False), (placeless, True)):
        result = fresh.run(radar, tmp_path / "out.tif", TranslateOptions(reference=old, overwrite=True))
        assert np.array_equal(read(result.path), colours)
        assert (line in result.warnings) == told
    for other in (place(15), GEOREFERENCE):
        old = write_optical(tmp_path / "old.tif", colours, other, overwrite=True)
        with pytest.raises(InputError, match=r"old.tif: cannot be laid on .*radar.tif, which has RPCs and no grid"):
            fresh.run(radar, tmp_path / "no.tif", TranslateOptions(reference=old))


def test_beside_a_scene_without_a_crs(scene, colours, fresh, tmp_path):
    """A transform that puts a raster elsewhere is refused; where one has no place, the pixels are taken to fit."""
    transform = GEOREFERENCE.transform

    def write(name: str, values: np.ndarray, pixels: float | None, crs: CRS | None = None) -> Path:
        place = Georeference() if pixels is None else Georeference(crs, transform @ Affine.translation(pixels, 0))
        bands = BANDS if len(values) == 3 else ["VH"]
        return write_array(tmp_path / f"{name}.tif", values, band_names=bands, georeference=place)

    flat, nowhere = write("flat", read(scene), 0), write("nowhere", read(scene), None)
    same, half = write("same", colours, 0), write("half", colours, 0.5)
    known, far, placeless = write("known", colours, 0, GEOREFERENCE.crs), write("far", colours, 1e4), None
    placeless = write("placeless", colours, None)
    for radar, old, told in (
        (flat, same, False),
        (flat, half, False),
        (flat, known, False),
        (flat, placeless, True),
        (nowhere, placeless, True),
        (nowhere, far, True),
    ):
        result = fresh.run(radar, tmp_path / "out.tif", TranslateOptions(reference=old, overwrite=True))
        assert np.array_equal(read(result.path), colours)
        line = f"{old}: taken to lie pixel on pixel on {radar}, as they lack a common place"
        assert [one for one in result.warnings if "pixel on pixel" in one] == [line] * told
    with pytest.raises(
        InputError, match=r"far.tif: lies elsewhere than .*flat.tif by its transform, and the scene has"
    ):
        fresh.run(flat, tmp_path / "no.tif", TranslateOptions(reference=far))
    assert not (tmp_path / "no.tif").exists()


def test_nodata_of_a_mask(fresh, scene, colours, tmp_path):
    """0 is clear, also where it is the mask's nodata; other nodata counts as clear and is told of."""
    old = write_optical(tmp_path / "old.tif", colours)
    cloud = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    clear = write_array(tmp_path / "clear.tif", cloud, georeference=GEOREFERENCE, nodata=0)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=clear))
    assert np.array_equal(read(result.path), colours)
    assert not [line for line in result.warnings if "clear.tif" in line]
    cloud[:, : HEIGHT // 2] = 255
    half = write_array(tmp_path / "half.tif", cloud, georeference=GEOREFERENCE, nodata=255)
    result = fresh.run(scene, tmp_path / "again.tif", TranslateOptions(reference=old, reference_mask=half))
    assert any("half.tif: 50.0% of the mask is nodata or NaN" in line for line in result.warnings)


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
    with pytest.raises(Exception, match="is a mask of reference, which is not given"):
        TranslateOptions(reference_mask=scene)


def test_companions_of_another_place_are_refused_and_partial_ones_are_told(fresh, scene, colours, tmp_path):
    def moved(name: str, metres: float) -> Path:
        place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(metres / 10, 0))
        return write_array(tmp_path / name, colours, band_names=BANDS, georeference=place)

    far, half = moved("far.tif", 1e5), moved("half.tif", 10 * WIDTH / 2)
    placeless = write_array(tmp_path / "placeless.tif", colours, band_names=BANDS)
    old = write_optical(tmp_path / "old.tif", colours)
    empty = write_array(
        tmp_path / "empty.tif", np.full((1, HEIGHT, WIDTH), np.nan, np.float32), georeference=GEOREFERENCE
    )
    far_mask = write_array(tmp_path / "far_mask.tif", colours[:1], georeference=Scene.open(far).georeference)
    for changes, message in (
        ({"reference": far}, "far.tif: shares no ground with"),
        ({"keep_clear": far}, "far.tif: shares no ground with"),
        (
            {"reference": placeless},
            "placeless.tif: has no place on the ground: neither a transform with CRS nor control points",
        ),
        ({"reference": old, "reference_mask": far_mask}, "far_mask.tif: shares no ground with"),
        ({"reference": old, "reference_mask": empty}, "empty.tif: holds no valid pixel"),
    ):
        with pytest.raises(InputError, match=message):
            fresh.run(scene, tmp_path / "out.tif", TranslateOptions(**changes))
        assert not list(tmp_path.glob("out*"))
    for field in ("reference", "keep_clear"):
        result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(**{field: half}, overwrite=True))
        assert f"{half} covers 50.0% of the scene: the rest is made without it" in result.warnings
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, overwrite=True))
    assert not [line for line in result.warnings if "covers" in line]


def test_companions_are_looked_at_once(scene, colours, tmp_path, monkeypatch):
    place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(WIDTH / 2, 0))
    half = write_array(tmp_path / "half.tif", colours, band_names=BANDS, georeference=place)
    opened = []
    monkeypatch.setattr(companions, "open_scene", lambda path: opened.append(path) or open_scene(path))
    with open_scene(scene) as radar:
        ground = Ground(radar)
        assert ground.grid_for(half) == ground.grid_for(half) is not None
        assert ground.grid_for(scene) is None
        assert ground.notes == [f"{half} covers 50.0% of the scene: the rest is made without it"]
    assert opened == [half, scene]


def test_companions_across_180_degrees(tmp_path):
    (x,), (y,) = transform("EPSG:4326", "EPSG:32660", [180.0], [20.0])
    east = Georeference(CRS.from_epsg(32660), from_origin(x - 700, y + 700, 10, 10))
    image = np.ones((1, 140, 140), np.uint8)
    old = write_array(tmp_path / "old.tif", image, georeference=east)
    for west in (179.995, -180.005):
        place = Georeference(CRS.from_epsg(4326), from_origin(west, 20.005, 1e-4, 1e-4))
        with open_scene(write_array(tmp_path / f"{west}.tif", image[:, :100, :100], georeference=place)) as radar:
            ground = Ground(radar)
            assert ground.grid_for(old) is not None
            assert ground.notes == []


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
    """Reflectance above .3 in all bands on half of the image; s1-reference takes reflectance times 10,000."""
    translator, random = Translator.load("s1-reference"), np.random.default_rng(0)
    bands = ("VV", "VH"), ("B4", "B3", "B2", "B8")
    sar = write_array(tmp_path / "sar.tif", random.normal(-12, 3, (2, 64, 64)).astype(np.float32), band_names=bands[0])
    values = random.integers(400, 2500, (4, 64, 64)).astype(np.uint16)
    clear = write_array(tmp_path / "clear.tif", values, band_names=bands[1])
    values[:, :, :32] = 7000
    cloudy = write_array(tmp_path / "cloudy.tif", values, band_names=bands[1])
    mask = write_array(tmp_path / "mask.tif", (values[:1] == 7000).astype(np.uint8))
    line = f"50% of {cloudy} is brighter than 0.3 in all bands, as clouds and snow are"
    for options, told in (
        (TranslateOptions(reference=clear), []),
        (TranslateOptions(reference=cloudy), [f"{line}: it counts as ground unless a mask is given"]),
        (TranslateOptions(reference=cloudy, reference_mask=mask), []),
    ):
        result = translator.run(sar, tmp_path / "out.tif", replace(options, overwrite=True))
        assert [line for line in result.warnings if "brighter" in line] == told
