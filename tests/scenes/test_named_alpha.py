"""GDAL marks the fourth band of an 8-bit file as alpha; with a name it is a band."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio

from saropt.scenes import Scene, Window


@pytest.mark.parametrize(("names", "bands", "count"), [(None, None, 3), ("nir", None, 4), (None, [1, 2, 3, 4], 4)])
def test_a_band_with_a_name_is_a_band(names, bands, count, tmp_path):
    values = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    values[3, 0] = 0
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=8, height=8, count=4, dtype="uint8") as file:
        file.write(values)
        if names:
            file.descriptions = ("red", "green", "blue", names)
    with Scene.open(tmp_path / "a.tif", bands=bands) as scene:
        assert scene.count == count
        stored, valid = scene.read_stored(Window(0, 0, 8, 8))
    assert np.array_equal(stored, values[:count])
    assert valid[1:].all()
    assert valid[0].all() == (count == 4)


@pytest.mark.parametrize("names", [("B4", "B3", "B2", "B8"), None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_nodata_beside_alpha_is_read_without_a_warning_of_rasterio(names, dtype, tmp_path):
    values = np.full((4, 4, 4), 7, dtype)
    values[:, 0], values[3, 1], values[0, 2] = 3, 0, 3
    keys = {"driver": "GTiff", "width": 4, "height": 4, "count": 4, "dtype": dtype, "nodata": 3, "ALPHA": "YES"}
    with rasterio.open(tmp_path / "a.tif", "w", **keys) as file:
        file.write(values)
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")]
        if names:
            file.descriptions = names
    with warnings.catch_warnings(), Scene.open(tmp_path / "a.tif") as scene:
        warnings.simplefilter("error")
        valid = scene.read()[1]
    assert valid.all(axis=1).tolist() == [False, names is not None, False, True]
