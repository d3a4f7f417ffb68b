"""Brings an open raster to another grid, block by block as it is read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from saropt.errors import InputError
from saropt.scenes.georeference import moved, nearly_whole, unwrapped_gcps
from saropt.scenes.grid import Bounds, Grid, turned
from saropt.scenes.joint_mask import with_joint_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from saropt.scenes.resampled_power import Fill

_SAMPLES = 9
_TURNED = 0.4
"""Sine of the angle from which on a grid is turned against a raster."""
_SQUARE = 0.1
"""The same up to which the largest pixel in the box between two corners of a turned pixel is that of all it touches."""


def warped(
    dataset: DatasetReader,
    path: Path,
    grid: Grid,
    resampling: str,
    bands: Sequence[str | int] | None = None,
    power: str | None = None,
    fill: Fill | None = None,
) -> DatasetReader:
    """A virtual raster on `grid`, with an alpha band that marks where all chosen bands of the source are valid; the
    source is closed with it. With a scale of SAR pixels ("decibels", "amplitude"), its pixels are their power. Stored
    numbers that are fill have no part in it. With the resampling "any" a pixel is not 0 where it touches one that is
    above 0: GDAL's "max" where the grids are parallel, and its "sum", weighted by area, where they are turned."""
    from rasterio.enums import Resampling
    from rasterio.transform import from_gcps
    from rasterio.vrt import WarpedVRT

    source = dataset
    try:
        dataset = with_joint_mask(source, path, bands, power, fill)
    except (InputError, RasterioError, CPLE_BaseError) as error:
        source.close()
        if isinstance(error, InputError):
            raise
        raise InputError(path, f"cannot be brought to another grid: {short_reason(error, path)}") from error
    options: dict[str, Any] = {
        "crs": grid.crs,
        "resampling": Resampling["max" if resampling == "any" else resampling],
        "add_alpha": ColorInterp.alpha not in dataset.colorinterp,
    }
    try:
        if dataset.crs is None and dataset.gcps[0]:
            points, crs = dataset.gcps
            points = unwrapped_gcps(points, crs)
            x, y = [point.x for point in points], [point.y for point in points]
            crs, near = _across_180_degrees(crs, (min(x), min(y), max(x), max(y)), grid)
            options |= _sampling(dataset, crs, from_gcps(points), near, resampling)
            with WarpedVRT(dataset, SRC_METHOD="GCP_TPS", src_crs=crs, **options) as free:
                description = _on_grid(free.tags(ns="xml:VRT")["xml:VRT"], dataset.name, near)
            made = rasterio.open(description)
        else:
            crs, near = _across_180_degrees(dataset.crs, dataset.bounds, grid)
            if crs is not None:
                options |= _sampling(dataset, crs, dataset.transform, near, resampling)
            place = {"src_crs": crs, "transform": near.transform, "height": near.height, "width": near.width}
            made = WarpedVRT(dataset, **place, **options)
        made._env.callback(source.close)
        made._env.callback(dataset.close)
        return made
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        dataset.close()
        source.close()
        raise InputError(path, f"cannot be brought to another grid: {short_reason(error, path)}") from error


def _sampling(dataset: DatasetReader, crs: CRS, affine: Affine, grid: Grid, resampling: str) -> dict[str, Any]:
    """GDAL's options that say how many pixels of `grid` lie along one column and one row of a raster; 1 where its
    pixels are not the finer ones. GDAL would guess them from the sizes of every window, and blur where the grid is
    turned against the raster. There it would also average along a diagonal: "bilinear" averages in its place."""
    from rasterio.enums import Resampling

    if affine.is_degenerate or grid.transform.is_degenerate:
        return {}
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    across, down = (one.ravel() for one in np.meshgrid(steps, steps))
    own = np.stack([across * dataset.width, down * dataset.height])
    places = np.hstack([np.stack([across * grid.width, down * grid.height]), _mapped(own, affine, crs, grid)])
    here, right, below = (
        _mapped(places + np.array(move)[:, None], grid.transform, grid.crs, Grid(crs, affine, 1, 1))
        for move in ((0, 0), (1, 0), (0, 1))
    )
    with np.errstate(invalid="ignore"):
        moves = np.abs([right - here, below - here])  # (step of the grid, columns and rows of the raster, place)
    known = np.isfinite(moves).all(axis=(0, 1))
    inside = known & (here >= 0).all(axis=0) & (here[0] <= dataset.width) & (here[1] <= dataset.height)
    inside &= (places >= 0).all(axis=0) & (places[0] <= grid.width) & (places[1] <= grid.height)
    chosen = moves[..., inside if inside.any() else known]
    if not chosen.size:
        return {}
    ratios = np.hypot(*chosen)
    slant = float(np.median(chosen.min(axis=0) / np.maximum(ratios, np.finfo(np.float64).tiny)))
    whole = [nearly_whole(max(float(ratio), 1.0)) for ratio in np.median(ratios, axis=1)]
    options: dict[str, Any] = {key: repr(1.0 / ratio) for key, ratio in zip(("XSCALE", "YSCALE"), whole, strict=True)}
    if resampling == "average" and slant > _TURNED:
        options["resampling"] = Resampling.bilinear
    if resampling == "any" and slant > _SQUARE:
        options |= {"resampling": Resampling.sum, "dtype": "float32"}
        if dataset.nodata is None:
            options["src_nodata"] = np.nan
    return options


def _mapped(pixels: NDArray[np.float64], affine: Affine, crs: CRS, grid: Grid) -> NDArray[np.float64]:
    """Columns and rows (2, n) of one raster as those of a grid; not finite where they have no place there."""
    places = np.stack(affine @ (pixels[0], pixels[1]))
    ground = places if crs == grid.crs else moved(places, crs, grid.crs)
    if ground is None:
        return np.full(pixels.shape, np.nan)
    with np.errstate(invalid="ignore"):
        return np.stack(~grid.transform @ (ground[0], ground[1]))


def _across_180_degrees(crs: CRS | None, box: Bounds, grid: Grid) -> tuple[CRS | None, Grid]:
    """The CRS of a raster with bounds in it, and a grid, by which all of the ground is found whose longitudes differ by
    whole turns: GDAL takes longitudes of -180 to 180 unless the CRS says where their centre is."""
    if crs is None or not crs.is_geographic:
        return crs, grid
    if grid.crs.is_geographic:
        left, *_ = turned(grid.bounds, box)
        nearest = Affine.translation(left - grid.bounds[0], 0.0) @ grid.transform
        return crs, replace(grid, transform=nearest)
    west, _, east, _ = box
    if west >= -180.0 and east <= 180.0:
        return crs, grid
    # GDAL keeps transformations by authority and name: with those of the CRS, one without the centre would be taken.
    centre = (west + east) / 2
    text = re.sub(r'^GEOGCS\["[^"]*"', f'GEOGCS["longitudes around {centre}"', crs.to_wkt())
    text = re.sub(r"(,AUTHORITY\[[^]]*\])?\]$", f',EXTENSION["CENTER_LONG","{centre}"]]', text)
    return CRS.from_wkt(text), grid


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
            element.text = name if name.startswith(("/vsi", "<")) else str(Path(name).absolute())
    return ElementTree.tostring(root, encoding="unicode")


def short_reason(error: Exception, path: Path) -> str:
    """The message of GDAL on one line, without the path with which our own message begins.

    >>> short_reason(OSError("a/b.tif: no\\nbands"), Path("a/b.tif"))
    'b.tif: no bands'
    """
    cause = error.__cause__ if error.__cause__ is not None else error
    return " ".join(str(cause).replace(str(path.absolute()), path.name).replace(str(path), path.name).split())
