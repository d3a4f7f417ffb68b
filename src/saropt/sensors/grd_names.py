"""Which paths name a Sentinel-1 GRD product (nothing heavy is imported)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"S1[A-D]_.{2}_GRD", re.IGNORECASE)


def grd_product(path: str | Path) -> Path | None:
    """The product that a path names: a .SAFE folder, its .zip, or its manifest.safe; None where it is no Sentinel-1
    GRD product by its name.

    >>> Path("S1A_IW_GRDH_1SDV_20201107T135241.SAFE").mkdir()
    >>> grd_product("S1A_IW_GRDH_1SDV_20201107T135241.SAFE/manifest.safe").suffix
    '.SAFE'
    >>> grd_product("scene.tif")
    """
    place = Path(path)
    if place.name.lower() == "manifest.safe":
        place = place.absolute().parent
    if _NAME.match(place.name) is None:
        return None
    return place if place.is_dir() or place.suffix.lower() == ".zip" else None


def product_files(path: str | Path) -> list[Path]:
    """The files whose content a path stands for: those of a product, else the path itself.

    >>> product_files("scene.tif")
    [PosixPath('scene.tif')]
    """
    product = grd_product(path)
    if product is None or product.is_file():
        return [product or Path(path)]
    return [file for file in product.rglob("*") if file.is_file()]
