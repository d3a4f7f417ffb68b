"""Which scenes a folder, a list or a glob stands for, and which rasters come with each."""

from __future__ import annotations

import csv
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

from saropt.errors import InputError, OptionError
from saropt.inference.requests import COMPANIONS
from saropt.scenes import is_remote, scene_name
from saropt.sensors.product_names import product_of

RASTERS = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg", ".vrt")


def list_scenes(given: str) -> list[str] | None:
    """The scenes that a folder of rasters, a list or a glob stands for.

    A list is a .txt with one path or address in each line, or a .csv with the column `scene`.

    Returns:
        Their paths in order; None where `given` is one scene.

    Raises:
        InputError: there is none in it, or the list cannot be read.

    >>> for name in ("b.tif", "a.tif"):
    ...     Path(name).touch()
    >>> list_scenes("*.tif")
    ['a.tif', 'b.tif']
    """
    if is_remote(given):
        return None
    path = Path(given)
    if product_of(path) is not None:
        return None
    if path.is_dir():
        found = sorted(str(p) for p in path.iterdir() if p.name[0] != "." and _is_scene(p))
        reason = f"is a directory without rasters ({', '.join(RASTERS)}) or Sentinel products"
    elif path.suffix.lower() == ".txt" and path.is_file():
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(path, "is no readable list of paths") from error
        if any("\0" in line for line in lines):
            raise InputError(path, "is no readable list of paths")
        found = [line for line in lines if line and not line.startswith("#")]
        reason = "lists no scene"
    elif path.suffix.lower() == ".csv" and path.is_file():
        found = [row["scene"] for row in _read_table(path)]
        reason = "lists no scene"
    elif glob.has_magic(given) and not path.exists():
        found = sorted(name for name in glob.glob(given, recursive=True) if _is_scene(Path(name), any_file=True))
        reason = "matches no file"
    else:
        return None
    if not found:
        raise InputError(given, reason)
    return found


def _is_scene(path: Path, any_file: bool = False) -> bool:
    raster = path.is_file() and (any_file or path.suffix.lower() in RASTERS)
    return raster or product_of(path) is not None


def list_companions(given: str, scenes: Sequence[str], options: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The rasters that come with each scene: from the columns of a .csv, and from folders by the name of the scene.

    Args:
        given: what stands for the scenes, as in `list_scenes`.
        scenes: its scenes.
        options: field of `TranslateOptions` (`COMPANIONS`) -> a folder of rasters named like the scenes.

    Returns:
        Scene -> field -> path or address. A scene without a raster in a folder, or with an empty cell, has none.

    Raises:
        InputError: a folder does not exist, no scene has a raster in it, or the table cannot be read.
        OptionError: an option names a file.

    >>> list_companions("scenes", ["scenes/a.tif"], {})
    {'scenes/a.tif': {}}
    """
    found: dict[str, dict[str, str]] = {scene: {} for scene in scenes}
    if Path(given).suffix.lower() == ".csv" and Path(given).is_file():
        for row in _read_table(Path(given)):
            found[row["scene"]] |= {name: cell for name, cell in row.items() if name in COMPANIONS and cell}
    for name, folder in options.items():
        if not Path(folder).is_dir():
            raise OptionError(name, folder, "must be a folder with a raster for each scene, of the scene's name")
        by_stem = {path.stem: str(path) for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in RASTERS}
        matched = {scene: by_stem[stem] for scene in scenes if (stem := Path(scene_name(scene)).stem) in by_stem}
        if not matched:
            raise InputError(folder, "holds no raster with the name of a scene")
        for scene, path in matched.items():
            found[scene][name] = path
    return found


def _read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a list of scenes; relative paths count from its folder.

    Raises:
        InputError: it is no UTF-8 text, lacks the column `scene`, or has a column that means nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if "\0" in text:
            raise csv.Error("NUL")
        rows = list(csv.DictReader(text.splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, "is no readable table") from error
    known = ("scene", *COMPANIONS)
    columns = list(rows[0]) if rows else []
    if rows and ("scene" not in columns or any(column not in known for column in columns)):
        raise InputError(path, f"must have the column scene, and may have {', '.join(COMPANIONS)}")

    def placed(cell: str | None) -> str:
        text = (cell or "").strip()
        return text if not text or is_remote(text) else str(path.parent / text)

    return [{name: placed(cell) for name, cell in row.items()} for row in rows if (row["scene"] or "").strip()]
