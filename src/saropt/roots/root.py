"""Data roots: the folder form of paired and unpaired SAR-optical data (docs/formats.md)."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from saropt.errors import InputError
from saropt.radiometry import SAR_UNITS

SPLITS = ("train", "val", "test")
SideName = Literal["sar", "optical"]
_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
_GSD_TOLERANCE = 0.1


@dataclass(frozen=True)
class Modality:
    """Band names and units of one side of a data root."""

    bands: tuple[str, ...]
    units: str


@dataclass(frozen=True)
class DataRoot:
    """An opened data root; rasters are looked up by name and read elsewhere.

    Attributes:
        path: the root folder.
        splits: raster name -> "train", "val" or "test".
        classes: label value -> class name; empty when there are no labels.
        ignore_index: label value that marks unlabelled pixels, or None.
        optical_root: the root that the optical side is taken from, when it is another one (`with_optical`).
    """

    path: Path
    name: str
    gsd_m: float
    sar: Modality
    optical: Modality
    splits: Mapping[str, str]
    paired: bool = True
    classes: Mapping[int, str] = field(default_factory=dict)
    ignore_index: int | None = None
    licence: str = "not stated"
    optical_root: DataRoot | None = None

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
            raise InputError(path, "is no data root: dataset.yaml is missing")
        try:
            description = yaml.safe_load(description_path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(description_path, f"is not readable YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(description, dict):
            raise InputError(description_path, "must hold a mapping")
        paired = bool(description.get("paired", True))
        sides = [key for key in ("sar", "optical") if paired or key in description] or ["sar or optical"]
        missing = [key for key in ("name", "gsd_m", *sides) if key not in description]
        if missing:
            raise InputError(description_path, f"lacks {', '.join(missing)}")
        sar, optical = (
            _modality(description_path, description, side) if side in sides else Modality((), "")
            for side in ("sar", "optical")
        )
        if sar.bands and sar.units not in SAR_UNITS:
            raise InputError(description_path, f"sar.units {sar.units!r} is not one of {', '.join(SAR_UNITS)}")
        classes = description.get("classes") or {}
        if not isinstance(classes, dict):
            raise InputError(description_path, "classes must map label values to names")
        try:
            root = cls(
                path=path,
                name=str(description["name"]),
                gsd_m=float(description["gsd_m"]),
                sar=sar,
                optical=optical,
                splits=_read_splits(path / "splits.csv"),
                paired=paired,
                classes={int(key): str(value) for key, value in classes.items()},
                ignore_index=description.get("ignore_index"),
                licence=str(description.get("licence", "not stated")),
            )
        except (TypeError, ValueError) as error:
            raise InputError(description_path, str(error)) from error
        if not 0.0 < root.gsd_m < math.inf:
            raise InputError(description_path, f"gsd_m must be positive, not {root.gsd_m}")
        return root

    def names(self, split: str) -> list[str]:
        """Raster names of a split, in the order of splits.csv.

        Raises:
            InputError: the split is unknown or empty.
        """
        if split not in SPLITS:
            raise InputError(self.path, f"unknown split {split!r}; known: {', '.join(SPLITS)}")
        names = [name for name, part in self.splits.items() if part == split]
        if not names:
            raise InputError(self.path / "splits.csv", f"split {split!r} is empty")
        return names

    def with_optical(self, other: DataRoot) -> DataRoot:
        """An unpaired root: the SAR side of this root and the optical side of `other`, each with its own splits.

        Raises:
            InputError: one lacks its side, the ground sample distances are more than 10 % apart, or both have classes
                and they differ.
        """
        for root, side, modality in ((self, "sar", self.sar), (other, "optical", other.optical)):
            if not modality.bands:
                raise InputError(root.path / "dataset.yaml", f"lacks {side}: this root is to give that side")
        ratio = other.gsd_m / self.gsd_m
        if max(ratio, 1.0 / ratio) > 1.0 + _GSD_TOLERANCE:
            raise InputError(
                other.path,
                f"has pixels of {other.gsd_m:g} m but {self.path} of {self.gsd_m:g} m: more than 10 % apart",
            )
        if self.classes and other.classes and (self.classes, self.ignore_index) != (other.classes, other.ignore_index):
            raise InputError(other.path, f"has other classes or another ignore_index than {self.path}")
        labelled = self if self.classes else other
        return replace(
            self,
            name=f"{self.name} (SAR), {other.name} (optical)",
            optical=other.optical,
            paired=False,
            classes=labelled.classes,
            ignore_index=labelled.ignore_index,
            licence=f"{self.licence} (SAR); {other.licence} (optical)",
            optical_root=other,
        )

    def rasters(self, side: SideName, split: str) -> dict[str, Path]:
        """Name -> raster of one side of a split, in the order of splits.csv.

        In a paired root every name has both sides; in an unpaired one it may have one of them.

        Raises:
            InputError: the split is unknown or empty, a name has no raster, or none is of this side.
        """
        if side == "optical" and self.optical_root is not None:
            return self.optical_root.rasters("optical", split)
        found = {}
        other: SideName = "optical" if side == "sar" else "sar"
        for name in self.names(split):
            if self.paired or self._find(other, name) is None:
                found[name] = self._raster(side, name)
            elif (path := self._find(side, name)) is not None:
                found[name] = path
        if not found:
            raise InputError(self.path / side, f"holds no raster of split {split!r}")
        return found

    def sar_path(self, name: str) -> Path:
        return self._raster("sar", name)

    def optical_path(self, name: str) -> Path:
        return (self.optical_root or self)._raster("optical", name)

    def label_path(self, name: str) -> Path:
        return self._raster("label", name)

    def _raster(self, side: str, name: str) -> Path:
        path = self._find(side, name)
        if path is None:
            raise InputError(self.path / side, f"no raster named {name} (tried {', '.join(_SUFFIXES)})")
        return path

    def _find(self, side: str, name: str) -> Path | None:
        candidates = (self.path / side / f"{name}{suffix}" for suffix in _SUFFIXES)
        return next((candidate for candidate in candidates if candidate.is_file()), None)


def _modality(path: Path, description: dict[str, Any], side: str) -> Modality:
    entry = description[side]
    if not isinstance(entry, dict) or not isinstance(entry.get("bands"), list) or "units" not in entry:
        raise InputError(path, f"{side} must hold bands (a list) and units")
    bands = tuple(str(band) for band in entry["bands"])
    if not bands or len(set(bands)) != len(bands):
        raise InputError(path, f"{side}.bands must name at least one band, each once")
    return Modality(bands, str(entry["units"]))


def _read_splits(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(path, "no such file")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(path, "is not a UTF-8 text file") from error
    reader = csv.DictReader(lines)
    if not reader.fieldnames or not {"name", "split"} <= set(reader.fieldnames):
        raise InputError(path, "must have the columns name and split")
    splits: dict[str, str] = {}
    for row in reader:
        if row["split"] not in SPLITS:
            raise InputError(path, f"line {reader.line_num}: split {row['split']!r} is not {', '.join(SPLITS)}")
        if row["name"] in splits:
            raise InputError(path, f"line {reader.line_num}: {row['name']} appears twice")
        splits[row["name"]] = row["split"]
    return splits
