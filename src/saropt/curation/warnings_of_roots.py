"""What a new data root lacks, or states wrongly, in one line each."""

from __future__ import annotations

from saropt.domain import describe_units
from saropt.radiometry import check_units
from saropt.roots import DataRoot
from saropt.scenes import Scene

_LOST = {
    "train": "nothing can be trained on it",
    "val": "a training cannot choose its best weights",
    "test": "there is nothing to judge a translator on",
}
_LOOKED_AT = 3
_PIXELS = 1 << 16


def root_warnings(root: DataRoot) -> list[str]:
    """Empty splits, and units that the first rasters of a role contradict.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 1), size=64))
    >>> root_warnings(root)
    ['the split val is empty: a training cannot choose its best weights']
    """
    there = set(root.splits.values())
    found = [f"the split {split} is empty: {lost}" for split, lost in _LOST.items() if split not in there]
    for role, image in root.images.items():
        for name, path in list(root.rasters(role).items())[:_LOOKED_AT]:
            with Scene.open(path, palette="index", units=image.units) as scene:
                sample, dtype = scene.sample(_PIXELS), scene.dtype
            try:
                unit = describe_units(image.units, dtype)
            except ValueError:  # free words of a publisher, of which nothing is known
                break
            try:
                check_units(sample, unit, dtype)
            except ValueError as error:
                found.append(f"{role}/{name}: {error}")
                break
    return found
