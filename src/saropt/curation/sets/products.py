"""Scenes as the satellites' ground segments deliver them, and a pair of scenes of one's own.

Each becomes one raster a split: the scene is cut across its longer side into train, val and test parts with a gap. With
`optical` the two are brought to one grid; without, the root holds the SAR side alone (`paired: false`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from saropt.curation.sets.base import Entry, Plan, Source, SplitOptions, known, strips
from saropt.errors import InputError
from saropt.radiometry import SAR_UNITS
from saropt.scenes import Grid, Scene, Window, overlap_grid

_POLARISATION = re.compile(r"(?<![A-Za-z])(HH|HV|VH|VV)(?![A-Za-z])")


class SceneOptions(SplitOptions):
    train: float = Field(0.7, ge=0, le=1, description="share of the scene's length")
    val: float = Field(0.15, ge=0, le=1, description="share of the scene's length; test has the rest")
    gap: int = Field(64, ge=0, description="pixels left out between the parts")
    optical: str = Field("", description="optical raster of the same ground")
    optical_bands: list[str | int] | None = Field(None, description="bands to take of it")
    optical_units: str = Field("uint8", description="uint8, or the scale in words")
    gsd_m: float | None = Field(None, gt=0, description="pixel of the common grid; the coarser of the two when null")
    name: str = Field("", description="name of the root")
    licence: str = Field("not stated", description="licence of the images")


class PairOptions(SceneOptions):
    units: str = Field("sigma0_db", description=f"SAR units: {', '.join(SAR_UNITS)}")
    sar_bands: list[str | int] | None = Field(None, description="bands to take of the SAR raster")


def scene_plan(sar: Source, bands: Sequence[str], units: str, name: str, options: SceneOptions) -> Plan:
    """A plan of one SAR scene with or without an optical one on the ground they share."""
    with Scene.open(sar.paths[0], bands=sar.bands) as scene:
        place, height, width = scene.georeference, scene.height, scene.width
        step = _pixel_m(scene)
    sides: dict[str, Source] = {"sar": replace(sar, band_names=tuple(bands))}
    description: dict[str, Any] = {
        "name": options.name or name,
        "gsd_m": options.gsd_m or step,
        "paired": bool(options.optical),
        "sar": {"bands": list(bands), "units": units},
    }
    grid: Grid | None = None
    if options.optical:
        optical = Path(options.optical)
        with Scene.open(optical, bands=options.optical_bands) as scene:
            places = [(place, height, width), (scene.georeference, scene.height, scene.width)]
            grid = overlap_grid(places, options.gsd_m, sar.paths[0])
            names = scene.band_names
        chosen = tuple(options.optical_bands) if options.optical_bands else None
        sides["optical"] = Source((optical,), bands=chosen, grid=grid, resampling="cubic")
        description["optical"] = {"bands": names, "units": options.optical_units}
    elif options.gsd_m is not None and place.transform is not None and place.crs is not None:
        grid = overlap_grid([(place, height, width)], options.gsd_m, sar.paths[0])
    if grid is not None:
        description["gsd_m"] = float(abs(grid.transform.a))
        coarser = step is not None and description["gsd_m"] > 1.5 * step
        sides["sar"] = replace(sides["sar"], grid=grid, resampling="average" if coarser else "bilinear")
        height, width = grid.height, grid.width
    if description["gsd_m"] is None:
        raise InputError("--set", f"gsd_m: {sar.paths[0].name} does not say the size of its pixels in metres")
    description["licence"] = options.licence
    entries = [
        Entry(f"{sar.paths[0].stem}_{split}", split, {side: replace(s, window=window) for side, s in sides.items()})
        for split, window in strips(height, width, options.train, options.val, options.gap).items()
    ]
    return Plan(description, entries)


@known(
    "pair",
    title="two scenes of one place: SRC is the SAR raster, --set optical=FILE the optical one",
    layout="a raster with a place on the ground",
    options=PairOptions,
)
def pair(source: Path, options: PairOptions) -> Plan:
    """Warps both to their common ground: bilinear for SAR (average where pixels grow), cubic for optical."""
    if not options.optical:
        raise InputError("--set", "optical: a pair needs an optical raster (optical=FILE)")
    if options.units not in SAR_UNITS or options.units == "complex":
        raise InputError(
            "--set", f"units: {options.units!r} cannot be resampled; use one of {', '.join(SAR_UNITS[:-1])}"
        )
    with Scene.open(source, bands=options.sar_bands) as scene:
        names = scene.band_names
    bands = tuple(options.sar_bands) if options.sar_bands else None
    sar = Source((source,), bands=bands, nodata=float("nan"), dtype="float32")
    return scene_plan(sar, names, options.units, source.stem, options)


@known(
    "gaofen3",
    title="a Gaofen-3 L1A, L1B or L2 product: SRC is its folder, calibrated to sigma0 in dB",
    layout="NAME.meta.xml and NAME_..._HH_....tiff per polarisation",
    options=SceneOptions,
)
def gaofen3(source: Path, options: SceneOptions) -> Plan:
    """sigma0 = DN^2 (Q / M)^2 / 10^(K/10), Q = QualifyValue and K = CalibrationConst of the polarisation; M = 32767 for
    complex L1A (DN^2 = I^2 + Q^2, two int16 bands), else 65535 (Gaofen-3 user manual; the same numbers stand in SNAP's
    reader). Element names are those of products described there; no product was at hand to check them."""
    meta = _one(source, "*.meta.xml")
    tree = _xml(meta)
    rasters = {}
    for path in sorted([*source.glob("*.tiff"), *source.glob("*.tif")]):
        match = _POLARISATION.search(path.stem)
        if match is not None:
            rasters[match.group(1)] = path
    if not rasters:
        raise InputError(source, "holds no .tiff whose name has a polarisation (HH, HV, VH or VV)")
    factors = []
    for polarisation in rasters:
        quality = _number(tree, f".//QualifyValue/{polarisation}", meta)
        constant = _number(tree, f".//CalibrationConst/{polarisation}", meta)
        factors.append(quality / np.sqrt(10.0 ** (constant / 10.0)))
    first = next(iter(rasters.values()))
    with Scene.open(first) as scene:
        is_complex = scene.count == 2 or scene.dtype.startswith("complex")
    scale = np.array(factors) / (32767.0 if is_complex else 65535.0)

    def calibrate(values: NDArray, valid: NDArray[np.bool_], window: Window) -> NDArray:
        power = _power(values, len(scale)) * (scale**2)[:, None, None]
        return _decibels(power, valid)

    if is_complex and options.optical:
        raise InputError(source, "is in radar geometry (L1A): give an L2 product to pair it with an optical raster")
    sar = Source(tuple(rasters.values()), convert=calibrate, dtype="float32", nodata=float("nan"))
    return scene_plan(sar, list(rasters), "sigma0_db", source.absolute().name, options)


@known(
    "terrasar-x",
    title="a TerraSAR-X or TanDEM-X product: SRC is its folder, calibrated to sigma0 in dB",
    layout="TSX1_SAR_....xml and IMAGEDATA/IMAGE_HH_*.{tif,cos} per polarisation",
    options=SceneOptions,
)
def terrasar_x(source: Path, options: SceneOptions) -> Plan:
    """sigma0 = k_s DN^2 sin(theta), k_s the calFactor of the polarisation and theta the incidence angle between those
    of the scene's corners (Infoterra, "Radiometric Calibration of TerraSAR-X Data", 2008, eq. 1, without its noise
    term NEBN). On a grid of its own the scene centre's angle is used throughout."""
    meta = next((path for path in sorted(source.glob("T[SD]X*.xml"))), None)
    if meta is None:
        raise InputError(source, "holds no annotation named TSX1_SAR_....xml or TDX1_SAR_....xml")
    tree = _xml(meta)
    rasters, factors = {}, []
    for path in sorted((source / "IMAGEDATA").glob("IMAGE_*")):
        match = _POLARISATION.search(path.stem.replace("_", " "))
        if match is None or path.suffix.lower() not in (".tif", ".cos"):
            continue
        rasters[match.group(1)] = path
        constants = [
            element
            for element in tree.findall(".//calibration/calibrationConstant")
            if element.findtext("polLayer", match.group(1)).strip() == match.group(1)
        ]
        if not constants:
            raise InputError(meta, f"has no calibrationConstant of {match.group(1)}")
        factors.append(_number(constants[0], "calFactor", meta))
    if not rasters:
        raise InputError(source / "IMAGEDATA", "holds no IMAGE_*.tif or IMAGE_*.cos with a polarisation in its name")
    first = next(iter(rasters.values()))
    with Scene.open(first) as scene:
        height, width = scene.height, scene.width
    centre = np.deg2rad(_number(tree, ".//sceneCenterCoord/incidenceAngle", meta))
    plane = _incidence_plane(tree, meta, centre)
    resampled = options.optical or options.gsd_m is not None

    def calibrate(values: NDArray, valid: NDArray[np.bool_], window: Window) -> NDArray:
        rows = (np.arange(window.row, window.row + window.height) + 0.5) / height
        columns = (np.arange(window.col, window.col + window.width) + 0.5) / width
        theta = centre if resampled else plane[0] + plane[1] * rows[:, None] + plane[2] * columns[None]
        power = _power(values, len(factors)) * np.array(factors)[:, None, None] * np.sin(theta)
        return _decibels(power, valid)

    sar = Source(tuple(rasters.values()), convert=calibrate, dtype="float32", nodata=float("nan"))
    return scene_plan(sar, list(rasters), "sigma0_db", source.absolute().name, options)


def _incidence_plane(tree: ElementTree.Element, meta: Path, centre: float) -> NDArray[np.float64]:
    """Angle in radians = p0 + p1 row + p2 column, row and column from 0 to 1, by least squares over the corners."""
    corners = tree.findall(".//sceneCornerCoord")
    if len(corners) < 3:
        return np.array([centre, 0.0, 0.0])
    rows, columns, angles = (
        np.array([_number(corner, key, meta) for corner in corners])
        for key in ("refRow", "refColumn", "incidenceAngle")
    )
    design = np.stack([np.ones(len(rows)), rows / rows.max(), columns / columns.max()], axis=1)
    return np.linalg.lstsq(design, np.deg2rad(angles), rcond=None)[0]


def _power(values: NDArray, count: int) -> NDArray[np.float64]:
    """DN^2 (count, h, w) of real, complex, or I and Q bands (2 count, h, w)."""
    if np.iscomplexobj(values):
        return np.square(values.real.astype(np.float64)) + np.square(values.imag.astype(np.float64))
    squared = np.square(values.astype(np.float64))
    return squared.reshape(count, -1, *values.shape[1:]).sum(axis=1)


def _decibels(power: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray:
    """Decibels; pixels without power in some band become invalid."""
    valid &= (power > 0).all(axis=0)
    return 10.0 * np.log10(np.maximum(power, 1e-10))


def _pixel_m(scene: Scene) -> float | None:
    place = scene.georeference
    if place.transform is None or place.crs is None or not place.crs.is_projected:
        return None
    return float(np.hypot(place.transform.a, place.transform.d))


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        raise InputError(folder, f"holds {len(found)} files {pattern}; one is needed")
    return found[0]


def _xml(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(path, f"is not readable XML: {error}") from error


def _number(tree: ElementTree.Element, name: str, source: Path) -> float:
    text = tree.findtext(name)
    try:
        return float(text) if text is not None else float("none")
    except ValueError:
        raise InputError(source, f"has no number {name.removeprefix('.//')}") from None
