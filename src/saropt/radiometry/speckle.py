"""Speckle: the multiplicative noise of coherent imaging."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saropt.radiometry.units import apply_gain


def speckle_gain_db(shape: tuple[int, ...], looks: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fully developed speckle of `looks` looks as a gain in dB: 10 log10 of Gamma(L, 1/L) intensity, mean power 1."""
    intensity = rng.standard_gamma(looks, size=shape, dtype=np.float32) / np.float32(looks)
    return (10.0 * np.log10(np.maximum(intensity, 1e-6))).astype(np.float32)


def add_speckle(values: NDArray[np.float32], units: str, looks: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Values (any shape, SAR `units`) multiplied by independent speckle of `looks` looks."""
    return apply_gain(values, units, speckle_gain_db(values.shape, looks, rng))
