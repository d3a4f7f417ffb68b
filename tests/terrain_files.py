"""Places that the satellite of `safe_files` sees, and terrain models of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform
from scipy.optimize import fsolve, minimize_scalar

from safe_files import FIRST_GROUND, LINE_S, satellite_at
from saropt.scenes import Georeference, Grid, write_array
from saropt.sensors.orbit import earth_fixed

UTM = CRS.from_epsg(32631)
SIDE = 120


def ground(line: float, column: float, height: float = 0.0) -> tuple[float, float]:
    """Longitude and latitude that are seen at a pixel: a search over places of that height, nothing else."""

    def miss(place: np.ndarray) -> list[float]:
        point = earth_fixed(np.array(place[0]), np.array(place[1]), np.array(height))[0]
        time, slant = nearest(point)
        return [time / LINE_S - line, (slant - FIRST_GROUND) / 5.0 - column]

    longitude, latitude = fsolve(miss, [3.0, 0.1])
    return float(longitude), float(latitude)


def nearest(point: np.ndarray) -> tuple[float, float]:
    """Time and distance of the nearest approach, by minimising the distance."""

    def distance(time: float) -> float:
        return float(np.linalg.norm(point - satellite_at(time)))

    found = minimize_scalar(distance, bounds=(-60, 60), method="bounded", options={"xatol": 1e-9})
    return float(found.x), distance(found.x)


def grid_at(longitude: float, latitude: float, pixel: float = 10.0) -> Grid:
    (x,), (y,) = transform("EPSG:4326", UTM, [longitude], [latitude])
    return Grid(UTM, from_origin(round(x) - SIDE / 2 * pixel, round(y) + SIDE / 2 * pixel, pixel, pixel), SIDE, SIDE)


def write_dem(path: Path, grid: Grid, rise: float, base: float = 300.0) -> Path:
    """Heights that rise towards the east, by `rise` metres a metre."""
    margin = 200
    place = grid.transform @ grid.transform.translation(-margin, -margin)
    across = (np.arange(SIDE + 2 * margin) - SIDE / 2 - margin) * grid.transform.a
    heights = np.repeat(base + rise * across[None], SIDE + 2 * margin, axis=0)
    return write_array(
        path, heights[None].astype(np.float32), band_names=["height"], georeference=Georeference(UTM, place)
    )
