"""Scenes as satellite ground segments deliver them, and a pair of your own scenes.

Each scene becomes one raster for each split: it is cut across its longer side into parts for train, val and test with a
gap between them. With `optical` both scenes are warped to one grid; without it the root holds SAR alone (`paired:
false`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from saropt.curation.sets.base import Entry, Plan, Source, SplitOptions, pixel_side, register_set, strips
from saropt.errors import InputError, OptionError
from saropt.radiometry import SAR_UNITS
from saropt.roots.values import measured_rule
from saropt.scenes import Georeference, Grid, overlap_grid
from saropt.scenes.georeference import check_ground
from saropt.scenes.measurements import sar_units_of, stored_fill
from saropt.sensors.grd_scene import open_scene_or_product
from saropt.sensors.product_folders import ProductFolder, read_gaofen3, read_terrasar_x
from saropt.sensors.product_names import grd_product, sentinel2_product


class SceneOptions(SplitOptions):
    train: float = Field(0.7, ge=0, le=1, description="share of the scene's length")
    val: float = Field(0.15, ge=0, le=1, description="share of the scene's length; test has the rest")
    gap: int = Field(64, ge=0, description="pixels left out between the parts")
    optical: str = Field("", description="optical raster, or Sentinel-2 product, of the same ground")
    optical_bands: list[str | int] | None = Field(None, description="bands to take of it")
    optical_units: str | None = Field(
        None, description="uint8, or the scale in words; uint8 when null, of a Sentinel-2 product reflectance x 10000"
    )
    gsd_m: float | None = Field(None, gt=0, description="pixel of the common grid; the coarser of the two when null")
    name: str = Field("", description="name of the root")
    licence: str = Field("not stated", description="licence of the images")


class PairOptions(SceneOptions):
    units: str | None = Field(
        None, description=f"SAR units: {', '.join(SAR_UNITS)}; those that the raster states, else sigma0_db, when null"
    )
    sar_bands: list[str | int] | None = Field(None, description="bands to take of the SAR raster")


def scene_plan(sar: Source, bands: Sequence[str], units: str, name: str, options: SceneOptions) -> Plan:
    """Plan a data root from a SAR scene, with or without an optical scene, on the ground that both cover."""
    with open_scene_or_product(sar.paths[0], bands=sar.bands) as scene:
        place, height, width = scene.georeference, scene.height, scene.width
        step = pixel_side(scene) if place.crs is not None and place.crs.is_projected else None
        if sar.convert is None and grd_product(sar.paths[0]) is None:
            sar = replace(sar, fill=stored_fill(scene, measured_rule(scene, "sar", units, scene.sample())[0]))
    sides: dict[str, Source] = {"sar": replace(sar, band_names=tuple(bands))}
    description: dict[str, Any] = {
        "name": options.name or name,
        "gsd_m": options.gsd_m or step,
        "paired": bool(options.optical),
        "sar": {"bands": list(bands), "units": units},
    }
    grid: Grid | None = None
    if options.optical:
        optical = read_optical(options)
        grid = overlap_grid([(place, height, width), optical.place], options.gsd_m, sar.paths[0])
        sides["optical"] = replace(optical.source, grid=grid)
        description["optical"] = optical.description
    elif options.gsd_m is not None and place.transform is not None and place.crs is not None:
        grid = overlap_grid([(place, height, width)], options.gsd_m, sar.paths[0])
    if grid is not None:
        description["gsd_m"] = pixel_side(grid) or float(abs(grid.transform.a))
        coarser = step is not None and description["gsd_m"] > 1.5 * step
        sides["sar"] = replace(sides["sar"], grid=grid, resampling="average" if coarser else "bilinear")
        height, width = grid.height, grid.width
    if description["gsd_m"] is None:
        raise OptionError("options", None, f"gsd_m: {sar.paths[0].name} does not say the size of its pixels in metres")
    description["licence"] = options.licence
    entries = [
        Entry(f"{sar.paths[0].stem}_{split}", split, {side: replace(s, window=window) for side, s in sides.items()})
        for split, window in strips(height, width, options.train, options.val, options.gap).items()
    ]
    return Plan(description, entries)


@dataclass(frozen=True)
class OpticalScene:
    """The optical raster of a pair.

    Attributes:
        source: its pixels, resampled cubically and without fill; the grid is still to be set.
        place: georeference, height and width.
        description: its entry of dataset.yaml.

    >>> OpticalScene(Source((Path("a.tif"),)), (Georeference(), 8, 8), {"bands": ["B4"]}).place[1:]
    (8, 8)
    """

    source: Source
    place: tuple[Georeference, int, int]
    description: dict[str, Any]


def read_optical(options: SceneOptions) -> OpticalScene:
    """The optical raster that options name.

    Raises:
        InputError: it cannot be read, holds nothing but fill, or lies nowhere on the ground.
        OptionError: other units are stated than a Sentinel-2 product has.

    >>> read_optical(SceneOptions(optical="absent.tif"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: absent.tif: no such file
    """
    path, units = Path(options.optical), optical_units(Path(options.optical), options.optical_units)
    with open_scene_or_product(path, bands=options.optical_bands) as scene:
        check_ground(scene.georeference, scene.height, scene.width, path)
        fill = stored_fill(scene, measured_rule(scene, "optical", units, scene.sample())[0])
        place, names = (scene.georeference, scene.height, scene.width), scene.band_names
    chosen = tuple(options.optical_bands) if options.optical_bands else None
    source = Source((path,), bands=chosen, resampling="cubic", fill=fill)
    return OpticalScene(source, place, {"bands": names, "units": units})


def optical_units(optical: Path, stated: str | None) -> str:
    """The units of an optical raster as they are stated, or else "uint8"; those of a Sentinel-2 product are its own.

    Raises:
        OptionError: other units are stated than a Sentinel-2 product has.
    """
    if sentinel2_product(optical) is None:
        return stated or "uint8"
    if stated is not None and "10000" not in stated:
        raise OptionError("options", None, f"optical_units: {optical.name} is read as reflectance x 10000")
    return stated or "reflectance x 10000"


@register_set(
    "pair",
    title="two scenes of one place: SRC is the SAR scene, --set optical=FILE the optical one",
    layout="a raster with a place on the ground, or a Sentinel product",
    options=PairOptions,
)
def pair(source: Path, options: PairOptions) -> Plan:
    """Warp both scenes to the ground that they share: SAR bilinearly (by the mean power where pixels become larger),
    optical cubically."""
    if not options.optical:
        raise OptionError("options", None, "optical: a pair needs an optical raster (optical=FILE)")
    if options.units is not None:
        _check_resampled(options.units)
    with open_scene_or_product(source, options.units, bands=options.sar_bands) as scene:
        names = scene.band_names
        units = sar_units_of(scene, options.units, "sigma0_db", "set units=UNITS")
    _check_resampled(units)
    bands = tuple(options.sar_bands) if options.sar_bands else None
    sar = Source((source,), bands=bands, nodata=float("nan"), dtype="float32", units=units)
    return scene_plan(sar, names, units, source.stem, options)


def _check_resampled(units: str) -> None:
    if units not in SAR_UNITS or units == "complex":
        able = ", ".join(SAR_UNITS[:-1])
        raise OptionError("options", None, f"units: {units!r} cannot be resampled; use one of {able}")


@register_set(
    "gaofen3",
    title="a Gaofen-3 L1A, L1B or L2 product: SRC is its folder, calibrated to sigma0 in dB",
    layout="NAME.meta.xml and NAME_..._HH_....tiff per polarisation",
    options=SceneOptions,
)
def gaofen3(source: Path, options: SceneOptions) -> Plan:
    """A Gaofen-3 product, calibrated by `saropt.sensors.product_folders.read_gaofen3`."""
    product = read_gaofen3(source)
    if product.is_complex and options.optical:
        raise InputError(source, "is in radar geometry (L1A): give an L2 product to pair it with an optical raster")
    return _calibrated_plan(product, source, options)


@register_set(
    "terrasar-x",
    title="a TerraSAR-X or TanDEM-X product: SRC is its folder, calibrated to sigma0 in dB",
    layout="TSX1_SAR_....xml and IMAGEDATA/IMAGE_HH_*.{tif,cos} per polarisation",
    options=SceneOptions,
)
def terrasar_x(source: Path, options: SceneOptions) -> Plan:
    """A TerraSAR-X product, calibrated by `saropt.sensors.product_folders.read_terrasar_x`; with one incidence angle
    where it is warped to another grid."""
    product = read_terrasar_x(source, resampled=bool(options.optical) or options.gsd_m is not None)
    return _calibrated_plan(product, source, options)


def _calibrated_plan(product: ProductFolder, source: Path, options: SceneOptions) -> Plan:
    paths = tuple(product.rasters.values())
    numbers = "complex" if product.is_complex else "amplitude"  # the mean power is calibrated, not the mean number
    sar = Source(paths, convert=product.calibrate, dtype="float32", nodata=float("nan"), units=numbers)
    plan = scene_plan(sar, list(product.rasters), "sigma0_db", source.absolute().name, options)
    return replace(plan, files=[source])
