"""SceneWriter: round trips, COG validity, resume, refusals, full disks."""

import fcntl
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rio_cogeo.cogeo import cog_validate

from saropt.errors import InputError
from saropt.scenes import Georeference, Scene, SceneWriter, write_array
from saropt.scenes.writing import check_space, check_writable

PLACE = Georeference(rasterio.CRS.from_epsg(32631), rasterio.Affine(10, 0, 5e5, 0, -10, 4e6))
NOISE = np.random.default_rng(0)


def smooth(dtype, count=2, height=700, width=1100):
    rows, cols = np.mgrid[:height, :width]
    return np.stack([(rows // 4 + cols // 8 + 3 * band) % 120 for band in range(count)]).astype(dtype)


def read_all(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def leftovers(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "complex64"]
)
def test_pixels_and_cog_validity(tmp_path, dtype):
    array = smooth(dtype)
    path = write_array(tmp_path / "a.tif", array, georeference=PLACE)
    read = read_all(path)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
    valid, errors, warnings = cog_validate(path, strict=True)
    assert valid, (errors, warnings)
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1) == [2, 4]
        assert dataset.block_shapes[0] == (512, 512)
        assert dataset.compression.name == "deflate"
        predictor = {"i": "2", "u": "2", "f": "3", "c": None}[array.dtype.kind]
        assert dataset.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") == predictor
    assert leftovers(tmp_path) == ["a.tif"]


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 700), (2, 513, 3), (5, 511, 513), (1, 700, 1025), (1, 2051, 300)])
def test_odd_sizes(tmp_path, shape):
    array = NOISE.integers(0, 255, shape, dtype=np.uint8)
    path = write_array(tmp_path / "a.tif", array)
    np.testing.assert_array_equal(read_all(path), array)
    assert cog_validate(path)[0]


def test_round_trip_of_everything(tmp_path):
    array = smooth("int16")
    array[0, :100] = -32768
    tags = {"ACQUISITION_DATE": "2020-11-07T13:52:41", "TIFFTAG_SOFTWARE": "x", "NOTE": "a < b & 'c'", "LEER": "é"}
    write_array(tmp_path / "a.tif", array, band_names=["VV <σ0>", "VH"], nodata=-32768, georeference=PLACE, tags=tags)
    with Scene.open(tmp_path / "a.tif") as scene:
        assert scene.band_names == ["VV <σ0>", "VH"]
        assert scene.nodata == -32768
        assert scene.georeference == PLACE
        assert scene.acquired == datetime(2020, 11, 7, 13, 52, 41, tzinfo=UTC)
        assert tags.items() <= scene.tags.items()
        valid = scene.read()[1]
    assert not valid[:100].any()
    assert valid[100:].all()


@pytest.mark.parametrize("nodata", [np.nan, -9999.0, 0.1])
def test_float_nodata_and_overviews_leave_it_out(tmp_path, nodata):
    array = np.full((1, 1024, 1024), 5, np.float32)
    array[:, ::2] = nodata
    path = write_array(tmp_path / "a.tif", array, nodata=nodata, georeference=PLACE)
    with Scene.open(path) as scene:
        np.testing.assert_array_equal(scene.read()[1], np.arange(1024)[:, None].repeat(1024, 1) % 2 == 1)
    with rasterio.open(path, overview_level=0) as overview:
        assert (overview.read() == 5).all()


def test_class_maps_can_have_nearest_overviews(tmp_path):
    array = np.zeros((1, 1024, 1024), np.uint8)
    array[:, ::2, 1::2] = 9
    path = write_array(tmp_path / "a.tif", array, overview_resampling="nearest")
    with rasterio.open(path, overview_level=0) as overview:
        assert set(np.unique(overview.read())) <= {0, 9}


def test_rotated_and_gcps_round_trip(tmp_path):
    rotated = rasterio.Affine.translation(5e5, 4e6) @ rasterio.Affine.rotation(20) @ rasterio.Affine.scale(10, -10)
    write_array(tmp_path / "r.tif", smooth("uint8"), georeference=Georeference(PLACE.crs, rotated))
    with Scene.open(tmp_path / "r.tif") as scene:
        assert scene.georeference.transform.almost_equals(rotated)
    gcps = tuple(
        GroundControlPoint(r + 0.5, c, 3 + c / 7, 50 - r / 9, 2.5, id=f"{r}-{c}") for r in (0, 699) for c in (0, 1000)
    )
    write_array(
        tmp_path / "g.tif",
        smooth("uint8"),
        georeference=Georeference(None, None, gcps, rasterio.CRS({"init": "epsg:4326"})),
    )
    with Scene.open(tmp_path / "g.tif") as scene:
        place = scene.georeference
    assert place.transform is None
    assert place.gcp_crs.to_epsg() == 4326
    assert [(p.row, p.col, p.x, p.y, p.z) for p in place.gcps] == [(p.row, p.col, p.x, p.y, p.z) for p in gcps]


def test_no_georeference_stays_none(tmp_path):
    write_array(tmp_path / "a.tif", smooth("uint8"))
    with Scene.open(tmp_path / "a.tif") as scene:
        assert scene.georeference == Georeference()


def test_photometric_rgb(tmp_path):
    write_array(tmp_path / "a.tif", smooth("uint8", 3), band_names=["B4", "B3", "B2"], photometric="rgb")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert [colour.name for colour in dataset.colorinterp] == ["red", "green", "blue"]
        assert dataset.descriptions == ("B4", "B3", "B2")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png(tmp_path, dtype):
    array = smooth(dtype, 3)
    write_array(tmp_path / "a.png", array)
    np.testing.assert_array_equal(read_all(tmp_path / "a.png"), array)
    assert leftovers(tmp_path) == ["a.png"]
    with pytest.raises(InputError, match="exists already"):
        write_array(tmp_path / "a.png", array)
    write_array(tmp_path / "a.png", array[:1], overwrite=True)
    assert read_all(tmp_path / "a.png").shape[0] == 1
    with pytest.raises(InputError, match="no georeference"):
        write_array(tmp_path / "b.png", array, georeference=PLACE)
    with pytest.raises(ValueError, match="PNG holds"):
        write_array(tmp_path / "b.png", array.astype(np.float32))


def test_blocks_in_any_order_and_overlapping(tmp_path):
    array = smooth("float32", 3)
    with open_writer(tmp_path, array) as writer:
        for row, col in ((512, 512), (0, 512), (256, 0), (0, 0), (512, 0), (0, 900), (512, 900)):
            writer.write(row, col, array[:, row : row + 512, col : col + 512])
        writer.finish()
    np.testing.assert_array_equal(read_all(tmp_path / "out.tif"), array)


def open_writer(folder, array, name="out.tif", **extra):
    count, height, width = array.shape
    names = [f"b{band}" for band in range(count)]
    form = {"width": width, "height": height, "band_names": names, "dtype": array.dtype}
    return SceneWriter(folder / name, **(form | extra))


def test_wrong_blocks_are_refused(tmp_path):
    array = smooth("uint8")
    with open_writer(tmp_path, array) as writer:
        for row, col, block in (
            (0, 0, array[:1]),
            (0, 0, array[0]),
            (-1, 0, array),
            (1, 0, array),
            (0, 0, array.astype(np.float32)),
        ):
            with pytest.raises(ValueError, match=r"expected|leaves|cannot store"):
                writer.write(row, col, block)
        writer.abandon()
        for call in (writer.finish, lambda: writer.write(0, 0, array)):
            with pytest.raises(ValueError, match="closed"):
                call()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"dtype": "int64"},
        {"band_names": []},
        {"nodata": 300},
        {"nodata": np.nan},
        {"photometric": "rgb"},
        {"resume": True},
        {"width": 0},
        {"overview_resampling": "medain"},
    ],
)
def test_layouts_that_cannot_be_written(tmp_path, wrong):
    with pytest.raises(ValueError):  # noqa: PT011
        open_writer(tmp_path, smooth("uint8"), **wrong)
    assert leftovers(tmp_path) == []


def test_outputs_refused_before_any_work(tmp_path):
    array = smooth("uint8")
    (tmp_path / "old.tif").write_bytes(b"old")
    (tmp_path / "folder.tif").mkdir()
    before = leftovers(tmp_path)
    for name, reason in {
        "old.tif": "exists already",
        "folder.tif": "is a directory",
        "absent/a.tif": "does not exist",
        "old.tif/a.tif": "does not exist",
        "a.png": "cannot write this kind of file; use .tif or .tiff",
        "a": "cannot write this kind of file",
    }.items():
        with pytest.raises(InputError, match=reason):
            open_writer(tmp_path, array, name)
    assert leftovers(tmp_path) == before
    assert (tmp_path / "old.tif").read_bytes() == b"old"


def test_read_only_folder(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(InputError, match="cannot be written: Permission denied"):
            open_writer(folder, smooth("uint8"))
    finally:
        os.seteuid(user)
    assert leftovers(folder) == []


def test_too_small_a_disk_is_told_at_once(tmp_path):
    with pytest.raises(InputError, match="MB are needed"):
        SceneWriter(tmp_path / "a.tif", width=10**6, height=10**6, band_names=["a"] * 9, dtype="float64")
    assert leftovers(tmp_path) == []


def test_tags_that_no_file_can_hold(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write_array(tmp_path / "a.tif", smooth("uint8"), tags={"A": "\ud800"})
    assert leftovers(tmp_path) == []


def test_two_writers_of_one_output(tmp_path):
    array = smooth("uint8")
    with open_writer(tmp_path, array) as writer:
        with pytest.raises(InputError, match="another process"):
            open_writer(tmp_path, array)
        writer.write(0, 0, array)
        writer.finish()
    np.testing.assert_array_equal(read_all(tmp_path / "out.tif"), array)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_writer_that_ends_while_another_opens(tmp_path, monkeypatch, overwrite):
    """The second one has opened the first one's file, and gets its lock when the file is no longer there."""
    first, second = smooth("uint8"), smooth("uint8") // 2
    writer = open_writer(tmp_path, first)
    writer.write(0, 0, first)

    def ending_flock(*arguments):
        monkeypatch.undo()
        writer.finish()
        fcntl.flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", ending_flock)
    if overwrite:
        with open_writer(tmp_path, second, overwrite=True) as late:
            late.write(0, 0, second)
            late.finish()
    else:
        with pytest.raises(InputError, match="exists already"):
            open_writer(tmp_path, second)
    np.testing.assert_array_equal(read_all(tmp_path / "out.tif"), second if overwrite else first)
    assert leftovers(tmp_path) == ["out.tif"]


def test_a_failure_leaves_nothing_and_the_older_output(tmp_path):
    array = smooth("uint8")
    (tmp_path / "out.tif").write_bytes(b"old")

    def fail_halfway():
        with open_writer(tmp_path, array, overwrite=True, resume_key="k") as writer:
            writer.write(0, 0, array[:, :9], key=1)
            raise RuntimeError("model failed")

    with pytest.raises(RuntimeError, match="model failed"):
        fail_halfway()
    assert leftovers(tmp_path) == ["out.tif"]
    assert (tmp_path / "out.tif").read_bytes() == b"old"
    with open_writer(tmp_path, array, overwrite=True) as writer:
        writer.write(0, 0, array)
    assert (tmp_path / "out.tif").read_bytes() == b"old"
    with open_writer(tmp_path, array, overwrite=True) as writer:
        writer.write(0, 0, array)
        writer.finish()
    np.testing.assert_array_equal(read_all(tmp_path / "out.tif"), array)


@pytest.mark.parametrize(
    "check", [lambda path: check_space(path, 1), partial(check_writable, suffixes=(".tif",), overwrite=False)]
)
def test_a_folder_that_takes_no_files_is_told(check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(self: Path, *_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(self))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(InputError, match=f"nothing can be written to the folder {tmp_path}"):
        check(tmp_path / "x.tif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32"])
def test_a_mask_lies_inside_the_file(tmp_path: Path, dtype: str):
    array, valid = smooth(dtype), NOISE.random((700, 1100)) > 0.3
    shape = {"width": 1100, "height": 700, "band_names": ["a", "b"], "dtype": dtype}
    with SceneWriter(tmp_path / "out.tif", **shape, masked=True) as writer:
        writer.write(0, 0, array[:, :512], valid=valid[:512])
        writer.write(512, 0, array[:, 512:, :300])
        writer.write(512, 300, array[:, 512:, 300:], valid=valid[512:, 300:])
        writer.finish()
    valid[512:, :300] = True
    assert leftovers(tmp_path) == ["out.tif"]
    assert cog_validate(tmp_path / "out.tif")[0]
    with Scene.open(tmp_path / "out.tif") as scene:
        stored, kept = scene.read_stored()
    np.testing.assert_array_equal(kept, valid)
    np.testing.assert_array_equal(stored, array)
    with pytest.raises(ValueError, match="a mask for float32, which has NaN"):
        SceneWriter(tmp_path / "b.tif", **shape | {"dtype": "float32"}, masked=True)
