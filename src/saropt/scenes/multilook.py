"""SAR rasters on coarser grids: the mean power of the finer pixels, a multilook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from saropt.domain import describe_units
from saropt.domain.stated_units import stated_units
from saropt.radiometry import from_power, to_power
from saropt.scenes.georeference import Georeference, Window, moved
from saropt.scenes.grid import Grid
from saropt.scenes.mirroring import read_mirrored
from saropt.scenes.pixel_samples import sample_pixels
from saropt.scenes.reading import Scene
from saropt.scenes.remote import open_scene

_FINE_PIXELS = 1 << 22
_POWER = ("decibels", "power", "amplitude")


def open_multilooked(
    path: str | Path,
    bands: Sequence[str | int] | None = None,
    *,
    grid: Grid | None = None,
    units: str | None = None,
    nodata: float | None = None,
) -> Scene:
    """A SAR raster, read as if brought to a grid. Where its pixels are much finer, those of the grid are the mean of
    their power: a mean of decibels is up to 2.5 dB lower, that of amplitude up to 1 dB.

    Args:
        path, bands, grid, nodata: as of `saropt.scenes.open_scene`.
        units: SAR units of the raster, where its tags and the names of its bands do not state them.

    Raises:
        InputError: as of `open_scene`.

    >>> from rasterio.crs import CRS
    >>> from saropt.scenes import write_array
    >>> decibels = np.full((1, 8, 8), [0.0, -20.0] * 4, np.float32)
    >>> place = Georeference(CRS.from_epsg(32611), Affine(10, 0, 0, 0, -10, 0))
    >>> path = write_array("fine.tif", decibels, band_names=["VV"], georeference=place)
    >>> grid = Grid(place.crs, Affine(20, 0, 0, 0, -20, 0), 4, 4)
    >>> with open_multilooked(path, grid=grid, units="sigma0_db") as scene:
    ...     scene.read()[0].round(2).max()
    np.float32(-2.97)
    """
    if grid is None:
        return open_scene(path, bands, units=units, nodata=nodata)
    with open_scene(path, bands) as own:
        stated = stated_units(own.tags, own.band_names, own.dtype)
        known = units if stated is None or stated.units is None else stated.units
        looks = _looks(own.georeference, grid)
    if looks == (1, 1) or known is None or describe_units(known).scale not in _POWER:
        resampling = "bilinear" if looks == (1, 1) or known is None else "average"
        return open_scene(path, bands, grid=grid, resampling=resampling, units=units, nodata=nodata)
    across, down = looks
    fine = Grid(grid.crs, grid.transform @ Affine.scale(1 / across, 1 / down), grid.height * down, grid.width * across)
    scene = open_scene(path, bands, grid=fine, resampling="nearest", units=units, nodata=nodata)
    return cast(Scene, Multilooked(scene, looks, known, grid))  # read in the same way


def _looks(place: Georeference, grid: Grid) -> tuple[int, int]:
    """How many pixels of a raster lie along a row and a column of one pixel of a grid, at least 1."""
    if place.crs is None or place.transform is None:
        return 1, 1
    middle = np.array([[grid.width / 2], [grid.height / 2]])
    pixels: NDArray = np.hstack([middle, middle, middle]) + np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    ground = np.stack(grid.transform @ (pixels[0], pixels[1]))
    found = ground if grid.crs == place.crs else moved(ground, grid.crs, place.crs)
    if found is None or place.transform.is_degenerate:
        return 1, 1
    own: NDArray = np.stack(~place.transform @ (found[0], found[1]))
    here, right, below = own.T
    ratios = np.hypot(*(right - here)), np.hypot(*(below - here))
    across, down = (max(round(float(ratio)), 1) if np.isfinite(ratio) else 1 for ratio in ratios)
    return across, down


class Multilooked:
    """A scene of fine pixels, read like one of coarse pixels.

    Args:
        fine: on a grid of `looks` times as many columns and rows; closed with this.
        looks: columns and rows of fine pixels in one coarse pixel.
        units: SAR units of the pixels.
        grid: that of the coarse pixels.

    >>> from saropt.scenes import write_array
    >>> fine = Scene.open(write_array("fine.tif", np.ones((1, 8, 8), np.float32)))
    >>> with Multilooked(fine, (2, 4), "amplitude", Grid(None, Affine.identity(), 2, 4)) as scene:
    ...     scene.read()[0].shape
    (1, 2, 4)
    """

    def __init__(self, fine: Scene, looks: tuple[int, int], units: str, grid: Grid) -> None:
        self._fine, self._looks, self._units = fine, looks, units
        self.width, self.height = grid.width, grid.height
        self.georeference = Georeference(grid.crs, grid.transform)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fine, name)

    def __enter__(self) -> Multilooked:
        return self

    def __exit__(self, *_: object) -> None:
        self._fine.close()

    @property
    def block_shape(self) -> tuple[int, int]:
        """(height, width) of the blocks in which coarse pixels are read fastest."""
        (across, down), (height, width) = self._looks, self._fine.block_shape
        return max(height // down, 1), max(width // across, 1)

    def read(self, window: Window | None = None) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) in the units, and validity (h, w): where any fine pixel is valid."""
        w = window or Window(0, 0, self.height, self.width)
        across, down = self._looks
        rows = max(_FINE_PIXELS // (w.width * across * down), 1)
        starts = range(0, w.height, rows)
        parts = [self._means(Window(w.row + at, w.col, min(rows, w.height - at), w.width)) for at in starts]
        return np.concatenate([one for one, _ in parts], axis=1), np.concatenate([two for _, two in parts])

    def read_stored(self, window: Window | None = None) -> tuple[NDArray, NDArray[np.bool_]]:
        """As `read`: no file stores these pixels."""
        return self.read(window)

    def _means(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        across, down = self._looks
        fine = Window(window.row * down, window.col * across, window.height * down, window.width * across)
        values, measured = self._fine.read(fine)
        cells = (window.height, down, window.width, across)
        power = np.where(measured, to_power(values, self._units), 0.0).reshape(-1, *cells).sum(axis=(2, 4))
        counts = measured.reshape(cells).sum(axis=(1, 3))
        valid = counts > 0
        means = from_power(power / np.maximum(counts, 1), self._units)
        means[:, ~valid] = 0
        return means, valid

    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """As `read`, mirrored at the edges where the window reaches outside the grid."""
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray:
        """Valid pixels (C, n) from all over the grid."""
        return sample_pixels(self, max_pixels)
