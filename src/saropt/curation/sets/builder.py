"""Builds data roots from plans: raster by raster, resumable, complete or not at all."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from saropt.curation.sets.base import SETS, DataSet, Entry, Plan, Source, read_options
from saropt.domain import describe_role
from saropt.errors import InputError, counted
from saropt.files import Lock, atomic_file, write_text
from saropt.progress import Progress
from saropt.roots.description import write_description
from saropt.roots.one_grid import check_one_grid
from saropt.roots.opening import band_numbers
from saropt.roots.root import ImageSpec
from saropt.roots.values import NO_PIXEL, contradiction
from saropt.scenes import Georeference, Scene, SceneWriter, Window
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.nodata import choose_nodata, copy_beside, with_nodata
from saropt.sensors.grd_scene import open_scene_or_product

_STRIP_PIXELS = 1 << 21
_SMALL_PIXELS = 1 << 20
_OPEN_SCENES = 6
_LOOKED_AT = 3


def prepare(
    name: str,
    source: str | Path,
    out: str | Path,
    options: Sequence[str] = (),
    *,
    partial: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Turn a public data set into a data root. It appears under `out` only when it is complete.

    Rasters are written one by one into a hidden folder beside `out`; after an interruption the same call continues.

    Args:
        name: one of `SETS`.
        source: folder of the unpacked published set.
        out: folder to make.
        options: options of the set as texts `key=value`.
        partial: accept a source that lacks part of the set. OUT/missing.txt then lists what is missing.

    Raises:
        InputError: the set is unknown, the source does not have the published layout, parts are missing (listed in
            OUT.missing.txt), or the output cannot be made.

    >>> prepare("qxs-saropt", "unknown", "root")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: unknown: no such file or folder
    """
    if name not in SETS:
        raise InputError(name, f"unknown set; known: {', '.join(SETS)}")
    source, out = Path(source), Path(out).absolute()
    if out.exists():
        raise InputError(out, "exists already")
    if not out.parent.is_dir():
        raise InputError(out, f"the folder {out.parent} does not exist")
    if not source.exists():
        raise InputError(source, "no such file or folder")
    entry: DataSet = SETS[name]
    chosen = read_options(entry, options)
    plan = entry.plan(source, chosen)
    if not plan.entries:
        raise InputError(source, f"holds nothing of {name}; expected {entry.layout}")
    if plan.missing and not partial:
        report = out.with_name(f"{out.name}.missing.txt")
        report.write_text("".join(f"{line}\n" for line in plan.missing), encoding="utf-8")
        first = "; ".join(plan.missing[:3]) + (", ..." if len(plan.missing) > 3 else "")
        reason = f"lacks {counted(len(plan.missing), 'thing')} ({first}), all listed in {report}"
        raise InputError(source, reason, remedy="partial")
    plan.description["prepared"] = {"set": name, "options": chosen.model_dump(mode="json")}
    key = f"{name} {source.absolute()} {chosen.model_dump_json()} {len(plan.entries)}"
    return build(plan, out, key, progress)


def build(plan: Plan, out: Path, key: str, progress: Progress | None = None) -> Path:
    """Write a plan as a data root. `key` identifies everything that determines the result, so that interrupted work can
    be continued.

    Raises:
        InputError: a source cannot be read or contradicts the units or bands of the plan, the rasters of a name are not
            on one grid though the plan says pairs, the output cannot be written, or other unfinished work is in the
            way.

    >>> from saropt.curation.sets.base import Entry
    >>> from saropt.scenes import write_array
    >>> path = write_array("s1.tif", np.ones((1, 8, 8), np.float32), band_names=["VV"])
    >>> entries = [Entry("tile", "train", {"sar": Source((path,))})]
    >>> sorted(file.name for file in build(Plan({"name": "mine"}, entries), Path("root"), "mine").iterdir())
    ['dataset.yaml', 'sar', 'splits.csv']
    """
    part = out.with_name(f".{out.name}.preparing")
    digest = hashlib.sha256(key.encode()).hexdigest()
    readers = Readers()
    try:
        _check_units(plan, readers)
        with Lock(part.with_name(f"{part.name}.lock"), out, "is being prepared by another process"):
            part.mkdir(exist_ok=True)
            settings = part / ".settings"
            if not settings.exists() and not any(part.iterdir()):
                write_text(settings, digest)
            if not settings.exists() or settings.read_text(encoding="utf-8") != digest:
                raise InputError(out, f"unfinished work with other settings is in the way: remove {part}")
            for number, entry in enumerate(plan.entries, start=1):
                _check_entry(entry, plan, readers)
                for side, source in entry.sides.items():
                    (part / side).mkdir(exist_ok=True)
                    stem = part / side / entry.name
                    if isinstance(source, Source):
                        write_source(source, stem, readers, categorical=side == "label")
                    elif not (target := stem.with_name(f"{stem.name}.tif")).exists():
                        source(target)
                if progress is not None:
                    progress(number, len(plan.entries), entry.name)
            _describe(part, plan)
            settings.unlink()
            part.rename(out)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        readers.close()
    return out


def _check_units(plan: Plan, readers: Readers) -> None:
    """Refuse sources that contradict the units which the plan declares, or hold nothing; those of the first entries are
    looked at.

    Raises:
        InputError: one contradicts them, or all of a role are without a valid pixel.
    """
    found: dict[str, list[tuple[Path, str | None]]] = {}
    for entry in plan.entries[:_LOOKED_AT]:
        for side, source in entry.sides.items():
            units = plan.description.get(side, {}).get("units")
            if units is not None and isinstance(source, Source) and source.convert is None:
                for path in source.paths:
                    problem = contradiction(readers.open(source, path), units)
                    found.setdefault(side, []).append((path, problem))
    for side, problems in found.items():
        empty = all(problem == NO_PIXEL for _, problem in problems)
        for path, problem in problems:
            if problem is not None and (empty or problem != NO_PIXEL):
                raise InputError(path, f"{side}: {problem}")


@dataclass(frozen=True)
class _Frame:
    """Size and place of a raster to be made."""

    height: int
    width: int
    georeference: Georeference


def _check_entry(entry: Entry, plan: Plan, readers: Readers) -> None:
    """Refuse sources of a name that are on other grids, and files to be copied whose bands are not those of the plan;
    no pixel is read."""
    first: tuple[str, _Frame] | None = None
    for side, source in entry.sides.items():
        if not isinstance(source, Source):
            continue
        scene, path = readers.open(source, source.paths[0]), source.paths[0]
        bands = plan.description.get(side, {}).get("bands")
        if source.is_copy and bands is not None:
            band_numbers(
                path, ImageSpec(tuple(bands), ""), scene.stated_names, spare=True, by=f"the {side} of the data set"
            )
        if not plan.description.get("paired", True):
            continue
        window = source.window or Window(0, 0, scene.height, scene.width)
        frame = _Frame(window.height, window.width, _moved(scene.georeference, window))
        if first is None:
            first = side, frame
        else:
            check_one_grid(path, f"{describe_role(first[0]).title} and {describe_role(side).title}", first[1], frame)


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
        one = source.grid is None and len(declared) == 1 and first.nodata is not None and _fits(first.nodata, dtype)
        if source.convert is not None or one:
            return first.nodata
        if dtype.kind in "fc":
            return float("nan")
        key = replace(source, window=None), dtype
        if key not in self._nodata:
            rows = max(1, _STRIP_PIXELS // first.width)
            parts = (Window(row, 0, min(rows, first.height - row), first.width) for row in range(0, first.height, rows))
            self._nodata[key] = choose_nodata(_read(source, scenes, dtype, part) for part in parts)
        return self._nodata[key]

    def close(self) -> None:
        while self._scenes:
            self._scenes.popitem()[1].close()


def write_source(source: Source, stem: Path, readers: Readers, *, categorical: bool = False) -> Path:
    """Write one raster as `stem` plus suffix, unless it exists already. Returns its path."""
    if source.is_copy:
        target = stem.with_name(stem.name + source.paths[0].suffix.lower())
        if not target.exists():
            readers.open(source, source.paths[0])  # a file that is no raster is told here
            copy_beside(source.paths[0], target)
            with atomic_file(target) as part:
                shutil.copyfile(source.paths[0], part)
        return target
    target = stem.with_name(f"{stem.name}.tif")
    if target.exists():
        return target
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
    dtype = np.dtype(source.dtype or ("complex64" if first.dtype == "complex_int16" else first.dtype))
    nodata = readers.nodata_of(source, dtype)

    def read(part: Window) -> NDArray:
        values, valid = _read(source, scenes, dtype, part)
        if source.convert is None and source.nodata is None:
            return with_nodata(values, valid, nodata)
        if nodata is not None:
            values[:, ~valid] = nodata
        return values

    place = _moved(first.georeference, window)
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
        rows = max(1, _STRIP_PIXELS // window.width)
        for row in range(0, window.height, rows):
            height = min(rows, window.height - row)
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
    return values.astype(dtype), valid


def _fits(nodata: float, dtype: np.dtype) -> bool:
    return dtype.kind not in "ui" or (
        float(nodata).is_integer() and np.iinfo(dtype).min <= nodata <= np.iinfo(dtype).max
    )


def _moved(place: Georeference, window: Window) -> Georeference:
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


def _describe(part: Path, plan: Plan) -> None:
    columns = list(dict.fromkeys(column for entry in plan.entries for column in entry.columns))
    rows = [(one.name, one.split, *(one.columns.get(column, "") for column in columns)) for one in plan.entries]
    write_description(part, plan.description, rows, columns)
    if plan.missing:
        (part / "missing.txt").write_text("".join(f"{line}\n" for line in plan.missing), encoding="utf-8")
