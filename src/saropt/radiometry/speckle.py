"""Speckle: the multiplicative noise of coherent imaging."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saropt.radiometry.noise import position_noise
from saropt.radiometry.units import apply_gain


def speckle_gain_db(shape: tuple[int, ...], looks: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fully developed speckle of `looks` looks as a gain in dB: 10 log10 of Gamma(L, 1/L) intensity, mean power 1.

    >>> gain = speckle_gain_db((200, 200), looks=4.0, rng=np.random.default_rng(0))
    >>> round(float((10.0 ** (gain / 10.0)).mean()), 2)
    1.0
    """
    intensity = rng.standard_gamma(looks, size=shape, dtype=np.float32) / np.float32(looks)
    return (10.0 * np.log10(np.maximum(intensity, 1e-6))).astype(np.float32)


def position_speckle_db(
    seed: int, bands: int, looks: float, row: int, col: int, height: int, width: int
) -> NDArray[np.float32]:
    """Speckle of the window at (row, col) as a gain in dB (bands, height, width), mean power 1.

    It is a function of seed, band and pixel position alone, so that tiles agree.

    Unit normal noise is smoothed by the binomial kernel (1, 2, 1) in both directions, as images are sampled finer than
    their resolution (neighbours correlate by 2/3), and made Gamma(L, 1/L) by the cube of Wilson & Hilferty, "The
    distribution of chi-square", PNAS 1931.

    >>> gain = position_speckle_db(0, 1, looks=4.0, row=0, col=0, height=300, width=300)
    >>> intensity = 10.0 ** (gain / 10.0)
    >>> round(float(intensity.mean()), 1), round(float(intensity.mean() ** 2 / intensity.var()))
    (1.0, 4)
    """
    noise = position_noise(seed, bands, row - 1, col - 1, height + 2, width + 2)
    noise = noise[:, :-2] + 2.0 * noise[:, 1:-1] + noise[:, 2:]
    noise = (noise[:, :, :-2] + 2.0 * noise[:, :, 1:-1] + noise[:, :, 2:]) / 6.0
    share = 1.0 / (9.0 * looks)
    intensity = np.maximum(1.0 - share + np.sqrt(share) * noise, 1e-2) ** 3
    return (10.0 * np.log10(intensity)).astype(np.float32)


def add_speckle(values: NDArray[np.float32], units: str, looks: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Values (any shape, SAR `units`) multiplied by independent speckle of `looks` looks.

    >>> values = np.full((200, 200), 0.1, np.float32)
    >>> round(float(add_speckle(values, "sigma0", 4.0, np.random.default_rng(0)).mean()), 2)
    0.1
    """
    return apply_gain(values, units, speckle_gain_db(values.shape, looks, rng))
