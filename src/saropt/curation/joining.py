"""Several data roots as one."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from saropt.domain import Role
from saropt.errors import InputError
from saropt.files import atomic_folder
from saropt.progress import Progress, Tell, log_line, silent
from saropt.roots.description import write_description
from saropt.roots.root import DataRoot, ImageSpec
from saropt.roots.splits import split_rows
from saropt.scenes.nodata import copy_beside

_TOLERANCE = 0.1


def join_roots(
    out: str | Path,
    sources: Sequence[str | Path],
    *,
    least: int = 2,
    progress: Progress = silent,
    tell: Tell = log_line,
) -> Path:
    """Copy data roots into one. A raster NAME of the root ROOT is called ROOT-NAME there, and keeps its split.

    The roles of the first root are taken. A role that is optional somewhere, or that another root lacks, is optional.
    Labels are taken where all roots have some. All columns of a splits.csv go along; the group G becomes ROOT/G.
    dataset.yaml names the roots (`joined_from`), so that a translator's card can.

    Args:
        out: data root to write; it appears when it is whole.
        sources: data roots with the same bands and units in each role, pixels of one size to a tenth, and the same
            classes where they have labels.
        least: how many there must be.
        tell: called with one line for each role, and for the labels, that only some roots have and the new one lacks.

    Raises:
        InputError: they do not fit together, two have one name or two rasters would, or `out` exists.

    >>> join_roots("out", ["roots/unknown", "roots/other"])
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: roots/unknown: no such folder
    """
    roots, out = [DataRoot.open(source) for source in sources], Path(out)
    if out.exists():
        raise InputError(out, "exists already")
    if len(roots) < least or len({root.path.absolute().name for root in roots}) < len(roots):
        raise InputError(out, "is to join at least two data roots, in folders of different names")
    _check_names(roots)
    images = _common_images(roots)
    labelled = all(map(_is_labelled, roots))
    roles: list[Role] = [*images, *(["label"] if labelled else [])]
    rasters = [
        (role, root, name, path)
        for root in roots
        for role in roles
        for name in root.splits
        if (path := root.path_of(role, name)) is not None
    ]
    with atomic_folder(out) as part:
        for role in roles:
            (part / role).mkdir()
        for number, (role, root, name, path) in enumerate(rasters, start=1):
            target = part / role / f"{_name(root, name)}{path.suffix}"
            shutil.copy2(path, target)
            copy_beside(path, target)
            progress(number, len(rasters), name)
        _describe(part, out.absolute().name, roots, images, labelled)
    for line in _left_out(roots, images, labelled):
        tell(line)
    return out


def _is_labelled(root: DataRoot) -> bool:
    return bool(root.classes) and (root.path / "label").is_dir()


def _left_out(roots: Sequence[DataRoot], images: Collection[Role], labelled: bool) -> list[str]:
    """A line for each role that the first root lacks and another has, and for labels that some roots lack."""
    lines = []
    for role in dict.fromkeys(role for root in roots for role in root.images if role not in images):
        having = _paths(root for root in roots if role in root.images)
        lines.append(f"{role} of {having} is left out: {roots[0].path}, the first root, has none")
    if not labelled and any(map(_is_labelled, roots)):
        having = _paths(root for root in roots if _is_labelled(root))
        lacking = _paths(root for root in roots if not _is_labelled(root))
        lines.append(f"the labels of {having} are left out: no labels in {lacking}")
    return lines


def _paths(roots: Iterable[DataRoot]) -> str:
    return ", ".join(str(root.path) for root in roots)


def _check_names(roots: Sequence[DataRoot]) -> None:
    """Refuse rasters that would get one name."""
    there: set[str] = set()
    for root in roots:
        for name in root.splits:
            joined = _name(root, name)
            if joined in there:
                raise InputError(root.path, f"{name} would be {joined}, as another raster: rename its folder")
            there.add(joined)


def _name(root: DataRoot, name: str) -> str:
    return f"{root.path.absolute().name}-{name.replace('/', '-')}"


def _common_images(roots: Sequence[DataRoot]) -> dict[Role, ImageSpec]:
    first, *others = roots
    images = {}
    for role, spec in first.images.items():
        optional = spec.optional
        for other in others:
            there = other.images.get(role)
            if there is not None and replace(there, optional=spec.optional) != spec:
                raise InputError(other.path, f"{role} has {_in_words(there)}, {first.path} has {_in_words(spec)}")
            optional = optional or there is None or there.optional
        if optional and role in ("sar", "optical"):
            raise InputError(first.path, f"{role} is missing in another root: joined roots are pairs")
        images[role] = replace(spec, optional=optional)
    for other in others:
        if not 1.0 - _TOLERANCE < other.gsd_m / first.gsd_m < 1.0 + _TOLERANCE:
            raise InputError(other.path, f"has pixels of {other.gsd_m:g} m, {first.path} of {first.gsd_m:g} m")
        if other.classes and first.classes and other.classes != first.classes:
            raise InputError(other.path, f"has other classes than {first.path}")
    ignored = {root.ignore_index: root for root in roots if root.ignore_index is not None}
    if len(ignored) > 1 and all(map(_is_labelled, roots)):
        one, two, *_ = ignored.values()
        raise InputError(two.path, f"has the ignore_index {two.ignore_index}, {one.path} {one.ignore_index}")
    return images


def _in_words(spec: ImageSpec) -> str:
    declared = "" if spec.range is None else f" in the range {spec.range[0]:g}..{spec.range[1]:g}"
    return f"{', '.join(spec.bands)} in {spec.units}{declared}"


def _describe(part: Path, name: str, roots: Sequence[DataRoot], images: dict[Role, ImageSpec], labelled: bool) -> None:
    first = roots[0]
    entries = {
        role: {
            "bands": list(spec.bands),
            "units": spec.units,
            **({"optional": True} if spec.optional else {}),
            **({"range": list(spec.range)} if spec.range else {}),
        }
        for role, spec in images.items()
    }
    sources = list(dict.fromkeys(source for root in roots for source in root.data_names))
    description = {"name": name, "gsd_m": first.gsd_m, "paired": True, **entries, "joined_from": sources}
    if labelled:
        ignored = next((root.ignore_index for root in roots if root.ignore_index is not None), None)
        description |= {"classes": dict(first.classes), "ignore_index": ignored}
    names: dict[str, list[str]] = {}
    for root in roots:
        names.setdefault(root.licence, []).append(root.name)
    description["licence"] = "; ".join(f"{', '.join(those)}: {licence}" for licence, those in names.items())
    rows = [_row(root, row) for root in roots for row in split_rows(root.path / "splits.csv")]
    columns = list(dict.fromkeys(column for row in rows for column in row if column not in ("name", "split")))
    cells = [[row.get(column, "") for column in ("name", "split", *columns)] for row in rows]
    write_description(part, description, cells, columns)


def _row(root: DataRoot, row: dict[str, str]) -> dict[str, str]:
    """What a row of splits.csv states, with the names that its raster and its group have in the joined root."""
    stated = {column: cell for column, cell in row.items() if column and cell and cell.strip()}
    if "group" in stated:
        stated["group"] = f"{root.path.absolute().name}/{stated['group']}"
    return stated | {"name": _name(root, row["name"])}
