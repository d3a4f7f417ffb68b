"""Brings an open raster to another grid, block by block as it is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from saropt.errors import InputError
from saropt.scenes.grid import Grid, turned

if TYPE_CHECKING:
    from rasterio.io import DatasetReader


def warped(dataset: DatasetReader, path: Path, grid: Grid, resampling: str) -> DatasetReader:
    """A virtual raster on `grid`, with an alpha band that marks where the source has valid pixels."""
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    options: dict[str, Any] = {
        "crs": grid.crs,
        "resampling": Resampling[resampling],
        "add_alpha": ColorInterp.alpha not in dataset.colorinterp,
    }
    try:
        if dataset.crs is None and dataset.gcps[0]:
            with WarpedVRT(dataset, SRC_METHOD="GCP_TPS", **options) as free:
                description = _on_grid(free.tags(ns="xml:VRT")["xml:VRT"], dataset.name, grid)
            made = rasterio.open(description)
        else:
            crs, transform = _across_180_degrees(dataset, grid)
            options |= {"src_crs": crs, "transform": transform}
            made = WarpedVRT(dataset, height=grid.height, width=grid.width, **options)
        made._env.callback(dataset.close)
        return made
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        dataset.close()
        raise InputError(path, f"cannot be brought to another grid: {short_reason(error, path)}") from error


def _across_180_degrees(dataset: DatasetReader, grid: Grid) -> tuple[CRS, Affine]:
    """CRS of a raster and transform of a grid, by which all of the ground is found whose longitudes differ by whole
    turns: GDAL takes longitudes of -180 to 180 unless the CRS says where their centre is."""
    crs, box = dataset.crs, dataset.bounds
    if crs is None or not crs.is_geographic:
        return crs, grid.transform
    if grid.crs.is_geographic:
        left, *_ = turned(grid.bounds, box)
        return crs, Affine.translation(left - grid.bounds[0], 0.0) @ grid.transform
    if box.left >= -180.0 and box.right <= 180.0:
        return crs, grid.transform
    # GDAL keeps transformations by authority and name: with those of the CRS, one without the centre would be taken.
    centre = (box.left + box.right) / 2
    text = re.sub(r'^GEOGCS\["[^"]*"', f'GEOGCS["longitudes around {centre}"', crs.to_wkt())
    text = re.sub(r"(,AUTHORITY\[[^]]*\])?\]$", f',EXTENSION["CENTER_LONG","{centre}"]]', text)
    return CRS.from_wkt(text), grid.transform


def _on_grid(description: str, name: str, grid: Grid) -> str:
    """The text of a virtual raster that is warped by control points, changed to lie on `grid`. GDAL does not accept
    a grid together with control points, and chooses its own."""
    root = ElementTree.fromstring(description)
    root.set("rasterXSize", str(grid.width))
    root.set("rasterYSize", str(grid.height))
    inverse = ~grid.transform
    texts = {
        "GeoTransform": grid.transform.to_gdal(),
        "DstGeoTransform": grid.transform.to_gdal(),
        "DstInvGeoTransform": inverse.to_gdal(),
        "BlockXSize": (min(grid.width, 512),),
        "BlockYSize": (min(grid.height, 128),),
    }
    for element in root.iter():
        if element.tag in texts:
            element.text = ",".join(map(repr, texts[element.tag]))
        elif element.tag == "SourceDataset":
            element.set("relativeToVRT", "0")
            element.text = name if name.startswith("/vsi") else str(Path(name).absolute())
    return ElementTree.tostring(root, encoding="unicode")


def short_reason(error: Exception, path: Path) -> str:
    """The message of GDAL on one line, without the path with which our own message begins.

    >>> short_reason(OSError("a/b.tif: no\\nbands"), Path("a/b.tif"))
    'b.tif: no bands'
    """
    cause = error.__cause__ if error.__cause__ is not None else error
    return " ".join(str(cause).replace(str(path), path.name).split())
