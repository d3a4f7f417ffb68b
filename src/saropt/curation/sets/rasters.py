"""Writes the rasters of a data root from their sources: each whole, and each pixel of a source read."""

from __future__ import annotations

import shutil
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from saropt.curation.sets.base import IMAGES, Source
from saropt.errors import InputError, counted
from saropt.files import atomic_file
from saropt.roots.one_grid import check_one_grid
from saropt.scenes import Georeference, Scene, SceneWriter, Window
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.nodata import choose_nodata, copy_beside, files_beside, nodata_of_type, with_nodata
from saropt.sensors.grd_scene import open_scene_or_product

_STRIP_PIXELS = 1 << 21
_SMALL_PIXELS = 1 << 20
_OPEN_SCENES = 6


class Readers:
    """Keeps the last few scenes open, so that a file is opened once for many windows."""

    def __init__(self) -> None:
        self._scenes: OrderedDict[tuple[object, ...], Scene] = OrderedDict()
        self._nodata: dict[tuple[Source, np.dtype], float | None] = {}

    def open(self, source: Source, path: Path) -> Scene:
        key = (path, source.bands, source.grid, source.resampling, source.units, source.fill, source.palette_index)
        if key not in self._scenes:
            how: dict[str, Any] = {"bands": source.bands, "grid": source.grid, "resampling": source.resampling}
            if source.palette_index:
                self._scenes[key] = Scene.open(path, palette="index", **how)
            else:
                self._scenes[key] = open_scene_or_product(path, source.units, nodata=source.fill, **how)
            while len(self._scenes) > _OPEN_SCENES:
                self._scenes.popitem(last=False)[1].close()
        self._scenes.move_to_end(key)
        return self._scenes[key]

    def nodata_of(self, source: Source, dtype: np.dtype) -> float | None:
        """What marks invalid pixels in the rasters that are made of a source: what it or its files declare, or else a
        value that no valid pixel of the files has. All windows of the files get the same."""
        if source.nodata is not None:
            return source.nodata
        scenes = [self.open(source, path) for path in source.paths]
        first, declared = scenes[0], {scene.nodata for scene in scenes}
        one = source.grid is None and len(declared) == 1 and nodata_of_type(first.nodata, dtype) is not None
        if source.convert is not None or one:
            return first.nodata
        if dtype.kind in "fc":
            return float("nan")
        key = replace(source, window=None), dtype
        if key not in self._nodata:
            self._nodata[key] = choose_nodata(_read(source, scenes, dtype, part) for part in _row_windows(first))
        return self._nodata[key]

    def close(self) -> None:
        while self._scenes:
            self._scenes.popitem()[1].close()


def write_source(source: Source, stem: Path, readers: Readers, *, categorical: bool = False) -> Path:
    """Write one raster as `stem` plus suffix. Returns its path.

    Raises:
        InputError: a pixel of the source cannot be read or has no place in the type of the raster, or the source has
            other bands or another size than the plan says.

    >>> from saropt.scenes import write_array
    >>> path = write_array("s1.tif", np.full((1, 8, 8), 268, np.uint16))
    >>> write_source(Source((path,), dtype="uint8"), Path("label"), Readers())
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: s1.tif: holds 268, but uint8 has whole numbers from 0 to 255
    """
    if source.is_copy:
        target = stem.with_name(stem.name + source.paths[0].suffix.lower())
        scene = readers.open(source, source.paths[0])
        for rows in _row_windows(scene):
            scene.read_stored(rows)  # what cannot be read is told here
        copy_beside(source.paths[0], target)
        with atomic_file(target) as part:
            shutil.copyfile(source.paths[0], part)
        return target
    target = stem.with_name(f"{stem.name}.tif")
    scenes = [readers.open(source, path) for path in source.paths]
    first = scenes[0]
    for scene in scenes[1:]:
        check_one_grid(scene.path, f"{first.path.name} and {scene.path.name}", first, scene)
    tags = tags_for_output(first, same_units=source.convert is None)
    window = source.window or Window(0, 0, first.height, first.width)
    if not window.inside(first.height, first.width):
        raise InputError(first.path, f"is {first.height}x{first.width} pixels: smaller than expected")
    names = source.band_names or tuple(name for scene in scenes for name in scene.band_names)
    if len(set(names)) < len(names):
        names = tuple(f"{scene.path.stem} {name}" for scene in scenes for name in scene.band_names)
    count = sum(scene.count for scene in scenes)
    if source.convert is None and len(names) != count:
        raise InputError(first.path, f"has {counted(count, 'band')}, {len(names)} expected: {', '.join(names)}")
    dtype = np.dtype(source.dtype or ("complex64" if first.dtype == "complex_int16" else first.dtype))
    nodata = readers.nodata_of(source, dtype)

    def read(part: Window) -> NDArray:
        values, valid = _read(source, scenes, dtype, part)
        if source.convert is None and source.nodata is None:
            return with_nodata(values, valid, nodata)
        if nodata is not None:
            values[:, ~valid] = nodata
        return values

    place = moved(first.georeference, window)
    if window.height * window.width <= _SMALL_PIXELS:
        _write_small(target, read(window), names, nodata, place, tags, categorical)
        return target
    with SceneWriter(
        target,
        width=window.width,
        height=window.height,
        band_names=names,
        dtype=dtype,
        nodata=nodata,
        georeference=place,
        tags=tags,
        overview_resampling="nearest" if categorical else "average",
    ) as writer:
        step = max(1, _STRIP_PIXELS // window.width)
        for row in range(0, window.height, step):
            height = min(step, window.height - row)
            writer.write(row, 0, read(Window(window.row + row, window.col, height, window.width)))
        return writer.finish()


def _read(source: Source, scenes: Sequence[Scene], dtype: np.dtype, part: Window) -> tuple[NDArray, NDArray[np.bool_]]:
    """Values to write (C, h, w) and validity (h, w) of a window of the source."""
    scaled = source.convert is None and any(scene.scaling for scene in scenes)
    pieces = [scene.read(part) if scaled else scene.read_stored(part) for scene in scenes]
    values = np.concatenate([piece[0] for piece in pieces])
    valid = np.logical_and.reduce([piece[1] for piece in pieces])
    if source.convert is not None:
        values = source.convert(values, valid, part)
    else:
        for scene, (stored, _) in zip(scenes, pieces, strict=True):
            _check_fits(stored[:, valid], dtype, scene.path)
    return values.astype(dtype), valid


def _check_fits(measured: NDArray, dtype: np.dtype, path: Path) -> None:
    """Refuse pixels that a type of whole numbers would turn into others."""
    if dtype.kind not in "ui" or measured.dtype == dtype:
        return
    limits = np.iinfo(dtype)
    wrong = (measured < limits.min) | (measured > limits.max) | (measured % 1 != 0)
    if wrong.any():
        value, able = measured[wrong][0], f"{dtype} has whole numbers from {limits.min} to {limits.max}"
        raise InputError(path, f"holds {value:.7g}, but {able}")


def _row_windows(scene: Scene) -> Iterator[Window]:
    """The rows of a scene, whole blocks at a time where blocks are not too large."""
    rows = max(1, _STRIP_PIXELS // scene.width)
    if rows > scene.block_shape[0]:
        rows -= rows % scene.block_shape[0]
    for row in range(0, scene.height, rows):
        yield Window(row, 0, min(rows, scene.height - row), scene.width)


def unreadable(source: Source) -> InputError | None:
    """Why a file of a source cannot be read to its end; None where all can.

    >>> Path("s1.tif").write_text("no raster")
    9
    >>> str(unreadable(Source((Path("s1.tif"),)))).split(":")[:2]
    ['s1.tif', ' is not a raster that can be read']
    """
    for path in source.paths:
        try:
            with open_scene_or_product(path) as scene:
                for part in _row_windows(scene):
                    scene.read_stored(part)
        except InputError as error:
            return error
    return None


def remove_raster(stem: Path) -> None:
    """Remove what was written as `stem` plus suffix, and what lies beside it.

    >>> Path("tile.tif").write_text("")
    0
    >>> remove_raster(Path("tile"))
    >>> Path("tile.tif").exists()
    False
    """
    for suffix in IMAGES:
        raster = stem.with_name(stem.name + suffix)
        for path in (raster, *files_beside(raster)):
            path.unlink(missing_ok=True)


def moved(place: Georeference, window: Window) -> Georeference:
    """The place of a window of a raster on the ground.

    >>> moved(Georeference(None, rasterio.Affine(10, 0, 0, 0, -10, 0)), Window(1, 2, 8, 8)).transform[:6]
    (10.0, 0.0, 20.0, 0.0, -10.0, -10.0)
    """
    if place.transform is None:
        return Georeference() if (window.row, window.col) != (0, 0) else place
    return Georeference(place.crs, place.transform @ rasterio.Affine.translation(window.col, window.row))


def _write_small(
    target: Path,
    values: NDArray,
    names: Sequence[str],
    nodata: float | None,
    place: Georeference,
    tags: Mapping[str, str],
    categorical: bool,
) -> None:
    count, height, width = values.shape
    form = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype}
    form |= {"photometric": "minisblack", "alpha": "no"}  # four bands are no picture with transparency
    if place.transform is not None:
        form |= {"crs": place.crs, "transform": place.transform}
    predictor = 1 if values.dtype.kind == "c" or categorical else 3 if values.dtype.kind == "f" else 2
    try:
        with (
            atomic_file(target) as part,
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(part, "w", **form, nodata=nodata, compress="deflate", predictor=predictor) as dataset,
        ):
            dataset.write(values)
            dataset.update_tags(**tags)
            for index, name in enumerate(names, start=1):
                dataset.set_band_description(index, name)
    except rasterio.errors.RasterioError as error:
        raise InputError(target, f"cannot be written: {' '.join(str(error).split())}") from error
