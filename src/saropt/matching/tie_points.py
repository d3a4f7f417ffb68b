"""Tie-point files: .csv, .geojson, .json (docs/formats.md)."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.warp import transform

import saropt
from saropt.errors import InputError
from saropt.files import write_text
from saropt.matching.scene_matching import SceneMatch
from saropt.scenes.writing import check_writable

SUFFIXES = (".csv", ".geojson", ".json")
COLUMNS = ("a_column", "a_row", "b_column", "b_row", "residual")


def check_tie_points_path(path: Path, overwrite: bool) -> None:
    """Refuse an output before any work is done.

    Raises:
        InputError: wrong suffix, no such folder, or an existing file without `overwrite`.

    >>> check_tie_points_path(Path("points.txt"), overwrite=False)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: points.txt: cannot write this kind of file; use .csv or .geojson or .json
    """
    check_writable(path, suffixes=SUFFIXES, overwrite=overwrite)


def write_tie_points(path: str | Path, match: SceneMatch, overwrite: bool = False) -> Path:
    """Write the tie points under a temporary name, then rename.

    `.csv` holds the points alone, `.json` the whole result, `.geojson` the points as longitude and latitude.

    Raises:
        InputError: as `check_tie_points_path`, the disk fails, or GeoJSON of scenes without a place on the ground.

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
    else:
        text = json.dumps(_geojson(path, match, rows)) + "\n"
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


def _geojson(path: Path, match: SceneMatch, rows: np.ndarray) -> dict[str, Any]:
    if match.ground is None or match.crs is None:
        raise InputError(path, f"GeoJSON needs a place on the ground, which {match.b} lacks: write .csv or .json")
    longitude, latitude = transform(match.crs, "EPSG:4326", *match.ground.T)
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": properties}
            for x, y, properties in zip(longitude, latitude, _points(match, rows), strict=True)
        ],
    }
