"""Gaofen-3 and TerraSAR-X products as their ground segments deliver them: rasters with a calibration to sigma0."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.files import load_xml
from saropt.scenes import Scene, Window
from saropt.sensors.annotation import number_in

Calibrate = Callable[[NDArray, NDArray[np.bool_], Window], NDArray]
"""(stored values (C, h, w), valid (h, w), window) -> sigma0 in dB (polarisations, h, w); pixels without power become
invalid."""
_POLARISATION = re.compile(r"(?<![A-Za-z])(HH|HV|VH|VV)(?![A-Za-z])")


@dataclass(frozen=True)
class ProductFolder:
    """The rasters of a product and their calibration.

    Attributes:
        rasters: polarisation -> file; all on one grid.
        calibrate: from the bands of all files, stacked in that order, to sigma0 in dB.
        is_complex: whether pixels are complex, so that the product is in radar geometry.

    >>> product = ProductFolder({"VV": Path("IMAGE_VV.tif")}, lambda values, valid, window: values, is_complex=False)
    >>> list(product.rasters)
    ['VV']
    """

    rasters: Mapping[str, Path]
    calibrate: Calibrate
    is_complex: bool


def read_gaofen3(folder: Path) -> ProductFolder:
    """A Gaofen-3 L1A, L1B or L2 product.

    sigma0 = DN^2 (Q / M)^2 / 10^(K/10), Q = QualifyValue and K = CalibrationConst of the polarisation; M = 32767 for
    complex L1A (DN^2 = I^2 + Q^2, two int16 bands), else 65535 (Gaofen-3 user manual; the same numbers stand in SNAP's
    reader). Element names are those of products described there; no product was at hand to check them.

    Raises:
        InputError: no annotation, a number of it or the rasters are missing, or two rasters are of one polarisation.

    >>> Path("product").mkdir()
    >>> read_gaofen3(Path("product"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: product: holds 0 files *.meta.xml; one is needed
    """
    meta = _one(folder, "*.meta.xml")
    tree = _xml(meta)
    rasters: dict[str, Path] = {}
    for path in sorted([*folder.glob("*.tiff"), *folder.glob("*.tif")]):
        match = _POLARISATION.search(path.stem)
        if match is not None:
            _add(rasters, match.group(1), path)
    if not rasters:
        raise InputError(folder, "holds no .tiff whose name has a polarisation (HH, HV, VH or VV)")
    factors = []
    for polarisation in rasters:
        quality = number_in(tree, f".//QualifyValue/{polarisation}", meta)
        constant = number_in(tree, f".//CalibrationConst/{polarisation}", meta)
        factors.append(quality / np.sqrt(10.0 ** (constant / 10.0)))
    with Scene.open(next(iter(rasters.values()))) as scene:
        is_complex = scene.count == 2 or scene.dtype.startswith("complex")
    scale = np.array(factors) / (32767.0 if is_complex else 65535.0)

    def calibrate(values: NDArray, valid: NDArray[np.bool_], window: Window) -> NDArray:
        return _decibels(_power(values, len(scale)) * (scale**2)[:, None, None], valid)

    return ProductFolder(rasters, calibrate, is_complex)


def read_terrasar_x(folder: Path, *, resampled: bool = False) -> ProductFolder:
    """A TerraSAR-X or TanDEM-X product.

    sigma0 = k_s DN^2 sin(theta), k_s the calFactor of the polarisation and theta the incidence angle between those of
    the scene's corners (Infoterra, "Radiometric Calibration of TerraSAR-X Data", 2008, eq. 1, without its noise term
    NEBN).

    Args:
        resampled: the pixels come on another grid than the product's: the scene centre's angle is used throughout.

    Raises:
        InputError: no annotation, a number of it or the rasters are missing, or two rasters are of one polarisation.

    >>> Path("product").mkdir()
    >>> read_terrasar_x(Path("product"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: product: holds no annotation named TSX1_SAR_....xml or TDX1_SAR_....xml
    """
    meta = next((path for path in sorted(folder.glob("T[SD]X*.xml"))), None)
    if meta is None:
        raise InputError(folder, "holds no annotation named TSX1_SAR_....xml or TDX1_SAR_....xml")
    tree = _xml(meta)
    rasters: dict[str, Path] = {}
    factors = []
    for path in sorted((folder / "IMAGEDATA").glob("IMAGE_*")):
        match = _POLARISATION.search(path.stem.replace("_", " "))
        if match is None or path.suffix.lower() not in (".tif", ".cos"):
            continue
        _add(rasters, match.group(1), path)
        constants = [
            element
            for element in tree.findall(".//calibration/calibrationConstant")
            if element.findtext("polLayer", match.group(1)).strip() == match.group(1)
        ]
        if not constants:
            raise InputError(meta, f"has no calibrationConstant of {match.group(1)}")
        factors.append(number_in(constants[0], "calFactor", meta))
    if not rasters:
        raise InputError(folder / "IMAGEDATA", "holds no IMAGE_*.tif or IMAGE_*.cos with a polarisation in its name")
    with Scene.open(next(iter(rasters.values()))) as scene:
        height, width, is_complex = scene.height, scene.width, scene.dtype.startswith("complex")
    centre = np.deg2rad(number_in(tree, ".//sceneCenterCoord/incidenceAngle", meta))
    plane = _incidence_plane(tree, meta, centre)

    def calibrate(values: NDArray, valid: NDArray[np.bool_], window: Window) -> NDArray:
        rows = (np.arange(window.row, window.row + window.height) + 0.5) / height
        columns = (np.arange(window.col, window.col + window.width) + 0.5) / width
        theta = centre if resampled else plane[0] + plane[1] * rows[:, None] + plane[2] * columns[None]
        return _decibels(_power(values, len(factors)) * np.array(factors)[:, None, None] * np.sin(theta), valid)

    return ProductFolder(rasters, calibrate, is_complex)


def _add(rasters: dict[str, Path], polarisation: str, path: Path) -> None:
    if polarisation in rasters:
        raise InputError(rasters[polarisation], f"{path.name} is of {polarisation} too: keep one of them")
    rasters[polarisation] = path


def _incidence_plane(tree: ElementTree.Element, meta: Path, centre: float) -> NDArray[np.float64]:
    """Angle in radians = p0 + p1 row + p2 column, row and column from 0 to 1, by least squares over the corners."""
    corners = tree.findall(".//sceneCornerCoord")
    if len(corners) < 3:
        return np.array([centre, 0.0, 0.0])
    rows, columns, angles = (
        np.array([number_in(corner, key, meta) for corner in corners])
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


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        raise InputError(folder, f"holds {len(found)} files {pattern}; one is needed")
    return found[0]


def _xml(path: Path) -> ElementTree.Element:
    try:
        return load_xml(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(path, f"is not readable XML: {error}") from error
