"""Finds files that end too early where GDAL reads what is missing as 0."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saropt.errors import InputError
from saropt.files.vrt import read_vrt

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_NETCDF_3 = (b"CDF\x01", b"CDF\x02")


def check_whole(dataset: DatasetReader, path: Path) -> None:
    """Check that a file holds all its pixels, where it is raw numbers: of ENVI, of netCDF 3, or of a virtual raster.

    GDAL refuses a file that is shorter than half of what it should be, and reads the rest of others as 0.

    Raises:
        InputError: it does not.

    >>> import rasterio
    >>> form = {"driver": "ENVI", "count": 1, "height": 8, "width": 8, "dtype": "float32"}
    >>> with rasterio.open("a.img", "w", **form) as dataset:
    ...     dataset.write(np.ones((1, 8, 8), np.float32))
    >>> with rasterio.open("a.img") as dataset:
    ...     check_whole(dataset, Path("a.img"))
    """
    try:
        if dataset.driver == "ENVI":
            is_whole = _is_whole_envi(dataset, path)
        elif dataset.driver == "netCDF":
            is_whole = _is_whole_netcdf(path)
        else:
            is_whole = path.suffix.lower() != ".vrt" or _has_whole_sources(dataset, path)
    except ValueError:
        raise InputError(path, "does not say in whole numbers where its pixels begin") from None
    if not is_whole:
        raise InputError(path, "is truncated: the file is shorter than its pixels")


def _bytes_of(dtype: str) -> int:
    return 4 if dtype == "complex_int16" else np.dtype(dtype).itemsize


def _is_whole_envi(dataset: DatasetReader, path: Path) -> bool:
    header = dataset.tags(ns="ENVI")
    if header.get("file_compression", "0").strip() != "0":
        return True
    numbers = dataset.count * dataset.height * dataset.width
    return path.stat().st_size >= int(header.get("header_offset", "0")) + numbers * _bytes_of(dataset.dtypes[0])


def _is_whole_netcdf(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.read(4) not in _NETCDF_3:
            return True  # HDF5, which knows its size
    from scipy.io import netcdf_file

    try:
        netcdf_file(path, mmap=True).close()
    except ValueError:
        return False
    except (TypeError, LookupError, NotImplementedError):  # a kind of content that is not known there
        return True
    return True


def _has_whole_sources(dataset: DatasetReader, path: Path) -> bool:
    """Whether the raw bands of a virtual raster lie within their files."""
    for band, dtype in zip(read_vrt(path).findall("VRTRasterBand"), dataset.dtypes, strict=False):
        source = band.find("SourceFilename")
        if band.get("subClass") != "VRTRawRasterBand" or source is None:
            continue
        name = (source.text or "").strip()
        file = path.parent / name if source.get("relativeToVRT", "0") == "1" else Path(name)
        pixel = int(band.findtext("PixelOffset", str(_bytes_of(dtype))))
        line = int(band.findtext("LineOffset", str(pixel * dataset.width)))
        steps = max(pixel, 0) * (dataset.width - 1) + max(line, 0) * (dataset.height - 1)
        if file.stat().st_size < int(band.findtext("ImageOffset", "0")) + steps + _bytes_of(dtype):
            return False
    return True
