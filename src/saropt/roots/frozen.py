"""Frozen splits: a splits.csv with a hash of every raster, so that anyone can score against the same data."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saropt.domain import Role
from saropt.errors import InputError
from saropt.roots.root import DataRoot
from saropt.roots.splits import read_splits
from saropt.scenes import Scene, Window

HASH_COLUMN, VALID_COLUMN = "sha256_", "valid_"
_ROWS = 256


@dataclass(frozen=True)
class FrozenSplit:
    """A splits file, read.

    Attributes:
        splits: name -> "train", "val" or "test".
        groups: name -> group, where there is one.
        hashes: role -> name -> `raster_hash`; empty for a file of names only.
        valid: role -> name -> number of valid pixels; empty for a file of names only or of an earlier version.
        digest: SHA-256 of the file's rows, whatever its line ends.

    >>> FrozenSplit(Path("frozen.csv"), {"a": "train", "b": "test"}, {}, {}, "12ab").names("test")
    ['b']
    """

    path: Path
    splits: Mapping[str, str]
    groups: Mapping[str, str]
    hashes: Mapping[Role, Mapping[str, str]]
    digest: str
    valid: Mapping[Role, Mapping[str, int]] = field(default_factory=dict)

    def names(self, split: str) -> list[str]:
        """The names of a split.

        Raises:
            InputError: there is none.
        """
        found = [name for name, part in self.splits.items() if part == split]
        if not found:
            raise InputError(self.path, f"split {split!r} is empty")
        return found

    def check(self, role: Role, name: str, path: Path) -> None:
        """Refuse a raster that is not the one whose hash the file holds; nothing is checked where it holds none.

        Raises:
            InputError: its pixels have another hash, or others of them are valid, as by another nodata value.
        """
        expected, valid = self.hashes.get(role, {}).get(name), self.valid.get(role, {}).get(name)
        if not expected:
            return
        found, count = _hash_and_valid(path)
        if found != expected:
            raise InputError(path, f"its pixels are not those that {self.path.name} was written for")
        if valid is not None and count != valid:
            raise InputError(
                path,
                f"{count} of its pixels are valid, not {valid} as in {self.path.name}: is its nodata value another?",
            )

    def hash_of(self, role: Role, name: str, path: Path) -> str:
        """The hash of a raster that was checked: what the file holds, or else what `raster_hash` gives."""
        return self.hashes.get(role, {}).get(name) or raster_hash(path)


def read_frozen(path: str | Path) -> FrozenSplit:
    """Read a splits file with hashes, or one of names only.

    Raises:
        InputError: it is missing or malformed.

    >>> _ = Path("frozen.csv").write_text("name,split,group,sha256_sar\\na,test,one,12ab\\n")
    >>> frozen = read_frozen("frozen.csv")
    >>> frozen.names("test"), frozen.groups, frozen.hashes
    (['a'], {'a': 'one'}, {'sar': {'a': '12ab'}})
    """
    path = Path(path)
    splits, groups = read_splits(path)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    rows = list(csv.DictReader(lines))
    roles = [column.removeprefix(HASH_COLUMN) for column in rows[0] if column and column.startswith(HASH_COLUMN)]
    hashes = {role: {row["name"]: row[HASH_COLUMN + role] for row in rows if row[HASH_COLUMN + role]} for role in roles}
    valid = {role: _counts(path, rows, VALID_COLUMN + role) for role in roles}
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return FrozenSplit(path, splits, groups, hashes, digest, valid)


def _counts(path: Path, rows: Sequence[Mapping[str, str]], column: str) -> dict[str, int]:
    """Name -> number in a column; empty where the file has no such column."""
    found = {}
    for row in rows:
        if text := row.get(column):
            if not (text.isascii() and text.isdigit()):
                raise InputError(path, f"{column} of {row['name']} is {text!r}, not a number of pixels")
            found[row["name"]] = int(text)
    return found


def raster_hash(path: str | Path) -> str:
    """SHA-256 of data type, shape and stored values of a raster, whatever its file format and compression.

    Which pixels are valid is no part of it.

    Raises:
        InputError: it cannot be read.

    >>> from saropt.scenes import write_array
    >>> a = write_array("a.tif", np.arange(64, dtype=np.uint8).reshape(1, 8, 8))
    >>> b = write_array("b.png", np.arange(64, dtype=np.uint8).reshape(1, 8, 8))
    >>> raster_hash(a) == raster_hash(b)
    True
    """
    return _hash_and_valid(path)[0]


def _hash_and_valid(path: str | Path) -> tuple[str, int]:
    """`raster_hash`, and the number of valid pixels; rows are read 256 at a time."""
    count = 0
    with Scene.open(path) as scene:
        found = hashlib.sha256(f"{scene.dtype} {scene.count} {scene.height} {scene.width}".encode())
        for row in range(0, scene.height, _ROWS):
            values, valid = scene.read_stored(Window(row, 0, min(_ROWS, scene.height - row), scene.width))
            found.update(np.ascontiguousarray(values).tobytes())
            count += int(valid.sum())
    return found.hexdigest(), count


def hashes_of(root: DataRoot, name: str) -> dict[str, str]:
    """The columns of one name that say what its raster in every role is: hash and valid pixels; "" where there is none.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> sorted(hashes_of(root, "train_000"))
    ['sha256_optical', 'sha256_sar', 'valid_optical', 'valid_sar']
    """
    columns: dict[str, str] = {}
    for role in root.images:
        columns |= _columns_of(role, root.path_of(role, name))
    return dict(sorted(columns.items(), key=lambda column: column[0].startswith(VALID_COLUMN)))


def renewed_hashes(rows: Sequence[Mapping[str, str]], folder: Path, roles: Sequence[Role]) -> list[dict[str, str]]:
    """Rows of a splits.csv with the hashes, and numbers of valid pixels, of rasters whose pixels were made anew; cells
    without a hash stay empty.

    Args:
        folder: data root with the new rasters, ROLE/NAME.tif.
        roles: their roles.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> folder = write_simulated_root("root", scenes=(1, 0, 0), size=64)
    >>> row = {"name": "train_000", "sha256_sar": "12ab", "sha256_optical": ""}
    >>> [new] = renewed_hashes([row], folder, ["sar", "optical"])
    >>> new["sha256_sar"] == raster_hash(folder / "sar" / "train_000.tif"), new["sha256_optical"]
    (True, '')
    """
    found = []
    for row in map(dict, rows):
        for role in (one for one in roles if row.get(HASH_COLUMN + one)):
            path = folder / role / f"{row['name']}.tif"
            columns = _columns_of(role, path if path.is_file() else None)
            row |= {key: value for key, value in columns.items() if key in row}
        found.append(row)
    return found


def _columns_of(role: Role, path: Path | None) -> dict[str, str]:
    digest, valid = ("", "") if path is None else _hash_and_valid(path)
    return {HASH_COLUMN + role: digest, VALID_COLUMN + role: str(valid)}
