"""Scene: every kind of raster, validity, windows, padding, sampling, bad files."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from saropt.errors import InputError
from saropt.scenes import Scene, Window, reflect_indices

UTM = "EPSG:32631"
TRANSFORM = rasterio.Affine(10, 0, 5e5, 0, -10, 4e6)


def make(path, array, **profile):
    """Write with rasterio alone, so that reading is tested against another writer."""
    extra = {key: profile.pop(key) for key in ("descriptions", "tags", "mask", "colorinterp") if key in profile}
    count, height, width = array.shape
    form = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": array.dtype} | profile
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **form) as dataset:
        if "colorinterp" in extra:
            dataset.colorinterp = extra["colorinterp"]
        dataset.write(array)
        if "descriptions" in extra:
            dataset.descriptions = extra["descriptions"]
        dataset.update_tags(**extra.get("tags", {}))
        if "mask" in extra:
            dataset.write_mask(extra["mask"])
    return path


def ramp(dtype, count=2, height=37, width=53):
    values = np.arange(count * height * width).reshape(count, height, width) % 120 + 1
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_values_come_as_float32(tmp_path, dtype):
    array = ramp(dtype)
    with Scene.open(make(tmp_path / "a.tif", array)) as scene:
        values, valid = scene.read()
        assert (scene.count, scene.height, scene.width, scene.dtype) == (2, 37, 53, dtype)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, array.astype(np.float32))
    assert valid.dtype == bool
    assert valid.all()


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_stays_complex(tmp_path, dtype):
    array = (ramp("float32") + 1j * ramp("float32")[::-1]).astype(np.complex64)
    with Scene.open(make(tmp_path / "a.tif", array, dtype=dtype)) as scene:
        values, _ = scene.read(Window(3, 4, 5, 6))
        assert scene.dtype == dtype
    assert values.dtype == np.complex64
    np.testing.assert_array_equal(values, array[:, 3:8, 4:10])


def test_complex_nodata_looks_at_both_parts(tmp_path):
    array = np.full((1, 2, 2), 5 + 5j, np.complex64)
    array[0, 0, 0], array[0, 1, 1] = 0, 3j
    with Scene.open(make(tmp_path / "a.tif", array, nodata=0)) as scene:
        _, valid = scene.read()
    assert valid.tolist() == [[False, True], [True, True]]


def test_nodata_in_any_band_is_invalid(tmp_path):
    array = ramp("int16")
    array[0, 2, 3] = array[1, 5, 6] = -32768
    with Scene.open(make(tmp_path / "a.tif", array, nodata=-32768)) as scene:
        values, valid = scene.read()
        stored, _ = scene.read_stored()
        assert scene.nodata == -32768
    assert np.argwhere(~valid).tolist() == [[2, 3], [5, 6]]
    assert (values[:, ~valid] == 0).all()
    np.testing.assert_array_equal(stored, array)
    with Scene.open(tmp_path / "a.tif", bands=[2]) as scene:
        assert np.argwhere(~scene.read()[1]).tolist() == [[5, 6]]


@pytest.mark.parametrize("nodata", [None, np.nan, -9999.0])
def test_nan_and_inf_are_invalid(tmp_path, nodata):
    array = ramp("float32")
    array[0, 1, 1], array[1, 2, 2], array[0, 3, 3] = np.nan, np.inf, -np.inf
    with Scene.open(make(tmp_path / "a.tif", array, nodata=nodata)) as scene:
        values, valid = scene.read()
    assert np.argwhere(~valid).tolist() == [[1, 1], [2, 2], [3, 3]]
    assert np.isfinite(values).all()


def test_float64_beyond_float32_is_invalid(tmp_path):
    array = ramp("float64")
    array[0, 0, 0] = 1e300
    with Scene.open(make(tmp_path / "a.tif", array)) as scene:
        assert np.argwhere(~scene.read()[1]).tolist() == [[0, 0]]


def test_internal_mask(tmp_path):
    mask = np.full((37, 53), 255, np.uint8)
    mask[10:20, 7] = 0
    with Scene.open(make(tmp_path / "a.tif", ramp("uint8"), mask=mask)) as scene:
        np.testing.assert_array_equal(scene.read()[1], mask > 0)
        np.testing.assert_array_equal(scene.read(Window(8, 5, 9, 9))[1], mask[8:17, 5:14] > 0)


@pytest.mark.parametrize(("mode", "bands"), [("RGBA", 3), ("LA", 1)])
def test_png_alpha_is_validity_not_a_band(tmp_path, mode, bands):
    pixels = np.full((4, 5, bands + 1), 200, np.uint8)
    pixels[1, 2, -1] = 0
    Image.fromarray(pixels, mode).save(tmp_path / "a.png")
    with Scene.open(tmp_path / "a.png") as scene:
        values, valid = scene.read()
    assert values.shape == (bands, 4, 5)
    assert np.argwhere(~valid).tolist() == [[1, 2]]
    assert scene.band_names == (["red", "green", "blue"] if bands == 3 else ["band_1"])


def test_alpha_counts_beside_nodata(tmp_path):
    array = ramp("uint8")
    array[1] = 255
    array[1, 0, 0], array[0, 3, 3] = 0, 77
    array[0][(array[0] == 77) & (np.arange(53) != 3)] = 78
    colours = [ColorInterp.gray, ColorInterp.alpha]
    with Scene.open(make(tmp_path / "a.tif", array, nodata=77, colorinterp=colours)) as scene:
        assert np.argwhere(~scene.read()[1]).tolist()[0] == [0, 0]
        assert not scene.read()[1][3, 3]


def test_paletted_png_as_colours_or_index(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "a.png", transparency=2)
    with Scene.open(tmp_path / "a.png") as scene:
        values, valid = scene.read()
        assert scene.band_names == ["red", "green", "blue"]
    assert values[:, 0, 1].tolist() == [40, 50, 60]
    assert np.argwhere(~valid).tolist() == [[1, 0]]
    with Scene.open(tmp_path / "a.png", bands=["blue"]) as scene:
        assert scene.read()[0][:, 0, 0].tolist() == [30]
    with Scene.open(tmp_path / "a.png", palette="index") as scene:
        assert scene.read_stored()[0].tolist() == [[[0, 1], [2, 1]]]


def test_jpg(tmp_path):
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / "a.jpg", quality=100)
    with Scene.open(tmp_path / "a.jpg") as scene:
        values, valid = scene.read()
    assert values.shape == (3, 20, 30)
    assert np.abs(values - 90).max() <= 2
    assert valid.all()


def test_one_pixel(tmp_path):
    with Scene.open(make(tmp_path / "a.tif", np.full((1, 1, 1), 7, np.uint16))) as scene:
        assert scene.read()[0].tolist() == [[[7]]]
        values, valid = scene.read_padded(Window(-5, -3, 9, 8))
        assert values.shape == (1, 9, 8)
        assert (values == 7).all()
        assert valid.all()
        assert scene.sample().tolist() == [[7]]


def test_bands_by_number_name_and_word(tmp_path):
    path = make(tmp_path / "a.tif", ramp("uint8"), descriptions=("VV amplitude", "VH amplitude"))
    for wanted in ([2], ["2"], ["vh amplitude"], ["VH"]):
        with Scene.open(path, bands=wanted) as scene:
            assert scene.band_names == ["VH amplitude"]
            np.testing.assert_array_equal(scene.read()[0], ramp("uint8")[1:])
    with Scene.open(path, bands=["VH", 1]) as scene:
        assert scene.band_names == ["VH amplitude", "VV amplitude"]
    for wanted in (["HH"], [0], [3], ["9"], ["amplitude"], []):
        with pytest.raises(InputError, match="available: 1 VV amplitude, 2 VH amplitude"):
            Scene.open(path, bands=wanted)


def test_band_names_that_do_not_tell_apart_are_not_used(tmp_path):
    with Scene.open(make(tmp_path / "a.tif", ramp("uint16", 3), descriptions=("bands", "bands", "bands"))) as scene:
        assert scene.band_names == ["band_1", "band_2", "band_3"]
    with Scene.open(make(tmp_path / "b.tif", ramp("uint8", 2), descriptions=("VV", None))) as scene:
        assert scene.band_names == ["VV", "band_2"]


def test_band_names_from_band_tags(tmp_path):
    make(tmp_path / "a.tif", ramp("uint16"))
    with rasterio.open(tmp_path / "a.tif", "r+") as dataset:
        dataset.update_tags(1, POLARISATION="HH")
        dataset.update_tags(2, POLARISATION="HV")
    with Scene.open(tmp_path / "a.tif") as scene:
        assert scene.band_names == ["HH", "HV"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"TIFFTAG_DATETIME": "2020:11:07 13:52:41"}, None),
        ({"ACQUISITION_DATE": "2021-03-04"}, datetime(2021, 3, 4, tzinfo=UTC)),
        ({"acquired": "2021-03-04T05:06:07.123Z"}, datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ({"ACQUIRED": "20210304", "TIFFTAG_DATETIME": "2024:01:01 00:00:00"}, datetime(2021, 3, 4, tzinfo=UTC)),
        ({"SAR_DATE": "07.11.2020", "OPTICAL_DATE": "04.11.2020"}, datetime(2020, 11, 7, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "2023-05-31T23:59:59+05:00"}, datetime(2023, 5, 31, 18, 59, 59, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "2023-05-31 23:30:00.25 -0800"}, datetime(2023, 6, 1, 7, 30, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "20230531T233000+02"}, datetime(2023, 5, 31, 21, 30, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "2023-05-31T23:30Z"}, datetime(2023, 5, 31, 23, 30, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "2023-05-31T23:30:00+99:00"}, None),
        ({"ACQUISITION_DATE": "9999-12-31T23:30:00-08:00"}, None),
        ({"S1_PRODUCT": "vv-20230531t235959-02"}, datetime(2023, 5, 31, 23, 59, 59, tzinfo=UTC)),
        ({"S1_PRODUCT": "20230531T235959-20230601T000024"}, datetime(2023, 5, 31, 23, 59, 59, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "31.05.2023 23:30:00"}, datetime(2023, 5, 31, 23, 30, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "05/31/2023"}, datetime(2023, 5, 31, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "31/05/2023"}, datetime(2023, 5, 31, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "05/05/2023"}, datetime(2023, 5, 5, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "02.11.2023"}, datetime(2023, 11, 2, tzinfo=UTC)),
        ({"ACQUISITION_DATE": "02/11/2023"}, None),
        ({"ACQUISITION_DATE": "02-11-2023"}, None),
        ({"ACQUISITION_DATE": "02/11/2023", "TIFFTAG_DATETIME": "2024:01:01 00:00:00"}, None),
        ({"ACQUISITION_DATE": "02/11/2023", "DATE": "2023-11-02"}, datetime(2023, 11, 2, tzinfo=UTC)),
        ({"ACQUISITION_TIME": "13:52", "TIFFTAG_DATETIME": "2020:11:07"}, None),
        ({"S1_DATE": "2020-13-45"}, None),
        ({"SCENE": "2020-11-07"}, None),
    ],
)
def test_acquired(tmp_path, tags, expected):
    with Scene.open(make(tmp_path / "a.tif", ramp("uint8", 1), descriptions=("VH",), tags=tags)) as scene:
        assert scene.acquired == expected
        assert tags.items() <= scene.tags.items()


def test_acquired_of_the_optical_half_of_a_pair(tmp_path):
    tags = {"SAR_DATE": "07.11.2020", "OPTICAL_DATE": "04.11.2020"}
    with Scene.open(make(tmp_path / "a.tif", ramp("uint8", 1), descriptions=("B4 red",), tags=tags)) as scene:
        assert scene.acquired == datetime(2020, 11, 4, tzinfo=UTC)


def test_georeference_plain_rotated_missing_and_gcps(tmp_path):
    rotated = rasterio.Affine.translation(5e5, 4e6) @ rasterio.Affine.rotation(20) @ rasterio.Affine.scale(10, -10)
    for name, transform in (("plain", TRANSFORM), ("rotated", rotated)):
        with Scene.open(make(tmp_path / f"{name}.tif", ramp("uint8"), crs=UTM, transform=transform)) as scene:
            assert scene.georeference.crs == rasterio.CRS.from_string(UTM)
            assert scene.georeference.transform.almost_equals(transform)
            assert scene.georeference.gcps == ()
    with Scene.open(make(tmp_path / "none.tif", ramp("uint8"))) as scene:
        assert scene.georeference.transform is None
        assert scene.georeference.crs is None
    gcps = [GroundControlPoint(r, c, 3 + c / 10, 50 - r / 10, 2.5) for r, c in ((0, 0), (0, 50), (30, 0), (30, 50))]
    with Scene.open(make(tmp_path / "gcps.tif", ramp("uint8"), gcps=gcps, crs="EPSG:4326")) as scene:
        place = scene.georeference
    assert place.transform is None
    assert place.gcp_crs == rasterio.CRS.from_epsg(4326)
    assert [(p.row, p.col, p.x, p.y, p.z) for p in place.gcps] == [(p.row, p.col, p.x, p.y, p.z) for p in gcps]


def test_window_outside_the_frame_is_refused(tmp_path):
    with Scene.open(make(tmp_path / "a.tif", ramp("uint8"))) as scene:
        for window in (Window(-1, 0, 2, 2), Window(0, 52, 1, 2), Window(36, 0, 2, 1)):
            with pytest.raises(ValueError, match="not inside"):
                scene.read(window)
    with pytest.raises(ValueError, match="at least one pixel"):
        Window(0, 0, 0, 4)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_reflection_equals_numpy(size):
    axis = np.arange(size)
    expected = np.pad(axis, 40, mode="reflect")
    np.testing.assert_array_equal(axis[reflect_indices(-40, size + 80, size)], expected)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (37, 53)])
def test_read_padded_equals_numpy_pad_and_depends_on_position_only(tmp_path, height, width):
    array = ramp("uint8", 2, height, width)
    array[:, 0, 0] = 0
    with Scene.open(make(tmp_path / "a.tif", array, nodata=0)) as scene:
        values, valid = scene.read_padded(Window(-60, -70, height + 120, width + 140))
        whole = np.pad(array, ((0, 0), (60, 60), (70, 70)), mode="reflect")
        np.testing.assert_array_equal(values, whole)
        np.testing.assert_array_equal(valid, whole[0] > 0)
        for window in (Window(-9, 1, 5, 8), Window(height + 3, width + 4, 6, 5), Window(-3, -3, height + 5, 4)):
            part, mask = scene.read_padded(window)
            rows = slice(window.row + 60, window.row + 60 + window.height)
            cols = slice(window.col + 70, window.col + 70 + window.width)
            np.testing.assert_array_equal(part, values[:, rows, cols])
            np.testing.assert_array_equal(mask, valid[rows, cols])


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_sample_is_bounded_repeatable_and_spread(tmp_path, layout):
    rows, cols = np.mgrid[:700, :900].astype(np.float32)
    array = np.stack([rows, cols])
    array[:, 300:400] = np.nan
    with Scene.open(make(tmp_path / "a.tif", array, **layout)) as scene:
        sample = scene.sample(5000)
        again = scene.sample(5000)
    np.testing.assert_array_equal(sample, again)
    assert sample.shape[0] == 2
    assert 2000 < sample.shape[1] <= 5000
    valid = array[:, np.isfinite(array[0])]
    for channel in (0, 1):
        np.testing.assert_allclose(sample[channel].mean(), valid[channel].mean(), rtol=0.03)
        np.testing.assert_allclose(sample[channel].std(), valid[channel].std(), rtol=0.05)
    assert not ((sample[0] >= 300) & (sample[0] < 400)).any()


def test_sample_of_a_small_scene_is_all_of_it(tmp_path):
    array = ramp("uint8", 1)
    with Scene.open(make(tmp_path / "a.tif", array)) as scene:
        np.testing.assert_array_equal(scene.sample(37 * 53), array.reshape(1, -1))


def test_sample_finds_a_small_valid_part_and_says_nothing_of_none(tmp_path):
    array = np.zeros((1, 700, 900), np.uint8)
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16, "nodata": 0}
    with Scene.open(make(tmp_path / "empty.tif", array, **layout)) as scene:
        assert scene.sample(2000).shape == (1, 0)
    array[0, 333, 444] = 9
    with Scene.open(make(tmp_path / "one.tif", array, **layout)) as scene:
        assert scene.sample(2000).tolist() == [[9]]


def bad_files(tmp_path):
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("not a raster\n" * 50)
    (tmp_path / "header.tif").write_bytes(make(tmp_path / "whole.tif", ramp("uint8")).read_bytes()[:6])
    os.mkfifo(tmp_path / "pipe.tif")
    return {
        "missing.tif": "no such file",
        "folder.tif": "is a directory",
        "empty.tif": "file is empty",
        "text.tif": "not a raster that can be read",
        "header.tif": "not a raster that can be read",
        "pipe.tif": "not a regular file",
        "whole.tif/inside.tif": "cannot be read",
    }


def test_every_bad_file_is_one_clear_line(tmp_path):
    for name, reason in bad_files(tmp_path).items():
        with pytest.raises(InputError, match=reason) as caught:
            Scene.open(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_truncated_tif_names_file_and_window(tmp_path, compress):
    array = np.random.default_rng(0).integers(0, 255, (1, 1024, 1024), dtype=np.uint8)
    path = make(tmp_path / "a.tif", array, driver="COG", compress=compress, blocksize=256)
    os.truncate(path, path.stat().st_size * 3 // 4)
    with Scene.open(path) as scene:
        assert scene.read(Window(0, 0, 8, 1024))[0].shape == (1, 8, 1024)
        with pytest.raises(InputError, match=r"a\.tif: rows 1000\.\.1011, columns 0\.\.1023 cannot be read") as caught:
            scene.read(Window(1000, 0, 12, 1024))
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError, match="cannot be read"):
            scene.sample(1000)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_picture(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(pixels).save(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match="cannot be read"), Scene.open(path) as scene:
        scene.read()


def test_unreadable_permission(tmp_path):
    path = make(tmp_path / "a.tif", ramp("uint8"))
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(InputError, match="no permission"):
            Scene.open(path)
    finally:
        os.seteuid(user)


def test_a_reader_thread_may_use_the_scene(tmp_path):
    array = ramp("uint8")
    with Scene.open(make(tmp_path / "a.tif", array)) as scene, ThreadPoolExecutor(1) as pool:
        read = list(pool.map(lambda row: scene.read(Window(row, 0, 1, 53))[0], range(37)))
    np.testing.assert_array_equal(np.concatenate(read, axis=1), array)
