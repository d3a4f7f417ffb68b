"""Names of rasters in a data root, and the files that have them."""

from __future__ import annotations

from pathlib import Path

from saropt.errors import InputError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
ENDINGS = (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))


def find_raster(folder: Path, name: str) -> Path | None:
    """The raster NAME.SUFFIX of a folder, its suffix (`SUFFIXES`) in small or capital letters; None if there is none.

    >>> find_raster(Path("roots"), "unknown") is None
    True
    """
    candidates = (folder / f"{name}{suffix}" for suffix in ENDINGS)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


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
