"""What data a row is trained and measured on, told by their content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saropt.benchmark.suite import Simulation
from saropt.roots import DataRoot
from saropt.roots.identity import file_digests


@dataclass(frozen=True)
class Data:
    """The data of a row: their folder, which may not exist yet, and a hash of their content."""

    path: Path
    key: str
    simulation: Simulation | None = None


def content_key(root: DataRoot) -> str:
    """The hash of a data root's description, its splits, and the content of every raster.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 1, 1), size=32))
    >>> len(content_key(root))
    12
    """
    paths = _files(root)
    places = [path.relative_to(root.path).as_posix() for path in paths]
    return hash_of(*_texts(root), *zip(places, file_digests(paths), strict=True))


def scenes_key(root: DataRoot, split: str) -> str:
    """The hash of the images of one split: of two roots with one, the scenes are the same."""
    parts: list[Any] = []
    for role in sorted(root.images):
        found = [(name, path) for name in root.names(split) if (path := root.path_of(role, name)) is not None]
        digests = file_digests([path for _, path in found])
        parts.append([role, *((name, digest) for (name, _), digest in zip(found, digests, strict=True))])
    return hash_of(*parts)


def hash_of(*parts: Any) -> str:
    """A short hash of plain values.

    >>> hash_of(1, "a") == hash_of(1, "a"), hash_of(1) == hash_of(2)
    (True, False)
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _texts(root: DataRoot) -> list[Any]:
    return [(root.path / name).read_text(encoding="utf-8") for name in ("dataset.yaml", "splits.csv")]


def _files(root: DataRoot) -> list[Path]:
    """The rasters of all roles, and what lies beside them."""
    roles = (*root.images, "label")
    found = {path for role in roles for path in (root.path / role).rglob("*") if path.is_file()}
    named = {path for role in roles for name in root.splits if (path := root.path_of(role, name)) is not None}
    return sorted(path for path in found | named if not path.name.startswith("."))
