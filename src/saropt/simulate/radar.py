"""Backscatter of a laid-out scene as a side-looking C-band radar sees it, and its speckle."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from saropt.simulate.covers import SceneConfig
from saropt.simulate.layout import Layout, standardised
from saropt.simulate.places import covers_at
from saropt.simulate.terrain import as_double

MAX_SLOPE_GAIN = 10.0 ** (5.5 / 10.0)
MIN_SLOPE_GAIN = 10.0 ** (-6.0 / 10.0)


def slope_gain(east: np.ndarray, north: np.ndarray, config: SceneConfig, exponent: float = 1.5) -> np.ndarray:
    """Backscatter of a slope relative to flat ground, without layover or shadow.

    (cos t_l / cos t)^n, the angular fall-off with the local incidence t_l, times sin t / sin t_r, the larger area
    that a slope facing the radar puts into a resolution cell (Ulander, IEEE TGRS 34(5), 1996), t_r being the
    incidence within the range plane. Limited to -6..+5.5 dB, where layover and shadow would begin.

    Args:
        east, north: (H, W) float32 rise per metre.

    Returns:
        (H, W) float32, 1 on flat ground.

    >>> flat, rise = np.zeros((1, 2), np.float32), np.array([[0.0, -0.2]], np.float32)
    >>> [round(float(gain), 2) for gain in slope_gain(rise, flat, SceneConfig())[0]]
    [1.0, 0.62]
    """
    look, theta = np.deg2rad(config.look_azimuth_deg), np.deg2rad(config.incidence_deg)
    away = east * np.float32(np.sin(look)) + north * np.float32(np.cos(look))
    steepness = np.sqrt(1.0 + east * east + north * north)
    cosine = (np.float32(np.cos(theta)) + np.float32(np.sin(theta)) * away) / steepness
    range_sine = (np.float32(np.sin(theta)) - np.float32(np.cos(theta)) * away) / np.sqrt(1.0 + away * away)
    gain = as_double(np.power, np.maximum(cosine / np.float32(np.cos(theta)), 0.05), exponent)
    gain *= np.float32(np.sin(theta)) / np.maximum(range_sine, 0.05)
    return np.clip(gain, MIN_SLOPE_GAIN, MAX_SLOPE_GAIN).astype(np.float32)


def gamma_texture(rng: np.random.Generator, layout: Layout, config: SceneConfig) -> np.ndarray:
    """Texture of the covers, (H, W) float32: gamma distributed with mean 1, and 1 where a cover has none."""
    texture = np.ones(layout.cover.shape, np.float32)
    for index, cover in enumerate(covers_at(config)):
        if np.isfinite(cover.texture_order):
            here = layout.cover == index
            draws = rng.standard_gamma(cover.texture_order, size=int(here.sum()), dtype=np.float32)
            texture[here] = draws / np.float32(cover.texture_order)
    return texture


def clean_sigma0(texture: np.ndarray, layout: Layout, config: SceneConfig) -> np.ndarray:
    """Expected sigma0, linear, (2, H, W) float32 for VV and VH: cover mean x object x texture x slope, blurred by the
    radar's point spread.

    Args:
        texture: (H, W), of `gamma_texture`.
    """
    covers = covers_at(config)
    gain = slope_gain(layout.east, layout.north, config)
    spread = np.array([cover.object_db for cover in covers], np.float32)[layout.cover]
    gain *= as_double(np.power, 10.0, np.float32(0.1) * spread * standardised(layout.object_id, 23))
    gain *= texture
    out = np.empty((2, *layout.cover.shape), np.float32)
    for band, levels in enumerate(([c.vv_db for c in covers], [c.vh_db for c in covers])):
        means = (10.0 ** (np.array(levels) / 10.0)).astype(np.float32)
        out[band] = means[layout.cover] * gain
        if config.psf_px > 0:
            out[band] = ndimage.gaussian_filter(out[band], config.psf_px, mode="nearest", truncate=3.0)
    return out


def gamma_speckle(rng: np.random.Generator, shape: tuple[int, int], looks: float, psf_px: float) -> np.ndarray:
    """Multiplicative intensity speckle of `looks` looks: gamma distributed, mean 1, variance 1/looks.

    A unit Gaussian field, correlated by the point spread, goes through the Wilson-Hilferty (1931) cube, which keeps
    mean and variance of the gamma law within 1 % for one look and more; values stay above 0.001.

    Returns:
        (H, W) float32.

    >>> speckle = gamma_speckle(np.random.default_rng(0), (256, 256), looks=4.0, psf_px=0.0)
    >>> round(float(speckle.mean()), 2), round(float(speckle.var()), 2)
    (1.0, 0.25)
    """
    field = rng.standard_normal(shape, dtype=np.float32)
    if psf_px > 0:
        radius = int(3.0 * psf_px + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / psf_px) ** 2)
        kernel /= np.sqrt((kernel**2).sum())
        for axis in (0, 1):
            field = ndimage.correlate1d(field, kernel, axis=axis, mode="wrap")
    field *= np.float32(1.0 / (3.0 * np.sqrt(looks)))
    field += np.float32(1.0 - 1.0 / (9.0 * looks))
    field = np.maximum(field, 0.1)
    return field * field * field


def observe(
    rng: np.random.Generator, clean: np.ndarray, looks: float, sar_gain_db: float, config: SceneConfig
) -> np.ndarray:
    """Thermal noise, speckle and calibration gain on clean sigma0 (2, H, W); independent speckle per band."""
    floor = 0.0 if config.noise_floor_db is None else 10.0 ** (config.noise_floor_db / 10.0)
    gain = np.float32(10.0 ** (sar_gain_db / 10.0))
    out = (clean + np.float32(floor)) * gain
    if config.speckle:
        for band in out:
            band *= gamma_speckle(rng, (band.shape[0], band.shape[1]), looks, config.psf_px)
    return out


def amplitude_q99(sigma0: np.ndarray) -> np.ndarray:
    """8-bit VH amplitude: sqrt(sigma0) over its 99 % quantile, times 255, clipped and rounded.

    Args:
        sigma0: linear, (H, W) for VH alone or (2, H, W) for VV and VH.

    Returns:
        (H, W) uint8.

    >>> amplitude_q99(np.array([[0.0, 0.01], [0.04, 0.04]], np.float32)).tolist()
    [[0, 128], [255, 255]]

    Raises:
        ValueError: another shape, negative values, or nothing above zero.
    """
    vh = sigma0[1] if sigma0.ndim == 3 and sigma0.shape[0] == 2 else sigma0
    if vh.ndim != 2:
        raise ValueError(f"sigma0 must be (H, W) or (2, H, W), got {sigma0.shape}")
    if not vh.min() >= 0:
        raise ValueError("sigma0 must be linear: no negative values or NaN")
    amplitude = np.sqrt(vh)
    top = float(np.quantile(amplitude, 0.99))
    if top <= 0:
        raise ValueError("sigma0 is zero almost everywhere: no 99 % quantile to scale by")
    return np.clip(np.rint(amplitude * (255.0 / top)), 0, 255).astype(np.uint8)
