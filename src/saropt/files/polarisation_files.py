"""Products with one file for each polarisation (ASF HyP3, OPERA RTC-S1), which are one scene."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from saropt.domain import POLARISATIONS, polarisation_in

_SUFFIXES = (".tif", ".tiff")
_JOINED = re.compile(rf"(.+[_\-. ])((?:{'|'.join(POLARISATIONS)})(?:\+(?:{'|'.join(POLARISATIONS)}))+)", re.IGNORECASE)


def polarisation_files(scene: str | Path) -> list[Path]:
    """The files of a product, one for each polarisation, that a path stands for; empty where it stands for one file.

    The path is the product's folder, N with N_VV.tif and N_VH.tif in it and the backscatter of nothing else; or
    N_VV+VH.tif, where no such file exists.

    >>> for name in ("N/N_VV.tif", "N/N_VH.tif", "N/N_dem.tif"):
    ...     Path(name).parent.mkdir(exist_ok=True)
    ...     Path(name).touch()
    >>> [file.name for file in polarisation_files("N")]
    ['N_VV.tif', 'N_VH.tif']
    >>> [file.name for file in polarisation_files("N/N_VH+VV.tif")]
    ['N_VH.tif', 'N_VV.tif']
    >>> polarisation_files("N/N_VV.tif")
    []
    """
    path = Path(scene)
    match = _JOINED.fullmatch(path.stem)
    if match is not None and path.suffix.lower() in _SUFFIXES and not os.path.exists(path):
        return [path.with_name(f"{match[1]}{name}{path.suffix}") for name in match[2].split("+")]
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        return []
    files = _in_order(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and product_name(file))
    is_product = {product_name(file) for file in files} == {os.path.basename(os.path.abspath(path))}
    return files if is_product and len({file.stem[-2:].upper() for file in files}) == len(files) else []


def files_of(scene: Path) -> list[Path]:
    """The files that a path stands for: those of a product (`polarisation_files`), else the one of that path.

    >>> files_of(Path("scene.tif"))
    [PosixPath('scene.tif')]
    """
    return polarisation_files(scene) or [scene]


def product_name(file: Path) -> str | None:
    """What the names of the files of a product with one file for each polarisation begin with; None for other files.

    >>> product_name(Path("p_VV.tif")), product_name(Path("p_dem.tif"))
    ('p', None)
    """
    polarisation = polarisation_in(file.stem)
    return file.stem[: -len(polarisation or "")].rstrip("_-. ") or None if polarisation is not None else None


def joined(scenes: Iterable[str]) -> list[str]:
    """Paths of scenes in order, with those that are polarisations of one product as one.

    Files of another form stay as they are.

    >>> joined(["a.tif", "p_VH.tif", "p_VV.tif", "q_VV.tif"])
    ['a.tif', 'p_VV+VH.tif', 'q_VV.tif']
    """
    given = list(scenes)
    parts: dict[tuple[Path, str], list[Path]] = {}
    for path in map(Path, given):
        if path.suffix.lower() in _SUFFIXES and (name := product_name(path)) is not None:
            parts.setdefault((path.with_name(name), path.suffix), []).append(path)
    replaced: dict[str, str] = {}
    for files in parts.values():
        both = joined_path(files) if len(files) > 1 else None
        if both is not None:
            replaced |= {str(file): str(both) for file in files}
    return list(dict.fromkeys(replaced.get(scene, scene) for scene in given))


def other_polarisation(file: str | Path, polarisation: str) -> tuple[str, str] | None:
    """The file of another polarisation beside one of a product, and the name that stands for both; None where there is
    none.

    >>> for name in ("p_VV.tif", "p_VH.tif"):
    ...     Path(name).touch()
    >>> other_polarisation("p_VV.tif", "VH")
    ('p_VH.tif', 'p_VV+VH.tif')
    """
    path = Path(file)
    if polarisation_in(path.stem) in (None, polarisation) or path.suffix.lower() not in _SUFFIXES:
        return None
    other = path.with_name(f"{path.stem[:-2]}{polarisation}{path.suffix}")
    both = joined_path([path, other]) if os.path.isfile(path) and os.path.isfile(other) else None
    return None if both is None else (other.name, both.name)


def _in_order(files: Iterable[Path]) -> list[Path]:
    return sorted(files, key=lambda file: (POLARISATIONS.index(file.stem[-2:].upper()), file))


def joined_path(files: Sequence[Path]) -> Path | None:
    """N_VV+VH.tif for N_VH.tif and N_VV.tif; None where their names differ in more than the polarisation.

    >>> joined_path([Path("p_VH.tif"), Path("p_VV.tif")])
    PosixPath('p_VV+VH.tif')
    """
    files = _in_order(files)
    names = [file.stem[-2:] for file in files]
    path = files[0].with_name(f"{files[0].stem[:-2]}{'+'.join(names)}{files[0].suffix}")
    return path if not os.path.exists(path) and polarisation_files(path) == files else None
