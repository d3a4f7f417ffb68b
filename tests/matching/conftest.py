from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from scipy import ndimage

from saropt.scenes import Georeference

UTM = CRS.from_epsg(32630)


def make_texture(size: int, seed: int = 0) -> np.ndarray:
    """(size, size) float32 in [0, 1]: blobs, edges and fine grain, none of it periodic."""
    random = np.random.default_rng(seed)
    coarse = ndimage.gaussian_filter(random.normal(size=(size, size)), 6)
    fine = ndimage.gaussian_filter(random.normal(size=(size, size)), 1.5)
    mixed = np.sign(coarse) + 2.0 * coarse / coarse.std() + fine / fine.std()
    return ((mixed - mixed.min()) / np.ptp(mixed)).astype(np.float32)


def at(x: float, y: float, pixel: float = 10.0) -> Georeference:
    """A place in UTM 30N, upper left corner x, y."""
    return Georeference(UTM, Affine(pixel, 0, x, 0, -pixel, y))


@pytest.fixture(scope="session")
def texture() -> np.ndarray:
    return make_texture(420)
