"""Data sets of small image files: SEN1-2, SAR2Opt, QXS-SAROPT, DDHR, and a folder of your own pairs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from pydantic import Field

from saropt.curation.sets.base import (
    Entry,
    Options,
    Plan,
    Source,
    SplitOptions,
    count_line,
    first_folder,
    first_readable,
    pair_up,
    pixel_side,
    register_set,
    split_groups,
)
from saropt.curation.sets.image_folders import images_by_role
from saropt.domain import listed
from saropt.domain.stated_units import stated_units
from saropt.errors import InputError, OptionError, counted
from saropt.radiometry import SAR_UNITS
from saropt.roots.splits import SPLITS, split_rows
from saropt.scenes import Scene
from saropt.scenes.measurements import sar_units_of

SAR_FOLDERS = ("sar", "s1", "sar_256_oc_0.2", "vv", "a", "gf3", "sar_image", "sar_images")
OPTICAL_FOLDERS = ("optical", "opt", "s2", "opt_256_oc_0.2", "rgb", "b", "gf2", "opt_image", "opt_images")
_ALIKE = 1.1
_USUAL_M = 10.0
LABEL_FOLDERS = ("label", "labels", "lbl", "gt", "mask", "masks")


def entries_of(
    sides: dict[str, dict[str, Path]],
    names: Sequence[str],
    splits: dict[str, str],
    columns: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[Entry]:
    """Entries for files that are copied unchanged; `columns` are the further columns of splits.csv by name."""
    return [
        Entry(
            name,
            splits[name],
            {side: Source((files[name],), palette_index=side == "label") for side, files in sides.items()},
            columns.get(name, {}),
        )
        for name in names
    ]


def modality(path: Path, units: str) -> dict[str, Any]:
    """The fields `bands` and `units` of dataset.yaml, derived from one file."""
    with Scene.open(path) as scene:
        return {"bands": scene.band_names, "units": units}


class Sen12Options(SplitOptions):
    """Options of a set that is split by scene (season and number)."""


@register_set(
    "sen12",
    title="SEN1-2: 282,384 Sentinel-1 VV / Sentinel-2 RGB patches, 8 bits, 10 m",
    layout="ROIs1158_spring/{s1_1,s2_1}/ROIs1158_spring_s1_1_p30.png and so on",
    options=Sen12Options,
)
def sen12(source: Path, options: Sen12Options) -> Plan:
    """SEN1-2 (Schmitt, Hughes & Zhu, ISPRS Annals IV-1, 2018), published under CC BY 4.0. Patches of one scene
    overlap by half, so all patches of a scene go to one split. Patches are recognised by the names of the released
    files, in any folder."""
    from saropt.curation.sets.sen12ms import patches, scene_of_patch

    files = patches(source, ("s1", "s2"), ".png")
    names, missing = pair_up(files)
    scenes = {name: scene_of_patch(name) for name in names}
    drawn = split_groups(list(scenes.values()), options.train, options.val, options.seed)
    missing += count_line(len(names), 282_384, "pairs")
    splits = {name: drawn[scene] for name, scene in scenes.items()}
    groups = {name: {"group": scene} for name, scene in scenes.items()}
    description = {
        "name": "sen12",
        "gsd_m": 10.0,
        "sar": {"bands": ["VV"], "units": "uint8", "scaling": "sigma0 dB, stretched to 8 bits by the publishers"},
        "optical": {"bands": ["B4", "B3", "B2"], "units": "uint8"},
        "licence": "CC BY 4.0 as published (Schmitt, Hughes & Zhu 2018); Copernicus Sentinel data terms",
    }
    return Plan(description, entries_of({"sar": files["s1"], "optical": files["s2"]}, names, splits, groups), missing)


class Sar2OptOptions(Options):
    val: float = Field(0.1, ge=0, lt=1, description="share of the published training pairs that become val")


@register_set(
    "sar2opt",
    title="SAR2Opt: 2,077 TerraSAR-X / Google Earth pairs, 600x600, 1 m",
    layout="trainA/, trainB/, testA/, testB/ with files of one name; A is SAR",
    options=Sar2OptOptions,
)
def sar2opt(source: Path, options: Sar2OptOptions) -> Plan:
    """SAR2Opt (Zhao et al., IEEE JSTARS 15, 2022): 1,450 training and 627 test pairs. The set has no val split: the
    last `val` of the training names become one. Names of neighbouring patches are not documented, so that val may
    overlap."""
    entries: list[Entry] = []
    missing: list[str] = []
    notes: list[str] = []
    for part, published in (("train", 1450), ("test", 627)):
        folders = {"sar": first_folder(source, [f"{part}A"]), "optical": first_folder(source, [f"{part}B"])}
        sides, told = images_by_role(folders)
        notes += told
        names, lines = pair_up(sides)
        missing += [f"{part}/{line}" for line in lines] + count_line(len(names), published, f"{part} pairs")
        kept = len(names) - int(options.val * len(names)) if part == "train" else len(names)
        splits = {name: ("val" if place >= kept else part) for place, name in enumerate(names)}
        for entry in entries_of(sides, names, splits):
            entries.append(Entry(f"{part}_{entry.name}", entry.split, entry.sides))
    description = {
        "name": "sar2opt",
        "gsd_m": 1.0,
        "sar": _first(entries, "sar", "uint8"),
        "optical": _first(entries, "optical", "uint8"),
        "licence": "not stated by the publishers; research use; cite Zhao et al. 2022",
    }
    return Plan(description, entries, missing, notes=notes)


class QxsOptions(SplitOptions):
    """Options of a set that is split into blocks of consecutive numbers."""


@register_set(
    "qxs-saropt",
    title="QXS-SAROPT: 20,000 GF-3 / Google Earth pairs of three ports, 256x256, 1 m",
    layout="sar_256_oc_0.2/N.png and opt_256_oc_0.2/N.png",
    options=QxsOptions,
)
def qxs_saropt(source: Path, options: QxsOptions) -> Plan:
    """QXS-SAROPT (Huang et al., arXiv:2103.08259). Files are numbered 1 to 20,000 and neighbours in number may overlap:
    the first `train` of the numbers are train, the next `val` val, the rest test."""
    folders = {
        "sar": first_folder(source, ["sar_256_oc_0.2"]),
        "optical": first_folder(source, ["opt_256_oc_0.2"]),
    }
    sides, notes = images_by_role(folders, r"0*(\d+)")
    names, missing = pair_up(sides)
    names.sort(key=int)
    missing += count_line(len(names), 20_000, "pairs")
    edges = [int(options.train * len(names) + 1e-9), int((options.train + options.val) * len(names) + 1e-9)]
    splits = {name: SPLITS[int(np.searchsorted(edges, place, side="right"))] for place, name in enumerate(names)}
    entries = entries_of(sides, names, splits)
    description = {
        "name": "qxs-saropt",
        "gsd_m": 1.0,
        "sar": _first(entries, "sar", "uint8"),
        "optical": _first(entries, "optical", "uint8"),
        "licence": "not stated by the publishers; research use; cite Huang et al. 2021",
    }
    return Plan(description, entries, missing, notes=notes)


class DdhrOptions(SplitOptions):
    region: Literal["shandong", "xian", "korea"] = Field("shandong", description="which of the three areas")
    classes: dict[int, str] | None = Field(None, description="label value: name; values are numbered when null")


@register_set(
    "ddhr",
    title="DDHR: GF-2 / GF-3 pairs of Shandong, Xi'an and Korea, 1 m, labelled",
    layout="REGION/{optical,sar,label}/ with files of one name; REGION is shandong, xian or korea",
    options=DdhrOptions,
)
def ddhr(source: Path, options: DdhrOptions) -> Plan:
    """DDHR (Ren et al., "DDHRNet", Int. J. Appl. Earth Obs. Geoinf. 112, 2022): pairs cut to 256x256 at 1 m.

    Neither the archives nor a list of their folders could be read here: the layout, the label values and the counts of
    Xi'an and Korea are NOT verified; folder names of SAR, optical and label are found among the usual ones. Shandong
    has 7,831 pairs, which Du et al. (2026) split 8:1:1 at random into 6,264, 783 and 784. A random split of
    neighbouring tiles flatters the scores; it is kept because the published tables used it.
    """
    base = _region(source, options.region)
    folders = {"sar": first_folder(base, SAR_FOLDERS), "optical": first_folder(base, OPTICAL_FOLDERS)}
    labels = [folder for folder in base.iterdir() if folder.is_dir() and folder.name.lower() in LABEL_FOLDERS]
    if labels:
        folders["label"] = labels[0]
    sides, notes = images_by_role(folders)
    names, missing = pair_up(sides)
    if options.region == "shandong":
        missing += count_line(len(names), 7831, "pairs of Shandong")
    if not labels:
        missing.append("a folder of labels")
    entries = entries_of(sides, names, split_groups(names, options.train, options.val, options.seed))
    description = {
        "name": f"ddhr-{options.region}",
        "gsd_m": 1.0,
        "sar": _first(entries, "sar", "uint8"),
        "optical": _first(entries, "optical", "uint8"),
        "licence": "not stated by the publishers; research use; cite Ren et al. 2022",
        "split_note": "random by tile, as the published tables; neighbouring tiles know each other",
    }
    if labels:
        description["classes"] = options.classes or _label_values([sides["label"][name] for name in names])
    return Plan(description, entries, missing, notes=notes)


class FolderOptions(SplitOptions):
    name: str = Field("", description="name of the root; the folder's own when empty")
    sar: str = Field("", description="folder of the SAR images; found among the usual names when empty")
    optical: str = Field("", description="folder of the optical images")
    label: str = Field("", description="folder of the labels; none when empty")
    gsd_m: float | None = Field(
        None,
        gt=0,
        description=f"ground size of a pixel in metres; when null that of the images, {_USUAL_M:g} if none has a place",
    )
    units: str | None = Field(
        None, description=f"SAR units: {', '.join(SAR_UNITS)}; those that the images state, else uint8, when null"
    )
    optical_units: str = Field("uint8", description="uint8, or the scale in words")
    group: str = Field(r"(.+)", description="regular expression on the name; its first group stays in one split")
    splits: str = Field("", description="a CSV of name,split to use instead of a drawn split; its columns are kept")
    classes: dict[int, str] = Field({}, description="label value: name")
    licence: str = Field("not stated", description="licence of the images")


@register_set(
    "folder",
    title="a plain folder of pairs: one folder of SAR, one of optical images, files of one name",
    layout="{sar,optical}/NAME.{tif,png,jpg}",
    options=FolderOptions,
)
def folder(source: Path, options: FolderOptions) -> Plan:
    """A folder of your own pairs. `group` keeps neighbours in one split: with group="(.+)_\\d+" all tiles of a scene
    share a split; splits.csv names them as a group."""
    if options.units is not None and options.units not in SAR_UNITS:
        raise OptionError("options", None, f"units: {options.units!r} is not one of {', '.join(SAR_UNITS)}")
    folders = {
        "sar": first_folder(source, [options.sar] if options.sar else SAR_FOLDERS),
        "optical": first_folder(source, [options.optical] if options.optical else OPTICAL_FOLDERS),
    }
    if options.label:
        folders["label"] = first_folder(source, [options.label])
    sides, notes = images_by_role(folders)
    names, missing = pair_up(sides)
    columns: dict[str, dict[str, str]]
    if options.splits:
        splits, columns = _given(Path(options.splits))
        missing += [f"{name}: not in {options.splits}" for name in names if name not in splits]
        known = set().union(*sides.values())
        missing += [f"{name}: in {options.splits}, but has no images" for name in splits if name not in known]
        names = [name for name in names if name in splits]
    else:
        keys, told = _groups(names, options.group)
        notes += told
        drawn = split_groups(list(keys.values()), options.train, options.val, options.seed)
        splits = {name: drawn[key] for name, key in keys.items()}
        columns = {name: {"group": key} for name, key in keys.items() if key != name}
    entries = entries_of(sides, names, splits, columns)
    side = options.gsd_m or _pixel_side([sides["sar"][name] for name in names])
    if side is None:
        notes.append(f"no image says the size of its pixels: {_USUAL_M:g} m is taken; gsd_m=METRES states it")
    description: dict[str, Any] = {
        "name": options.name or source.absolute().name,
        "gsd_m": side or _USUAL_M,
        "sar": _first(entries, "sar", _units([sides["sar"][name] for name in names], options.units)),
        "optical": _first(entries, "optical", options.optical_units),
        "licence": options.licence,
    }
    if options.classes:
        description["classes"] = options.classes
    return Plan(description, entries, missing, notes=notes)


def _units(paths: Sequence[Path], asked: str | None) -> str:
    """SAR units of a folder: as asked for, or as those of its images state that state any.

    Raises:
        InputError: two of them state different units, and none are asked for.
    """
    if asked is not None:
        return asked
    first: tuple[Path, str] | None = None
    for path in paths:
        try:
            scene = Scene.open(path)
        except InputError:  # told where it is copied
            continue
        with scene:
            if stated_units(scene.tags, scene.band_names, scene.dtype) is None:
                continue
            units = sar_units_of(scene, None, "uint8", "set units=UNITS")
        if first is None:
            first = path, units
        elif units != first[1]:
            reason = f"states {units}, but {first[0].name} states {first[1]}"
            raise InputError(path, reason, remedy="set units=UNITS")
    return "uint8" if first is None else first[1]


def _pixel_side(paths: Sequence[Path]) -> float | None:
    """Ground size of the pixels of a folder, as its images with a place have it; None where none has one.

    Raises:
        InputError: two of them differ by more than 10 %.
    """
    first: tuple[Path, float] | None = None
    for path in paths:
        try:
            with Scene.open(path) as scene:
                side = pixel_side(scene)
        except InputError:  # told where it is copied
            continue
        first = first or (None if side is None else (path, side))
        if first is not None and side is not None and not 1.0 / _ALIKE <= side / first[1] <= _ALIKE:
            reason = (
                f"has pixels of {side:g} m, but {first[0].name} of {first[1]:g} m: bring them to one size, or set gsd_m"
            )
            raise InputError(path, reason)
    return None if first is None else first[1]


def _groups(names: Sequence[str], pattern: str) -> tuple[dict[str, str], list[str]]:
    """Name -> what the first group of a regular expression finds in it; the name itself where it finds nothing, with a
    line.

    Raises:
        OptionError: it is no regular expression, has no group, or finds something in no name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise OptionError("options", None, f"group: '{pattern}' is no regular expression: {error}") from error
    if not compiled.groups:
        raise OptionError("options", None, f"group: '{pattern}' has no group in parentheses")
    found = {name: match[1] for name in names if (match := compiled.match(name)) and match[1]}
    others = [name for name in names if name not in found]
    if names and not found:
        raise OptionError("options", None, f"group: '{pattern}' finds nothing in {listed(names, 3)}")
    told = f"{len(others)} of {counted(len(names), 'name')} ({listed(others, 3)}) do not fit group={pattern}"
    return {name: found.get(name, name) for name in names}, [f"{told}: each is a group of its own"] if others else []


def _given(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Name -> split, and name -> further columns, of a CSV."""
    rows = {row["name"]: row for row in split_rows(path)}
    known = ("name", "split")
    columns = {
        name: {column: cell for column, cell in row.items() if column and cell and column not in known}
        for name, row in rows.items()
    }
    return {name: row["split"] for name, row in rows.items()}, columns


def _first(entries: Sequence[Entry], side: str, units: str) -> dict[str, Any]:
    sources = [entry.sides[side] for entry in entries]
    paths = [source.paths[0] for source in sources if isinstance(source, Source)]
    return modality(first_readable(paths), units) if paths else {"bands": ["none"], "units": units}


def _region(source: Path, region: str) -> Path:
    """The folder of a region: the source itself where it holds the images, unless its name tells of another."""
    aliases = {"shandong": ["shandong", "dongying"], "xian": ["xian", "xi'an"], "korea": ["korea", "pohang", "sk"]}
    if source.is_dir() and {path.name.lower() for path in source.iterdir() if path.is_dir()} & set(SAR_FOLDERS):
        words = set(re.split(r"[^a-z0-9']+", source.resolve().name.lower()))
        named = [other for other, known in aliases.items() if words & set(known)]
        if named and region not in named:
            raise InputError(source, f"is a folder of {named[0]} by its name, but region is {region}")
        return source
    return first_folder(source, [prefix + name for name in aliases[region] for prefix in ("", "ddhr-", "ddhr_")])


def _label_values(paths: Sequence[Path]) -> dict[int, str]:
    values: set[int] = set()
    for path in paths:
        try:
            with Scene.open(path, palette="index") as scene:
                values.update(np.unique(scene.read_stored()[0]).tolist())
        except InputError:  # told where it is copied
            continue
    return {int(value): f"class {int(value)}" for value in sorted(values)}
