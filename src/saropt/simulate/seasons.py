"""The same ground at another time of the year, under clouds, or with fields that changed between two dates."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import ndimage

from saropt.simulate.covers import COVER_INDEX, COVERS, Cover, SceneConfig
from saropt.simulate.layout import Layout, uniform
from saropt.simulate.terrain import spectral_field

Look = tuple[float, float, tuple[float, float, float]]
CLOUD_COLOUR = np.array([0.97, 0.98, 1.0, 0.98], np.float32)
CLOUD_BASE_M = 1500.0
CLOUD_SIZE_M = 2500.0
SHADOW = 0.45
_CHANGING = ("ploughed field", "green crop", "stubble field")

# vv_db, vh_db and (B4, B3, B2) of what grows; what is built or under water keeps its look. Levels of crops follow the
# course of Sentinel-1 backscatter over a season of winter and summer crops (Veloso et al., Remote Sens. Environ. 199,
# 2017, fig. 5-9: VV -16..-6 dB, VH -24..-13 dB, VH highest at the height of growth, both raised by wet soil), inside
# the C-band ranges of Ulaby & Dobson (1989).
_LOOKS: dict[str, dict[str, Look]] = {
    "spring": {
        "forest": (-10.2, -15.6, (0.27, 0.37, 0.40)),
        "dry shrub": (-12.8, -19.3, (0.38, 0.42, 0.42)),
        "ploughed field": (-12.0, -19.5, (0.38, 0.44, 0.43)),
        "green crop": (-11.5, -17.5, (0.25, 0.44, 0.39)),
        "stubble field": (-11.8, -18.0, (0.31, 0.44, 0.41)),
        "orchard": (-10.5, -16.2, (0.33, 0.44, 0.44)),
        "park": (-11.3, -18.3, (0.26, 0.46, 0.41)),
    },
    "summer": {
        "forest": (-9.8, -15.4, (0.26, 0.34, 0.39)),
        "dry shrub": (-13.7, -21.2, (0.53, 0.46, 0.46)),
        "ploughed field": (-10.5, -16.0, (0.33, 0.44, 0.41)),
        "green crop": (-9.6, -15.2, (0.26, 0.42, 0.38)),
        "stubble field": (-14.0, -21.0, (0.74, 0.67, 0.61)),
        "orchard": (-10.0, -15.6, (0.34, 0.43, 0.43)),
        "park": (-11.5, -18.8, (0.36, 0.45, 0.43)),
    },
    "winter": {
        "forest": (-10.4, -16.6, (0.33, 0.35, 0.41)),
        "dry shrub": (-12.9, -20.4, (0.43, 0.42, 0.44)),
        "ploughed field": (-10.8, -19.6, (0.37, 0.34, 0.38)),
        "green crop": (-12.2, -18.9, (0.32, 0.43, 0.42)),
        "stubble field": (-12.3, -19.8, (0.52, 0.48, 0.50)),
        "orchard": (-11.2, -17.4, (0.42, 0.43, 0.46)),
        "park": (-11.2, -18.8, (0.31, 0.44, 0.43)),
    },
}
SEASONS = ("autumn", *_LOOKS)


@lru_cache(maxsize=8)
def covers_of(season: str) -> tuple[Cover, ...]:
    """`COVERS` as they look in a season; autumn is the table itself.

    Raises:
        ValueError: unknown season.

    >>> len(covers_of("winter")) == len(COVERS)
    True
    """
    if season not in SEASONS:
        raise ValueError(f"season {season!r} is not one of {', '.join(SEASONS)}")
    looks = _LOOKS.get(season, {})
    return tuple(
        replace(cover, vv_db=looks[cover.name][0], vh_db=looks[cover.name][1], colour=looks[cover.name][2])
        if cover.name in looks
        else cover
        for cover in COVERS
    )


def change_fields(layout: Layout, config: SceneConfig) -> tuple[Layout, np.ndarray]:
    """The layout at the optical date: of the fields, `config.change` were ploughed, sown or harvested meanwhile.

    Returns:
        The layout with other covers in whole fields, and where it changed (H, W) bool.
    """
    crops = np.array([COVER_INDEX[name] for name in _CHANGING], np.uint8)
    moved = np.isin(layout.cover, crops) & (uniform(layout.object_id, 31) < config.change)
    step = 1 + (uniform(layout.object_id, 32) < 0.5).astype(np.int64)
    order = np.zeros(len(COVERS), np.int64)
    order[crops] = np.arange(len(crops))
    new = crops[(order[layout.cover] + step) % len(crops)]
    return replace(layout, cover=np.where(moved, new, layout.cover)), moved


def cast_clouds(
    rng: np.random.Generator, optical: np.ndarray, gsd_m: float, config: SceneConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Cumulus over `config.clouds` of the scene, and its shadows on the ground, 1500 m below along the sun.

    Args:
        optical: (3, H, W) in [0, 1], or (4, H, W) with the near infrared.

    Returns:
        The clouded image, float32, and where a cloud or its shadow hides the ground (H, W) bool.
    """
    shape = (optical.shape[1], optical.shape[2])
    field = spectral_field(rng, shape, max(CLOUD_SIZE_M / gsd_m, 8.0), beta=3.4)
    level = float(np.quantile(field, 1.0 - config.clouds))
    opacity = np.clip((field - level) / np.float32(0.35) + np.float32(0.25), 0.0, 1.0) * (field > level)
    azimuth, height = np.deg2rad(config.sun_azimuth_deg), np.deg2rad(config.sun_elevation_deg)
    length = CLOUD_BASE_M / np.tan(height) / gsd_m
    down, right = round(length * np.cos(azimuth)), round(-length * np.sin(azimuth))
    shadow = ndimage.gaussian_filter(_moved(opacity, down, right), 1.0, mode="nearest", truncate=3.0)
    lit = optical * (1.0 - np.float32(1.0 - SHADOW) * shadow)
    clouded = lit * (1.0 - opacity) + CLOUD_COLOUR[: len(optical), None, None] * opacity
    hidden = (opacity > 0.2) | (shadow > 0.2)
    return clouded.astype(np.float32), hidden


def _moved(field: np.ndarray, down: int, right: int) -> np.ndarray:
    """The field shifted by whole pixels, zero where nothing comes in."""
    out = np.zeros_like(field)
    height, width = field.shape
    if abs(down) >= height or abs(right) >= width:
        return out
    rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
    source = slice(max(-down, 0), height + min(-down, 0)), slice(max(-right, 0), width + min(-right, 0))
    out[rows, columns] = field[source]
    return out
