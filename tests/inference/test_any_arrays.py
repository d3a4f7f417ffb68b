"""Arrays with coordinates: the pixels of a scene, on the scene's own coordinates."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from saropt.artifacts import ImageCard, TrainingCard, save_weights
from saropt.errors import InputError, SceneWarning
from saropt.inference import Translator
from saropt.networks import build_network
from saropt.radiometry import DbClip, Reflectance
from saropt.scenes import Georeference, write_array
from translator_files import make_translator_card

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
        assert again.descriptions == ("B4", "B3", "B2")


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


@pytest.fixture(scope="module")
def absolute() -> Translator:
    return Translator.load("s1-world", threads=1)


def decibels(height: int = 40, width: int = 50) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal([[[-10.0]], [[-17.0]]], 3, (2, height, width)).astype(np.float32)


@pytest.mark.parametrize(
    "dims",
    [
        ("y", "x", "band"),
        ("band", "x", "y"),
        ("lon", "polarization", "lat"),
        ("Longitude", "Latitude", "bands"),
        ("easting", "northing", "kind"),
        ("u", "v", "band"),
    ],
)
def test_dimensions_are_found_by_name(absolute: Translator, dims: tuple[str, ...]) -> None:
    values = decibels()
    rows = {"y", "lat", "Latitude", "northing", "u"}
    columns = {"x", "lon", "Longitude", "easting", "v"}
    order = [1 if dim in rows else 2 if dim in columns else 0 for dim in dims]
    (band,) = set(dims) - rows - columns
    array = xr.DataArray(values.transpose(order), dims=dims, coords={band: ["VV", "VH"]})
    made = absolute(array)
    assert made.dims == ("band", *(dim for one in (rows, columns) for dim in dims if dim in one))
    assert np.array_equal(made.values, absolute(values))


def test_a_number_of_times_is_no_number_of_bands(translator: Translator) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 40, 50)).astype(np.uint8)
    days = np.array(["2020-01-01", "2020-01-13", "2020-01-25"], "datetime64[ns]")
    made = translator(xr.DataArray(pixels, dims=("time", "y", "x"), coords={"time": days}))
    assert made.dims == ("time", "band", "y", "x")
    assert np.array_equal(made.values[1], translator(pixels[1:2]))


@pytest.mark.parametrize("dims", [("a", "b", "c"), ("band", "x", "b"), ("b", "y", "band")])
def test_dimensions_that_cannot_be_told_apart_are_refused(absolute: Translator, dims: tuple[str, ...]) -> None:
    values = decibels(50, 50).transpose(1, 2, 0) if dims[0] != "band" else decibels()
    with pytest.raises(InputError, match="which are rows and columns") as caught:
        absolute(xr.DataArray(values, dims=dims))
    assert len(str(caught.value)) < 150


def test_one_band_of_several_keeps_its_name(translator: Translator, absolute: Translator) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (2, 40, 50)).astype(np.uint8)
    named = xr.DataArray(pixels, dims=("band", "y", "x"), coords={"band": ["VV", "VH"]})
    numbered = named.assign_coords(band=[1, 2]).assign_attrs(long_name=("VV", "VH"))
    for array, (vv, vh) in ((named, ("VV", "VH")), (numbered, (1, 2))):
        assert np.array_equal(translator(array.sel(band=vh)).values, translator(pixels[1:]))
        with pytest.raises(InputError, match="holds VV, not VH"):
            translator(array.sel(band=vv))
    values = decibels()
    three = xr.DataArray(
        np.stack([values[1], values[0], values[1]]), dims=("band", "y", "x"), coords={"band": [1, 2, 3]}
    )
    three.attrs["long_name"] = ("HH", "VV", "VH")
    assert np.array_equal(absolute(three.sel(band=[3, 2])).values, absolute(values))


def test_long_name_names_the_bands_as_they_stand(absolute: Translator, tmp_path: Path) -> None:
    """As rioxarray writes it: the numbers of a file's bands count where it names more of them."""
    values = decibels()
    wanted = absolute(values)
    turned = xr.DataArray(values[::-1], dims=("band", "y", "x"), attrs={"long_name": ("VH", "VV")})
    for numbers, doubtful in (([1, 2], False), ([2, 1], True), ([1, 1], False), ([2, 3], False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert np.array_equal(absolute(turned.assign_coords(band=numbers)).values, wanted)
        assert any("its long_name is VH, VV" in str(one.message) for one in caught) == doubtful
    georeferenced = turned.assign_coords(band=[2, 1], y=3.8e6 - 10.0 * np.arange(40), x=4e5 + 10.0 * np.arange(50))
    georeferenced.rio.write_crs(32611).rio.to_raster(tmp_path / "turned.tif")
    absolute.translate(tmp_path / "turned.tif", tmp_path / "made.tif")
    with rasterio.open(tmp_path / "made.tif") as made:
        assert np.array_equal(made.read(), wanted)


def told(call, *args, **options) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **options)
    return [str(one.message) for one in caught]


def test_attributes_say_what_tags_say(absolute: Translator) -> None:
    power = 10 ** (decibels() / 10)
    array = xr.DataArray(power, dims=("band", "y", "x"), coords={"band": ["VV", "VH"]})
    calibrated = array.assign_attrs(CALIBRATED_TO="gamma0", ACQUISITION_DATE="2020-11-07")
    made = absolute(calibrated)
    assert np.array_equal(made.values, absolute(power, units="gamma0"))
    assert made.attrs["ACQUISITION_DATE"] == "2020-11-07"
    assert "array: units are gamma0, as its tags and values say" in told(absolute, calibrated)
    asked = "array: its tags say gamma0: taken as sigma0, as asked for"
    assert asked in told(absolute, calibrated, units="sigma0")
    assert not [line for line in told(absolute, calibrated, units="gamma0") if "tags" in line]


def test_a_date_unlike_those_of_the_training_is_told(absolute: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absolute, "seen_scene_inputs", {"month": (1.0,)})
    array = xr.DataArray(decibels(), dims=("band", "y", "x"), coords={"band": ["VV", "VH"]})
    assert not [line for line in told(absolute, array) if "month" in line]
    (line,) = [one for one in told(absolute, array.assign_attrs(ACQUISITION_DATE="2020-07-01")) if "month" in one]
    assert "its month is 7, the nearest there 1" in line


def test_a_dataset_is_refused_with_the_way_to_an_array(absolute: Translator) -> None:
    values = decibels()
    dataset = xr.Dataset({"VH": (("y", "x"), values[1]), "VV": (("y", "x"), values[0])})
    with pytest.raises(InputError, match=r"is an xarray Dataset: give a DataArray, as .*to_dataarray\(\"band\"\)"):
        absolute(dataset)
    assert np.array_equal(absolute(dataset.to_dataarray("band")).values, absolute(values))


@pytest.mark.parametrize("how", [{"masked": False}, {"masked": True}, {"mask_and_scale": True}])
@pytest.mark.parametrize(
    ("scales", "offsets"), [((0.01, 0.01), (0, 0)), ((0.01, 0.01), (-60, -60)), ((0.01, 0.02), (-50, 0))]
)
def test_scale_and_offset_are_applied_once(
    absolute: Translator, how: dict, scales: tuple, offsets: tuple, tmp_path: Path
) -> None:
    parts = [np.array(part)[:, None, None] for part in (scales, offsets)]
    stored = np.round((decibels() - parts[1]) / parts[0]).astype(np.int16)
    stored[:, :4] = -32768
    path = tmp_path / "scaled.tif"
    form = {"width": 50, "height": 40, "count": 2, "dtype": "int16", "nodata": -32768}
    with rasterio.open(path, "w", crs=UTM.crs, transform=UTM.transform, **form) as raster:
        raster.write(stored)
        raster.descriptions, raster.scales, raster.offsets = ("VV", "VH"), scales, offsets
    absolute.translate(path, tmp_path / "whole.tif")
    with rasterio.open(tmp_path / "whole.tif") as whole:
        made = absolute(rioxarray.open_rasterio(path, **how)).values.astype(int)
        # rioxarray scales in single precision
        assert np.abs(made - whole.read()).max() <= (1 if "mask_and_scale" in how else 0)


def test_the_fill_value_of_an_encoding_is_a_stored_number(absolute: Translator) -> None:
    """Stored as 0, invalid pixels are NaN once decoded; a decoded 0 dB is a measurement."""
    values = decibels()
    values[:, :2] = 0.0
    array = xr.DataArray(values, dims=("band", "y", "x"), coords={"band": ["VV", "VH"]})
    decoded = array.copy()
    decoded.encoding = {"dtype": "uint16", "scale_factor": 0.01, "add_offset": -100.0, "_FillValue": 0}
    assert np.array_equal(absolute(decoded).values, absolute(array).values)
    assert (absolute(array.assign_attrs(_FillValue=0.0)).values[:, :2] == 0).all()


@pytest.mark.parametrize("stated", [-25.0, -25, "-25.0", (-25.0, -25.0), [-25.0, -99.0]])
@pytest.mark.parametrize("name", ["_FillValue", "missing_value", "fill_value", "nodata", "nodatavals"])
def test_what_is_declared_to_be_nodata_is_nodata(absolute: Translator, name: str, stated: object) -> None:
    values, gaps = decibels(), np.random.default_rng(1).random((40, 50)) < 0.2
    values[:, gaps] = -25.0
    array = xr.DataArray(values[::-1], dims=("band", "y", "x"), coords={"band": ["VH", "VV"]})
    hidden = array.where(~gaps)
    assert np.array_equal(absolute(array.assign_attrs({name: stated})).values, absolute(hidden).values)
    array.encoding = {name: stated}
    if name in ("_FillValue", "missing_value"):
        assert np.array_equal(absolute(array).values, absolute(hidden).values)


def test_all_that_is_declared_counts_in_the_type_of_the_pixels(absolute: Translator) -> None:
    values = decibels()
    values[:, ::7, ::3], values[:, 3::7, ::3], values[:, 5::7, ::3] = -25.1, -26.0, np.nan
    array = xr.DataArray(values, dims=("band", "y", "x"), coords={"band": ["VV", "VH"]})
    made = absolute(array.assign_attrs(_FillValue=float("nan"), missing_value=-26, nodata=-25.1, fill_value=None))
    hidden = array.where((values != np.float32(-25.1)) & (values != -26))
    assert np.array_equal(made.values, absolute(hidden).values)


@pytest.mark.parametrize("stated", ["none", (1, 2, 3), [[0.0], "x"]])
def test_nodata_that_is_no_number_is_refused(absolute: Translator, stated: object) -> None:
    array = xr.DataArray(decibels(), dims=("band", "y", "x"), coords={"band": ["VV", "VH"]})
    with pytest.raises(InputError, match=r"^array: its attribute nodata must be a number, or one for each band$"):
        absolute(array.assign_attrs(nodata=stated))


def test_bands_in_errors_are_few(absolute: Translator) -> None:
    many = xr.DataArray(np.zeros((300, 40, 50), np.float32), dims=("band", "y", "x"))
    with pytest.raises(InputError, match=r"has 300 bands \(band_1, .* band_5 and 295 more\), not VV, VH") as caught:
        absolute(many)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("metres", [10, 1])
def test_pixels_of_another_size_are_told(absolute: Translator, metres: float) -> None:
    array = xr.DataArray(
        decibels(),
        dims=("band", "y", "x"),
        coords={"band": ["VV", "VH"], "y": 3.8e6 - metres * np.arange(40), "x": 4e5 + metres * np.arange(50)},
    ).rio.write_crs(32611)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        absolute(array)
    assert any("pixels of 1 m" in str(one.message) for one in caught) == (metres == 1)


def dated(days: object = None, **changes: Any) -> Any:
    """Three dates of one band."""
    stack = np.stack([decibels()[0] + number for number in range(3)])
    return xr.DataArray(stack, dims=("time", "y", "x"), coords={} if days is None else {"time": days}, **changes)


DAYS = np.array(["2023-01-01", "2023-01-13", "2023-01-25"], "datetime64[ns]")


def test_the_name_of_an_array_of_one_band_is_that_of_its_band(translator: Translator, absolute: Translator) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (40, 50)).astype(np.uint8)
    named = xr.DataArray(pixels, dims=("y", "x"), name="VV")
    whole = xr.Dataset({"VV": named, "VH": named})
    left = xr.DataArray(decibels(), dims=("polarization", "y", "x"), coords={"polarization": ["VV", "VH"]})
    for wrong in (
        named,
        whole["VV"],
        named.expand_dims("band"),
        named.assign_coords(polarization="VV").rename(None),
        named.assign_attrs(long_name="backscatter"),
    ):
        with pytest.raises(InputError, match="holds VV, not VH"):
            translator(wrong)
    for right in (whole["VH"], named.rename("VH"), named.rename("backscatter"), named.rename("r")):
        assert np.array_equal(translator(right).values, translator(pixels[None]))
    one = absolute(left.sel(polarization="VH"), units="sigma0_db")
    assert np.array_equal(one.values, absolute(left.sel(polarization=["VH"]), units="sigma0_db").values)
    assert "polarization" not in one.coords


@pytest.mark.parametrize("names", [["VH"], ["VV"], ["VH", "angle", "mask"]])
def test_arrays_may_lack_the_bands_that_files_may_lack(absolute: Translator, names: list[str], tmp_path: Path) -> None:
    pixels = np.stack([decibels()[1]] * len(names))
    path = write_array(tmp_path / "some.tif", pixels, band_names=names, georeference=UTM)
    absolute.translate(path, tmp_path / "file.tif", units="sigma0_db")
    array = xr.DataArray(pixels, dims=("band", "y", "x"), coords={"band": names})
    doubled = xr.DataArray(pixels * 2, dims=array.dims, coords=array.coords, attrs={"scale_factor": 0.5})
    with rasterio.open(tmp_path / "file.tif") as file:
        made = file.read()
    for given in (array, doubled):
        assert np.array_equal(absolute(given, units="sigma0_db").values, made)
    with pytest.raises(InputError, match=r"must be \(2, height, width\)"):
        absolute.translate_array(pixels[:1], units="sigma0_db")


@pytest.mark.parametrize("days", [None, ["a", "b", "c"], [20230101, 20230113, 20230125], DAYS])
@pytest.mark.parametrize("dim", ["time", "t", "Date", "acquisition_time"])
def test_dates_are_no_bands(absolute: Translator, days: object, dim: str) -> None:
    for count in (1, 2, 3):
        stack = dated(days).isel(time=slice(count)).rename(time=dim)
        with pytest.raises(InputError, match=f"has 1 band .*; its dimension {dim} is one of dates: rename it"):
            absolute(stack, units="sigma0_db")
    made = absolute(dated(days, name="VV").rename(time=dim), units="sigma0_db")
    assert made.dims == (dim, "band", "y", "x")
    assert np.array_equal(made.values[1], absolute(dated(days, name="VV").isel(time=1), units="sigma0_db").values)
    bands = dated().isel(time=slice(2)).rename(time=dim)
    assert absolute(bands.rename({dim: "band"}), units="sigma0_db").dims == ("band", "y", "x")
    assert absolute(bands.assign_coords({dim: ["VV", "VH"]}), units="sigma0_db").dims == ("band", "y", "x")


@pytest.mark.parametrize("nothing", [np.nan, -9999.0])
def test_an_empty_date_is_nodata(absolute: Translator, nothing: float) -> None:
    stack = dated(DAYS, name="VV", attrs={"_FillValue": -9999.0})
    holed = stack.copy()
    holed[1] = nothing
    with pytest.warns(SceneWarning, match="array: time 2023-01-13T00:00:00 holds no valid pixel: its trans") as told:
        made = absolute(holed, units="sigma0_db")
    assert sum("no valid pixel" in str(one.message) for one in told) == 1
    assert (made.values[1] == made.attrs["_FillValue"]).all()
    assert np.array_equal(made.values[[0, 2]], absolute(stack, units="sigma0_db").values[[0, 2]])
    pixels = np.stack([decibels(), decibels() + 1])
    pixels[0] = np.nan
    with pytest.warns(SceneWarning, match="array: image 1 of 2 holds no valid pixel"):
        assert (absolute(pixels, units="sigma0_db")[0] == made.attrs["_FillValue"]).all()
    with pytest.raises(InputError, match="holds no valid pixel"):
        absolute(holed.isel(time=[1, 1]), units="sigma0_db")
    holed[1] = 700.0 + decibels()[0]
    with pytest.raises(InputError, match="array, time 2023-01-13T00:00:00: "):
        absolute(holed, units="sigma0_db")


@pytest.mark.parametrize(
    ("units", "nothing"), [("sigma0", 0.0), ("sigma0", -9999.0), ("sigma0_db", -9999.0), ("amplitude", 0.0)]
)
def test_a_date_of_fill_that_is_not_declared_is_nodata(absolute: Translator, units: str, nothing: float) -> None:
    stack = np.stack([decibels(), decibels() + 1, decibels() + 2])
    if units != "sigma0_db":
        stack = 10 ** (stack / (10 if units == "sigma0" else 20))
    holed = stack.copy()
    holed[1] = nothing
    with pytest.warns(SceneWarning, match="array: image 2 of 3 holds no valid pixel: its translation is nodata"):
        made = absolute(holed, units=units)
    assert np.array_equal(made[[0, 2]], absolute(stack, units=units)[[0, 2]])
    dated = xr.DataArray(holed, dims=("time", "band", "y", "x"), coords={"band": ["VV", "VH"], "time": DAYS})
    halved = xr.DataArray(holed / 2, dims=dated.dims, coords=dated.coords, attrs={"scale_factor": 2.0})
    for given in (dated, halved):
        with pytest.warns(SceneWarning, match="time 2023-01-13T00:00:00 holds no valid pixel"):
            assert np.array_equal(absolute(given, units=units).values, made)


def test_an_optical_date_of_zeros_is_nodata(tmp_path: Path) -> None:
    images = {
        "optical": ImageCard(
            role="optical",
            bands=("B4",),
            units="reflectance x10000",
            dtype="uint16",
            recipe=Reflectance(10000.0).to_dict(),
        ),
        "sar": ImageCard(role="sar", bands=("VV",), units="sigma0_db", dtype="float32", recipe=DbClip().to_dict()),
    }
    network = build_network("resnet", 1, 1, width=8, blocks=1).eval()
    described = {"network": "resnet", "arguments": {"width": 8, "blocks": 1}, "stride": network.stride}
    card = make_translator_card(
        images,
        {"opt2sar": {**described, "receptive_field": None, "statistics": "scene", "tile": 64}},
        name="test",
        method="regression",
        gsd_m=10.0,
        training=TrainingCard(data="none", split="train", steps=0, seed=0, licence="none"),
    )
    path = tmp_path / "back.safetensors"
    save_weights(path, card, {f"opt2sar.{name}": value.numpy() for name, value in network.state_dict().items()})
    pixels = np.random.default_rng(0).integers(300, 3000, (2, 1, 64, 64)).astype(np.uint16)
    pixels[1] = 0
    with pytest.warns(SceneWarning, match="array: image 2 of 2 holds no valid pixel"):
        made = Translator.load(path)(pixels)
    assert np.isfinite(made[0]).all()
    assert np.isnan(made[1]).all()


def test_no_date_at_all_is_refused_in_one_line(absolute: Translator) -> None:
    for none in (np.zeros((0, 2, 64, 64), np.float32), dated(DAYS, name="VV").isel(time=slice(0))):
        with pytest.raises(InputError, match=r"^array: holds no image: it is \(0, [12], \d+, \d+\)$"):
            absolute(none, units="sigma0_db")
