"""A file that is written while a run reads it: no picture is made of both of its states."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from companion_files import HEIGHT, WIDTH, write_optical
from saropt.errors import InputError
from saropt.inference import TranslateOptions
from saropt.scenes import write_array
from translator_fixtures import GEOREFERENCE


def _rewrite(path):
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.write(dataset.read() // 2 + 1)


@pytest.mark.parametrize("name", ["reference", "reference_sar", "reference_mask", "keep_clear", "keep_clear_mask"])
def test_a_companion_that_changes_while_it_is_read(fresh, scene, colours, make_scene, tmp_path, name):
    hidden = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    hidden[:, :20] = 3
    given = {
        "reference": write_optical(tmp_path / "old.tif", colours),
        "reference_sar": make_scene(HEIGHT, WIDTH, 20, "old_sar.tif"),
        "reference_mask": write_array(tmp_path / "mask.tif", hidden, georeference=GEOREFERENCE),
        "keep_clear": write_optical(tmp_path / "today.tif", colours),
        "keep_clear_mask": write_array(tmp_path / "today_mask.tif", hidden, georeference=GEOREFERENCE),
    }

    with pytest.raises(InputError, match=f"{given[name].name}: has changed while it was read: nothing is written"):
        fresh.run(scene, tmp_path / "out.tif", TranslateOptions(**given), lambda *_: _rewrite(given[name]))
    assert not list(tmp_path.glob("*out*"))


def test_a_missing_companion_is_told_as_a_missing_scene(fresh, scene, tmp_path):
    for path, words in ((tmp_path / "none.tif", "no such file"), (tmp_path, "is a directory, not a raster file")):
        with pytest.raises(InputError, match=words):
            fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=path))
        with pytest.raises(InputError, match=words):
            fresh.look(scene, tmp_path / "out.tif", TranslateOptions(reference=path))
