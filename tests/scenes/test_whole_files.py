"""Raw numbers that end too early, which GDAL would read as 0."""

import os
import warnings

import numpy as np
import pytest
import rasterio
from scipy.io import netcdf_file

from saropt.errors import InputError
from saropt.scenes import Scene

PIXELS = np.random.default_rng(1).normal(-12, 3, (2, 20, 30)).astype(np.float32)
RAW = """<VRTRasterBand dataType="Float32" band="{}" subClass="VRTRawRasterBand">
<SourceFilename relativeToVRT="1">numbers.raw</SourceFilename><ImageOffset>{}</ImageOffset><PixelOffset>8</PixelOffset>
<LineOffset>240</LineOffset><ByteOrder>LSB</ByteOrder></VRTRasterBand>"""
SIMPLE = """<VRTRasterBand dataType="Float32" band="{0}"><SimpleSource>
<SourceFilename relativeToVRT="1">a.img</SourceFilename><SourceBand>{0}</SourceBand></SimpleSource></VRTRasterBand>"""


def virtual(path, *bands):
    path.write_text(f'<VRTDataset rasterXSize="30" rasterYSize="20">{"".join(bands)}</VRTDataset>')
    return path


def envi(folder, interleave="bsq"):
    form = {"driver": "ENVI", "count": 2, "height": 20, "width": 30, "dtype": "float32", "interleave": interleave}
    with warnings.catch_warnings(action="ignore"), rasterio.open(folder / "a.img", "w", **form) as dataset:
        dataset.write(PIXELS)
    return folder / "a.img", folder / "a.img"


def envi_with_a_header(folder):
    path, _ = envi(folder)
    path.write_bytes(bytes(100) + path.read_bytes())
    header = path.with_suffix(".hdr")
    header.write_text(header.read_text().replace("header offset = 0", "header offset = 100"))
    return path, path


def netcdf(folder, version=1, records=False):
    path = folder / "a.nc"
    with netcdf_file(path, "w", version=version) as file:
        for name, size in (("band", 2), ("y", 20), ("x", 30)):
            file.createDimension(name, None if records and name == "band" else size)
        file.createVariable("sigma0", "f4", ("band", "y", "x"))[:] = PIXELS[:, ::-1]
    return path, path


def netcdf_of_records(folder):
    return netcdf(folder, version=2, records=True)


def raw(folder):
    (folder / "numbers.raw").write_bytes(np.moveaxis(PIXELS, 0, -1).astype("<f4").tobytes())
    return virtual(folder / "a.vrt", RAW.format(1, 0), RAW.format(2, 4)), folder / "numbers.raw"


def virtual_of_envi(folder):
    _, file = envi(folder, "bil")
    return virtual(folder / "a.vrt", SIMPLE.format(1), SIMPLE.format(2)), file


@pytest.mark.parametrize("make", [envi, envi_with_a_header, netcdf, netcdf_of_records, raw, virtual_of_envi])
def test_raw_numbers_are_whole_or_refused(tmp_path, make):
    path, file = make(tmp_path)
    with warnings.catch_warnings(action="error"), Scene.open(path) as scene:
        values, valid = scene.read()
    assert valid.all()
    np.testing.assert_array_equal(values, PIXELS)
    whole = file.stat().st_size
    for cut in (1, whole // 10, whole * 4 // 10):
        os.truncate(file, whole - cut)
        with pytest.raises(InputError, match=rf"{file.suffix if path == file else 'a'}.*is truncated"):
            Scene.open(path)


def test_an_offset_that_is_no_number_is_one_line(tmp_path):
    raw(tmp_path)
    path = virtual(tmp_path / "a.vrt", RAW.format(1, "four"), RAW.format(2, 4))
    with pytest.raises(InputError, match=r"a\.vrt: does not say in whole numbers"):
        Scene.open(path)
