"""Sentinel-2 products (L1C and L2A) that are read like scenes, from their folder or .zip; nothing is written between.

Reflectance after ESA, "Sentinel-2 Products Specification Document" (S2-PDGS-TAS-DI-PSD, issue 15), per band:

    reflectance x 10000 = (DN + offset) * 10000 / quantification

The offset is RADIO_ADD_OFFSET of L1C and BOA_ADD_OFFSET of L2A, which products before baseline 04.00 do not have; DN 0
is nodata, and 65535 saturated.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import rasterio
from rasterio.errors import RasterioError

from saropt.errors import InputError
from saropt.files import digest_files, load_xml
from saropt.scenes import Grid, Scene
from saropt.scenes.warping import short_reason
from saropt.sensors.annotation import number_in
from saropt.sensors.cloud_polygons import CloudPolygons, read_cloud_polygons
from saropt.sensors.product_names import product_files, sentinel2_product

BANDS: Final = {"B4": 3, "B3": 2, "B2": 1, "B8": 7}
"""The bands of 10 m, and their numbers (`band_id`) in the metadata."""
_CLOUD_CLASSES: Final = (3, 8, 9, 10)
"""Classes of the scene classification (SCL) of L2A that do not show the ground: cloud shadow, cloud twice, cirrus."""
_CLOUD_BANDS: Final = (1, 2)
"""Bands of the classification mask (MSK_CLASSI, 60 m) of L1C that are 1 where opaque clouds and cirrus are."""
_POLYGONS: Final = r"QI_DATA/(\w+_)?MSK_CLOUDS_(\w+_)?B00(_MSIL1C)?\.gml$"
_SATURATED: Final = 65535
_OFFSETS_SINCE: Final = 4.0


@dataclass(frozen=True)
class _Layer:
    """A band of an image of the product, and the table of knots that its numbers go through, linear between them."""

    image: str
    knots: Mapping[float, float]
    band: int = 1


@dataclass(frozen=True)
class _Product:
    """Where the rasters of a product are, and what turns their numbers into reflectance."""

    path: Path
    images: dict[str, str]
    clouds: tuple[_Layer, ...]
    known_clouds: str
    polygons: str | None
    offsets: dict[str, float]
    quantification: float
    acquired: str


class Sentinel2Scene(Scene):
    """A scene of B4, B3, B2 and B8 in reflectance x 10000 (uint16, at least 1; 0 is nodata), at 10 m."""

    def identity(self) -> str:
        """A hash of the product's files."""
        return digest_files(product_files(self.path))


def open_sentinel2(
    path: str | Path,
    bands: Sequence[str | int] | None = None,
    *,
    grid: Grid | None = None,
    resampling: str = "bilinear",
) -> Sentinel2Scene:
    """Open a product of Sentinel-2.

    Args:
        path: .SAFE folder, .zip, manifest.safe, MTD_MSIL1C.xml or MTD_MSIL2A.xml.
        bands, grid, resampling: as of `Scene.open`.

    Raises:
        InputError: no such product, of several granules, or a band that is not of 10 m.

    >>> open_sentinel2("S2A_MSIL2A.SAFE")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: S2A_MSIL2A.SAFE: no such file or folder
    """
    product = _read_product(path)
    quantum = 10000.0 / product.quantification
    sources: dict[str, Sequence[_Layer]] = {}
    for band, image in product.images.items():
        offset = product.offsets[band]
        lowest, highest = max(1.0, 1.0 - offset), _SATURATED - 1.0
        knots = {0.0: 0.0, 1.0: 1.0, lowest: max(1.0, (lowest + offset) * quantum)}
        sources[band] = [_Layer(image, knots | {highest: (highest + offset) * quantum, _SATURATED: 0.0})]
    tags = {"S2_PRODUCT": product.path.name.removesuffix(".zip").removesuffix(".SAFE")}
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
    product = _read_product(path)
    if product.clouds:
        dataset = _virtual(product, {"clouds": product.clouds}, {"CLOUDS": product.known_clouds}, nodata=False)
        return Sentinel2Scene.of(dataset, product.path, palette="index", grid=grid, resampling="nearest")
    if product.polygons is None:
        return None
    try:
        polygons = read_cloud_polygons(_content(product.path, product.polygons))
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(product.path, f"{product.polygons} cannot be read: {error}") from error
    with open_sentinel2(product.path, ["B4"]) as scene:
        place = scene.georeference
        assert place.transform is not None
        own = Grid(place.crs, place.transform, scene.height, scene.width)
    tags = {"CLOUDS": "opaque clouds and cirrus (polygons of the cloud mask; shadows are not)"}
    return CloudPolygons(polygons, own.crs, grid or own, tags)


def _read_product(path: str | Path) -> _Product:
    place = sentinel2_product(path) or Path(path)
    if not place.exists():
        raise InputError(path, "no such file or folder")
    try:
        if place.is_dir():
            names = [item.relative_to(place).as_posix() for item in place.rglob("*.*") if item.is_file()]
        else:
            with zipfile.ZipFile(place) as archive:
                names = archive.namelist()
        metadata = _one(place, names, r"MTD_MSIL(1C|2A)\.xml")
        root = load_xml(_content(place, metadata))
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(path, f"is neither a .SAFE folder nor its .zip: {error}") from error
    except (ValueError, zlib.error) as error:
        raise InputError(path, f"its metadata cannot be read: {error}") from error
    level = "L2A" if "MSIL2A" in metadata.upper() else "L1C"
    resolution = "_10m" if level == "L2A" else ""
    images = {band: _one(place, names, rf"IMG_DATA/(R10m/)?\w+_B0{band[1:]}{resolution}\.jp2") for band in BANDS}
    kind = "BOA" if level == "L2A" else "RADIO"
    offsets = {
        band: _offset(root, f".//{kind}_ADD_OFFSET[@band_id='{number}']", place) for band, number in BANDS.items()
    }
    names_of_scale = ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")
    known = next((name for name in names_of_scale if root.find(f".//{name}") is not None), names_of_scale[-1])
    quantification = number_in(root, f".//{known}", place, "metadata")
    if quantification <= 0:
        raise InputError(place, f"metadata says {known} {quantification:g}")
    acquired = root.findtext(".//DATATAKE_SENSING_START") or root.findtext(".//PRODUCT_START_TIME") or ""
    polygons = _only(names, _POLYGONS) if level == "L1C" else None
    return _Product(place, images, *_clouds(names, level), polygons, offsets, quantification, acquired)


def _content(product: Path, name: str) -> bytes:
    """What a file of a product holds."""
    if product.is_dir():
        return (product / name).read_bytes()
    with zipfile.ZipFile(product) as archive:
        return archive.read(name)


def _only(names: Sequence[str], pattern: str) -> str | None:
    found = [name for name in names if re.search(pattern, name)]
    return found[0] if len(found) == 1 else None


def _clouds(names: Sequence[str], level: str) -> tuple[tuple[_Layer, ...], str]:
    """Where the clouds of a product are, and in words what is known of them; nothing where it does not say."""
    pattern = r"IMG_DATA/R20m/\w+_SCL_20m\.jp2$" if level == "L2A" else r"QI_DATA/MSK_CLASSI_B00\.jp2$"
    found = _only(names, pattern)
    if found is None:
        return (), ""
    if level == "L2A":
        knots = {float(value): float(value in _CLOUD_CLASSES) for value in range(256)}
        words = f"clouds and their shadows (classes {', '.join(map(str, _CLOUD_CLASSES))})"
        return (_Layer(found, knots),), words
    layers = tuple(_Layer(found, {0.0: 0.0, 1.0: 1.0}, band) for band in _CLOUD_BANDS)
    return layers, "opaque clouds and cirrus (classification mask; shadows are not)"


def _offset(root: ElementTree.Element, name: str, place: Path) -> float:
    if root.find(name) is not None:
        return number_in(root, name, place, "metadata")
    baseline = number_in(root, ".//PROCESSING_BASELINE", place, "metadata")
    if baseline >= _OFFSETS_SINCE:
        raise InputError(place, f"is of processing baseline {baseline:05.2f}, but its metadata has no {name[3:]}")
    return 0.0


def _one(place: Path, names: Sequence[str], pattern: str) -> str:
    """The one file whose path ends like a pattern."""
    found = [name for name in names if re.search(rf"(^|/){pattern}$", name)]
    if len(found) != 1:
        what = pattern.replace("\\", "").replace("(R10m/)?w+", "*")
        raise InputError(place, f"holds {len(found)} files {what}; a Sentinel-2 product of one granule has one")
    return found[0]


def _virtual(
    product: _Product,
    sources: Mapping[str, Sequence[_Layer]],
    tags: Mapping[str, str],
    *,
    nodata: bool = True,
) -> rasterio.DatasetReader:
    """Bands on one grid, each from layers of the product's images; of several, the last that is not 0 counts.

    Raises:
        InputError: an image cannot be read, or is of another size.
    """
    frames = []
    for image in dict.fromkeys(layer.image for layers in sources.values() for layer in layers):
        try:
            with rasterio.open(_gdal_path(product.path, image), driver="JP2OpenJPEG") as jp2:
                frames.append((jp2.width, jp2.height, jp2.transform, jp2.crs, jp2.dtypes[0], jp2.block_shapes[0]))
        except RasterioError as error:
            raise InputError(product.path, f"{image} cannot be read: {short_reason(error, product.path)}") from error
    width, height, transform, crs, dtype, block = frames[0]
    if frames.count(frames[0]) != len(frames) or crs is None:
        raise InputError(product.path, "its images are not on one map grid")
    root = ElementTree.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ElementTree.SubElement(root, "SRS").text = crs.to_wkt()
    ElementTree.SubElement(root, "GeoTransform").text = ", ".join(map(repr, transform.to_gdal()))
    metadata = ElementTree.SubElement(root, "Metadata")
    for key, value in tags.items():
        ElementTree.SubElement(metadata, "MDI", key=key).text = value
    kind = {"uint8": "Byte", "uint16": "UInt16"}.get(dtype, "UInt16")
    for number, (name, layers) in enumerate(sources.items(), start=1):
        band = ElementTree.SubElement(root, "VRTRasterBand", dataType=kind, band=str(number))
        band.set("blockXSize", str(block[1]))
        band.set("blockYSize", str(block[0]))
        ElementTree.SubElement(band, "Description").text = name
        if nodata:
            ElementTree.SubElement(band, "NoDataValue").text = "0"
        for layer in layers:
            source = ElementTree.SubElement(band, "ComplexSource")
            place = _gdal_path(product.path, layer.image)
            ElementTree.SubElement(source, "SourceFilename", relativeToVRT="0").text = place
            ElementTree.SubElement(source, "SourceBand").text = str(layer.band)
            if layer is not layers[0]:
                ElementTree.SubElement(source, "NODATA").text = "0"
            table = ",".join(f"{key!r}:{value!r}" for key, value in layer.knots.items())
            ElementTree.SubElement(source, "LUT").text = table
    return rasterio.open(ElementTree.tostring(root, encoding="unicode"))


def _gdal_path(product: Path, image: str) -> str:
    place = product.absolute()
    return str(place / image) if place.is_dir() else f"/vsizip/{{{place}}}/{image}"
