"""Random changes of a training window: symmetries alike for all images, radiometric changes for each of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saropt.domain import Role, describe_role, describe_units
from saropt.radiometry import add_speckle, apply_gain


@dataclass(frozen=True)
class Augmentation:
    """What is varied, and how much.

    Attributes:
        flips: the eight symmetries of the square, alike for all images. Rotations change the radar's look direction;
            switch them off where layover and shadow matter.
        sar_gain_db: calibration gain of a SAR image, uniform in +- this many decibels.
        sar_contrast: contrast of a SAR image that is an 8-bit stretch, a factor log-uniform in [1/x, x] about its mean,
            as publishers stretch each image on its own.
        speckle_probability: share of windows whose SAR image gets extra speckle of L looks, L uniform in `looks`.
        optical_gain: brightness factor of an optical image, log-uniform in [1/x, x].

    >>> changes = Augmentation(sar_gain_db=2.0)
    >>> changes.disturb(np.random.default_rng(0), "sar", np.zeros((1, 1, 1), np.float32), "sigma0_db").round(2)
    array([[[0.55]]], dtype=float32)
    """

    flips: bool = True
    sar_gain_db: float = 0.0
    sar_contrast: float = 1.0
    speckle_probability: float = 0.0
    looks: tuple[float, float] = (3.0, 20.0)
    optical_gain: float = 1.0

    def symmetry(self, rng: np.random.Generator, *images: NDArray) -> list[NDArray]:
        """The same random symmetry applied to images (..., s, s)."""
        if not self.flips:
            return list(images)
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        turned = [np.rot90(image, turns, axes=(-2, -1)) for image in images]
        return [image[..., ::-1] for image in turned] if mirror else turned

    def disturb(self, rng: np.random.Generator, role: Role, values: NDArray, units: str) -> NDArray:
        """Values (C, h, w) of a role with radiometric changes: of backscatter and reflectance, nothing else."""
        quantity = describe_role(role).quantity
        if quantity == "backscatter":
            return self.disturb_sar(rng, values, units)
        return self.disturb_optical(rng, values) if quantity == "reflectance" else values

    def disturb_sar(self, rng: np.random.Generator, values: NDArray, units: str) -> NDArray:
        """SAR values (C, h, w) with random gain, contrast and speckle, in their own units."""
        if self.sar_gain_db > 0.0:
            values = apply_gain(values, units, float(rng.uniform(-self.sar_gain_db, self.sar_gain_db)))
        if self.sar_contrast > 1.0 and describe_units(units).scale == "stretch":
            factor = np.float32(np.exp(rng.uniform(-1.0, 1.0) * np.log(self.sar_contrast)))
            mean = values.mean(axis=(1, 2), keepdims=True)
            values = mean + factor * (values - mean)
        if self.speckle_probability > 0.0 and rng.random() < self.speckle_probability:
            values = add_speckle(values, units, float(rng.uniform(*self.looks)), rng)
        return values

    def disturb_optical(self, rng: np.random.Generator, values: NDArray) -> NDArray:
        """Optical values (C, h, w) with a random brightness."""
        if self.optical_gain == 1.0:
            return values
        return values * np.float32(np.exp(rng.uniform(-1.0, 1.0) * np.log(self.optical_gain)))
