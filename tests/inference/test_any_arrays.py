"""Arrays with coordinates: the pixels of a scene, on the scene's own coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from saropt.errors import InputError
from saropt.inference import Translator
from saropt.scenes import Georeference, write_array

xr = pytest.importorskip("xarray", reason="xarray is not installed")
rioxarray = pytest.importorskip("rioxarray", reason="rioxarray is not installed")
UTM = Georeference(CRS.from_epsg(32611), from_origin(400_000, 3_800_000, 10, 10))


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load("s1-losangeles")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 255, (2, 60, 80)).astype(np.uint8)
    pixels[:, :20] = 0
    tags = {"ACQUISITION_DATE": "2020-11-07"}
    path = tmp_path / "scene.tif"
    return write_array(path, pixels, band_names=["VV", "VH"], nodata=0, georeference=UTM, tags=tags)


def test_the_pixels_and_the_place_are_those_of_the_scene(translator: Translator, scene: Path, tmp_path: Path) -> None:
    translator.translate(scene, tmp_path / "whole.tif")
    made = translator(rioxarray.open_rasterio(scene))
    with rasterio.open(tmp_path / "whole.tif") as whole:
        assert np.array_equal(made.values, whole.read())
        assert made.rio.crs == whole.crs
        assert made.rio.transform() == whole.transform
        assert made.rio.nodata == whole.nodata == 0
    assert made.band.values.tolist() == ["B4", "B3", "B2"]
    assert made.attrs["SAROPT_NOTICE"] == "A model's guess, not a measurement"
    assert (made.values[:, :20] == 0).all()


def test_it_can_be_written_again(translator: Translator, scene: Path, tmp_path: Path) -> None:
    translator(rioxarray.open_rasterio(scene)).rio.to_raster(tmp_path / "again.tif")
    with rasterio.open(tmp_path / "again.tif") as again, rasterio.open(scene) as first:
        assert (again.crs, again.transform, again.nodata) == (first.crs, first.transform, 0)
        assert again.tags()["SAROPT_TRANSLATOR"] == "s1-losangeles"


def test_masked_arrays_keep_their_gaps(translator: Translator, scene: Path) -> None:
    plain, masked = rioxarray.open_rasterio(scene), rioxarray.open_rasterio(scene, masked=True)
    assert masked.dtype.kind == "f"
    assert np.array_equal(translator(plain).values, translator(masked).values)


def test_bands_are_found_by_name_in_any_order(translator: Translator) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (2, 40, 50)).astype(np.uint8)
    vh = translator(pixels[1:])
    for names, data in ((["VV", "VH"], pixels), (["VH", "VV"], pixels[::-1])):
        array = xr.DataArray(data, dims=("band", "lat", "lon"), coords={"band": names})
        assert np.array_equal(translator(array).values, vh)
    with pytest.raises(InputError, match="holds VV, not VH"):
        translator(xr.DataArray(pixels[:1], dims=("band", "y", "x"), coords={"band": ["VV"]}))
    with pytest.raises(InputError, match="must have rows and columns"):
        translator(xr.DataArray([1, 2], dims="x"))


def test_other_dimensions_stay(translator: Translator) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 40, 50)).astype(np.uint8)
    days = np.array(["2020-01-01", "2020-01-13", "2020-01-25"], "datetime64[ns]")
    made = translator(
        xr.DataArray(pixels, dims=("time", "y", "x"), coords={"time": days}).expand_dims(band=["VH"], axis=1)
    )
    assert made.dims == ("time", "band", "y", "x")
    assert made.time.equals(xr.DataArray(days, dims="time", coords={"time": days}))
    assert np.array_equal(made.values[2], translator(pixels[2:]))


def test_units_come_from_the_argument_then_from_the_attribute(translator: Translator) -> None:
    decibels = np.random.default_rng(0).normal(-15, 3, (1, 40, 50)).astype(np.float32)
    array = xr.DataArray(decibels, dims=("band", "y", "x"))
    wanted = translator(decibels, units="sigma0_db")
    assert np.array_equal(translator(array, units="sigma0_db").values, wanted)
    assert np.array_equal(translator(array.assign_attrs(units="sigma0_db")).values, wanted)
    with pytest.raises(InputError):
        translator(array)
