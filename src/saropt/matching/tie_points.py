"""Tie-point files: .csv, .geojson, .json, .points, and A with control points as .tif (docs/formats.md)."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform

import saropt
from saropt.errors import InputError
from saropt.files import check_not_input, write_text
from saropt.matching.features import Points
from saropt.matching.scene_matching import SceneMatch
from saropt.scenes import Georeference, Scene, SceneWriter
from saropt.scenes.georeference import cut_windows
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.nodata import nodata_of_type, with_nodata
from saropt.scenes.writing import check_writable
from saropt.sensors.grd_scene import open_scene_or_product
from saropt.sensors.unchanged import Unchanged

_BLOCK = 512

SUFFIXES = (".csv", ".geojson", ".json", ".points", ".tif")
COLUMNS = ("a_column", "a_row", "b_column", "b_row", "residual")


def check_tie_points_path(path: Path, overwrite: bool) -> None:
    """Refuse an output before any work is done.

    Raises:
        InputError: wrong suffix, no such folder, or an existing file without `overwrite`.

    >>> check_tie_points_path(Path("p.md"), overwrite=False)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: p.md: cannot write this kind of file; use .csv or .geojson or .json or .points or .tif
    """
    check_writable(path, suffixes=SUFFIXES, overwrite=overwrite)


def write_tie_points(path: str | Path, match: SceneMatch, overwrite: bool = False) -> Path:
    """Write the tie points under a temporary name, then rename.

    `.csv` holds the points alone, `.json` the whole result, `.geojson` the points as longitude and latitude, `.points`
    those of QGIS's georeferencer, and `.tif` the pixels of A with the points as control points in B's CRS.

    Raises:
        InputError: as `check_tie_points_path`, the disk fails, or a file that needs a place on the ground, which B
            lacks.

    >>> from saropt.matching import Sift, match_scenes
    >>> from saropt.scenes import write_array
    >>> image = np.random.default_rng(0).integers(0, 255, (1, 256, 256)).astype(np.uint8)
    >>> match = match_scenes(*(write_array(f"{name}.tif", image, band_names=["VV"]) for name in "ab"), Sift())
    >>> write_tie_points("points.csv", match).read_text().splitlines()[0]
    'a_column,a_row,b_column,b_row,residual'
    """
    path = Path(path)
    check_tie_points_path(path, overwrite)
    rows = np.column_stack([match.a_points, match.b_points, match.residuals])
    if path.suffix.lower() == ".csv":
        text = _csv(match, rows)
    elif path.suffix.lower() == ".json":
        text = json.dumps(describe(match) | {"points": _points(match, rows)}, indent=2) + "\n"
    elif match.ground is None or match.crs is None:
        raise InputError(path, f"needs a place on the ground, which {match.b} lacks: write .csv or .json")
    elif path.suffix.lower() == ".tif":
        return _write_with_points(path, match, match.ground, match.crs, overwrite)
    elif path.suffix.lower() == ".points":
        text = _qgis_points(match, match.ground, match.crs)
    else:
        text = json.dumps(_geojson(match, match.ground, match.crs, rows)) + "\n"
    write_text(path, text)
    return path


def describe(match: SceneMatch) -> dict[str, Any]:
    """The result without its points, ready for JSON."""
    grid = match.grid
    return {
        "saropt": saropt.__version__,
        "a": match.a.name,
        "b": match.b.name,
        "method": match.method,
        "keypoints": list(match.keypoints),
        "matches": match.putative,
        "inliers": len(match.residuals),
        "transform": {"kind": match.kind, "matrix": match.matrix.tolist()},
        "frame": None
        if grid is None
        else {
            "crs": grid.crs.to_string(),
            "transform": list(grid.transform)[:6],
            "height": grid.height,
            "width": grid.width,
        },
        "shift": match.shift,
        "residual_rmse": match.rmse,
        "log10_false_alarms": match.log_false_alarms,
    }


def _points(match: SceneMatch, rows: np.ndarray) -> list[dict[str, float]]:
    points = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in rows]
    if match.ground is not None:
        for point, (x, y) in zip(points, match.ground, strict=True):
            point |= {"x": float(x), "y": float(y)}
    return points


def _csv(match: SceneMatch, rows: np.ndarray) -> str:
    buffer = io.StringIO()
    names = COLUMNS if match.ground is None else (*COLUMNS, "x", "y")
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_points(match, rows))
    return buffer.getvalue()


def _qgis_points(match: SceneMatch, ground: Points, crs: CRS) -> str:
    """Source coordinates are pixels, rows negative; as QGIS writes them for a raster without georeference."""
    lines = [f"#CRS: {crs.to_wkt()}", "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"]
    for (x, y), (column, row) in zip(ground.tolist(), match.a_points.tolist(), strict=True):
        lines.append(f"{x!r},{y!r},{column!r},{-row!r},1,0,0,0")
    return "\n".join(lines) + "\n"


def _write_with_points(path: Path, match: SceneMatch, ground: Points, crs: CRS, overwrite: bool) -> Path:
    """A's own pixels, block by block, as valid as they are in A; each tie point is a control point."""
    check_not_input(path, [match.a, match.b])
    points = tuple(
        GroundControlPoint(row=row, col=column, x=x, y=y, z=0.0, id=str(number))
        for number, ((column, row), (x, y)) in enumerate(
            zip(match.a_points.tolist(), ground.tolist(), strict=True), start=1
        )
    )
    with open_scene_or_product(match.a) as source:
        inputs = Unchanged(match.a)
        dtype = np.dtype("complex64" if source.dtype == "complex_int16" else source.dtype)
        nodata, masked = _validity(source, dtype)
        with SceneWriter(
            path,
            width=source.width,
            height=source.height,
            band_names=source.band_names,
            dtype=dtype,
            nodata=nodata,
            georeference=Georeference(gcps=points, gcp_crs=crs),
            tags=tags_for_output(source, same_units=True) | {"SAROPT_TIED_TO": match.b.name},
            overwrite=overwrite,
            masked=masked,
        ) as writer:
            for window in cut_windows(source.height, source.width, _BLOCK):
                pixels, valid = source.read_stored(window) if source.scaling is None else source.read(window)
                writer.write(window.row, window.col, with_nodata(pixels, valid, nodata), valid=valid)
            inputs.check()
            return writer.finish()


def _validity(source: Scene, dtype: np.dtype) -> tuple[float | None, bool]:
    """The nodata value of a copy of all pixels of a scene, and whether it needs a mask: its own value, where that is
    the value of no valid pixel, or else NaN; whole numbers have a mask instead, where any pixel is not valid."""
    nodata, whole = nodata_of_type(source.nodata, dtype), dtype.kind in "ui"
    if nodata is None and not whole:
        return math.nan, False
    holes = False
    for window in cut_windows(source.height, source.width, _BLOCK):
        pixels, valid = source.read_stored(window)
        holes = holes or not valid.all()
        if nodata is not None and (pixels[:, valid] == nodata).any():
            nodata = None
    if nodata is None and not whole:
        return math.nan, False
    return nodata, nodata is None and holes


def _geojson(match: SceneMatch, ground: Points, crs: CRS, rows: np.ndarray) -> dict[str, Any]:
    longitude, latitude = transform(crs, "EPSG:4326", *ground.T)
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": properties}
            for x, y, properties in zip(longitude, latitude, _points(match, rows), strict=True)
        ],
    }
