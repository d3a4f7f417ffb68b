"""Whether an output would take the place of an input."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from saropt.addresses import is_store, object_path
from saropt.errors import InputError
from saropt.files.vrt import files_behind


def same_place(one: str | Path, other: str | Path) -> bool:
    """Whether two paths are one file, or two addresses one object of a store, by whatever name or link.

    >>> same_place("scene.tif", "./scene.tif")
    True
    >>> same_place("s3://bucket/scene.tif", "/vsis3/bucket/scene.tif")
    True
    """
    try:
        if os.path.samefile(one, other):
            return True
    except (OSError, ValueError):
        pass
    return place_of(one) == place_of(other)


def place_of(path: str | Path) -> str:
    """A text that is the same for all paths of a file but hard links, and for all addresses of an object of a store.

    >>> place_of("s3://bucket/scene.tif")
    '/vsis3/bucket/scene.tif'
    """
    return object_path(str(path)).partition("?")[0] if is_store(path) else os.path.realpath(path)


def check_not_input(out: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse an output that would replace one of its inputs, a file of a product among them, or a file that a virtual
    raster among them reads, whatever `overwrite` says.

    Raises:
        InputError: it would.

    >>> check_not_input("./a.tif", ["a.tif"])
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: ./a.tif: is an input, which the output would replace: choose another name
    """
    if any(_replaces(out, one) for named in inputs for one in (named, *files_behind(named))):
        raise InputError(out, "is an input, which the output would replace: choose another name")


def _replaces(out: str | Path, one: str | Path) -> bool:
    product = Path(one).parent if Path(one).name.lower() == "manifest.safe" else Path(one)
    within = os.path.lexists(out) and product.is_dir() and Path(place_of(out)).is_relative_to(place_of(product))
    return within or same_place(out, one)
