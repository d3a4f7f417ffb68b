"""Registration: scene A resampled onto B's grid by the transform that matching found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from saropt.addresses import without_secrets
from saropt.domain import SAR_UNITS
from saropt.errors import InputError, OptionError
from saropt.files import check_not_input
from saropt.matching.geometry import inverted, transformed
from saropt.matching.scene_matching import SceneMatch
from saropt.progress import Progress, silent
from saropt.radiometry import check_units, from_power, to_power
from saropt.scenes import Grid, Scene, SceneWriter, Window
from saropt.scenes.georeference import cut_windows
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.nodata import nodata_of_type, usual_nodata, with_nodata
from saropt.sensors.grd_scene import has_polarisations, open_scene_or_product, recognised_units
from saropt.sensors.unchanged import Unchanged

_BLOCK, _SAMPLED = 512, 1 << 16


def register(
    match: SceneMatch,
    out: str | Path,
    overwrite: bool = False,
    progress: Progress = silent,
    units: str | None = None,
) -> Path:
    """Resample A's own pixels (never those of its translation) bilinearly onto B's whole grid, and write a COG.

    Between georeferenced scenes an affine transform corrects A's georeference, so that A is resampled once; a
    homography resamples a second time what was warped to B's grid. Where A declares no nodata value, 0 (unsigned), the
    lowest value (signed) or NaN marks pixels that A does not cover; valid whole numbers that are nodata become the next
    number. SAR in decibels or amplitude is resampled by its power.

    Args:
        progress: called after every block.
        units: SAR units of A; those of `saropt.sensors.grd_scene.recognised_units` when None.

    Raises:
        InputError: A is complex or not in these units, or the output cannot be written; nothing is left under its name.

    >>> from saropt.matching import Sift, match_scenes
    >>> from saropt.scenes import write_array
    >>> image = np.random.default_rng(0).integers(0, 255, (1, 256, 256)).astype(np.uint8)
    >>> paths = [write_array(f"{name}.tif", image, band_names=["VV"]) for name in "ab"]
    >>> register(match_scenes(*paths, Sift()), "moved.tif").name
    'moved.tif'
    """
    check_not_input(out, [match.a, match.b])
    with open_scene_or_product(match.b) as target:
        height, width, place = target.height, target.width, target.georeference
    matrix, grid = _in_pixels_of_b(match), None
    if match.grid is not None:
        assert place.crs is not None
        assert place.transform is not None
        affine = place.transform
        if match.kind != "homography":
            (a, b, c), (d, e, f), _ = inverted(matrix)
            affine, matrix = affine @ Affine(a, b, c, d, e, f), np.eye(3)
        grid = Grid(place.crs, affine, height, width)
    inputs = Unchanged(match.a)
    units = units_to_register(match.a, units)
    with open_scene_or_product(match.a, units, grid=grid) as source:
        if source.dtype.startswith("complex"):
            raise InputError(match.a, "has complex pixels, which cannot be resampled: take their power first")
        dtype = np.dtype(source.dtype)
        nodata = nodata_of_type(source.nodata, dtype)
        nodata = usual_nodata(dtype) if nodata is None else nodata
        with SceneWriter(
            out,
            width=width,
            height=height,
            band_names=source.band_names,
            dtype=dtype,
            nodata=nodata,
            georeference=place,
            tags=tags_for_output(source, same_units=True)
            | {"SAROPT_REGISTERED_TO": match.b.name, "SAROPT_REGISTERED_BY": f"{match.method}, {match.kind}"},
            overwrite=overwrite,
            photometric="rgb" if source.is_rgb and source.count == 3 else None,
        ) as writer:
            windows = cut_windows(height, width, _BLOCK)
            for number, window in enumerate(windows, start=1):
                values, valid = _resampled(source, matrix, window, None if units == "uint8" else units)
                writer.write(window.row, window.col, _stored(values, valid, dtype, nodata))
                progress(number, len(windows), "blocks")
            inputs.check()
            return writer.finish()


def units_to_register(a: str | Path, units: str | None) -> str | None:
    """The SAR units of a scene: those that are given, once its values are found to fit them, else its own, or None.

    Args:
        a: the scene.
        units: the given ones.

    Raises:
        OptionError: there are no such units.
        InputError: the scene cannot be read, or contradicts the given units.

    >>> from saropt.scenes import write_array
    >>> decibels = np.linspace(-25, -5, 64, dtype=np.float32).reshape(1, 8, 8)
    >>> units_to_register(write_array("a.tif", decibels, band_names=["VV"]), None)
    'sigma0_db'
    """
    if units is not None and units not in SAR_UNITS:
        raise OptionError("units", units, f"must be one of {', '.join(SAR_UNITS)}")
    with open_scene_or_product(a, units) as scene:
        if units is None:
            return recognised_units(scene)
        try:
            check_units(scene.sample(_SAMPLED), units, scene.dtype)
        except ValueError as error:
            raise InputError(a, str(error)) from error
    return units


def unknown_units(a: str | Path) -> str | None:
    """One line where `register` cannot tell the units of a SAR scene, and would resample its numbers as they are.

    >>> from saropt.scenes import write_array
    >>> unknown_units(write_array("a.tif", np.ones((1, 8, 8), np.float32), band_names=["VV"]))
    'a.tif: its SAR units are unknown: resampled as plain numbers; state them with --units'
    """
    with open_scene_or_product(a) as scene:
        if scene.dtype == "uint8" or not has_polarisations(scene) or recognised_units(scene) is not None:
            return None
    return f"{without_secrets(str(a))}: its SAR units are unknown: resampled as plain numbers; state them with --units"


def _in_pixels_of_b(match: SceneMatch) -> NDArray[np.float64]:
    """The transform from A warped to B's whole grid (from A's own pixels, without a grid) to the pixels of B."""
    if match.grid is None:
        return match.matrix
    with open_scene_or_product(match.b) as target:
        affine = target.georeference.transform
    assert affine is not None
    to_file = np.array(~affine @ match.grid.transform, np.float64).reshape(3, 3)
    return to_file @ match.matrix @ inverted(to_file)


def _resampled(
    source: Scene, matrix: NDArray[np.float64], window: Window, units: str | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values (C, h, w) and validity (h, w) of A in a window of B; SAR in stated units is resampled by its power."""
    import cv2

    shape = window.height, window.width
    if np.array_equal(matrix, np.eye(3)) and window.inside(source.height, source.width):
        return source.read(window)
    columns, rows = np.meshgrid(np.arange(window.width) + window.col + 0.5, np.arange(window.height) + window.row + 0.5)
    looked_up = transformed(inverted(matrix), np.column_stack([columns.ravel(), rows.ravel()])) - 0.5
    left, top = np.floor(looked_up.min(0)).astype(int)
    right, bottom = np.ceil(looked_up.max(0)).astype(int) + 1
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, source.width), min(bottom, source.height)
    if right <= left or bottom <= top:
        return np.zeros((source.count, *shape), np.float32), np.zeros(shape, bool)
    values, valid = source.read(Window(top, left, bottom - top, right - left))
    x, y = ((looked_up - (left, top)).T.reshape(2, *shape)).astype(np.float32)
    values = values if units is None else to_power(values, units)
    bands = [cv2.remap(band, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for band in values]
    share = cv2.remap(valid.astype(np.float32), x, y, cv2.INTER_LINEAR, borderValue=0.0)
    made = np.stack(bands)
    return made if units is None else from_power(made, units), share > 0.999


def _stored(values: NDArray[np.float32], valid: NDArray[np.bool_], dtype: np.dtype, nodata: float) -> NDArray:
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return with_nodata(values.astype(dtype), valid, nodata)
