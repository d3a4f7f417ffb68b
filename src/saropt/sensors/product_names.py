"""Which paths name a Sentinel-1 GRD or a Sentinel-2 product (nothing heavy is imported)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_GRD: Final = re.compile(r"S1[A-D]_.{2}_GRD", re.IGNORECASE)
_SENTINEL_2: Final = re.compile(r"S2[A-D]_MSIL(1C|2A)_", re.IGNORECASE)
_METADATA: Final = re.compile(r"MTD_MSIL(1C|2A)\.xml", re.IGNORECASE)


def grd_product(path: str | Path) -> Path | None:
    """The product that a path names: a .SAFE folder, its .zip, or its manifest.safe; None where it is no Sentinel-1
    GRD product by its name.

    >>> Path("S1A_IW_GRDH_1SDV_20201107T135241.SAFE").mkdir()
    >>> grd_product("S1A_IW_GRDH_1SDV_20201107T135241.SAFE/manifest.safe").suffix
    '.SAFE'
    >>> grd_product("scene.tif")
    """
    return _named(Path(path), _GRD)


def sentinel2_product(path: str | Path) -> Path | None:
    """The product that a path names: a .SAFE folder, its .zip, its manifest.safe or its MTD_MSIL2A.xml
    (MTD_MSIL1C.xml); None where it is no Sentinel-2 product by its name.

    >>> Path("S2A_MSIL2A_20220601T100031.SAFE").mkdir()
    >>> sentinel2_product("S2A_MSIL2A_20220601T100031.SAFE").suffix
    '.SAFE'
    >>> sentinel2_product("scene.tif")
    """
    place = Path(path)
    if _METADATA.fullmatch(place.name) is not None and place.is_file():
        return place.absolute().parent
    return _named(place, _SENTINEL_2)


def product_of(path: str | Path) -> Path | None:
    """The product of either kind that a path names, or None.

    >>> product_of("scene.tif")
    """
    return grd_product(path) or sentinel2_product(path)


def _named(place: Path, pattern: re.Pattern[str]) -> Path | None:
    if place.name.lower() == "manifest.safe":
        place = place.absolute().parent
    if pattern.match(place.name) is None:
        return None
    return place if place.is_dir() or place.suffix.lower() == ".zip" else None


def product_files(path: str | Path) -> list[Path]:
    """The files whose content a path stands for: those of a product, else the path itself.

    >>> product_files("scene.tif")
    [PosixPath('scene.tif')]
    """
    product = product_of(path)
    if product is None or product.is_file():
        return [product or Path(path)]
    return [file for file in product.rglob("*") if file.is_file()]
