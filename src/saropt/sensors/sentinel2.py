"""Sentinel-2 products (L1C and L2A) that are read like scenes, from their folder or .zip; nothing is written between.

Reflectance after ESA, "Sentinel-2 Products Specification Document" (S2-PDGS-TAS-DI-PSD, issue 15), per band:

    reflectance x 10000 = (DN + offset) * 10000 / quantification

The offset is RADIO_ADD_OFFSET of L1C and BOA_ADD_OFFSET of L2A, which products before baseline 04.00 do not have; DN 0
is nodata, and 65535 saturated. The granules of a product of several are one scene on their common grid.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from saropt.errors import InputError
from saropt.scenes import Grid, Scene
from saropt.scenes.georeference import is_coarser
from saropt.scenes.warping import short_reason
from saropt.sensors.cloud_polygons import CloudPolygons, read_cloud_polygons
from saropt.sensors.product_names import digest_product
from saropt.sensors.sentinel2_layout import Product, read_product

_CLOUD_CLASSES: Final = (3, 8, 9, 10)
"""Classes of the scene classification (SCL) of L2A that do not show the ground: cloud shadow, cloud twice, cirrus."""
_CLOUD_BANDS: Final = (1, 2)
"""Bands of the classification mask (MSK_CLASSI, 60 m) of L1C that are 1 where opaque clouds and cirrus are."""
_SATURATED: Final = 65535
_OFF_GRID: Final = 1e-3


@dataclass(frozen=True)
class _Layer:
    """A band of an image of the product, and the table of knots that its numbers go through, linear between them."""

    image: str
    knots: Mapping[float, float]
    band: int = 1


@dataclass(frozen=True)
class _Frame:
    """Where the pixels of an image are."""

    crs: CRS | None
    transform: Affine
    height: int
    width: int
    dtype: str
    block: tuple[int, int]


class Sentinel2Scene(Scene):
    """A scene of B4, B3, B2 and B8 in reflectance x 10000 (uint16, at least 1; 0 is nodata), at 10 m."""

    def identity(self) -> str:
        """A hash of the files of the product, or of its granule."""
        return digest_product(self.path)


def open_sentinel2(
    path: str | Path,
    bands: Sequence[str | int] | None = None,
    *,
    grid: Grid | None = None,
    resampling: str = "bilinear",
) -> Sentinel2Scene:
    """Open a product of Sentinel-2.

    Args:
        path: .SAFE folder, .zip, manifest.safe or metadata file; PRODUCT/GRANULE/NAME for one granule of several.
        bands, grid, resampling: as of `Scene.open`.

    Raises:
        InputError: no such product, one whose granules lie in several UTM zones, or a band that is not of 10 m.

    >>> open_sentinel2("S2A_MSIL2A.SAFE")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: S2A_MSIL2A.SAFE: no such file or folder
    """
    product = read_product(path)
    quantum = 10000.0 / product.quantification
    sources: dict[str, Sequence[_Layer]] = {}
    for band, offset in product.offsets.items():
        lowest, highest = max(1.0, 1.0 - offset), _SATURATED - 1.0
        knots = {0.0: 0.0, 1.0: 1.0, lowest: max(1.0, (lowest + offset) * quantum)}
        knots |= {highest: (highest + offset) * quantum, _SATURATED: 0.0}
        sources[band] = [_Layer(granule.images[band], knots) for granule in product.granules]
    tags = {"S2_PRODUCT": product.root.name.removesuffix(".zip").removesuffix(".SAFE")}
    tags |= {"ACQUISITION_DATE": product.acquired}
    dataset = _virtual(product, sources, tags)
    return Sentinel2Scene.of(dataset, product.path, bands, grid=grid, resampling=resampling)


def open_cloud_mask(path: str | Path, *, grid: Grid | None = None) -> Scene | CloudPolygons | None:
    """The clouds that the product knows of: one band that is 1 where they are and 0 elsewhere, whose tag CLOUDS says by
    what. L2A has clouds, cirrus and shadows in its scene classification; L1C has opaque clouds and cirrus in its
    classification mask, before baseline 04.00 as polygons. None where the product has none of these.

    Raises:
        InputError: as of `open_sentinel2`, or the polygons cannot be read.

    >>> open_cloud_mask("S2A_MSIL2A.SAFE")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: S2A_MSIL2A.SAFE: no such file or folder
    """
    product = read_product(path)
    unknown = [granule.tile for granule in product.granules if granule.clouds is None]
    if len(unknown) == len(product.granules):
        return None
    if unknown:
        raise InputError(product.path, f"has no cloud mask of {', '.join(unknown)}, but of its other granules")
    files = [granule.clouds for granule in product.granules if granule.clouds is not None]
    if any(name.endswith(".gml") for name in files):
        return _cloud_polygons(product, files, grid)
    if product.is_l2a:
        knots = {float(value): float(value in _CLOUD_CLASSES) for value in range(256)}
        layers = [_Layer(name, knots) for name in files]
        words = f"clouds and their shadows (classes {', '.join(map(str, _CLOUD_CLASSES))})"
    else:
        layers = [_Layer(name, {0.0: 0.0, 1.0: 1.0}, band) for name in files for band in _CLOUD_BANDS]
        words = "opaque clouds and cirrus (classification mask; shadows are not)"
    dataset = _virtual(product, {"clouds": layers}, {"CLOUDS": words}, nodata=False)
    return Sentinel2Scene.of(dataset, product.path, palette="index", grid=grid, resampling="any")


def _cloud_polygons(product: Product, files: Sequence[str], grid: Grid | None) -> CloudPolygons:
    polygons = []
    for name in files:
        try:
            polygons += read_cloud_polygons(product.content(name))
        except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(product.path, f"{name} cannot be read: {error}") from error
    images = [granule.images["B4"] for granule in product.granules]
    own = _common_grid(product, {image: _frame(product, image) for image in images})
    tags = {"CLOUDS": "opaque clouds and cirrus (polygons of the cloud mask; shadows are not)"}
    frame = grid or own
    return CloudPolygons(polygons, own.crs, frame, tags, is_coarse=is_coarser(frame, own))


def _virtual(
    product: Product,
    sources: Mapping[str, Sequence[_Layer]],
    tags: Mapping[str, str],
    *,
    nodata: bool = True,
) -> rasterio.DatasetReader:
    """Bands on one grid, each from layers of the product's images; of several that overlap, the first that is not 0
    counts.

    Raises:
        InputError: an image cannot be read, or the images are on no common grid.
    """
    images = dict.fromkeys(layer.image for layers in sources.values() for layer in layers)
    frames = {image: _frame(product, image) for image in images}
    grid = _common_grid(product, frames)
    first = next(iter(frames.values()))
    root = ElementTree.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    ElementTree.SubElement(root, "SRS").text = grid.crs.to_wkt()
    ElementTree.SubElement(root, "GeoTransform").text = ", ".join(map(repr, grid.transform.to_gdal()))
    metadata = ElementTree.SubElement(root, "Metadata")
    for key, value in tags.items():
        ElementTree.SubElement(metadata, "MDI", key=key).text = value
    kind = {"uint8": "Byte", "uint16": "UInt16"}.get(first.dtype, "UInt16")
    for number, (name, layers) in enumerate(sources.items(), start=1):
        band = ElementTree.SubElement(root, "VRTRasterBand", dataType=kind, band=str(number))
        band.set("blockXSize", str(first.block[1]))
        band.set("blockYSize", str(first.block[0]))
        ElementTree.SubElement(band, "Description").text = name
        if nodata:
            ElementTree.SubElement(band, "NoDataValue").text = "0"
        for layer in reversed(layers):  # GDAL paints them one over the other
            frame = frames[layer.image]
            source = ElementTree.SubElement(band, "ComplexSource")
            ElementTree.SubElement(source, "SourceFilename", relativeToVRT="0").text = product.place(layer.image)
            ElementTree.SubElement(source, "SourceBand").text = str(layer.band)
            _add_place(source, "SrcRect", 0, 0, frame)
            col, row = map(round, ~grid.transform @ (frame.transform.c, frame.transform.f))
            _add_place(source, "DstRect", col, row, frame)
            if layer is not layers[-1]:
                ElementTree.SubElement(source, "NODATA").text = "0"
            table = ",".join(f"{key!r}:{value!r}" for key, value in layer.knots.items())
            ElementTree.SubElement(source, "LUT").text = table
    return rasterio.open(ElementTree.tostring(root, encoding="unicode"))


def _add_place(source: ElementTree.Element, name: str, col: int, row: int, frame: _Frame) -> None:
    place = {"xOff": col, "yOff": row, "xSize": frame.width, "ySize": frame.height}
    ElementTree.SubElement(source, name, {key: str(number) for key, number in place.items()})


def _frame(product: Product, image: str) -> _Frame:
    try:
        with rasterio.open(product.place(image), driver="JP2OpenJPEG") as jp2:
            return _Frame(jp2.crs, jp2.transform, jp2.height, jp2.width, jp2.dtypes[0], jp2.block_shapes[0])
    except RasterioError as error:
        raise InputError(product.path, f"{image} cannot be read: {short_reason(error, product.path)}") from error


def _common_grid(product: Product, frames: Mapping[str, _Frame]) -> Grid:
    """The grid of all images of a product.

    Raises:
        InputError: they are on none.
    """
    zones: dict[CRS | None, dict[str, str]] = {}
    for image, frame in frames.items():
        granule = next(one for one in product.granules if f"GRANULE/{one.name}/" in image)
        zones.setdefault(frame.crs, {})[granule.name] = granule.tile
    if len(zones) > 1 and len(product.granules) > 1:
        listed = "; ".join(f"{crs}: {', '.join(sorted(tiles.values()))}" for crs, tiles in zones.items())
        one = product.path / "GRANULE" / min(next(iter(zones.values())))
        raise InputError(product.path, f"has granules in several UTM zones ({listed}): give one of them, such as {one}")
    places = [frame.transform for frame in frames.values()]
    across, down = places[0].a, places[0].e
    left, top = min(place.c for place in places), max(place.f for place in places)
    whole = Affine(across, 0, left, 0, down, top)
    corners = [~whole @ (place.c, place.f) for place in places]
    off_grid = any(abs(number - round(number)) > _OFF_GRID for corner in corners for number in corner)
    crs = next(iter(zones))
    if crs is None or off_grid or any((p.a, p.b, p.d, p.e) != (across, 0, 0, down) for p in places):
        raise InputError(product.path, "its images are not on one map grid")
    ends = [(col + frame.width, row + frame.height) for (col, row), frame in zip(corners, frames.values(), strict=True)]
    width, height = (round(max(end)) for end in zip(*ends, strict=True))
    return Grid(crs, whole, height, width)
