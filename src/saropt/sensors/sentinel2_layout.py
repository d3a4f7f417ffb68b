"""Where the files of a Sentinel-2 product are, and what its metadata say of the numbers in them.

Products since December 2016 hold one granule; before, several tiles of 110 km share a product, under longer names
(ESA, "Sentinel-2 Products Specification Document", S2-PDGS-TAS-DI-PSD, issues 12 and 14).
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from saropt.errors import InputError
from saropt.files import load_xml
from saropt.sensors.annotation import number_in
from saropt.sensors.product_names import METADATA, granule_of, sentinel2_product

BANDS: Final = {"B4": 3, "B3": 2, "B2": 1, "B8": 7}
"""The bands of 10 m, and their numbers (`band_id`) in the metadata."""
_CLOUDS: Final = {
    "L2A": (r"IMG_DATA/R20m/\w+_SCL_20m\.jp2", r"IMG_DATA/\w+_USER_SCL_L2A_\w+_20m\.jp2"),
    "L1C": (r"QI_DATA/MSK_CLASSI_B00\.jp2", r"QI_DATA/(\w+_)?MSK_CLOUDS_(\w+_)?B00(_MSIL1C)?\.gml"),
}
"""What a granule says of its clouds, in the order in which it is looked for."""
_OFFSETS_SINCE: Final = 4.0


@dataclass(frozen=True)
class Granule:
    """A tile of a product.

    Attributes:
        name: of its folder.
        images: band -> file.
        clouds: file that says where its clouds are; None where there is none.
    """

    name: str
    images: dict[str, str]
    clouds: str | None

    @property
    def tile(self) -> str:
        """The name of the tile, such as T33UVP.

        >>> Granule("S2A_OPER_MSI_L1C_TL_SGS__20160929T154211_A006640_T32TPP_N02.04", {}, None).tile
        'T32TPP'
        """
        found = re.search(r"(?<=_)T\d{2}[A-Z]{3}(?=_|$)", self.name)
        return found.group() if found is not None else self.name


@dataclass(frozen=True)
class Product:
    """A product, or one granule of it.

    Attributes:
        path: as it was named: the product, or PRODUCT/GRANULE/NAME.
        root: the .SAFE folder or its .zip.
        granules: at least one.
        is_l2a: level L2A, not L1C.
        offsets: band -> what is added to its numbers.
        quantification: number that stands for reflectance 1.
        acquired: when, as the metadata writes it.
    """

    path: Path
    root: Path
    granules: tuple[Granule, ...]
    is_l2a: bool
    offsets: dict[str, float]
    quantification: float
    acquired: str

    def place(self, name: str) -> str:
        """What GDAL calls a file of the product."""
        root = self.root.absolute()
        return str(root / name) if root.is_dir() else f"/vsizip/{{{root}}}/{name}"

    def content(self, name: str) -> bytes:
        """What a file of the product holds."""
        return _content(self.root, name)


def read_product(path: str | Path) -> Product:
    """The product, or the granule of it, that a path names.

    Raises:
        InputError: there is none, or files or numbers of it are missing or cannot be read.
    """
    place = sentinel2_product(path) or Path(path)
    granule = granule_of(place)
    root_place = place if granule is None else place.parent.parent
    if not root_place.exists():
        raise InputError(path, "no such file or folder")
    try:
        if root_place.is_dir():
            names = [item.relative_to(root_place).as_posix() for item in root_place.rglob("*.*") if item.is_file()]
        else:
            with zipfile.ZipFile(root_place) as archive:
                names = archive.namelist()
        metadata = _one(root_place, names, METADATA.pattern, "MTD_MSIL1C.xml, MTD_MSIL2A.xml or S2*_MTD_SAFL*.xml")
        root = load_xml(_content(root_place, metadata))
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(path, f"is neither a .SAFE folder nor its .zip: {error}") from error
    except (ValueError, zlib.error) as error:
        raise InputError(path, f"its metadata cannot be read: {error}") from error
    is_l2a = "L2A" in metadata.rpartition("/")[2].upper()
    kind = "BOA" if is_l2a else "RADIO"
    offsets = {
        band: _offset(root, f".//{kind}_ADD_OFFSET[@band_id='{number}']", place) for band, number in BANDS.items()
    }
    names_of_scale = ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")
    known = next((name for name in names_of_scale if root.find(f".//{name}") is not None), names_of_scale[-1])
    quantification = number_in(root, f".//{known}", place, "metadata")
    if quantification <= 0:
        raise InputError(place, f"metadata says {known} {quantification:g}")
    acquired = root.findtext(".//DATATAKE_SENSING_START") or root.findtext(".//PRODUCT_START_TIME") or ""
    granules = _granules(place, names, granule, is_l2a)
    return Product(place, root_place, granules, is_l2a, offsets, quantification, acquired)


def _granules(place: Path, names: Sequence[str], chosen: str | None, is_l2a: bool) -> tuple[Granule, ...]:
    """All granules of a product, or the one that is chosen."""
    files: dict[str, list[str]] = {}
    for name in names:
        if (match := re.search(r"(?:^|/)GRANULE/([^/]+)/[^/]", name)) is not None:
            files.setdefault(match.group(1), []).append(name)
    if chosen is not None:
        if chosen not in files:
            raise InputError(place, f"is no granule of the product, which has {', '.join(sorted(files)) or 'none'}")
        files = {chosen: files[chosen]}
    if not files:
        raise InputError(place, "holds no granule")
    resolution = "_10m" if is_l2a else ""
    granules = []
    for name, own in sorted(files.items()):
        images = {}
        for band in BANDS:
            ending = f"_B0{band[1:]}{resolution}.jp2"
            where = f"IMG_DATA/*{ending}" + (f" in its granule {name}" if len(files) > 1 else "")
            images[band] = _one(place, own, rf"IMG_DATA/(R10m/)?\w+{re.escape(ending)}", where)
        known = (_ending_like(own, pattern) for pattern in _CLOUDS["L2A" if is_l2a else "L1C"])
        granules.append(Granule(name, images, next((found[0] for found in known if len(found) == 1), None)))
    return tuple(granules)


def _content(root: Path, name: str) -> bytes:
    if root.is_dir():
        return (root / name).read_bytes()
    with zipfile.ZipFile(root) as archive:
        return archive.read(name)


def _offset(root: ElementTree.Element, name: str, place: Path) -> float:
    if root.find(name) is not None:
        return number_in(root, name, place, "metadata")
    baseline = number_in(root, ".//PROCESSING_BASELINE", place, "metadata")
    if baseline >= _OFFSETS_SINCE:
        raise InputError(place, f"is of processing baseline {baseline:05.2f}, but its metadata has no {name[3:]}")
    return 0.0


def _ending_like(names: Sequence[str], pattern: str) -> list[str]:
    return [name for name in names if re.search(rf"(^|/){pattern}$", name)]


def _one(place: Path, names: Sequence[str], pattern: str, words: str) -> str:
    """The one file whose path ends like a pattern."""
    found = _ending_like(names, pattern)
    if len(found) != 1:
        raise InputError(place, f"holds {len(found)} files {words}; one is needed")
    return found[0]
