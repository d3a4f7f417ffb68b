"""A splits.csv without the faulty rasters of a data root, in which no ground appears in two splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from saropt.curation.cleaning import DROPPED, Report, check_kinds
from saropt.errors import InputError
from saropt.files import check_not_input, write_text
from saropt.roots.frozen import HASH_COLUMN, hashes_of
from saropt.roots.root import DataRoot
from saropt.roots.splits import SPLITS, rows_as_text, split_rows
from saropt.scenes.writing import check_writable

_PIXELS = tuple(f"{HASH_COLUMN}{role}" for role in ("sar", "optical"))
Row = dict[str, str]


def write_splits(
    report: Report, path: str | Path, drop: Sequence[str] = DROPPED, *, overwrite: bool = False
) -> dict[str, str]:
    """Write a splits.csv that leaves out the names with findings of the kinds in `drop`, and in which no ground appears
    in two splits.

    Names that show the same ground (equal pixels, near-duplicate, overlap, leak) all go to the split that holds most of
    them; where splits hold equally many, train comes before val, and val before test. They share an entry in the column
    `group`, as do names that shared one before. Columns `sha256_ROLE` and `valid_ROLE` for each role hold the hash of
    the pixels and how many of them are valid (`saropt.roots.frozen`). Further columns of the file are kept. Of equal
    rasters the first that has no other fault is kept.

    Returns:
        Name -> split, as written.

    Raises:
        InputError: unknown kind, nothing would remain, the file exists or cannot be written, or the data root is not as
            it was when the report was made.

    >>> from saropt.curation.cleaning import clean_root
    >>> from saropt.roots.simulated import write_simulated_root
    >>> report = clean_root(write_simulated_root("root", scenes=(1, 1, 0), size=64))
    >>> write_splits(report, "clean.csv", drop=())
    {'train_000': 'train', 'val_000': 'val'}
    """
    path, source = Path(path), Path(report.root) / "splits.csv"
    check_kinds(drop)
    check_writable(path, suffixes=(".csv",), overwrite=overwrite)
    check_not_input(path, [source])
    root, faults = DataRoot.open(report.root), set(drop) - {"duplicate"}
    dropped = {finding.name for finding in report.findings if finding.kind in faults}
    rows = [
        {**row, "group": row.get("group") or "", **hashes_of(root, row["name"])}
        for row in split_rows(source)
        if row["name"] not in dropped
    ]
    kept = _first_of_equal(rows) if "duplicate" in drop else rows
    if not kept:
        raise InputError(path, "nothing would remain")
    for group in _groups(report, kept):
        members = [row for row in kept if row["name"] in group]
        counts = Counter(row["split"] for row in members)
        chosen = max(SPLITS, key=lambda split: (counts[split], -SPLITS.index(split)))
        before = [row["group"] for row in members if row["group"]]
        for row in members:
            row |= {"split": chosen, "group": before[0] if before else min(group)}
    report.inputs.check()
    write_text(path, rows_as_text(kept))
    return {row["name"]: row["split"] for row in kept}


def lost_splits_line(report: Report, kept: Mapping[str, str]) -> str | None:
    """A line on the splits of a data root that new splits leave empty; None where there is none.

    Args:
        kept: name -> split, as `write_splits` returns it.

    >>> from saropt.curation.cleaning import clean_root
    >>> from saropt.roots.simulated import write_simulated_root
    >>> report = clean_root(write_simulated_root("root", scenes=(1, 1, 0), size=64))
    >>> lost_splits_line(report, {"train_000": "train"})
    'no raster is left in the split val: all are left out or moved to the split of the same ground'
    """
    before = DataRoot.open(report.root).splits.values()
    lost = [split for split in SPLITS if split in before and split not in kept.values()]
    if not lost:
        return None
    where = f"split{'s' if len(lost) > 1 else ''} {' and '.join(lost)}"
    return f"no raster is left in the {where}: all are left out or moved to the split of the same ground"


def _first_of_equal(rows: Sequence[Row]) -> list[Row]:
    """The rows without those whose SAR or optical pixels are those of an earlier one."""
    kept: list[Row] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        pixels = {(role, row[role]) for role in _PIXELS}
        if not pixels & seen:
            kept.append(row)
            seen |= pixels
    return kept


def _groups(report: Report, rows: Sequence[Mapping[str, str]]) -> list[set[str]]:
    """Groups of two names or more that show the same ground: connected components of equal pixels, of the findings and
    of the groups that the names had before."""
    order = sorted(row["name"] for row in rows)
    place = {name: number for number, name in enumerate(order)}
    shared = ("near-duplicate", "overlap", "leak")
    pairs = [
        (place[finding.name], place[finding.other])
        for finding in report.findings
        if finding.kind in shared and {finding.name, finding.other} <= place.keys()
    ]
    first: dict[tuple[str, str], str] = {}
    for row in rows:
        for column in ("group", *_PIXELS):
            if row[column]:
                pairs.append((place[first.setdefault((column, row[column]), row["name"])], place[row["name"]]))
    ones, others = zip(*pairs, strict=True)
    graph = coo_array((np.ones(len(pairs)), (ones, others)), shape=(len(order), len(order)))
    count, group_of = connected_components(graph, directed=False)
    groups: list[set[str]] = [set() for _ in range(count)]
    for name, group in zip(order, group_of, strict=True):
        groups[group].add(name)
    return [group for group in groups if len(group) > 1]
