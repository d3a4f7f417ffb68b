"""Whether a split shares places with the training data: by name, by content or by position."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saropt.domain import Role
from saropt.roots import DataRoot
from saropt.scenes import Scene, Window

_SIDE = 512
_NAMED = 3


@dataclass(frozen=True)
class _Trace:
    """What is compared of a raster: a hash of its middle ("" for one colour), and its footprint."""

    name: str
    digest: str
    crs: str
    bounds: tuple[float, float, float, float] | None
    pixel: float


def find_leaks(
    root: DataRoot, names: Sequence[str], train_root: DataRoot, train: Sequence[str], role: Role
) -> list[str]:
    """What a split shares with the training data, a sentence for each way; empty where nothing is found.

    Content is the middle of a raster, at most 512 x 512 pixels: equal pixels are found, altered ones are not (for
    these, `saropt.curation.clean_root`). Positions are compared in one coordinate system.

    Args:
        role: the role whose rasters are compared.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(2, 0, 1), size=64))
    >>> find_leaks(root, root.names("test"), root, root.names("train"), "sar")
    []
    >>> find_leaks(root, root.names("train"), root, root.names("train"), "sar")[0]
    '2 of 2 rasters are in the training data by name (train_000, train_001)'
    """
    here = [_trace(root, role, name) for name in names]
    there = [_trace(train_root, role, name) for name in train]
    known_names, digests = set(train), {trace.digest for trace in there if trace.digest}
    ways = {
        "are in the training data by name": [trace.name for trace in here if trace.name in known_names],
        "hold pixels of the training data": [trace.name for trace in here if trace.digest in digests],
        "overlap the training data on the ground": _overlapping(here, there),
    }
    return [f"{len(found)} of {len(here)} rasters {what} ({_some(found)})" for what, found in ways.items() if found]


def _some(names: Sequence[str]) -> str:
    """The first names, and dots for the others."""
    return ", ".join([*names[:_NAMED], "..."] if len(names) > _NAMED else names)


def _trace(root: DataRoot, role: Role, name: str) -> _Trace:
    with Scene.open(root.raster(role, name)) as scene:
        height, width = min(_SIDE, scene.height), min(_SIDE, scene.width)
        window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
        values, _ = scene.read(window)
        one_colour = bool((values == values[:, :1, :1]).all())
        digest = hashlib.sha256(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()
        place = scene.georeference
        if place.transform is None:
            return _Trace(name, "" if one_colour else digest, "", None, 0.0)
        corners = [place.transform @ (col, row) for col in (0, scene.width) for row in (0, scene.height)]
        x, y = zip(*corners, strict=True)
        crs = place.crs.to_string() if place.crs is not None else ""
        pixel = float(np.hypot(place.transform.a, place.transform.d))
        return _Trace(name, "" if one_colour else digest, crs, (min(x), min(y), max(x), max(y)), pixel)


def _overlapping(here: Sequence[_Trace], there: Sequence[_Trace]) -> list[str]:
    """Names whose footprint overlaps one of the training data by more than a pixel in both directions."""
    by_crs: dict[str, list[_Trace]] = {}
    for trace in there:
        if trace.bounds is not None and trace.crs:
            by_crs.setdefault(trace.crs, []).append(trace)
    boxes = {crs: np.array([trace.bounds for trace in traces]) for crs, traces in by_crs.items()}
    found = []
    for trace in here:
        if trace.bounds is None or trace.crs not in boxes:
            continue
        left, bottom, right, top = trace.bounds
        box = boxes[trace.crs]
        width = np.minimum(right, box[:, 2]) - np.maximum(left, box[:, 0])
        height = np.minimum(top, box[:, 3]) - np.maximum(bottom, box[:, 1])
        if (np.minimum(width, height) > trace.pixel).any():
            found.append(trace.name)
    return found
