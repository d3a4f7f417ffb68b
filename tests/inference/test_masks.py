"""Masks of the earlier image and of today's."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from companion_files import HEIGHT, WIDTH, read, write_optical
from saropt.errors import InputError
from saropt.inference import TranslateOptions
from saropt.scenes import Georeference, write_array
from translator_fixtures import GEOREFERENCE


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


@pytest.mark.parametrize(
    ("of_clouds", "of_ground", "edge", "told"),
    [
        (
            9,
            4,
            0,
            "of the mask hides: all values but 0 hide, and it holds several of them (4, 9), as maps of classes",
        ),
        (0, 1, 1, "of the mask hides: 0 is clear, anything else is masked"),
        (1, 0, 0, None),
    ],
)
def test_masks_of_other_kinds_are_told_of(fresh, scene, colours, tmp_path, of_clouds, of_ground, edge, told):
    """A map of classes without an edge of 0 hides all, which is refused; an inverted mask hides the ground."""
    old = write_optical(tmp_path / "old.tif", colours)
    layer = np.full((1, HEIGHT, WIDTH), of_ground, np.uint8)
    layer[0, 40:90, 30:120] = of_clouds
    layer[0, :8] = edge
    mask = write_array(tmp_path / "layer.tif", layer, band_names=["layer"], georeference=GEOREFERENCE)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))
    found = [line for line in result.warnings if "layer.tif" in line]
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_a_mask_of_several_bands_on_another_grid_is_told_by_its_bands(fresh, scene, colours, tmp_path):
    """Its size is no fault: it is brought to the scene's grid."""
    old = write_optical(tmp_path / "old.tif", colours)
    coarse = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.scale(2))
    mask = write_array(tmp_path / "two.tif", np.zeros((2, HEIGHT, WIDTH), np.uint8), georeference=coarse)
    with pytest.raises(InputError, match=r"two.tif: has 2 bands; a mask has one$"):
        fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))
    small = write_array(tmp_path / "small.tif", np.zeros((1, 8, 9), np.uint8))
    with pytest.raises(InputError, match=rf"small.tif: .*(place|{HEIGHT}x{WIDTH} pixels are needed)"):
        fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=small))


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


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("hidden", [1, -1])
def test_a_pixel_is_hidden_where_a_finer_mask_hides_any_part_of_it(fresh, scene, colours, tmp_path, dtype, hidden):
    if dtype == "uint8" and hidden < 0:
        pytest.skip("has no negative numbers")
    cloud = np.random.default_rng(0).random((4 * HEIGHT, 4 * WIDTH)) < 0.02
    place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.scale(0.25))
    fine = np.kron(colours, np.ones((4, 4), np.uint8))
    fine[:, cloud] = 255
    old = write_optical(tmp_path / "old.tif", fine, place)
    mask = write_array(tmp_path / "clouds.tif", (hidden * cloud[None]).astype(dtype), georeference=place)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))
    radar, wanted = read(result.products["origin"])[0], cloud.reshape(HEIGHT, 4, WIDTH, 4).any(axis=(1, 3))
    assert 0.2 < wanted.mean() < 0.4
    assert np.array_equal(radar, np.where(wanted, 100, 0))
    assert np.array_equal(read(result.path)[:, ~wanted], colours[:, ~wanted])


def test_a_mask_half_a_pixel_away_hides_all_that_the_cloud_touches(fresh, scene, colours, tmp_path):
    place = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(0.5, 0.5))
    cloud = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    cloud[0, 50:60, 50:60] = 1
    bright = np.where(cloud == 1, 255, 100).astype(np.uint8).repeat(3, axis=0)
    old, mask = write_optical(tmp_path / "old.tif", bright, place), tmp_path / "clouds.tif"
    write_array(mask, cloud, georeference=place)
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))
    radar = read(result.products["origin"])[0] == 100
    assert radar[50:61, 50:61].all()
    assert (read(result.path)[:, ~radar] == 100).all()


@pytest.mark.parametrize("metres", [0, 1])
def test_a_mask_with_a_colour_table(fresh, scene, colours, tmp_path, metres):
    old, mask = write_optical(tmp_path / "old.tif", colours), tmp_path / "clouds.tif"
    cloud = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    cloud[0, 40:90, 30:120] = 3
    transform = GEOREFERENCE.transform @ Affine.translation(metres / 10, 0)
    place = {"crs": GEOREFERENCE.crs, "transform": transform}
    with rasterio.open(mask, "w", "GTiff", WIDTH, HEIGHT, 1, dtype="uint8", **place) as dataset:
        dataset.write(cloud)
        dataset.write_colormap(1, {0: (255, 255, 255, 255), 3: (255, 0, 0, 255)})
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))
    radar = read(result.products["origin"])[0] == 100
    wanted = cloud[0] == 3
    wanted[:, 1:] |= (metres > 0) & wanted[:, :-1]
    assert np.array_equal(radar, wanted)


def test_a_mask_with_a_scale_and_an_offset(fresh, scene, colours, tmp_path):
    """What counts is the value that the file states, not the number that it stores."""
    old, mask = write_optical(tmp_path / "old.tif", colours), tmp_path / "clouds.tif"
    stored = np.full((1, HEIGHT, WIDTH), 100, np.uint8)
    stored[0, 40:90, 30:120] = 200
    write_array(mask, stored, georeference=GEOREFERENCE)
    with rasterio.open(mask, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.scales, dataset.offsets = [0.01], [-1.0]
    result = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=old, reference_mask=mask))
    assert np.array_equal(read(result.products["origin"])[0] == 100, stored[0] == 200)
