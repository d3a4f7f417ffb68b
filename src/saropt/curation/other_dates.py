"""Finds true images that another place holds as its image of another date, by their pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from saropt.domain import Role
from saropt.roots.root import DataRoot
from saropt.scenes import Scene, Window

_SIDE = 512


def middle_digest(scene: Scene) -> str:
    """A hash of the middle of a raster, at most 512 x 512 pixels; "" for one colour.

    >>> from saropt.scenes import write_array
    >>> with Scene.open(write_array("grey.tif", np.ones((1, 8, 8), np.uint8))) as scene:
    ...     middle_digest(scene)
    ''
    """
    height, width = min(_SIDE, scene.height), min(_SIDE, scene.width)
    window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
    values, valid = scene.read(window)
    if not valid.any() or (values == values[:, :1, :1]).all():
        return ""
    return hashlib.sha256(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()


def shared_images(
    root: DataRoot, names: Sequence[str], other: DataRoot, others: Sequence[str]
) -> list[tuple[str, str]]:
    """Names of two roots, or of one, of which one's image of another date (`optical_reference`) holds the pixels of
    the other's true image (`optical`).

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 1), size=64))
    >>> shared_images(root, root.names("test"), root, root.names("train"))
    []
    """
    pairs = []
    for dated in dict.fromkeys([*root.images, *other.images]):
        true, known, _ = dated.partition("_reference")
        for here, there in ((true, dated), (dated, true)) if known else ():
            owners = _digests(other, there, others)
            found = [(name, digest) for digest, held in _digests(root, here, names).items() for name in held]
            pairs += [(name, owner) for name, digest in found for owner in owners.get(digest, []) if owner != name]
    return pairs


def _digests(root: DataRoot, role: Role, names: Sequence[str]) -> dict[str, list[str]]:
    """Hash of the pixels -> names, of the rasters of a role."""
    found: dict[str, list[str]] = {}
    for name in names if role in root.images else ():
        if (path := root.path_of(role, name)) is not None:
            with Scene.open(path) as scene:
                found.setdefault(middle_digest(scene), []).append(name)
    found.pop("", None)
    return found
