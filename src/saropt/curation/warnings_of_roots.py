"""What a new data root lacks, or states wrongly, in one line each."""

from __future__ import annotations

from saropt.progress import Progress, silent
from saropt.roots import DataRoot
from saropt.roots.splits import shared_groups_line
from saropt.roots.values import NO_PIXEL, contradiction, sized_otherwise, stated_otherwise
from saropt.scenes import Scene

_LOST = {
    "train": "nothing can be trained on it",
    "val": "a training cannot choose its best weights",
    "test": "there is nothing to judge a translator on",
}
_LOOKED_AT = 3
"""Rasters of a role of which it is told that they hold nothing."""


def root_warnings(root: DataRoot, progress: Progress = silent) -> list[str]:
    """Empty splits, groups in several splits, and units or a size of pixels that a raster contradicts, by its values or
    by what it states; of a role the first such raster is told.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 1), size=64))
    >>> root_warnings(root)
    ['the split val is empty: a training cannot choose its best weights']
    """
    there = set(root.splits.values())
    found = [f"the split {split} is empty: {lost}" for split, lost in _LOST.items() if split not in there]
    if (line := shared_groups_line(root.splits, root.groups)) is not None:
        found.append(line)
    for role, image in root.images.items():
        rasters = root.rasters(role)
        for number, (name, path) in enumerate(rasters.items()):
            progress(number, len(rasters), f"{role} {name}")
            with Scene.open(path, palette="index", units=image.units) as scene:
                problem = contradiction(scene, image.units)
                if problem == NO_PIXEL and number >= _LOOKED_AT:
                    problem = None
                problem = problem or stated_otherwise(scene, role, image.units) or sized_otherwise(scene, root.gsd_m)
            if problem is not None:
                found.append(f"{role}/{name}: {problem}")
                break
    return found
