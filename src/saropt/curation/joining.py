"""Several data roots as one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from saropt.domain import SCENE_INPUTS, Role
from saropt.errors import InputError
from saropt.files import atomic_folder
from saropt.progress import Progress, silent
from saropt.roots.description import write_description
from saropt.roots.root import DataRoot, ImageSpec
from saropt.roots.scene_inputs import stated_scene_inputs
from saropt.scenes.nodata import copy_beside

_TOLERANCE = 0.1


def join_roots(out: str | Path, sources: Sequence[str | Path], *, progress: Progress = silent) -> Path:
    """Copy data roots into one. A raster NAME of the root ROOT is called ROOT-NAME there, and keeps its split.

    The roles of the first root are taken. A role that is optional somewhere, or that another root lacks, is optional.
    The month, latitude and incidence that a splits.csv states go along.

    Args:
        out: data root to write; it appears when it is whole.
        sources: at least two roots, with the same bands and units in each role, pixels of one size to a tenth, and the
            same classes where they have labels.

    Raises:
        InputError: they do not fit together, two have one name, or `out` exists.

    >>> join_roots("out", ["roots/unknown", "roots/other"])
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: roots/unknown: no such folder
    """
    roots, out = [DataRoot.open(source) for source in sources], Path(out)
    if out.exists():
        raise InputError(out, "exists already")
    if len(roots) < 2 or len({root.path.absolute().name for root in roots}) < len(roots):
        raise InputError(out, "is to join at least two data roots, in folders of different names")
    images = _common_images(roots)
    roles: list[Role] = [*images, *(["label"] if all(root.classes for root in roots) else [])]
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
        _describe(part, out.absolute().name, roots, images, "label" in roles)
    return out


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
    description = {"name": name, "gsd_m": first.gsd_m, "paired": True, **entries}
    if labelled:
        description |= {"classes": dict(first.classes), "ignore_index": first.ignore_index}
    names: dict[str, list[str]] = {}
    for root in roots:
        names.setdefault(root.licence, []).append(root.name)
    description["licence"] = "; ".join(f"{', '.join(those)}: {licence}" for licence, those in names.items())
    stated = [(root, stated_scene_inputs(root)) for root in roots]
    columns = [one for one in SCENE_INPUTS if any(one in known for _, names in stated for known in names.values())]
    rows = [
        (_name(root, name), split, *(f"{known[name][one]:.10g}" if one in known[name] else "" for one in columns))
        for root, known in stated
        for name, split in root.splits.items()
    ]
    write_description(part, description, rows, columns)
