"""A Sentinel-1 GRD product that is read like a scene: calibrated window by window, nothing is written between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from saropt.domain import POLARISATIONS, SAR_UNITS, canonical_band, describe_units
from saropt.domain.stated_units import stated_units
from saropt.errors import OptionError
from saropt.radiometry import fitting_units, to_db
from saropt.scenes import Grid, Scene, Window, overlap_grid, read_mirrored, sample_pixels
from saropt.scenes.metadata import acquisition_date, select_bands
from saropt.sensors.calibrated import Calibrated
from saropt.sensors.product_names import digest_product, grd_product, sentinel2_product
from saropt.sensors.projection import MapProjection, span_in
from saropt.sensors.sentinel1 import TARGETS, GrdProduct
from saropt.sensors.sentinel2 import open_sentinel2
from saropt.sensors.terrain import Terrain, TerrainProjection

_TERRAIN_PIXEL_M: Final = 10.0
_SAMPLED: Final = 1 << 16


def open_scene_or_product(
    path: str | Path,
    units: str | None = None,
    *,
    bands: Sequence[str | int] | None = None,
    grid: Grid | None = None,
    resampling: str = "bilinear",
    nodata: float | None = None,
) -> Scene:
    """A local raster, a Sentinel-1 GRD product that is calibrated to `units` ("sigma0_db" when None), or a Sentinel-2
    product.

    Args:
        bands, grid, resampling: as of `Scene.open`; a Sentinel-1 product is put on the grid as by `GrdScene`. SAR in
            decibels or amplitude, by `units` or `recognised_units`, is resampled by its power.
        nodata: of a raster, as of `Scene.open`.

    Raises:
        InputError: as of `Scene.open` and `GrdScene`.

    >>> from saropt.scenes import write_array
    >>> with open_scene_or_product(write_array("scene.tif", np.ones((1, 8, 8), np.float32))) as scene:
    ...     scene.width
    8
    """
    if sentinel2_product(path) is not None:
        return open_sentinel2(path, bands, grid=grid, resampling=resampling)
    if grd_product(path) is None:
        power = None
        if grid is not None and resampling in ("bilinear", "average"):
            power = units
            if power not in SAR_UNITS:
                with Scene.open(path) as scene:
                    power = recognised_units(scene)
        return Scene.open(path, bands, grid=grid, resampling=resampling, power=power, nodata=nodata)
    return cast(Scene, GrdScene(path, bands, units=units, grid=grid))  # read in the same way


def recognised_units(scene: Scene) -> str | None:
    """The SAR units that a raster states. Where it states none: decibels, if its bands are named as polarisations and
    its values can be nothing else.

    >>> from saropt.scenes import write_array
    >>> decibels = np.linspace(-25, -5, 64, dtype=np.float32).reshape(1, 8, 8)
    >>> with Scene.open(write_array("scene.tif", decibels, band_names=["VV"])) as scene:
    ...     recognised_units(scene)
    'sigma0_db'
    """
    stated = stated_units(scene.tags, scene.band_names, scene.dtype)
    if stated is not None and stated.units is not None:
        return stated.units
    if scene.dtype.startswith("complex") or not has_polarisations(scene):
        return None
    fitting = fitting_units(scene.sample(_SAMPLED), scene.dtype)
    return fitting[0] if fitting and all(describe_units(one).scale == "decibels" for one in fitting) else None


def has_polarisations(scene: Scene) -> bool:
    """Whether all bands of a scene are named as polarisations.

    >>> from saropt.scenes import write_array
    >>> with Scene.open(write_array("scene.tif", np.ones((1, 8, 8), np.float32), band_names=["VV"])) as scene:
    ...     has_polarisations(scene)
    True
    """
    return all(canonical_band(name) in POLARISATIONS for name in scene.band_names)


class GrdScene:
    """An open GRD product, read like `saropt.scenes.Scene`: in radar geometry with its control points, or on a map.

    Thermal noise is subtracted, and border noise is invalid. On a map power is interpolated, and averaged where pixels
    become larger.

    Args:
        path: .SAFE folder, .zip or manifest.safe.
        bands: polarisations by name or 1-based number; all when None.
        units: what the pixels are calibrated to; "sigma0_db" when None.
        pixel_m: side in metres of the UTM pixels that it is projected to by its control points, without a terrain
            model; None for radar geometry.
        grid: a map grid to project it to, in place of `pixel_m`.
        terrain: a terrain model, by which the product is geocoded to the map grid (of 10 m unless one is asked for),
            and its backscatter made that of flat ground.

    Attributes:
        path, source, width, height, count, file_bands, dtype, band_names, georeference, tags, acquired: as of `Scene`.

    Raises:
        InputError: no GRD product, or a band that it lacks.
        OptionError: units that it is not calibrated to.

    >>> GrdScene("S1A_IW_GRDH.SAFE", units="amplitude")
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: units='amplitude': a product is calibrated to sigma0_db, sigma0, gamma0_db or gamma0
    """

    is_remote = is_plain_picture = is_rgb = False
    scaling = None
    nodata = None
    dtype = "float32"
    block_shape = (512, 512)

    def __init__(
        self,
        path: str | Path,
        bands: Sequence[str | int] | None = None,
        units: str | None = None,
        *,
        pixel_m: float | None = None,
        grid: Grid | None = None,
        terrain: Terrain | None = None,
    ) -> None:
        if units is not None and units not in TARGETS:
            *most, last = TARGETS
            raise OptionError("units", units, f"a product is calibrated to {', '.join(most)} or {last}")
        self.path = grd_product(path) or Path(path)
        self.source = str(self.path)
        self._product = GrdProduct(self.path)
        self.width, self.height = self._product.width, self._product.height
        every = self._product.polarisations
        self.file_bands = len(every)
        chosen = range(len(every)) if bands is None else select_bands(self.path, every, bands)
        self.band_names = [every[place] for place in chosen]
        self.count = len(self.band_names)
        self.georeference = self._product.georeference
        target = units or "sigma0_db"
        self.tags = {**self._product.tags, "CALIBRATED_TO": target, "NOISE_REMOVED": "True"}
        self.acquired: datetime | None = acquisition_date(self.tags, self.band_names)
        self._terrain = terrain
        self._projection: MapProjection | TerrainProjection | None = None
        if terrain is not None and pixel_m is None:
            pixel_m = _TERRAIN_PIXEL_M
        if grid is None and pixel_m is not None:
            grid = overlap_grid([(self.georeference, self.height, self.width)], pixel_m, self.path)
        self._decibels = grid is not None and target.endswith("_db")
        read_as = target.removesuffix("_db") if self._decibels else target
        self._calibrated = Calibrated(self._product, self.band_names, read_as)
        if grid is not None:
            frame = self.height, self.width, grid, self._calibrated.read
            if terrain is None:
                self._projection = MapProjection(self.georeference, *frame)
            else:
                span = span_in(self.georeference, self.height, self.width, grid)
                self._projection = TerrainProjection(self._product.geometry(), terrain, *frame, span)
                self.tags |= {"TERRAIN_FLATTENED": "True", "TERRAIN_MODEL": terrain.path.name}
            self.width, self.height, self.georeference = grid.width, grid.height, grid.georeference

    def close(self) -> None:
        """Close the archive, where it is one."""
        self._product.__exit__(None, None, None)
        if self._projection is not None:
            self._projection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, window: Window | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Backscatter (C, h, w) of a window inside the frame, 0 where invalid, and valid (h, w).

        Raises:
            InputError: the measurement cannot be read.
        """
        window = window or Window(0, 0, self.height, self.width)
        if self._projection is not None:
            values, valid = self._projection.read(window, self.count)
            if self._decibels:
                values = to_db(values, "sigma0")
                values[:, ~valid] = 0
            return values, valid
        values, measured = self._calibrated.read(window)
        valid = np.logical_and.reduce(measured)
        values[:, ~valid] = 0
        return values, valid

    read_stored = read

    def read_padded(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """As `read`, mirrored at the edges where the window reaches outside the frame."""
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray[np.float32]:
        """Valid pixels (C, n) from all over the scene. With a terrain model the tag RADAR_SHADOW_PERCENT then says how
        much of the ground that was read for them lies in radar shadow."""
        picked = sample_pixels(self, max_pixels)
        if isinstance(self._projection, TerrainProjection):
            self.tags["RADAR_SHADOW_PERCENT"] = f"{100 * self._projection.shadow_share:.1f}"
        return picked

    def identity(self) -> str:
        """A hash of the product's files, with the grid and the geoid; that of the terrain model is its own."""
        place = f" {self.georeference.transform} {self.width}x{self.height}" if self._projection is not None else ""
        geoid = "" if self._terrain is None else f" {self._terrain.geoid:g}"
        return digest_product(self.path) + place + geoid
