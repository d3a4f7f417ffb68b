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
    dated = [role for role in dict.fromkeys([*root.images, *other.images]) if "_reference" in role]
    true: dict[Role, Role] = {role: role.partition("_reference")[0] for role in dated}
    own = {role: _digests(root, role, names) for role in {*true, *true.values()}}
    same = root is other and names is others
    theirs = own if same else {role: _digests(other, role, others) for role in own}
    ways = [*true.items(), *(() if same else ((image, role) for role, image in true.items()))]
    return [
        (name, owner)
        for here, there in ways
        for digest, held in own[here].items()
        for name in held
        for owner in theirs[there].get(digest, [])
        if owner != name
    ]


def _digests(root: DataRoot, role: Role, names: Sequence[str]) -> dict[str, list[str]]:
    """Hash of the pixels -> names, of the rasters of a role."""
    found: dict[str, list[str]] = {}
    for name in names if role in root.images else ():
        if (path := root.path_of(role, name)) is not None:
            with Scene.open(path) as scene:
                found.setdefault(middle_digest(scene), []).append(name)
    found.pop("", None)
    return found
