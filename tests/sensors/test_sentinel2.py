"""Sentinel-2 products: reflectance of every level and baseline, clouds by their classification, on any grid."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from saropt.errors import InputError
from saropt.scenes import Grid, Window
from saropt.sensors.product_names import grd_product, sentinel2_product
from saropt.sensors.sentinel2 import open_cloud_mask, open_sentinel2
from sentinel2_files import CRS_33N, LOW, NODATA, NORTH, SATURATED, SIDE, WEST, metadata, write_sentinel2, zipped


@pytest.mark.parametrize("level", ["1C", "2A"])
@pytest.mark.parametrize("baseline", ["02.12", "03.01", "05.09"])
def test_numbers_become_reflectance_by_level_and_baseline(tmp_path, level, baseline):
    safe, truth, _ = write_sentinel2(tmp_path, level, baseline)
    with open_sentinel2(safe) as scene:
        values, valid = scene.read()
        assert scene.band_names == ["B4", "B3", "B2", "B8"]
        assert (scene.dtype, scene.nodata, scene.georeference.crs) == ("uint16", 0, CRS_33N)
        assert scene.georeference.transform == from_origin(WEST, NORTH, 10, 10)
        assert scene.acquired.isoformat().startswith("2022-06-01T10:05:59")
    expected = np.stack([truth[band] for band in ("B04", "B03", "B02", "B08")]).astype(float)
    invalid = np.zeros((SIDE, SIDE), bool)
    invalid[NODATA] = invalid[SATURATED] = True
    expected[2][LOW] = 1  # below zero reflectance, or 1 where numbers have no offset
    assert np.array_equal(valid, ~invalid)
    assert np.array_equal(values[:, valid], expected[:, valid])


def test_every_form_of_a_product_is_the_same_scene(tmp_path):
    safe, _, _ = write_sentinel2(tmp_path)
    archive = zipped(safe)
    window = Window(30, 17, 64, 91)
    with open_sentinel2(safe, ["B3"]) as scene:
        wanted = scene.read(window)[0]
    for place in (archive, safe / "MTD_MSIL2A.xml", safe / "manifest.safe"):
        assert sentinel2_product(place) is not None
        assert grd_product(place) is None
        with open_sentinel2(place, ["B3"]) as scene:
            assert np.array_equal(scene.read(window)[0], wanted)
    shutil.rmtree(safe)
    with open_sentinel2(archive) as scene:
        assert np.array_equal(scene.read(window)[0][1], wanted[0])


def test_the_cloud_mask_is_of_four_classes_on_any_grid(tmp_path):
    safe, _, classes = write_sentinel2(tmp_path)
    cloudy = np.isin(classes, [3, 8, 9, 10])
    with open_cloud_mask(safe) as mask:
        assert np.array_equal(mask.read()[0][0] != 0, cloudy)
    grid = Grid(CRS_33N, from_origin(WEST, NORTH, 10, 10), SIDE, SIDE)
    with open_cloud_mask(zipped(safe), grid=grid) as mask:
        assert np.array_equal(mask.read()[0][0] != 0, np.kron(cloudy, np.ones((2, 2), bool)))
    coarse = Grid(CRS_33N, from_origin(WEST, NORTH, 80, 80), SIDE // 8, SIDE // 8)
    with open_cloud_mask(safe, grid=coarse) as mask:
        found = mask.read()[0][0] != 0
    assert np.array_equal(found, cloudy.reshape(SIDE // 8, 4, SIDE // 8, 4).any(axis=(1, 3)))
    safe, _, _ = write_sentinel2(tmp_path, "1C")
    assert open_cloud_mask(safe) is None


def test_the_cloud_mask_of_level_1c_has_clouds_and_cirrus_but_no_snow(tmp_path):
    mask = np.zeros((3, SIDE // 6, SIDE // 6), np.uint8)
    mask[0, 3:9, 4:8] = mask[1, 6:12, 20:25] = mask[1, 8, 5] = mask[2, 30:, 30:] = 1
    safe, _, _ = write_sentinel2(tmp_path, "1C", mask=mask)
    for product in (safe, zipped(safe)):
        with open_cloud_mask(product) as clouds:
            assert np.array_equal(clouds.read()[0][0] != 0, mask[:2].any(axis=0))
            assert clouds.tags["CLOUDS"] == "opaque clouds and cirrus (classification mask; shadows are not)"


def test_another_grid_reads_between_the_pixels(tmp_path):
    row, col = np.mgrid[:SIDE, :SIDE]
    ramp = dict.fromkeys(("B02", "B03", "B04", "B08"), 2000 + 10 * col + 4 * row)
    safe, _, _ = write_sentinel2(tmp_path, reflectance=ramp)
    grid = Grid(CRS_33N, from_origin(WEST + 503, NORTH - 501, 10, 10), 60, 60)
    with open_sentinel2(safe, grid=grid) as scene:
        values, valid = scene.read()
    assert valid.all()
    expected = 2000 + 10 * (np.arange(60) + 50.3)[None] + 4 * (np.arange(60) + 50.1)[:, None]
    assert np.abs(values - expected).max() <= 1.0


def test_a_quantification_of_its_own_is_applied(tmp_path):
    safe, truth, _ = write_sentinel2(tmp_path)
    (safe / "MTD_MSIL2A.xml").write_text(metadata("2A", "05.09", quantification="20000"))
    with open_sentinel2(safe, ["B8"]) as scene:
        values, _ = scene.read()
    assert np.abs(values[0] - truth["B08"] / 2).max() <= 0.5


def damaged(safe: Path, how: str) -> None:
    image = next(safe.rglob("*_B03_10m.jp2"))
    if how == "no offset":
        text = (safe / "MTD_MSIL2A.xml").read_text()
        (safe / "MTD_MSIL2A.xml").write_text(
            text.replace("BOA_ADD_OFFSET band_id", "X band_id").replace("/BOA_ADD_OFFSET>", "/X>")
        )
    elif how == "no granule":
        shutil.rmtree(safe / "GRANULE")
    elif how == "no raster":
        image.write_text("<VRTDataset/>")
    elif how == "no band":
        image.unlink()
    elif how == "no metadata":
        (safe / "MTD_MSIL2A.xml").unlink()
    else:
        (safe / "MTD_MSIL2A.xml").write_text("<a>")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("no offset", "is of processing baseline 05.09, but its metadata has no BOA_ADD_OFFSET"),
        ("no granule", "holds no granule"),
        ("no raster", "cannot be read"),
        ("no band", "holds 0 files IMG_DATA/*_B03_10m.jp2"),
        ("no metadata", "holds 0 files MTD_MSIL1C.xml, MTD_MSIL2A.xml or S2*_MTD_SAFL*.xml; one is needed"),
        ("broken metadata", "its metadata cannot be read"),
    ],
)
def test_a_damaged_product_is_one_line(tmp_path, how, reason):
    safe, _, _ = write_sentinel2(tmp_path)
    damaged(safe, how)
    with pytest.raises(InputError) as caught:
        open_sentinel2(safe)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
