"""What data a run has learnt from, told by their content: a root that was moved is the same, one that was changed is
not."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

from saropt.domain import Role
from saropt.errors import InputError
from saropt.files import digest_file
from saropt.processors import map_ahead, usable_cpus
from saropt.roots.root import DataRoot

_BYTES, _LEAST_BYTES, _PIECES = 1 << 30, 32 << 10, 8
_DIGEST = "#"
_MASK = ".msk"


def describe_data(root: DataRoot, roles: Sequence[Role], splits: Iterable[str]) -> dict[str, str]:
    """The content of some splits of a data root in plain texts by what they are of; the root's place, name and licence
    are no part of it.

    So that a training does not wait long, at most 1 GiB is read of each role and split, or 32 KiB of each file where
    that is more: of files over their share, the size and 8 pieces (`saropt.files.digest_file`).

    Raises:
        InputError: a raster cannot be read.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 1, 0), size=32, bands=("VH",)))
    >>> found = describe_data(root, ["sar"], ["train"])
    >>> found["bands of sar"], found["units of sar"], sorted(found)[-1]
    ('VH', 'amplitude', 'units of sar')
    """
    found = {"pixel size": f"{root.gsd_m:g} m", "paired": str(root.paired).lower()}
    if "label" in roles:
        classes = ", ".join(f"{value} {name}" for value, name in sorted(root.classes.items()))
        found |= {"classes": classes, "ignore_index": str(root.ignore_index)}
    for role in dict.fromkeys(roles):
        if role in root.images:
            image = root.images[role]
            span = "none stated" if image.range is None else "{:g} to {:g}".format(*image.range)
            found |= {f"bands of {role}": ", ".join(image.bands), f"units of {role}": image.units}
            found[f"range of {role}"] = span
        for split in dict.fromkeys(splits):
            rasters = _rasters(root, role, split)
            if rasters:
                found[f"{role} rasters of split {split}"] = str(len(rasters))
                found[f"names of {role} in split {split}"] = _digest(rasters)
                paths = [place for path in rasters.values() for place in _with_mask(path)]
                whole = max(_LEAST_BYTES, _BYTES // len(paths))
                found[f"files of {role} in split {split}"] = _digest(file_digests(paths, whole, _PIECES))
    return found


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two descriptions of data (`describe_data`), in words; "" where nothing does.

    >>> differences({"units of sar": "amplitude", "pixel size": "10 m"}, {"units of sar": "dB", "pixel size": "10 m"})
    'units of sar (amplitude there, dB here)'
    """
    words = []
    for key in dict.fromkeys((*before, *now)):
        there, here = before.get(key, "none"), now.get(key, "none")
        if there != here:
            told = there.startswith(_DIGEST) or here.startswith(_DIGEST)
            words.append(key if told else f"{key} ({there} there, {here} here)")
    return ", ".join(words)


def file_digests(paths: Sequence[Path], *limits: int) -> Iterator[str]:
    """The digest of each file (`saropt.files.digest_file` with these limits); known ones are not read again while size
    and times of the file stay.

    Raises:
        InputError: a file cannot be read.

    >>> _ = Path("a.txt").write_text("1"), Path("b.txt").write_text("2")
    >>> len(set(file_digests([Path("a.txt"), Path("b.txt")])))
    2
    """
    workers = min(8, usable_cpus())
    return map_ahead(partial(_file_digest, limits), paths, workers, ahead=16 * workers, name="contents")


def _file_digest(limits: tuple[int, ...], path: Path) -> str:
    try:
        state = os.stat(path)
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    return _digest_of(path, limits, (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino))


@lru_cache(1 << 20)
def _digest_of(path: Path, limits: tuple[int, ...], state: tuple[int, ...]) -> str:
    return digest_file(path, *limits)


def _rasters(root: DataRoot, role: Role, split: str) -> dict[str, Path]:
    """Name -> raster, of those that there are."""
    while role in root.borrowed:
        root = root.borrowed[role]
    if split not in root.splits.values():
        return {}
    return {name: path for name in root.names(split) if (path := root.path_of(role, name)) is not None}


def _with_mask(path: Path) -> list[Path]:
    mask = path.with_name(path.name + _MASK)
    return [path, mask] if os.path.isfile(mask) else [path]


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part}\n".encode())
    return _DIGEST + digest.hexdigest()[:16]
