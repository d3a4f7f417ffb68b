"""Names of rasters in a data root, and the files that have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saropt.errors import InputError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
ENDINGS = (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))


def find_raster(folder: Path, name: str) -> Path | None:
    """The raster NAME.SUFFIX of a folder, its suffix (`SUFFIXES`) in small or capital letters; None if there is none.

    Raises:
        InputError: there are several.

    >>> find_raster(Path("roots"), "unknown") is None
    True
    """
    found = [path for suffix in ENDINGS if (path := folder / f"{name}{suffix}").is_file()]
    return the_only(found) if found else None


def the_only(files: Sequence[Path]) -> Path:
    """The one file that these paths name.

    Raises:
        InputError: they name several: which one is meant cannot be told.

    >>> the_only([Path("a.tif")]).name
    'a.tif'
    """
    other = next((file for file in files[1:] if not file.samefile(files[0])), None)
    if other is not None:
        shown = other.name if other.parent == files[0].parent else other
        raise InputError(files[0], f"{shown} is there too: keep one of them")
    return files[0]


def check_name(name: str | None, source: str | Path, where: str = "") -> None:
    """Refuse a name that would be a path out of its folder.

    Raises:
        InputError: it is empty, absolute, or holds "..", a backslash or a control character; names `source`.

    >>> check_name("../../etc/passwd", "splits.csv")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: splits.csv: '../../etc/passwd' is no name of a raster
    """
    parts = (name or "").split("/")
    bad = not name or any(part in ("", ".", "..") for part in parts) or "\\" in name
    if bad or any(ord(character) < 32 or ord(character) == 127 for character in name or ""):
        shown = repr((name or "")[:80])
        raise InputError(source, f"{where}{': ' if where else ''}{shown} is no name of a raster")
