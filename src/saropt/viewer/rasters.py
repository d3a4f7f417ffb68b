"""What the viewer needs to know of a raster before it shows it, and which rasters it refuses."""

from __future__ import annotations

import hashlib
import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from rio_tiler.errors import RioTilerError
from rio_tiler.io import ImageReader, Reader

from saropt.errors import InputError
from saropt.files.polarisation_files import files_of, polarisation_files
from saropt.scenes import Scene
from saropt.scenes.chosen_bands import is_alpha
from saropt.scenes.formats import open_named
from saropt.scenes.georeference import Georeference, across_metres, pixel_metres
from saropt.scenes.metadata import acquisition_date, parse_date
from saropt.viewer.beyond_180 import is_beyond_180

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_DRIVERS = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",  # BigTIFF
    b"MM\0+": "GTiff",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
TILE = 256
MERCATOR = "EPSG:3857"
WORLD = 20_037_508.342789244
"""Metres of Web Mercator from the middle of the map to its edges, at 180 degrees."""
_MERCATOR_LATITUDE = 85.06
_CACHE_BYTES = 128 << 20


@dataclass(frozen=True)
class Limits:
    """What the viewer takes and keeps.

    Attributes:
        upload_bytes: the largest file that may be uploaded.
        quota_bytes: uploads and translations together.
        pixels: the largest frame, width times height.
        block_bytes: the largest block (tile, strip) in memory once it is unpacked.
        bands: the largest number of bands.
        jobs: how many jobs may wait at once.

    >>> Limits(jobs=2).bands
    32
    """

    upload_bytes: int = 4 << 30
    quota_bytes: int = 40 << 30
    pixels: int = 1_200_000_000
    block_bytes: int = 256 << 20
    bands: int = 32
    jobs: int = 16


@dataclass(frozen=True)
class RasterInfo:
    """Facts of a raster file.

    Attributes:
        width, height: frame in pixels.
        bands: names of the bands, alpha not among them.
        indexes: GDAL numbers of these bands; one number for the three colours of a palette.
        dtype: type of the numbers: the stored one, or "float32" where a scale or an offset is applied.
        grid: "map" (tiles of the Web Mercator quad) or "pixels" (rows and columns of the file).
        bounds: west, south, east, north in degrees; None without georeference.
        extent: left, bottom, right, top in Web Mercator metres, right beyond the map's edge where a raster in degrees
            crosses 180; without georeference 0, 0, width, height.
        crs: name of the coordinate system, or "".
        pixel_m: side in metres of a square of the ground that a pixel in the middle covers; None without georeference.
        minzoom, maxzoom: of the tiles.
        version: changes when the file does.
        tags: the file's metadata.
        band_units: unit of each band as the file states it, "" where it does not.
        acquired: when it was acquired, by its tags or its name: a date, or a time in UTC as ISO 8601 writes them.
        row_m: length on the ground in metres of the middle row as it is shown, by its pixel in the middle.
        scaling: scale and offset of each band; None where none changes a number, and of palettes and classes.
    """

    width: int
    height: int
    bands: tuple[str, ...]
    indexes: tuple[int, ...]
    dtype: str
    grid: Literal["map", "pixels"]
    bounds: tuple[float, float, float, float] | None
    extent: tuple[float, float, float, float]
    crs: str
    pixel_m: float | None
    minzoom: int
    maxzoom: int
    version: str
    overviews: bool
    tags: dict[str, str] = field(default_factory=dict)
    transform: tuple[float, ...] = ()
    acquired: str | None = None
    band_units: tuple[str, ...] = ()
    row_m: float | None = None
    scaling: tuple[tuple[float, float], ...] | None = None

    @property
    def palette(self) -> bool:
        return len(self.bands) > len(self.indexes)

    @property
    def coded(self) -> bool:
        """Whether its numbers stand for classes or colours, so that a mean of them means nothing."""
        return self.palette or _is_class(self.tags)

    def same_grid(self, other: RasterInfo) -> bool:
        """Whether pixels of both lie on one another."""
        close = np.allclose(self.transform, other.transform, rtol=0, atol=1e-6 * max(map(abs, self.transform[:2])))
        return (self.width, self.height, self.crs) == (other.width, other.height, other.crs) and bool(close)


def _is_class(tags: Mapping[str, str]) -> bool:
    return tags.get("SAROPT_PRODUCT") == "class"


def environment() -> rasterio.Env:
    """GDAL settings of every read: bounded cache, no search of the folder, truncated pictures are errors."""
    return rasterio.Env(
        GDAL_CACHEMAX=_CACHE_BYTES,
        GDAL_DISABLE_READDIR_ON_OPEN="TRUE",
        GDAL_ERROR_ON_LIBJPEG_WARNING=True,
        GDAL_PNG_WHOLE_IMAGE_OPTIM="NO",
    )


def driver_of(path: Path) -> str | None:
    """GTiff, PNG or JPEG by the file's first bytes, None for all others."""
    with path.open("rb") as stream:
        head = stream.read(8)
    return next((driver for magic, driver in _DRIVERS.items() if head.startswith(magic)), None)


def open_raster(path: Path, overviews: bool = True) -> DatasetReader:
    """The file, opened by its own driver alone: no virtual formats that point elsewhere. GeoTIFFs of the polarisations
    of one product are one raster.

    Args:
        overviews: whether reduced reads may take overviews of the file.

    Raises:
        InputError: it is not a GeoTIFF, PNG or JPEG.
    """
    try:
        parts = polarisation_files(path)
        drivers = {driver_of(file) for file in parts or [path]}
        if None in drivers or (parts and drivers != {"GTiff"}):
            raise InputError(path.name, "is neither a GeoTIFF nor a PNG or JPEG")
        options = {} if overviews else {"OVERVIEW_LEVEL": "NONE"}
        return open_named(path) if parts else rasterio.open(path, driver=drivers.pop(), **options)
    except UnicodeError as error:
        raise InputError(path.name, "its name is not UTF-8: rename it") from error
    except RasterioError as error:
        raise InputError(path.name, "cannot be read: truncated or damaged") from error
    except OSError as error:
        raise InputError(path.name, f"cannot be read: {error.strerror or 'damaged'}") from error


def version_of(path: Path) -> str:
    """A word for the state of a file, or of the files of one product: another one when a file was written or replaced
    since, even by one of the same size and time, as the system keeps the time of that itself.

    Raises:
        OSError: there is none.

    >>> path = Path("a.tif")
    >>> _ = path.write_bytes(b"short")
    >>> before = version_of(path)
    >>> _ = path.write_bytes(b"longer")
    >>> version_of(path) == before
    False
    """
    states = [file.stat() for file in files_of(path)]
    known = " ".join(f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}" for state in states)
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def inspect(path: Path, limits: Limits) -> RasterInfo:
    """Facts of a raster, from its header.

    Raises:
        InputError: not a picture, or larger than the limits allow.
    """
    if not all(stat.S_ISREG(file.stat().st_mode) for file in files_of(path)):
        raise InputError(path.name, "is not a regular file")
    version = version_of(path)
    try:
        return _inspect(path, version, limits)
    except (RasterioError, RioTilerError, CPLE_BaseError, UnicodeError, ValueError, RecursionError) as error:
        raise InputError(path.name, f"cannot be described: {' '.join(str(error).split())[:120]}") from error


def _inspect(path: Path, version: str, limits: Limits) -> RasterInfo:
    with environment(), open_raster(path) as dataset:
        _check_size(dataset, path, limits)
        with Scene.open(path) as scene:
            names, tags = tuple(scene.band_names), scene.tags
            factors = None if scene.scaling is None or _is_class(tags) else tuple(scene.scaling)
        indexes = tuple(i for i in dataset.indexes if not is_alpha(dataset, i))
        bounds = _geographic_bounds(dataset)
        common = {
            "width": dataset.width,
            "height": dataset.height,
            "bands": names,
            "indexes": indexes,
            "dtype": dataset.dtypes[indexes[0] - 1] if factors is None else "float32",
            "scaling": factors,
            "band_units": tuple(dataset.units[i - 1] or "" for i in indexes),
            "version": version,
            "overviews": bool(dataset.overviews(1)),
            "tags": tags,
            "acquired": _acquired(path, tags, names),
        }
        if bounds is None:
            common["transform"] = tuple(dataset.transform)[:6]
            with ImageReader(None, dataset=dataset) as reader:
                maxzoom = int(reader.maxzoom)
            extent = (0.0, 0.0, float(dataset.width), float(dataset.height))
            return RasterInfo(
                **common, grid="pixels", bounds=None, extent=extent, crs="", pixel_m=None, minzoom=0, maxzoom=maxzoom
            )
        with Reader(None, dataset=dataset) as reader:
            crs, transform = reader.dataset.crs, reader.dataset.transform
            frame = Georeference(crs, transform), reader.dataset.height, reader.dataset.width
            pixel_m, across = pixel_metres(*frame), across_metres(*frame)
            if is_beyond_180(reader.dataset):
                extent, minzoom, maxzoom = _across_180(reader, bounds, across)
            else:
                minzoom, maxzoom = int(reader.minzoom), int(reader.maxzoom)
                extent = transform_bounds(crs, MERCATOR, *_clipped(reader.dataset.bounds, bounds, crs), densify_pts=21)
        return RasterInfo(
            **common,
            transform=tuple(transform)[:6],
            grid="map",
            bounds=bounds,
            extent=extent,
            crs=_crs_name(crs),
            pixel_m=pixel_m,
            row_m=None if across is None else across * frame[2],
            minzoom=minzoom,
            maxzoom=maxzoom,
        )


def _acquired(path: Path, tags: dict[str, str], names: tuple[str, ...]) -> str | None:
    """By the tags, then by the name."""
    found = acquisition_date(tags, names) or parse_date(path.stem)
    if found is None:
        return None
    text = found.strftime("%Y-%m-%dT%H:%M:%SZ")
    return text.removesuffix("T00:00:00Z")


def _check_size(dataset: DatasetReader, path: Path, limits: Limits) -> None:
    name, pixels = path.name, dataset.width * dataset.height
    if pixels > limits.pixels:
        raise InputError(
            name, f"has {dataset.width}x{dataset.height} pixels, more than the {limits.pixels / 1e6:g} million allowed"
        )
    if dataset.count > limits.bands:
        raise InputError(name, f"has {dataset.count} bands, more than the {limits.bands} allowed")
    if np.dtype(_numpy_type(dataset.dtypes[0])).kind == "c":
        raise InputError(name, "holds complex pixels; the viewer shows detected ones")
    flags = dataset.mask_flag_enums[0]
    if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags and pixels > limits.block_bytes:
        raise InputError(name, "is too large for an internal mask: state nodata instead")
    _check_blocks(dataset, name, limits)
    for level in range(len(dataset.overviews(1)) if dataset.driver == "GTiff" else 0):
        with rasterio.open(path, driver="GTiff", OVERVIEW_LEVEL=level) as overview:
            _check_blocks(overview, name, limits)


def _check_blocks(dataset: DatasetReader, name: str, limits: Limits) -> None:
    """A small file can unpack into much memory: a block is unpacked as a whole."""
    rows, columns = dataset.block_shapes[0]
    together = dataset.count if dataset.interleaving is not None and dataset.interleaving.name == "pixel" else 1
    unpacked = rows * columns * np.dtype(_numpy_type(dataset.dtypes[0])).itemsize * together
    if unpacked > limits.block_bytes:
        raise InputError(
            name,
            f"is stored in blocks of {rows}x{columns} pixels, {unpacked >> 20} MB each, more than the "
            f"{limits.block_bytes >> 20} MB allowed: store it in tiles, as a COG",
        )


def _numpy_type(name: str) -> str:
    return "complex64" if name == "complex_int16" else name


def _geographic_bounds(dataset: DatasetReader) -> tuple[float, float, float, float] | None:
    """Bounds in degrees, or None where the raster has no place on a Web Mercator map."""
    gcps, gcp_crs = dataset.gcps
    if not ((gcps and gcp_crs) or (dataset.crs and dataset.transform != rasterio.Affine.identity())):
        return None
    try:
        with Reader(None, dataset=dataset) as reader:
            bounds = transform_bounds(reader.dataset.crs, "EPSG:4326", *reader.dataset.bounds, densify_pts=21)
    except (RasterioError, CPLE_BaseError):
        return None
    west, south, east, north = (float(value) for value in bounds)
    if west > east:
        east += 360.0
    if not all(map(math.isfinite, bounds)) or west == east or north <= -_MERCATOR_LATITUDE:
        return None
    return (west, south, east, north) if south < _MERCATOR_LATITUDE else None


def _across_180(
    reader: Reader, bounds: tuple[float, float, float, float], across: float | None
) -> tuple[tuple[float, float, float, float], int, int]:
    """Extent in Web Mercator metres and zooms of a raster that `is_beyond_180`: it begins on the map, and may end
    beyond the east edge. `bounds` are in degrees, `across` is the width of a pixel on the ground in metres."""
    dataset: Any = reader.dataset
    left, bottom, right, top = bounds
    turns = 360.0 * math.floor((left + 180.0) / 360.0)
    south, north = (max(-_MERCATOR_LATITUDE, min(_MERCATOR_LATITUDE, latitude)) for latitude in (bottom, top))
    low, high = (WORLD / math.pi * math.asinh(math.tan(math.radians(latitude))) for latitude in (south, north))
    west, east = ((longitude - turns) * WORLD / 180.0 for longitude in (left, right))
    metres = (east - west) / dataset.width
    if across is not None and not dataset.crs.is_geographic:  # may be turned
        metres = across / math.cos(math.radians((south + north) / 2))
    coarsest = metres * max(1.0, min(dataset.width, dataset.height) / TILE)
    return (west, low, east, high), int(reader.tms.zoom_for_res(coarsest)), int(reader.tms.zoom_for_res(metres))


def _clipped(bounds: tuple, degrees: tuple, crs: rasterio.crs.CRS) -> tuple:
    """Bounds in `crs` without what lies beyond the edges of a Web Mercator map."""
    if degrees[1] > -_MERCATOR_LATITUDE and degrees[3] < _MERCATOR_LATITUDE:
        return tuple(bounds)
    west, south, east, north = degrees
    inside = (west, max(south, -_MERCATOR_LATITUDE), east, min(north, _MERCATOR_LATITUDE))
    return transform_bounds("EPSG:4326", crs, *inside)


def _crs_name(crs: rasterio.crs.CRS) -> str:
    epsg = crs.to_epsg()
    return f"EPSG:{epsg}" if epsg else "own coordinate system"
