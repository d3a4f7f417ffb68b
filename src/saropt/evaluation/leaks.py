"""Whether a split shares places with the training data: by name, by content, by position or by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saropt.curation.other_dates import middle_digest, shared_images
from saropt.domain import Role, listed
from saropt.errors import counted
from saropt.roots import DataRoot
from saropt.scenes import Scene
from saropt.scenes.footprints import Footprint, footprint_of, overlaps


@dataclass(frozen=True)
class _Trace:
    """What is compared of a raster: a hash of its middle ("" for one colour), and its footprint."""

    name: str
    digest: str
    footprint: Footprint | None


def find_leaks(
    root: DataRoot, names: Sequence[str], train_root: DataRoot, train: Sequence[str], role: Role
) -> list[str]:
    """What a split shares with the training data, a sentence for each way; empty where nothing is found.

    Content is the middle of a raster, at most 512 x 512 pixels: equal pixels are found, altered ones are not (for
    these, `saropt.curation.clean_root`). Positions are compared on the ground, in whatever coordinate systems.

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
        "share an image of another date with the training data": list(
            dict.fromkeys(name for name, _ in shared_images(root, names, train_root, train))
        ),
        "overlap the training data on the ground": _overlapping(here, there),
    }
    told = [f"{len(found)} of {len(here)} rasters {what} ({listed(found, 3)})" for what, found in ways.items() if found]
    return told + _of_shared_groups(root, names, train_root, train)


def _of_shared_groups(root: DataRoot, names: Sequence[str], train_root: DataRoot, train: Sequence[str]) -> list[str]:
    """A sentence on the groups of a root that stand in its training data as well; other roots have other groups."""
    if root.path.resolve() != train_root.path.resolve():
        return []
    known = {train_root.groups[name] for name in train if name in train_root.groups}
    shared = [name for name in set(names) - set(train) if root.groups.get(name) in known]
    groups = sorted({root.groups[name] for name in shared})
    words = f"of {counted(len(groups), 'group')} of the training data ({listed(groups)})"
    return [f"{len(shared)} of {len(names)} rasters are {words}"] if shared else []


def _trace(root: DataRoot, role: Role, name: str) -> _Trace:
    with Scene.open(root.raster(role, name)) as scene:
        digest = middle_digest(scene)
        footprint = footprint_of(scene.georeference, scene.height, scene.width)
    return _Trace(name, digest, footprint)


def _overlapping(here: Sequence[_Trace], there: Sequence[_Trace]) -> list[str]:
    """Names whose footprint overlaps one of the training data by more than a pixel in both directions."""
    placed, known = _placed(here), _placed(there)
    pairs = overlaps([own for _, own in placed], [own for _, own in known])
    return list(dict.fromkeys(placed[one][0] for one, _, _ in pairs))


def _placed(traces: Sequence[_Trace]) -> list[tuple[str, Footprint]]:
    """Names and footprints of the rasters with a place on the ground."""
    return [(own.name, own.footprint) for own in traces if own.footprint is not None]
