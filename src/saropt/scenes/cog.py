"""Converts a raw file of pixels to a cloud-optimised GeoTIFF in bounded memory, and checks the result."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import WktVersion
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from saropt.errors import counted
from saropt.scenes.georeference import Georeference

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)
BLOCK = 512
_BLOCK_TAGS = ("BLOCK_OFFSET", "BLOCK_SIZE")
_PROCESS = os.getpid()
_CACHE_BYTES = 32 << 20
_GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
    "complex64": "CFloat32",
}
_OVERVIEW_RESAMPLING = ("nearest", "average", "bilinear", "cubic", "cubicspline", "lanczos", "mode", "rms")


@dataclass(frozen=True)
class Layout:
    """Everything about a scene to be written, except its pixels.

    Attributes:
        width, height: size in pixels.
        band_names: one name per band.
        dtype: type of every band.
        nodata: value of pixels without data, or None.
        georeference: place on the ground.
        tags: metadata of the file.
        photometric: "rgb" marks the first three bands as red, green, blue.
        overview_resampling: GDAL's name: "average" for measurements, "nearest" or "mode" for classes.
        masked: whether a mask tells which pixels are valid; it is one more number of each pixel of the raw file.
            Of whole numbers only: other types have NaN.

    Raises:
        ValueError: a GeoTIFF cannot hold this.
    """

    width: int
    height: int
    band_names: Sequence[str]
    dtype: np.dtype
    nodata: float | None = None
    georeference: Georeference = field(default_factory=Georeference)
    tags: Mapping[str, str] = field(default_factory=dict)
    photometric: str | None = None
    overview_resampling: str = "average"
    masked: bool = False

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not self.band_names:
            raise ValueError(f"nothing to write: {len(self.band_names)} bands of {self.height}x{self.width} pixels")
        if self.dtype.name not in _GDAL_TYPES:
            raise ValueError(f"GeoTIFF cannot hold {self.dtype.name}; use one of {', '.join(_GDAL_TYPES)}")
        if self.overview_resampling not in _OVERVIEW_RESAMPLING:
            raise ValueError(f"overview_resampling is one of {', '.join(_OVERVIEW_RESAMPLING)}")
        if self.photometric not in (None, "rgb") or (self.photometric == "rgb" and len(self.band_names) < 3):
            raise ValueError(f"photometric {self.photometric!r} with {counted(len(self.band_names), 'band')}")
        if self.masked and self.dtype.kind not in "ui":
            raise ValueError(f"a mask for {self.dtype.name}, which has NaN")
        if self.nodata is not None and np.issubdtype(self.dtype, np.integer):
            limits = np.iinfo(self.dtype)
            if not (limits.min <= self.nodata <= limits.max and float(self.nodata).is_integer()):
                raise ValueError(f"nodata {self.nodata} is no {self.dtype.name} value")

    @property
    def planes(self) -> int:
        """Numbers of each pixel in the raw file: the bands, and the mask."""
        return len(self.band_names) + self.masked

    @property
    def pixel_bytes(self) -> int:
        return self.planes * self.dtype.itemsize

    @property
    def raw_bytes(self) -> int:
        return self.width * self.height * self.pixel_bytes

    def raw_vrt(self, raw: Path) -> str:
        """The text of a GDAL virtual raster that describes the pixel-interleaved bytes of `raw`, for a file in the
        same folder."""
        root = ElementTree.Element("VRTDataset", rasterXSize=str(self.width), rasterYSize=str(self.height))
        place = self.georeference
        if place.crs is not None:
            ElementTree.SubElement(root, "SRS").text = place.crs.to_wkt(version=WktVersion.WKT2_2019)
        if place.transform is not None:
            ElementTree.SubElement(root, "GeoTransform").text = ", ".join(map(repr, place.transform.to_gdal()))
        if place.gcps:
            points = ElementTree.SubElement(root, "GCPList")
            if place.gcp_crs is not None:
                points.set("Projection", place.gcp_crs.to_wkt(version=WktVersion.WKT2_2019))
            for number, gcp in enumerate(place.gcps):
                numbers = {"Pixel": gcp.col, "Line": gcp.row, "X": gcp.x, "Y": gcp.y, "Z": gcp.z or 0.0}
                attributes = {"Id": str(gcp.id or number), "Info": gcp.info or ""}
                attributes |= {key: repr(float(value)) for key, value in numbers.items()}
                ElementTree.SubElement(points, "GCP", attributes)
        for domain, tags in (({}, self.tags), ({"domain": "RPC"}, place.rpcs)):
            if tags or not domain:
                metadata = ElementTree.SubElement(root, "Metadata", domain)
                for key, value in tags.items():
                    ElementTree.SubElement(metadata, "MDI", key=key).text = str(value)
        for position, name in enumerate(self.band_names):
            band = ElementTree.SubElement(
                root,
                "VRTRasterBand",
                dataType=_GDAL_TYPES[self.dtype.name],
                band=str(position + 1),
                subClass="VRTRawRasterBand",
            )
            if self.nodata is not None:
                integer = np.issubdtype(self.dtype, np.integer)
                ElementTree.SubElement(band, "NoDataValue").text = repr((int if integer else float)(self.nodata))
            if self.photometric == "rgb" and position < 3:
                ElementTree.SubElement(band, "ColorInterp").text = ("Red", "Green", "Blue")[position]
            elif position == 0:
                ElementTree.SubElement(band, "ColorInterp").text = "Gray"
            ElementTree.SubElement(band, "Description").text = name
            self._place(band, raw, position)
        if self.masked:
            holder = ElementTree.SubElement(root, "MaskBand")
            mask = ElementTree.SubElement(holder, "VRTRasterBand", dataType="Byte", subClass="VRTRawRasterBand")
            self._place(mask, raw, len(self.band_names))
        return ElementTree.tostring(root, encoding="unicode")

    def _place(self, band: ElementTree.Element, raw: Path, position: int) -> None:
        """Say where in `raw` the numbers of a band begin; those of the mask are at the lowest byte."""
        low = self.dtype.itemsize - 1 if position == len(self.band_names) and sys.byteorder == "big" else 0
        beside = "\\" not in raw.name  # which GDAL takes for the end of a folder's name
        source = ElementTree.SubElement(band, "SourceFilename", relativeToVRT=str(int(beside)))
        source.text = raw.name if beside else str(raw)
        ElementTree.SubElement(band, "ImageOffset").text = str(position * self.dtype.itemsize + low)
        ElementTree.SubElement(band, "PixelOffset").text = str(self.pixel_bytes)
        ElementTree.SubElement(band, "LineOffset").text = str(self.width * self.pixel_bytes)


def describe_raw(raw: Path, vrt: Path, layout: Layout) -> None:
    """Write the virtual raster `vrt` beside `raw`, and check that GDAL can read it.

    Raises:
        RasterioError, OSError: the file cannot be written or read.
    """
    vrt.write_text(layout.raw_vrt(raw), encoding="utf-8")
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), rasterio.open(vrt):
        pass


def raw_to_cog(raw: Path, vrt: Path, target: Path, layout: Layout) -> None:
    """Write `target`, a COG of the pixels in `raw`, flush it to the disk, and check that every block of it is there.

    `vrt` is a temporary file in the folder of `raw`. Every block is checked because GDAL reports some failed writes as
    success, for example when the disk is full as the last bytes are flushed.

    Raises:
        RasterioError, CPLE_BaseError, OSError (together `GDAL_ERRORS`): the file cannot be written.
    """
    describe_raw(raw, vrt, layout)
    with (
        rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, COG_TMP_COMPRESSION="NONE"),
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
    ):
        rasterio.shutil.copy(
            str(vrt),
            str(target),
            driver="COG",
            compress="DEFLATE",
            level="1",
            predictor="NO" if layout.dtype.kind == "c" else "YES",
            blocksize=BLOCK,
            overview_resampling=layout.overview_resampling.upper(),
            num_threads="1" if _is_forked() else "ALL_CPUS",
            bigtiff="IF_SAFER",
        )
        with target.open("rb+") as file:
            os.fsync(file.fileno())
            _check_blocks(file, target)


def reason_of(error: Exception, folder: Path, needed: int) -> str:
    """Why a file could not be written. GDAL does not say that the disk is full: that is asked where it may be.

    Args:
        error: one of `GDAL_ERRORS`.
        folder: of the file.
        needed: bytes that it takes at most.

    >>> reason_of(OSError("WriteEncodedTile/Strip() failed."), Path("."), 0)
    'WriteEncodedTile/Strip() failed.'
    """
    if reason := getattr(error, "strerror", None):
        return str(reason)
    words, free = " ".join(str(error).split()), shutil.disk_usage(folder).free
    told = free >= needed or "disk full" in words
    return words if told else f"{words} (is the disk full? {free / 1e6:,.0f} MB are free)"


def is_whole(path: Path) -> bool:
    """Whether the last block of a GeoTIFF lies within it, as it does unless its end was cut off.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.tif").write_bytes(b"II*")
    ...     is_whole(Path(folder, "a.tif"))
    False
    """
    try:
        size = path.stat().st_size
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(path) as written,
        ):
            height, width = written.block_shapes[0]
            row, col = (written.height - 1) // height, (written.width - 1) // width
            places = [_block_place(written, row, col, band) for band in {1, written.count}]
            return all(place is not None and sum(place) <= size for place in places)
    except GDAL_ERRORS:
        return False


def _is_forked() -> bool:
    """Whether this process was forked from one that may have used GDAL's threads, which do not outlive a fork."""
    return os.getpid() != _PROCESS


def _block_place(
    dataset: DatasetReader, row: int, col: int, band: int = 1, level: int | None = None
) -> tuple[int, int] | None:
    """Offset and size in bytes of a block of a GeoTIFF, at full size or of an overview; None where it is not there."""
    offset, size = (dataset.get_tag_item(f"{name}_{col}_{row}", "TIFF", band, level) for name in _BLOCK_TAGS)
    return None if offset is None or size is None else (int(offset), int(size))


def _check_blocks(file: BinaryIO, path: Path) -> None:
    """Check that every block of every level is complete: a COG of GDAL stores the size of a block before it and repeats
    its last bytes after it.

    Raises:
        OSError: one does not.
    """
    with rasterio.open(path) as written:
        sizes: dict[int | None, tuple[int, int]] = {None: written.shape}
        for number in range(len(written.overviews(1))):
            with rasterio.open(path, overview_level=number) as overview:
                sizes[number] = overview.shape
        for level, (height, width) in sizes.items():
            for row, col in np.ndindex(-(-height // BLOCK), -(-width // BLOCK)):
                place = _block_place(written, row, col, level=level)
                if place is None:
                    raise OSError("the written file lacks pixels (is the disk full?)")
                offset, size = place
                file.seek(offset - 4)
                leader = file.read(4)
                file.seek(offset + size - 4)
                end, trailer = file.read(4), file.read(4)
                if int.from_bytes(leader, "little") != size or len(trailer) < 4 or end != trailer:
                    raise OSError("the written file does not hold its pixels (is the disk full?)")
