"""Rasters and addresses of strangers: virtual formats, secrets, links, sparse giants, places across 180 degrees."""

import os
import time

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from saropt.addresses import without_query, without_secrets
from saropt.errors import InputError
from saropt.scenes import Georeference, Scene, SceneWriter, open_scene, overlap_grid, sample_pixels, write_array

RAW = """<VRTDataset rasterXSize="8" rasterYSize="8">
<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">
<SourceFilename relativeToVRT="{}">{}</SourceFilename><ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset>
<LineOffset>8</LineOffset></VRTRasterBand></VRTDataset>"""


def test_a_tif_that_is_a_virtual_raster(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP-SECRET" * 20)
    (tmp_path / "set").mkdir()
    for name in ("scene.tif", "scene.vrt"):
        path = tmp_path / "set" / name
        path.write_text(RAW.format(0, secret))
        with pytest.raises(InputError):
            Scene.open(path)
    wms = tmp_path / "wms.tif"
    wms.write_text("<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>")
    with pytest.raises(InputError, match="is not a raster"):
        Scene.open(wms)


@pytest.mark.parametrize("source", ["../secret.tif", "link.tif", "/vsicurl/http://127.0.0.1:9/a.tif", "other.vrt"])
def test_a_virtual_raster_reads_only_beside_itself(tmp_path, source):
    pixels = np.ones((1, 8, 8), np.uint8)
    folder = tmp_path / "set"
    folder.mkdir()
    write_array(tmp_path / "secret.tif", pixels)
    write_array(folder / "a.tif", pixels)
    (folder / "link.tif").symlink_to(tmp_path / "secret.tif")
    (folder / "other.vrt").write_text(RAW.format(0, tmp_path / "secret.tif"))
    text = """<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
    <SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
    </VRTDataset>"""
    own = folder / "own.vrt"
    own.write_text(text.format("a.tif"))
    with Scene.open(own) as scene:
        assert scene.read()[0].sum() == 64
    own.write_text(text.format(source))
    with pytest.raises(InputError, match=r"own\.vrt"):
        Scene.open(own)


@pytest.mark.parametrize(
    "address",
    [
        "http://user:S3CRET@127.0.0.1/x.tif",
        "http://user:S3CRET@127.0.0.1:9/x.tif",
        "/vsicurl/http://user:S3CRET@127.0.0.1:9/none.tif",
        "s3://KEY:S3CRET@bucket/x.tif",
        "http://127.0.0.1:port/x.tif?token=S3CRET",
        "http://user:S3CRET/with/slash@127.0.0.1/x.tif",
    ],
)
def test_addresses_with_secrets_are_refused_without_them(address):
    with pytest.raises(InputError) as caught:
        open_scene(address)
    assert "S3CRET" not in str(caught.value)
    assert "S3CRET" not in without_query(address)


def test_secrets_in_the_words_of_libraries():
    text = "CURL error at http://u:pw@host/a.tif?sig=KEY: refused, also s3://K:S@b/x"
    assert without_secrets(text) == "CURL error at http://host/a.tif: refused, also s3://b/x"


def test_a_link_in_the_place_of_the_work_file(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".o.tif.part").symlink_to(victim)
    with pytest.raises(InputError, match="cannot be written"):
        SceneWriter(tmp_path / "o.tif", width=8, height=8, band_names=["a"], dtype="uint8")
    assert victim.read_text() == "precious"


def test_a_sparse_giant_is_sampled_within_a_budget(tmp_path):
    path = tmp_path / "s.tif"
    form = {"driver": "GTiff", "count": 1, "dtype": "float32", "tiled": True, "blockxsize": 4096, "blockysize": 4096}
    with rasterio.open(path, "w", width=200_000, height=200_000, SPARSE_OK=True, nodata=0, BIGTIFF="YES", **form):
        pass
    began = time.monotonic()
    with Scene.open(path) as scene:
        assert sample_pixels(scene, 1 << 16).shape[1] == 0
    assert time.monotonic() - began < 60


def test_names_that_are_no_utf_8(tmp_path):
    write_array(tmp_path / "a.tif", np.ones((1, 8, 8), np.uint8))
    odd = os.fsencode(tmp_path) + b"/caf\xe9.tif"
    os.rename(tmp_path / "a.tif", odd)
    with pytest.raises(InputError, match="not UTF-8"):
        Scene.open(os.fsdecode(odd))


@pytest.mark.parametrize("name", ["GTIFF_DIR:1:other.tif", "http:a.tif", "s3:a.tif", "back\\slash.tif", "zip+a.tif"])
def test_names_that_look_like_addresses_are_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_array("other.tif", np.full((1, 8, 8), 1, np.uint8))
    assert write_array(name, np.full((1, 8, 8), 7, np.uint8)).name == name
    with Scene.open(name) as scene:
        assert scene.read()[0].mean() == 7
        assert scene.source == name
    (tmp_path / name).write_bytes(b"no raster")
    with pytest.raises(InputError) as refused:
        Scene.open(name)
    assert str(tmp_path) not in str(refused.value)


def test_a_scene_is_the_same_by_any_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_array("a.tif", np.ones((1, 8, 8), np.uint8))
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset/>")
    with Scene.open("a.tif") as here, Scene.open(tmp_path / "a.tif") as there:
        assert here.identity() == there.identity()


def test_the_longest_name_is_read(tmp_path):
    path = tmp_path / f"{'n' * 251}.tif"
    os.rename(write_array(tmp_path / "a.tif", np.ones((1, 8, 8), np.uint8)), path)
    with Scene.open(path) as scene:
        assert scene.read()[0].sum() == 64


def test_bands_of_several_types(tmp_path):
    """Those that are chosen must have one; GDAL's own formats have one, but virtual rasters need not."""
    write_array(tmp_path / "a.tif", np.ones((1, 8, 8), np.uint8))
    band = """<VRTRasterBand dataType="{}" band="{}"><SimpleSource>
    <SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"""
    bands = band.format("Float32", 1) + band.format("Int16", 2)
    path = tmp_path / "two.vrt"
    path.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{bands}</VRTDataset>')
    with pytest.raises(InputError, match=r"two\.vrt: has bands of several types \(float32, int16\)"):
        Scene.open(path)
    with Scene.open(path, [2]) as scene:
        assert scene.dtype == "int16"
        assert scene.read()[0].sum() == 64


def test_grids_across_180_degrees():
    crs = CRS.from_epsg(32760)
    place = Georeference(crs, from_origin(816000, 8230000, 10, 10))
    grid = overlap_grid([(place, 200, 900), (place, 200, 900)], 10.0, "a")
    assert (grid.height, grid.width) == (200, 900)
    degrees = CRS.from_epsg(4326)
    east, west = (Georeference(degrees, from_origin(left, 10, 0.01, 0.01)) for left in (190.0, -170.0))
    grid = overlap_grid([(east, 100, 100), (west, 100, 100)], None, "a")
    assert min(grid.height, grid.width) >= 100


def test_a_crs_without_a_place_on_the_globe():
    local = Georeference(CRS.from_wkt('LOCAL_CS["site grid",UNIT["metre",1]]'), from_origin(0, 0, 10, 10))
    utm = Georeference(CRS.from_epsg(32633), from_origin(500000, 4000000, 10, 10))
    with pytest.raises(InputError, match="no place on the globe"):
        overlap_grid([(utm, 10, 10), (local, 10, 10)], 10.0, "a")


def test_telemetry_is_off_before_the_runtime_is_imported(tmp_path):
    import subprocess
    import sys

    code = "import saropt, os, sys; assert 'onnxruntime' not in sys.modules; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | {"HOME": str(tmp_path)}
    code += "; t = saropt.Translator.load('s1-losangeles', threads=1); import numpy as np"
    code += "; t(np.random.default_rng(0).random((1, 64, 64)).astype('f4'))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_of_several_rasters_names_them(tmp_path):
    xarray = pytest.importorskip("xarray")
    band = (("y", "x"), np.ones((8, 8), np.float32))
    xarray.Dataset({"VV": band, "VH": band}).to_netcdf(tmp_path / "a.nc", engine="scipy")
    with pytest.raises(InputError, match=r"holds several rasters \(VV, VH\): write them as the bands of one"):
        Scene.open(tmp_path / "a.nc")


def test_a_name_that_is_relative_and_not_is_two_sources(tmp_path, monkeypatch):
    """The one that lies beside the virtual raster does not hide the other."""
    for folder in ("inside/private", "private"):
        (tmp_path / folder).mkdir(parents=True)
        write_array(tmp_path / folder / "a.tif", np.ones((1, 8, 8), np.uint8))
    sources = "".join(RAW.format(relative, "private/a.tif").split("\n", 1)[1][:-13] for relative in (0, 1))
    virtual = tmp_path / "inside" / "a.vrt"
    virtual.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{sources}</VRTDataset>')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"reads from private/a\.tif, outside its own folder"):
        Scene.open(virtual)


def test_errors_about_an_address_hold_no_secret():
    error = InputError("https://user:word@example.com/a b.tif?sig=secret", "is listed twice")
    assert str(error) == "https://example.com/a b.tif: is listed twice"
    assert str(InputError("a?b#c.tif", "is missing")) == "a?b#c.tif: is missing"
