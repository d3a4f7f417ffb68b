"""Masks of the earlier image and of today's."""

from __future__ import annotations

import numpy as np
import pytest

from companion_files import HEIGHT, WIDTH, read, write_optical
from saropt.errors import InputError
from saropt.inference import TranslateOptions
from saropt.scenes import write_array
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
