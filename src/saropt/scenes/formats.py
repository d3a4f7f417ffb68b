"""The one way to open a raster that a user names: by a list of formats, none of which reaches beyond its own files."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from saropt.domain import listed
from saropt.errors import InputError
from saropt.files.polarisation_files import polarisation_files
from saropt.files.vrt import read_vrt, vrt_sources
from saropt.scenes.joined_files import described_as_one
from saropt.scenes.whole_files import check_whole

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from saropt.scenes.ranges import RangeFolder

FORMATS = ("GTiff", "PNG", "JPEG", "JP2OpenJPEG", "SAFE", "SENTINEL2", "ENVI", "netCDF", "COSAR")
_MOST_BANDS = 4096


def check_readable(path: Path) -> None:
    """Check that a path is a readable, non-empty, regular file.

    Raises:
        InputError: missing, a directory, a device, without permission, or empty.

    >>> check_readable(Path("scene.tif"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: scene.tif: no such file
    """
    try:
        mode = path.stat()
        if stat.S_ISDIR(mode.st_mode):
            raise InputError(path, "is a directory, not a raster file")
        if not stat.S_ISREG(mode.st_mode):
            raise InputError(path, "is not a regular file")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise InputError(path, "no such file") from None
    except PermissionError:
        raise InputError(path, "no permission to read it") from None
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read: {error}") from error
    if mode.st_size == 0:
        raise InputError(path, "the file is empty")


def open_named(place: Path | str, folder: RangeFolder | None = None) -> DatasetReader:
    """Open a path, an address in GDAL's words, or a path in a `RangeFolder`, as one of `FORMATS`.

    A file named .vrt may be a virtual raster; its sources must be rasters of these formats beside it or below. A
    product with one file for each polarisation (`saropt.files.polarisation_files`) is one raster.

    Raises:
        InputError: a virtual raster that reaches elsewhere, a raster of no or too many bands, a truncated file of raw
            numbers, or files of a product that are not on one grid.
        RasterioError: no raster of these formats.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> for name in ("p_VV.tif", "p_VH.tif"):
    ...     _ = write_array(name, np.ones((1, 8, 8), np.float32))
    >>> with open_named(Path("p_VV+VH.tif")) as dataset:
    ...     dataset.descriptions
    ('VV', 'VH')
    """
    from rasterio._path import _parse_path, _UnparsedPath
    from rasterio._vsiopener import _opener_registration
    from rasterio.env import ensure_env
    from rasterio.io import DatasetReader

    formats = list(FORMATS)
    if isinstance(place, Path) and folder is None and (files := polarisation_files(place)):
        with ExitStack() as stack:
            parts = [stack.enter_context(open_named(file.absolute())) for file in files]
            place, formats = described_as_one(parts, files), ["VRT"]
    elif isinstance(place, Path) and place.suffix.lower() == ".vrt":
        check_virtual(place, place.resolve().parent)
        formats = ["VRT"]
    with ExitStack() as stack:
        if folder is None:  # of names such as http:a.tif GDAL makes addresses, unless they are absolute
            parsed = _parse_path(str(place.absolute()) if isinstance(place, Path) else place)
        else:
            parsed = _UnparsedPath(stack.enter_context(_opener_registration(os.fspath(place), folder)))
        dataset = ensure_env(DatasetReader)(parsed, driver=formats, sharing=False)
        dataset._env = stack.pop_all()  # closed with the dataset
    if not dataset.count:
        reason = _without_bands(dataset.subdatasets)
        dataset.close()
        raise InputError(place, reason)
    if dataset.count > _MOST_BANDS:
        dataset.close()
        raise InputError(place, f"has {dataset.count} bands; at most {_MOST_BANDS} are taken")
    if isinstance(place, Path) and folder is None:
        try:
            check_whole(dataset, place)
        except BaseException:
            dataset.close()
            raise
    return dataset


def _without_bands(parts: Sequence[str]) -> str:
    """What is said of a file without bands of its own, which holds rasters with bands or nothing."""
    if not parts:
        return "holds no raster bands"
    names = listed([part.rpartition(":")[2] for part in parts])
    return f"holds several rasters ({names}): write them as the bands of one, for example as a GeoTIFF"


def check_virtual(path: Path, folder: Path) -> None:
    """Refuse a virtual raster that reads from outside a folder, or runs code.

    Raises:
        InputError: it does, or is none.
    """
    if any(element.tag in ("PixelFunctionLanguage", "PixelFunctionCode") for element in read_vrt(path).iter()):
        raise InputError(path, "holds code, which is refused")
    for name, source in vrt_sources(path):
        if not name or ":" in name or name.startswith(("/vsi", "<")) or not source.is_file():
            raise InputError(path, f"names {name or 'nothing'} as its source, which is no file beside it")
        if not source.resolve().is_relative_to(folder):
            raise InputError(path, f"reads from {name}, outside its own folder: this is refused")
        with source.open("rb") as stream:
            start = stream.read(64).lstrip()
        if start.startswith(b"<"):
            raise InputError(path, f"its source {name} is no raster of pixels")
        if start.startswith(b"CDF") or source.with_suffix(".hdr").is_file():
            open_named(source).close()  # refuses one that is truncated
