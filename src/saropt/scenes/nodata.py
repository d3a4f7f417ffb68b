"""Keeps invalid pixels apart from measured ones in a raster that is made of others."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_COUNTED_BITS = 16
_ADDED = (".msk", ".MSK", ".aux.xml")


def usual_nodata(dtype: str | np.dtype) -> float:
    """What marks invalid pixels of a type where nothing else is said: the lowest of integers, NaN for others.

    >>> usual_nodata("uint8"), usual_nodata("int16"), usual_nodata("float32")
    (0, -32768, nan)
    """
    kind = np.dtype(dtype)
    return int(np.iinfo(kind).min) if kind.kind in "ui" else math.nan


def nodata_of_type(nodata: float | None, dtype: str | np.dtype) -> float | None:
    """A nodata value that a raster declares, or None where no pixel of the type can have it.

    >>> nodata_of_type(-9999.0, "uint8"), nodata_of_type(-9999.0, "int16")
    (None, -9999.0)
    """
    kind = np.dtype(dtype)
    if nodata is None or kind.kind not in "ui":
        return nodata
    limits = np.iinfo(kind)
    return nodata if limits.min <= nodata <= limits.max and float(nodata).is_integer() else None


def choose_nodata(parts: Iterable[tuple[NDArray, NDArray[np.bool_]]]) -> float | None:
    """What is to mark the invalid pixels of a raster: NaN where its type has it, or else a whole number that no valid
    pixel has; None where all pixels are valid.

    Of whole numbers the least is taken first, then the greatest, then any; where valid pixels have all of them, the one
    that is rarest (`with_nodata` moves these pixels by one).

    Args:
        parts: values (C, h, w) and validity (h, w) of all parts of the raster, of one type.

    >>> black = np.zeros((1, 2, 2), np.uint8)
    >>> choose_nodata([(black, np.array([[True, True], [True, False]]))]), choose_nodata([(black, black[0] == 0)])
    (255.0, None)
    """
    candidates, counts, holes = np.zeros(0, np.int64), np.zeros(0, np.int64), False
    for values, valid in parts:
        holes = holes or not valid.all()
        if values.dtype.kind not in "ui":
            if holes:
                return float("nan")
            continue
        here, limits = values[:, valid].ravel(), np.iinfo(values.dtype)
        countable = limits.bits <= _COUNTED_BITS
        if not candidates.size:
            candidates = np.arange(limits.min, limits.max + 1) if countable else np.array([limits.min, limits.max])
            counts = np.zeros(len(candidates), np.int64)
        if countable:
            counts += np.bincount(here.astype(np.int64) - limits.min, minlength=len(candidates))
        else:
            counts += [int((here == candidate).sum()) for candidate in candidates]
    if not holes:
        return None
    order = [0, len(candidates) - 1, *range(1, len(candidates) - 1)]
    return float(candidates[min(order, key=lambda place: counts[place])])


def with_nodata(stored: NDArray, valid: NDArray[np.bool_], nodata: float | None) -> NDArray:
    """The pixels (C, h, w), with nodata where they are not valid (h, w).

    Valid whole numbers that are nodata become the next number.

    >>> with_nodata(np.array([[[0, 5, 7]]], np.uint8), np.array([[True, True, False]]), 0).tolist()
    [[[1, 5, 0]]]
    """
    if nodata is None:
        return stored
    if stored.dtype.kind in "ui":
        stored[stored == nodata] = nodata + 1 if nodata < np.iinfo(stored.dtype).max else nodata - 1
    stored[:, ~valid] = nodata
    return stored


def copy_beside(source: Path, target: Path) -> None:
    """Copy the files that tell which pixels of a raster are valid and where it lies, and lie beside it, to the side of
    a copy of it.

    >>> for name in ("a.PNG", "a.PNG.aux.xml", "a.PGW", "b.png"):
    ...     _ = Path(name).write_text("")
    >>> copy_beside(Path("a.PNG"), Path("b.png"))
    >>> Path("b.png.aux.xml").is_file(), Path("b.PGW").is_file()
    (True, True)
    """
    for beside, copied in zip(_names_beside(source), _names_beside(target), strict=True):
        if beside.is_file():
            shutil.copyfile(beside, copied)


def files_beside(raster: Path) -> list[Path]:
    """The files beside a raster that tell which of its pixels are valid and where it lies (world files).

    >>> for name in ("a.tif", "a.tif.msk", "a.tfw", "a.txt"):
    ...     _ = Path(name).write_text("")
    >>> [file.name for file in files_beside(Path("a.tif"))]
    ['a.tif.msk', 'a.tfw']
    """
    return [path for path in _names_beside(raster) if path.is_file()]


def _names_beside(raster: Path) -> Iterator[Path]:
    """Where such files may lie, in an order that the case of the raster's suffix does not change."""
    for end in _ADDED:
        yield raster.with_name(raster.name + end)
    letters = raster.suffix[1:].lower()
    for ending in (f"{letters[:1]}{letters[-1:]}w", f"{letters}w", "wld"):
        for written in (ending, ending.upper()):
            yield raster.with_suffix(f".{written}")
