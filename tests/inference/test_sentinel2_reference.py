"""A Sentinel-2 product as the earlier optical image, as today's, and as the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from saropt.artifacts import ImageCard
from saropt.errors import InputError
from saropt.inference import TranslateOptions, Translator
from saropt.inference.opening import open_input
from saropt.inference.sources import fit_input
from saropt.scenes import Georeference, write_array
from sentinel2_files import CRS_33N, NORTH, SIDE, WEST, add_cloud_polygons, cloud_gml, write_sentinel2, zipped


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    decibels = np.kron(rng.normal(-12, 3, (2, SIDE // 8, SIDE // 8)), np.ones((8, 8))) - [[[0]], [[6]]]
    place = Georeference(CRS_33N, from_origin(WEST, NORTH, 10, 10))
    return write_array(tmp_path / "s1.tif", decibels.astype(np.float32), band_names=["VV", "VH"], georeference=place)


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load("s1-reference")


def read(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def clouds(classes: np.ndarray) -> np.ndarray:
    return np.kron(np.isin(classes, [3, 8, 9, 10]), np.ones((2, 2), bool))


def test_an_earlier_product_is_used_where_no_cloud_is(translator, scene, tmp_path):
    safe, _, classes = write_sentinel2(tmp_path)
    archive = zipped(safe)
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(reference=archive))
    cloudy, share = clouds(classes), 100 * np.isin(classes, [3, 8, 9, 10]).mean()
    radar = read(result.products["origin"])[0]
    assert (radar[cloudy] == 100).all()
    assert radar[~cloudy].mean() < 60
    told = f"{archive.name}: clouds and their shadows (classes 3, 8, 9, 10) are masked, {share:.1f}% of the product"
    assert told in result.warnings
    with rasterio.open(result.path) as dataset:
        assert dataset.tags()["SAROPT_OPTICAL_REFERENCE"] == archive.name
        assert dataset.tags()["SAROPT_OPTICAL_REFERENCE_DATE"].startswith("2022-06-01")


def test_a_mask_that_is_given_hides_more(translator, scene, tmp_path):
    safe, _, classes = write_sentinel2(tmp_path)
    hidden = np.zeros((1, SIDE, SIDE), np.uint8)
    hidden[0, 150:, 100:] = 1
    place = Georeference(CRS_33N, from_origin(WEST, NORTH, 10, 10))
    mask = write_array(tmp_path / "mask.tif", hidden, band_names=["hidden"], georeference=place)
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(reference=safe, reference_mask=mask))
    radar = read(result.products["origin"])[0]
    assert (radar[clouds(classes) | (hidden[0] > 0)] == 100).all()


def test_level_1c_says_that_its_clouds_count(translator, scene, tmp_path):
    safe, _, _ = write_sentinel2(tmp_path, "1C", "03.01")
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(reference=safe))
    assert any("says nothing of its clouds: they count as ground" in line for line in result.warnings)


def test_clouds_of_level_1c_are_not_used(translator, scene, tmp_path):
    mask = np.zeros((3, SIDE // 6, SIDE // 6), np.uint8)
    mask[0, :20] = mask[1, :, :10] = 1
    safe, _, _ = write_sentinel2(tmp_path, "1C", mask=mask)
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(reference=safe))
    radar, hidden = read(result.products["origin"])[0], np.kron(mask[:2].any(axis=0), np.ones((6, 6), bool))
    assert (radar[hidden] == 100).all()
    assert radar[~hidden].mean() < 60
    assert any(
        "opaque clouds and cirrus (classification mask; shadows are not) are masked" in t for t in result.warnings
    )


def test_cloud_polygons_of_level_1c_are_not_used(translator, scene, tmp_path):
    safe, _, _ = write_sentinel2(tmp_path, "1C", "02.06")
    clouds = [("OPAQUE", [[(300, 300), (1500, 300), (1500, 1200), (300, 1200)]])]
    add_cloud_polygons(safe, cloud_gml(clouds))
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(reference=safe))
    radar, hidden = read(result.products["origin"])[0], np.zeros((SIDE, SIDE), bool)
    hidden[30:120, 30:150] = True
    assert (radar[hidden] == 100).all()
    assert radar[~hidden].mean() < 60
    share = f"{100 * hidden.mean():.1f}% of the product"
    assert any(f"(polygons of the cloud mask; shadows are not) are masked, {share}" in t for t in result.warnings)


def test_clear_pixels_of_todays_product_are_kept(translator, scene, tmp_path):
    safe, truth, classes = write_sentinel2(tmp_path)
    result = translator.run(scene, tmp_path / "out.tif", TranslateOptions(keep_clear=safe))
    clear = ~clouds(classes)
    clear[0, 0] = clear[5, 6] = False  # nodata and saturated
    clear[3, 4] = False  # below reflectance 0, which is 1
    made = read(result.path)
    for band, name in zip(made, ("B04", "B03", "B02", "B08"), strict=True):
        assert np.array_equal(band[clear], truth[name][clear])


def test_a_product_is_a_scene_for_translators_of_reflectance(tmp_path):
    safe, truth, _ = write_sentinel2(tmp_path)
    recipe = {"kind": "reflectance", "scale": 20000.0, "high": 10000.0}
    units = "reflectance x 10000"
    image = ImageCard(role="optical", bands=("B2", "B8"), units=units, dtype="uint16", recipe=recipe)
    with open_input(safe, None, image, "translator") as opened:
        assert opened.band_names == ["B2", "B8"]
        assert np.array_equal(opened.read()[0][1], truth["B08"] * opened.read()[1])
        assert fit_input(image, opened).normaliser.forward(opened.read()[0]).max() <= 1


def test_a_product_is_refused_where_something_else_is_taken(tmp_path):
    safe, _, _ = write_sentinel2(tmp_path)
    for name, wanted in (("s1-world", "SAR in sigma0_db"), ("losangeles-s1", "optical in uint8")):
        with pytest.raises(InputError, match=f"holds reflectance x 10000, the translator takes {wanted}"):
            Translator.load(name).run(safe, tmp_path / "out.tif", TranslateOptions())
    assert not list(tmp_path.glob("out*"))
