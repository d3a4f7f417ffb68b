"""The same ground in true colour, lit by the sun."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from saropt.simulate.covers import COVER_INDEX, SceneConfig
from saropt.simulate.layout import Layout, standardised
from saropt.simulate.places import covers_at, near_infrared_at

HAZE = np.array([0.12, 0.19, 0.28, 0.06], np.float32)
TREES = np.array([0.33, 0.43, 0.47, 0.80], np.float32)
TILES = np.array([0.62, 0.50, 0.48, 0.62], np.float32)


def sun_shading(east: np.ndarray, north: np.ndarray, config: SceneConfig) -> np.ndarray:
    """Direct plus diffuse light on a slope relative to flat ground, (H, W) float32."""
    azimuth, height = np.deg2rad(config.sun_azimuth_deg), np.deg2rad(config.sun_elevation_deg)
    towards = east * np.float32(np.sin(azimuth)) + north * np.float32(np.cos(azimuth))
    lit = np.float32(np.sin(height)) - np.float32(np.cos(height)) * towards
    lit /= np.sqrt(1.0 + east * east + north * north) * np.float32(np.sin(height))
    return (0.22 + 0.78 * np.clip(lit, 0.0, 1.6)).astype(np.float32)


def paint(rng: np.random.Generator, layout: Layout, config: SceneConfig, near_infrared: bool = False) -> np.ndarray:
    """Optical image (3, H, W) float32 in [0, 1], bands B4, B3, B2; with `near_infrared` B8 as a fourth."""
    cover, covers = layout.cover, covers_at(config)
    colours = np.array([c.colour for c in covers], np.float32)
    if near_infrared:
        colours = np.column_stack([colours, np.array(near_infrared_at(config), np.float32)])
    between = np.array([c.object_contrast for c in covers], np.float32)[cover]
    within = np.array([c.pixel_contrast for c in covers], np.float32)[cover]
    brightness = 1.0 + between * standardised(layout.object_id, 21)
    forest, shrub = COVER_INDEX["forest"], COVER_INDEX["dry shrub"]
    natural = (cover == shrub) | (cover == forest)
    brightness = np.where(natural, brightness * (0.86 + 0.4 * layout.crest), brightness)
    grain = within * rng.standard_normal(cover.shape, dtype=np.float32)
    shade = sun_shading(layout.east, layout.north, config)

    kind = rng.random(cover.shape, dtype=np.float32)
    houses = cover == COVER_INDEX["houses"]
    trees, tiles, pale = houses & (kind < 0.22), houses & (kind > 0.90), houses & (kind > 0.76) & (kind < 0.785)
    tint = standardised(layout.object_id, 22) * between * 0.12

    out = np.empty((colours.shape[1], *cover.shape), np.float32)
    for band in range(len(out)):
        base = colours[:, band][cover]
        base[natural] = colours[shrub, band] + (colours[forest, band] - colours[shrub, band]) * layout.canopy[natural]
        base[trees] = TREES[band]
        base[tiles] = TILES[band]
        base[pale] = 0.9
        value = base * brightness + grain + tint * (1 - band if band < 3 else 0)
        value = HAZE[band] + (value - HAZE[band]) * shade
        out[band] = ndimage.gaussian_filter(value, 0.55, mode="nearest", truncate=3.0)
    return np.clip(out, 0.0, 1.0, out=out)
