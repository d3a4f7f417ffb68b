"""Which scenes a folder, a list or a glob stands for, and which rasters come with each."""

from __future__ import annotations

import csv
import glob
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from saropt.domain import listed
from saropt.errors import InputError, OptionError, counted
from saropt.files.polarisation_files import joined, polarisation_files
from saropt.inference.requests import COMPANIONS, Raster, check_dates, dates_in, further_roles
from saropt.scenes import is_remote, scene_name
from saropt.sensors.product_names import auxiliary_rasters, is_product, slc_product

_SEVERAL = ("reference_sar",)
"""Columns whose cells may hold several dates, with ; between them."""
RASTERS = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg", ".vrt", ".nc", ".cos")
_ENVI = (".img", ".dat", ".bsq", ".bil", ".bip", ".raw", "")
"""Suffixes of a raster of ENVI, which has a header (.hdr) beside it."""


def list_scenes(given: str) -> list[str] | None:
    """The scenes that a folder of rasters, a list or a glob stands for.

    A list is a .txt with one path or address in each line, or a .csv with the column `scene`.

    Polarisations of one product in a folder or a glob are one scene (`saropt.files.polarisation_files`).

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
    if is_product(path):
        return None
    if slc_product(path) is not None:
        raise InputError(given, "is a Sentinel-1 SLC product, which is not taken: give the GRD product of that pass")
    if path.is_dir():
        found = _candidates(given)
        reason = f"is a directory without rasters ({', '.join(RASTERS)}, ENVI) or Sentinel products"
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
        found = [scene for scene, _ in _read_table(path)]
        reason = "lists no scene"
    elif glob.has_magic(given) and not path.exists():
        found = _candidates(given)
        reason = "matches no file"
    else:
        return None
    if not found:
        raise InputError(given, reason)
    return found


def _listed(given: str) -> list[str]:
    """The rasters and products of a folder or a glob; none of anything else."""
    if is_remote(given):
        return []
    if Path(given).is_dir():
        return sorted(str(path) for path in Path(given).iterdir() if path.name[0] != "." and _is_scene(path))
    if Path(given).exists() or not glob.has_magic(given):
        return []
    return sorted(name for name in glob.glob(given, recursive=True) if _is_scene(Path(name), any_file=True))


def _candidates(given: str) -> list[str]:
    """The scenes of a folder or a glob, without auxiliary rasters of products."""
    found = _listed(given)
    auxiliary = set(auxiliary_rasters(found))
    if found and len(auxiliary) == len(found):
        raise InputError(given, "holds no backscatter: its rasters come beside that of a product, such as angles")
    return joined(path for path in found if path not in auxiliary)


def _told_of_products(given: str) -> list[str]:
    """One line for the auxiliary rasters of products that a folder or a glob leaves out."""
    found, lines = _listed(given), []
    if auxiliary := auxiliary_rasters(found):
        have = f"{counted(len(auxiliary), 'raster')} ({listed([Path(path).name for path in auxiliary], 3)})"
        lines.append(f"{given}: {have} beside the backscatter of a product, such as angles and masks: not used")
    return lines


def _is_scene(path: Path, any_file: bool = False) -> bool:
    return (path.is_file() and (any_file or _is_raster(path))) or is_product(path)


def _is_raster(path: Path) -> bool:
    if path.suffix.lower() not in _ENVI:
        return path.suffix.lower() in RASTERS
    headers = path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr")
    return not path.is_dir() and any(header.is_file() for header in headers)


def list_companions(given: str, scenes: Sequence[str], options: Mapping[str, Raster]) -> dict[str, dict[str, Raster]]:
    """The rasters that come with each scene: from the columns of a .csv, and from folders by the name of the scene.

    Args:
        given: what stands for the scenes, as in `list_scenes`.
        scenes: its scenes.
        options: field of `TranslateOptions` (`COMPANIONS`) or role of a further input -> a folder of rasters named like
            the scenes; for several dates a tuple of folders.

    Returns:
        Scene -> field or role -> path or address, a tuple of several dates. A scene without a raster in a folder, or
        with an empty cell, has none.

    Raises:
        InputError: a folder does not exist, no scene has a raster in it or one has two, or the table cannot be read or
            has cells of what an option gives.
        OptionError: an option names a file.

    >>> list_companions("scenes", ["scenes/a.tif"], {})
    {'scenes/a.tif': {}}
    """
    found: dict[str, dict[str, Raster]] = {scene: {} for scene in scenes}
    if Path(given).suffix.lower() == ".csv" and Path(given).is_file():
        for scene, companions in _read_table(Path(given)):
            found[scene] |= companions
    for name, folders in options.items():
        if any(name in companions for companions in found.values()):
            raise InputError(given, f"gives {name} in a column, and an option gives it too: leave one of them out")
        dates: dict[str, list[str | Path]] = {}
        for folder in dates_in(check_dates(name, folders)):
            for scene, raster in _matched(name, str(folder), scenes).items():
                dates.setdefault(scene, []).append(raster)
        for scene, rasters in dates.items():
            found[scene][name] = check_dates(name, rasters)
    return found


def _matched(name: str, folder: str, scenes: Sequence[str]) -> dict[str, str]:
    """Scene -> the raster of its name in a folder."""
    if not Path(folder).is_dir():
        option, value = (name, folder) if name in COMPANIONS else ("input", f"{name}={folder}")
        raise OptionError(option, value, "must be a folder with a raster for each scene, of the scene's name")
    by_stem: dict[str, list[Path]] = {}
    for raster in _rasters(folder, set(map(_stem, scenes))):
        by_stem.setdefault(_stem(str(raster)), []).append(raster)
    matched = {scene: by_stem[stem] for scene in scenes if (stem := _stem(scene)) in by_stem}
    if not matched:
        raise InputError(folder, "holds no raster with the name of a scene")
    for scene, paths in matched.items():
        if len(paths) > 1:
            raise InputError(folder, f"holds {paths[0].name} and {paths[1].name}: which comes with {scene}?")
    return {scene: str(paths[0]) for scene, paths in matched.items()}


def left_out(given: str, scenes: Sequence[str], options: Mapping[str, Raster], out: str = "") -> list[str]:
    """One line for each thing that lies where a batch looks and that it does not use: folders of rasters among the
    scenes, auxiliary rasters of products, and rasters with the name of no scene among those that come with scenes.

    Args:
        given, scenes, options: as of `list_companions`.
        out: the folder of the translations, which may lie among the scenes.

    >>> for name in ("scenes/a.tif", "scenes/optical_reference_2/a.tif", "old/a.tif", "old/b.tif"):
    ...     Path(name).parent.mkdir(parents=True, exist_ok=True)
    ...     Path(name).touch()
    >>> left_out("scenes", ["scenes/a.tif"], {"reference": "old"})
    ['scenes/optical_reference_2 is a folder: not used', 'old: 1 raster has the name of no scene (b.tif): not used']
    """
    lines = _told_of_products(given)
    if Path(given).is_dir():
        folders = [path for path in sorted(Path(given).iterdir()) if path.is_dir() and not _is_scene(path)]
        others = [path for path in folders if path.resolve() != Path(out).resolve()]
        lines += [f"{path} is a folder: not used" for path in others if _rasters(path)]
        lines += [
            f"{path} is no regular file: not used" for path in _rasters(given) if not path.exists() or path.is_fifo()
        ]
    stems = {_stem(scene) for scene in scenes}
    for folder in (folder for folders in options.values() for folder in dates_in(folders)):
        if stray := [path.name for path in _rasters(folder, stems) if _stem(str(path)) not in stems]:
            more = ", ..." if len(stray) > 1 else ""
            have = f"{counted(len(stray), 'raster')} {'has' if len(stray) == 1 else 'have'} the name of no scene"
            lines.append(f"{folder}: {have} ({stray[0]}{more}): not used")
    return lines


def _rasters(folder: str | Path, stems: Collection[str] = ()) -> list[Path]:
    """The rasters of a folder, and the folders of products with a file for each polarisation. Files of a product whose
    name is among `stems` are one raster."""
    names = sorted(Path(folder).iterdir())
    found = [path for path in names if _is_raster(path) or (path.is_dir() and polarisation_files(path))]
    parts = {file: path for path in map(Path, joined(map(str, found))) for file in polarisation_files(path)}
    joint = {file: path for file, path in parts.items() if _stem(str(path)) in stems}
    return list(dict.fromkeys(joint.get(path, path) for path in found))


def _stem(scene: str) -> str:
    return Path(scene_name(scene)).stem


def _read_table(path: Path) -> list[tuple[str, dict[str, Raster]]]:
    """The scenes of a list, each with the rasters that come with it; relative paths count from the list's folder.

    Raises:
        InputError: it is no UTF-8 text, lacks the column `scene`, has a column that means nothing, or a cell of several
            dates that names one twice or none.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if "\0" in text:
            raise csv.Error("NUL")
        table = csv.DictReader(text.splitlines(), strict=True)
        rows, columns = list(table), list(table.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, "is no readable table") from error
    known = ("scene", *COMPANIONS, *further_roles())
    strange = [name for place, name in enumerate(columns) if name not in known or name in columns[:place]]
    if rows and ("scene" not in columns or strange):
        has = f"has the column {strange[0]!r} that means nothing or stands twice; it " if strange else ""
        raise InputError(path, f"{has}must have the column scene, and may have {', '.join(known[1:])}")
    if any(None in row for row in rows):
        raise InputError(
            path, f"has a row of more than {counted(len(columns), 'cell')}, which is what its first row has"
        )

    def placed(text: str) -> str:
        return text if is_remote(text) else str(path.parent / text)

    def dates(name: str, cell: str) -> Raster:
        texts = [text.strip() for text in cell.split(";")] if name in _SEVERAL else [cell]
        if not all(texts):
            raise InputError(
                path, f"has the cell {cell!r} in the column {name}, which names no raster before or after ;"
            )
        try:
            return check_dates(name, [placed(text) for text in texts])
        except OptionError as error:
            raise InputError(path, str(error)) from error

    found = []
    for row in rows:
        cells = {name: text for name, cell in row.items() if (text := (cell or "").strip())}
        if cells and "scene" not in cells:
            name, cell = next(iter(cells.items()))
            raise InputError(path, f"has a row without a scene, whose {name} is {cell}")
        if cells:
            found.append((placed(cells.pop("scene")), {name: dates(name, cell) for name, cell in cells.items()}))
    return found
