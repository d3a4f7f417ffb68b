"""Data roots: the folder form of training and evaluation data (docs/formats.md)."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from saropt.domain import Role, describe_role, is_sar, list_roles
from saropt.errors import InputError
from saropt.files import read_yaml
from saropt.radiometry import SAR_UNITS
from saropt.roots.names import ENDINGS, SUFFIXES, find_raster, the_only
from saropt.roots.splits import SPLITS, read_splits

_GSD_TOLERANCE = 0.1
_KEYS = ("name", "gsd_m", "paired", "classes", "ignore_index", "licence", "joined_from")


@dataclass(frozen=True)
class ImageSpec:
    """What `dataset.yaml` says of the images of one role.

    Attributes:
        bands: band names, in the order of the file.
        units: SAR units, or a text that says the scale of other values.
        optional: a name without a file of this role lacks that input; otherwise every name must have one.
        range: lowest and highest value that figures of quality go by, in `units`; None for the usual range.
        by_place: whether the bands are those at their places, whatever a raster calls them.

    >>> ImageSpec(("VV", "VH"), "sigma0_db").bands
    ('VV', 'VH')
    """

    bands: tuple[str, ...]
    units: str
    optional: bool = False
    range: tuple[float, float] | None = None
    by_place: bool = False


@dataclass(frozen=True)
class DataRoot:
    """An opened data root. It finds rasters by role and name; others read them.

    Attributes:
        path: the root folder.
        images: role -> bands and units. Labels are no image: they have `classes`.
        splits: raster name -> "train", "val" or "test".
        groups: raster name -> what the column `group` of splits.csv says, where it says something: rasters of one
            group show one place.
        joined_from: names of the data roots that it was made of; their rasters kept their splits.
        paired: whether the SAR and the optical raster of a name show the same place on one grid.
        classes: label value -> class name; empty when there are no labels.
        ignore_index: label value that marks unlabelled pixels, or None.
        borrowed: role -> the other root that its rasters come from (`with_role_from`).

    >>> DataRoot.open("roots/unknown")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: roots/unknown: no such folder
    """

    path: Path
    name: str
    gsd_m: float
    images: Mapping[Role, ImageSpec]
    splits: Mapping[str, str]
    paired: bool = True
    classes: Mapping[int, str] = field(default_factory=dict)
    ignore_index: int | None = None
    licence: str = "not stated"
    borrowed: Mapping[Role, DataRoot] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    joined_from: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: str | Path) -> DataRoot:
        """Read dataset.yaml and splits.csv.

        Raises:
            InputError: a file is missing or malformed; the message names the file and the field.
        """
        path = Path(path)
        if not path.is_dir():
            raise InputError(path, "no such folder" if not path.exists() else "is a file; a data root is a folder")
        description_path = path / "dataset.yaml"
        if not description_path.is_file():
            way = "saropt data prepare folder, or pair, makes one from your own images"
            raise InputError(path, f"is no data root: dataset.yaml is missing ({way})")
        description = _read_description(description_path)
        paired = description.get("paired", True)
        if not isinstance(paired, bool):
            raise InputError(path / "dataset.yaml", f"paired must be true or false, not {paired!r}")
        classes = description.get("classes") or {}
        splits, groups = read_splits(path / "splits.csv")
        try:
            root = cls(
                path=path,
                name=_text(description_path, "name", description["name"]),
                gsd_m=float(description["gsd_m"]),
                images=_images(description_path, description),
                splits=splits,
                groups=groups,
                paired=paired,
                classes={int(key): _text(description_path, f"classes.{key}", name) for key, name in classes.items()},
                ignore_index=None if (ignored := description.get("ignore_index")) is None else int(ignored),
                licence=_text(description_path, "licence", description.get("licence") or "not stated"),
                joined_from=_texts(description_path, "joined_from", description.get("joined_from") or []),
            )
        except (TypeError, ValueError) as error:
            raise InputError(description_path, str(error)) from error
        if not 0.0 < root.gsd_m < math.inf:
            raise InputError(description_path, f"gsd_m must be positive, not {root.gsd_m}")
        return root

    def names(self, split: str | None) -> list[str]:
        """Raster names of a split, or of all when None, in the order of splits.csv.

        Raises:
            InputError: the split is unknown or empty.
        """
        if split is None:
            return list(self.splits)
        if split not in SPLITS:
            raise InputError(self.path, f"unknown split {split!r}; known: {', '.join(SPLITS)}")
        names = [name for name, part in self.splits.items() if part == split]
        if not names:
            raise InputError(self.path / "splits.csv", f"split {split!r} is empty")
        return names

    def with_fewer(self, split: str, count: int, seed: int = 0) -> DataRoot:
        """This root with at most `count` names of a split, drawn at random: the same ones for the same names and seed.

        Every root that images are borrowed from keeps as many.

        >>> root = DataRoot(Path(), "r", 1.0, {}, {f"tile_{number}": "train" for number in range(9)} | {"a": "test"})
        >>> list(root.with_fewer("train", 3).splits), len(root.with_fewer("train", 20).splits)
        (['tile_0', 'tile_2', 'tile_6', 'a'], 10)
        """
        names = sorted(name for name, part in self.splits.items() if part == split)
        order = np.random.default_rng([seed, len(names)]).permutation(len(names))
        dropped = {names[place] for place in order[count:]}
        return replace(
            self,
            splits={name: part for name, part in self.splits.items() if name not in dropped},
            borrowed={role: root.with_fewer(split, count, seed) for role, root in self.borrowed.items()},
        )

    @property
    def data_names(self) -> tuple[str, ...]:
        """Its name, and those of the roots that it was made of."""
        return tuple(dict.fromkeys((self.name, *self.joined_from)))

    def scene_of(self, name: str) -> str:
        """The independent unit that a raster belongs to in statistics: its group, or else the raster itself."""
        return scene_of(name, self.groups)

    def image(self, role: Role) -> ImageSpec:
        """Bands and units of a role.

        Raises:
            InputError: the root does not describe the role.
        """
        if role not in self.images:
            raise InputError(self.path / "dataset.yaml", f"lacks {role}: its rasters must come from a second root")
        return self.images[role]

    def home_of(self, role: Role) -> Path:
        """The folder of the root that the rasters of a role come from: this one, or another (`with_role_from`)."""
        return self.borrowed[role].home_of(role) if role in self.borrowed else self.path

    def with_role_from(self, role: Role, other: DataRoot) -> DataRoot:
        """An unpaired root: `other` gives the images of one role, this root all others; each has its own splits.

        Raises:
            InputError: one lacks its images, the ground sample distances are more than 10 % apart, or both have
                classes and they differ.
        """
        own = {own_role: spec for own_role, spec in self.images.items() if own_role != role}
        for root, missing in ((self, None if own else "sar" if role != "sar" else "optical"), (other, role)):
            if missing is not None and missing not in root.images:
                raise InputError(root.path / "dataset.yaml", f"lacks {missing}: this root is to give these images")
        ratio = other.gsd_m / self.gsd_m
        if max(ratio, 1.0 / ratio) > 1.0 + _GSD_TOLERANCE:
            raise InputError(
                other.path,
                f"has pixels of {other.gsd_m:g} m but {self.path} of {self.gsd_m:g} m: more than 10 % apart",
            )
        if self.classes and other.classes and (self.classes, self.ignore_index) != (other.classes, other.ignore_index):
            raise InputError(other.path, f"has other classes or another ignore_index than {self.path}")
        labelled = self if self.classes else other
        titles = ", ".join(describe_role(own_role).title for own_role in own), describe_role(role).title
        return replace(
            self,
            name=f"{self.name} ({titles[0]}), {other.name} ({titles[1]})",
            images=own | {role: other.images[role]},
            paired=False,
            classes=labelled.classes,
            ignore_index=labelled.ignore_index,
            licence=f"{self.licence} ({titles[0]}); {other.licence} ({titles[1]})",
            borrowed={**self.borrowed, role: other},
            joined_from=self.data_names,
        )

    def rasters(self, role: Role, split: str | None = None) -> dict[str, Path]:
        """Name -> raster of one role in a split, or in all when None, in the order of splits.csv.

        In a paired root every name has a raster of every role; in an unpaired one it has a SAR raster, an optical
        raster or both. Names without a raster are left out where the role is optional or the root unpaired.

        Raises:
            InputError: the split is unknown or empty, a name has no raster, or none is of this role.
        """
        if role in self.borrowed:
            return self.borrowed[role].rasters(role, split)
        found = self._find_all(role, split)
        if role != "label" and self.image(role).optional:
            return {name: path for name, path in found.items() if path is not None}
        partner = {"sar": "optical", "optical": "sar"}.get(role)
        rasters = {}
        for name, path in found.items():
            if path is not None:
                rasters[name] = path
            elif self.paired or (partner is not None and self._find(partner, name) is None):
                raise self._missing(role, name)
        if not rasters:
            of_split = "" if split is None else f" of split {split!r}"
            raise InputError(self.path / role, f"holds no raster{of_split}")
        return rasters

    def aligned_rasters(self, role: Role, split: str) -> dict[str, Path | None]:
        """Name -> raster of one role for every name of a split; None where an optional input is missing.

        Raises:
            InputError: the split is unknown or empty, or a name lacks a raster of a role that is not optional.
        """
        found = self._find_all(role, split)
        if role == "label" or not self.image(role).optional:
            for name, path in found.items():
                if path is None:
                    raise self._missing(role, name)
        return found

    def path_of(self, role: Role, name: str) -> Path | None:
        """The raster of a role and a name; None where there is none."""
        return self.borrowed[role].path_of(role, name) if role in self.borrowed else self._find(role, name)

    def raster(self, role: Role, name: str) -> Path:
        """The raster of a role and a name.

        Raises:
            InputError: there is none.
        """
        if role in self.borrowed:
            return self.borrowed[role].raster(role, name)
        path = self._find(role, name)
        if path is None:
            raise self._missing(role, name)
        return path

    def _missing(self, role: Role, name: str) -> InputError:
        return InputError(self.path / role, f"no raster named {name} (tried {', '.join(SUFFIXES)})")

    def _find(self, role: Role, name: str) -> Path | None:
        return find_raster(self.path / role, name)

    def _find_all(self, role: Role, split: str | None) -> dict[str, Path | None]:
        """As `_find` for each name, with one look at the folder."""
        folder, names = self.path / role, self.names(split)
        present = {entry.name for entry in os.scandir(folder) if entry.is_file()} if folder.is_dir() else set()
        found: dict[str, Path | None] = {}
        for name in names:
            files = [folder / file for suffix in ENDINGS if (file := name + suffix) in present]
            found[name] = the_only(files) if files else self._find(role, name) if "/" in name else None
        return found


def _read_description(path: Path) -> dict[str, Any]:
    description = read_yaml(path)
    both: tuple[str, ...] = ("sar", "optical")
    needed: tuple[str, ...]
    if description.get("paired", True):
        needed = both
    else:
        needed = () if any(role in description for role in both) else ("sar or optical",)
    missing = [key for key in ("name", "gsd_m", *needed) if key not in description]
    if missing:
        raise InputError(path, f"lacks {', '.join(missing)}")
    if not isinstance(description.get("classes") or {}, dict):
        raise InputError(path, "classes must map label values to names")
    known = [*_KEYS, *list_roles()]
    for key, value in description.items():
        meant = get_close_matches(str(key), known, 1, 0.8)
        if key not in known and meant:
            raise InputError(path, f"has the key {key}, which is none: is {meant[0]} meant?")
        if key not in known and isinstance(value, dict) and value.keys() >= {"bands", "units"}:
            raise InputError(path, f"{key} is no role: is the plug-in installed that registers it?")
    return description


def _text(path: Path, key: str, value: Any) -> str:
    if isinstance(value, bool | list | dict) or value is None:
        raise InputError(path, f"{key} must be a text, not {value!r} (in quotes it would be one)")
    return str(value)


def _texts(path: Path, key: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise InputError(path, f"{key} must be a list of texts, not {values!r}")
    return tuple(_text(path, f"{key}[{place}]", value) for place, value in enumerate(values))


def _images(path: Path, description: Mapping[str, Any]) -> dict[Role, ImageSpec]:
    """The images that dataset.yaml describes, and those of other dates: a folder X_reference or X_reference_2 that it
    does not name holds optional images in the bands and units of X."""
    images = {}
    for role in list_roles():
        entry = description.get(role)
        if role == "label":
            continue
        if (
            entry is None
            and (later := role.removesuffix("_2").removesuffix("_reference")) != role
            and (path.parent / role).is_dir()
        ):
            entry = description.get(later) and {**description[later], "optional": True}
        if entry is not None:
            images[role] = _image_spec(path, role, entry)
    return images


def _image_spec(path: Path, role: Role, entry: Any) -> ImageSpec:
    if not isinstance(entry, dict) or not isinstance(entry.get("bands"), list) or "units" not in entry:
        raise InputError(path, f"{role} must hold bands (a list) and units")
    bands = tuple(_text(path, f"{role}.bands", band) for band in entry["bands"])
    if not bands or len(set(bands)) != len(bands):
        raise InputError(path, f"{role}.bands must name at least one band, each once")
    optional = entry.get("optional", False)
    if not isinstance(optional, bool):
        raise InputError(path, f"{role}.optional must be true or false")
    units = _text(path, f"{role}.units", entry["units"])
    if is_sar(role) and units not in SAR_UNITS:
        raise InputError(path, f"{role}.units {units!r} is not one of {', '.join(SAR_UNITS)}")
    return ImageSpec(bands, units, optional, _range(path, role, entry.get("range")))


def _range(path: Path, role: Role, given: Any) -> tuple[float, float] | None:
    if given is None:
        return None
    numbers = isinstance(given, list) and len(given) == 2 and all(type(value) in (int, float) for value in given)
    if not numbers or not -math.inf < given[0] < given[1] < math.inf:
        raise InputError(path, f"{role}.range must hold the lowest and the highest value, [low, high], not {given}")
    return float(given[0]), float(given[1])


def scene_of(name: str, groups: Mapping[str, str]) -> str:
    """The independent unit that a raster belongs to in statistics.

    >>> scene_of("a", {"a": "north"}), scene_of("b", {"a": "north"})
    ('group north', 'b')
    """
    return f"group {groups[name]}" if name in groups else name
