"""What all data sets have in common: the plan of a data root, its splits, and the reading of options."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from saropt.errors import InputError, OptionError
from saropt.files import load_yaml
from saropt.registry import Registry
from saropt.roots.names import the_only
from saropt.roots.opening import band_numbers
from saropt.roots.root import ImageSpec
from saropt.roots.splits import SPLITS
from saropt.scenes import Grid, Scene, Window
from saropt.scenes.georeference import NOMINAL, Framed, pixel_metres

Convert = Callable[[NDArray, NDArray[np.bool_], Window], NDArray]
Write = Callable[[Path], object]
"""Writes a GeoTIFF of the given name at once or not at all."""
IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
S2_BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")


@dataclass(frozen=True)
class Source:
    """Where the pixels of one raster of a data root come from.

    Attributes:
        paths: files of equal size whose bands are stacked. A single file is copied as it is where nothing else is set.
        bands: bands to take from each file.
        window: the part of the file to take; all of it when None.
        grid: grid that the file is warped to; its own when None.
        resampling: how pixels are resampled to `grid`.
        fill: a stored number that is no measurement, which the file does not declare.
        convert: (stored values (C, h, w), valid (h, w), window of the file or grid) -> values to write (C', h, w).
        band_names: names of the bands of the result; needed with `convert`.
        dtype: data type of the result; that of the file when None.
        nodata: nodata value of the result; that of the file when None.
        units: SAR units of the file, by whose power it is resampled; what a Sentinel-1 product is calibrated to,
            sigma0_db when None.
        palette_index: read the indices of a paletted image, as for class numbers, instead of its colours.

    >>> Source((Path("a.tif"),)).is_copy, Source((Path("a.tif"),), bands=(1,)).is_copy
    (True, False)
    """

    paths: tuple[Path, ...]
    bands: tuple[str | int, ...] | None = None
    window: Window | None = None
    grid: Grid | None = None
    resampling: str = "bilinear"
    fill: float | None = None
    convert: Convert | None = None
    band_names: tuple[str, ...] | None = None
    dtype: str | None = None
    nodata: float | None = None
    units: str | None = None
    palette_index: bool = False

    @property
    def is_copy(self) -> bool:
        plain = (self.bands, self.window, self.grid, self.convert, self.dtype, self.nodata) == (None,) * 6
        return plain and len(self.paths) == 1 and self.paths[0].suffix.lower() in IMAGES


@dataclass(frozen=True)
class Entry:
    """One name of the data root. `sides` maps each role to the source of its raster, or to a function that writes it;
    `columns` are the further columns of splits.csv, such as the group.

    >>> Entry("tile_1", "train", {"sar": Source((Path("s1.tif"),))}).split
    'train'
    """

    name: str
    split: str
    sides: Mapping[str, Source | Write]
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A data root to be made.

    Attributes:
        description: content of dataset.yaml.
        entries: rasters to write.
        missing: one line for each part of the published set that the source lacks.
        files: what rasters are made of besides the paths of their sources: annotations, tables, what functions read.
            Where one of them has changed, interrupted work begins anew.
        notes: a line for each thing that is taken for granted.

    >>> Plan({"name": "mine"}, [Entry("tile_1", "train", {"sar": Source((Path("s1.tif"),))})]).missing
    []
    """

    description: dict[str, Any]
    entries: list[Entry]
    missing: list[str] = field(default_factory=list)
    files: Sequence[Path] = ()
    notes: Sequence[str] = ()


class Options(BaseModel):
    """Options that every set has.

    >>> SplitOptions(seed=1, train=0.7).val
    0.1
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    seed: int = Field(0, ge=0, description="seed of the split")


class SplitOptions(Options):
    """Options of sets whose images are split in groups."""

    train: float = Field(0.8, ge=0, le=1, description="share of train")
    val: float = Field(0.1, ge=0, le=1, description="share of val; test has the rest")

    @model_validator(mode="after")
    def _shares(self) -> SplitOptions:
        if self.train + self.val > 1.0 + 1e-9:
            raise ValueError("train and val sum to more than 1")
        return self


@dataclass(frozen=True)
class DataSet:
    """A data set that `saropt data prepare` can read: its planner, its options, its title and the layout of its files.

    >>> SETS["qxs-saropt"].title
    'QXS-SAROPT: 20,000 GF-3 / Google Earth pairs of three ports, 256x256, 1 m'
    """

    name: str
    title: str
    layout: str
    plan: Callable[[Path, Any], Plan]
    options: type[Options]


SETS: Registry[DataSet] = Registry("data set", "saropt.sets")
"""All sets by name. A module in this folder is imported by itself; other packages use the entry point group."""
Planner = TypeVar("Planner", bound=Callable[[Path, Any], Plan])


def register_set(name: str, *, title: str, layout: str, options: type[Options]) -> Callable[[Planner], Planner]:
    """Register a planner: (source, options) -> Plan.

    Args:
        name: name of the set in `saropt data prepare`.
        title: one line that says what it is.
        layout: how its published files are arranged.
        options: pydantic model of the options of the set.

    Raises:
        ValueError: the name is taken.

    >>> register_set("pair", title="", layout="", options=Options)(lambda source, options: Plan({}, []))
    Traceback (most recent call last):
    ...
    ValueError: data set 'pair' is registered twice
    """

    def register(planner: Planner) -> Planner:
        SETS.add(name, DataSet(name, title, layout, planner, options))
        return planner

    return register


def read_options(entry: DataSet, pairs: Sequence[str]) -> Options:
    """Read the options of a set from texts `key=value`; values are YAML.

    Raises:
        InputError: an unknown key or an unfit value.
    """
    values = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise OptionError("options", None, f"{pair!r} is not key=value")
        try:
            values[key.strip()] = load_yaml(text)
        except yaml.YAMLError as error:
            raise OptionError("options", None, f"{pair!r} is not YAML: {str(error).splitlines()[0]}") from error
    try:
        return entry.options.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or entry.name
        reason = f"{where}: {first['msg']}; {entry.name} takes {', '.join(entry.options.model_fields)}"
        raise OptionError("options", None, reason) from error


def split_groups(groups: Sequence[str], train: float, val: float, seed: int) -> dict[str, str]:
    """Assign whole groups to splits at random: floor(train n) of n groups to train, floor(val n) to val, the rest to
    test.

    With at least three groups, every split whose share is above 0 gets a group.

    >>> sorted(split_groups(["a", "a", "b", "c"], train=0.6, val=0.2, seed=0).values())
    ['test', 'train', 'val']
    """
    unique = sorted(set(groups))
    count = len(unique)
    shares = [int(train * count + 1e-9), int(val * count + 1e-9)]
    shares.append(count - sum(shares))
    wanted = (train, val, 1.0 - train - val)
    if count >= 3:
        for index, share in enumerate(wanted):
            if share > 1e-9 and shares[index] == 0:
                shares[int(np.argmax(shares))] -= 1
                shares[index] += 1
    order = np.random.default_rng(seed).permutation(count)
    splits = np.repeat(SPLITS, shares)
    return {unique[place]: str(split) for place, split in zip(order, splits, strict=True)}


def strips(height: int, width: int, train: float, val: float, gap: int = 0) -> dict[str, Window]:
    """Cut a scene across its longer side into parts for train, val and test, `gap` pixels apart. Empty parts are left
    out.

    >>> {split: (part.row, part.height) for split, part in strips(100, 50, 0.7, 0.15, gap=4).items()}
    {'train': (0, 70), 'val': (74, 11), 'test': (89, 11)}
    """
    length = max(height, width)
    edges = [0, round(train * length), round((train + val) * length), length]
    parts = {}
    for number, split in enumerate(SPLITS):
        start, stop = edges[number] + (gap if edges[number] else 0), edges[number + 1]
        if stop > start:
            tall = height >= width
            parts[split] = Window(start, 0, stop - start, width) if tall else Window(0, start, height, stop - start)
    return parts


def images(folder: Path, pattern: str = r"(.+)") -> dict[str, Path]:
    """The image files of a folder by key, sorted. The key is the first group of `pattern` in the stem of the file name.

    Raises:
        InputError: no such folder, or two files of one key.
    """
    if not folder.is_dir():
        raise InputError(folder, "no such folder in the source")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(pattern, path.stem, re.DOTALL)
        if path.suffix.lower() in IMAGES and match is not None and not path.name.startswith("."):
            add_only(found, match.group(1), path)
    return found


def add_only(found: dict[str, Path], key: str, path: Path) -> None:
    """Add a file by its key.

    Raises:
        InputError: another file has this key.

    >>> found: dict[str, Path] = {}
    >>> add_only(found, "a", Path("a.tif"))
    >>> found["a"].name
    'a.tif'
    """
    found[key] = the_only([found[key], path]) if key in found else path


def first_readable(paths: Sequence[Path]) -> Path:
    """The first of several rasters that can be opened, or the very first.

    >>> first_readable([Path("absent.tif"), Path("away.tif")]).name
    'absent.tif'
    """
    for path in paths:
        try:
            with Scene.open(path):
                return path
        except InputError:
            continue
    return paths[0]


def check_folder(source: Path) -> None:
    """Refuse what is no folder.

    Raises:
        InputError: it does not exist, or is an archive or another file.

    >>> Path("sen12.zip").touch()
    >>> check_folder(Path("sen12.zip"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: sen12.zip: is an archive: unpack it and name the folder
    """
    if not source.is_dir():
        archive = source.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
        there = "is an archive: unpack it and name the folder" if archive else "is not a folder"
        raise InputError(source, there if source.exists() else "no such folder")


def first_folder(source: Path, names: Sequence[str]) -> Path:
    """The first of several folder names (upper or lower case) that exists in the source.

    Raises:
        InputError: it has none of them.
    """
    check_folder(source)
    here = {path.name.lower(): path for path in source.iterdir() if path.is_dir()}
    for name in names:
        if name.lower() in here:
            return here[name.lower()]
    raise InputError(source, f"has no folder named {' or '.join(names)}")


def pair_up(sides: Mapping[str, Mapping[str, Path]]) -> tuple[list[str], list[str]]:
    """The sorted keys that every role has, and a line for each key that a role lacks.

    >>> pair_up({"sar": {"a": Path("a.tif"), "b": Path("b.tif")}, "optical": {"a": Path("a.png")}})
    (['a'], ['b: no optical image'])
    """
    everything = sorted(set().union(*sides.values()))
    complete = [key for key in everything if all(key in files for files in sides.values())]
    lines = [f"{key}: no {side} image" for key in everything for side, files in sides.items() if key not in files]
    return complete, lines


def count_line(found: int, published: int, what: str) -> list[str]:
    """A line for `Plan.missing` where the count differs from the published one."""
    return [] if found == published else [f"{published} {what} were published, {found} are here"]


def pixel_side(scene: Framed) -> float | None:
    """Ground size of a raster's pixels in metres: as its transform states it, where that is right to 1 %, such as in
    UTM, and not in degrees. None where the raster has no place on the globe.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> affine = Affine(10, 0, 5e5, 0, -10, 7e6)
    >>> [pixel_side(Grid(CRS.from_epsg(code), affine, 9, 9)) for code in (32611, 3857)]
    [10.0, 6.01]
    """
    transform, side = scene.georeference.transform, pixel_metres(scene.georeference, scene.height, scene.width)
    if side is None:
        return None
    if transform is not None and abs((stated := math.hypot(transform.a, transform.d)) / side - 1.0) < NOMINAL:
        return stated
    return float(f"{side:.3g}")


def bands_by_name(scene: Scene, described: Sequence[str], side: str, *, spare: bool = True) -> tuple[int, ...]:
    """Numbers, from 1, of the bands of a data set in a file of it: by the names that the file states, in the published
    order where it states none.

    Args:
        spare: whether the file may have further bands that are not found by name.

    Raises:
        InputError: the file has another number of bands, or others by name.

    >>> from saropt.scenes import write_array
    >>> path = write_array("s1.tif", np.ones((2, 8, 8), np.float32), band_names=["VH", "VV"])
    >>> with Scene.open(path) as scene:
    ...     bands_by_name(scene, ["VV", "VH"], "sar")
    (2, 1)
    """
    spec, by = ImageSpec(tuple(described), ""), f"the {side} of the data set"
    return band_numbers(scene.path, spec, scene.stated_names, spare=spare, by=by)
