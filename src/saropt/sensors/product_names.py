"""Which paths name a Sentinel-1 GRD or a Sentinel-2 product (nothing heavy is imported)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from saropt.files import digest_files, shown_files
from saropt.files.polarisation_files import polarisation_files, product_name
from saropt.files.vrt import files_behind

_GRD: Final = re.compile(r"S1[A-D]_.{2}_GRD", re.IGNORECASE)
_SLC: Final = re.compile(r"S1[A-D]_.{2}_SLC", re.IGNORECASE)
_SENTINEL_2: Final = re.compile(r"S2[A-D]_(MSIL(1C|2A)|OPER_PRD_MSIL1C|USER_PRD_MSIL2A)_", re.IGNORECASE)
_AUXILIARY: Final = re.compile(
    r"(.+?)_(dem|interpolated_dem|inc_map(?:_ell)?|ls_map|rgb|(?:rgb_)?thumb|area|browse(?:_low-res)?"
    r"|(?:local_)?incidence_angle|number_of_looks|(?:water_|layover_shadow_)?mask|rtc_anf_\w+)",
    re.IGNORECASE,
)
METADATA: Final = re.compile(r"(MTD_MSIL(1C|2A)|S2[A-D]_(OPER_MTD_SAFL1C|USER_MTD_SAFL2A)_\w+)\.xml", re.IGNORECASE)
"""The metadata file of a Sentinel-2 product; the long names are of before December 2016."""


def grd_product(path: str | Path) -> Path | None:
    """The product that a path names: a .SAFE folder, its .zip, or its manifest.safe; None where it is no Sentinel-1
    GRD product by its name.

    >>> Path("S1A_IW_GRDH_1SDV_20201107T135241.SAFE").mkdir()
    >>> grd_product("S1A_IW_GRDH_1SDV_20201107T135241.SAFE/manifest.safe").suffix
    '.SAFE'
    >>> grd_product("scene.tif")
    """
    return _named(Path(path), _GRD)


def slc_product(path: str | Path) -> Path | None:
    """As `grd_product`, of a Sentinel-1 SLC product.

    >>> slc_product("scene.tif")
    """
    return _named(Path(path), _SLC)


def sentinel2_product(path: str | Path) -> Path | None:
    """The product that a path names: a .SAFE folder, its .zip, its manifest.safe or its metadata file (MTD_MSIL2A.xml,
    MTD_MSIL1C.xml, S2A_OPER_MTD_SAFL1C_....xml, S2A_USER_MTD_SAFL2A_....xml); or one granule of it,
    PRODUCT/GRANULE/NAME, also of a .zip. None where it is no Sentinel-2 product by its name.

    >>> Path("S2A_MSIL2A_20220601T100031.SAFE").mkdir()
    >>> sentinel2_product("S2A_MSIL2A_20220601T100031.SAFE").suffix
    '.SAFE'
    >>> sentinel2_product("scene.tif")
    """
    place = Path(path)
    if granule_of(place) is not None:
        product = _named(place.parent.parent, _SENTINEL_2)
        return place if product is not None and (product.is_file() or place.is_dir()) else None
    if METADATA.fullmatch(place.name) is not None and place.is_file():
        return place.absolute().parent
    return _named(place, _SENTINEL_2)


def granule_of(path: Path) -> str | None:
    """The name of the granule of a path PRODUCT/GRANULE/NAME; None for other paths.

    >>> granule_of(Path("S2A_OPER_PRD_MSIL1C_1.SAFE/GRANULE/S2A_OPER_MSI_L1C_TL_1_T32TPP_N02.04"))
    'S2A_OPER_MSI_L1C_TL_1_T32TPP_N02.04'
    """
    return path.name if path.parent.name == "GRANULE" else None


def product_of(path: str | Path) -> Path | None:
    """The product of either kind that a path names, or None.

    >>> product_of("scene.tif")
    """
    return grd_product(path) or sentinel2_product(path)


def is_product(path: str | Path) -> bool:
    """Whether a path names a product that is one scene: of Sentinel-1 or Sentinel-2, or with a file for each
    polarisation.

    >>> is_product("scene.tif")
    False
    """
    return product_of(path) is not None or bool(polarisation_files(path))


def auxiliary_rasters(paths: Iterable[str | Path]) -> list[str]:
    """Those of some rasters that are no backscatter but come with it in an RTC product (ASF HyP3, OPERA RTC-S1):
    terrain models, angles, masks and pictures, by their names.

    >>> auxiliary_rasters(["p_VV.tif", "p_VH.tif", "p_dem.tif", "p.png", "p_rgb_thumb.png", "q_dem.tif"])
    ['p_dem.tif', 'p.png', 'p_rgb_thumb.png']
    """
    rasters = [Path(path) for path in paths]
    products = {path.with_name(name) for path in rasters if (name := product_name(path)) is not None}

    def is_auxiliary(path: Path) -> bool:
        picture = path.suffix.lower() in (".png", ".jpg", ".jpeg") and path.with_suffix("") in products
        match = _AUXILIARY.fullmatch(path.stem)
        beside = match is not None and path.with_name(match[1]) in products
        return picture or beside or "RTC-S1-STATIC" in path.stem

    return [str(path) for path in rasters if product_name(path) is None and is_auxiliary(path)]


def _named(place: Path, pattern: re.Pattern[str]) -> Path | None:
    if place.name.lower() == "manifest.safe":
        place = place.absolute().parent
    if pattern.match(place.name) is None:
        return None
    return place if place.is_dir() or place.suffix.lower() == ".zip" else None


def digest_product(path: str | Path) -> str:
    """A hash of what a path stands for: the content of a product, or of its granule, or of another folder, else of the
    file itself and of those that a VRT reads.

    Raises:
        InputError: a file cannot be read.

    >>> Path("scene.tif").write_text("1"), Path("other.tif").write_text("1")
    (1, 1)
    >>> digest_product("scene.tif") == digest_product("other.tif")
    True
    """
    product = product_of(path) or (Path(path) if os.path.isdir(path) and not polarisation_files(path) else None)
    if product is None:
        files = polarisation_files(path) or [Path(path), *(file for file in files_behind(path) if file.is_file())]
        beside = (f"{file}{suffix}" for file in files for suffix in (".msk", ".aux.xml"))
        return digest_files([*files, *(file for file in beside if os.path.isfile(file))])
    granule = granule_of(product)
    root = product if granule is None else product.parent.parent
    files = shown_files(product) if product.is_dir() else [root]
    if granule is None:
        return digest_files(files)
    return f"{digest_files([*files, *root.glob('*.xml')])} {granule}"
