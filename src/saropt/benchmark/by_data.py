"""The rows of a suite by the data that they are of: baselines belong to data, ranks and tests to scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class RowReports:
    """What a row has made: seed -> what report.json holds, of at least one seed; hashes of the data that it is of, and
    of the scenes that were measured.

    >>> RowReports({1: {"n": 5}, 2: {"n": 6}}, "data", "scenes").first
    {'n': 5}
    """

    by_seed: Mapping[int, dict[str, Any]]
    data: str
    scenes: str

    @property
    def first(self) -> dict[str, Any]:
        """The report of the first seed."""
        return next(iter(self.by_seed.values()))


Reports = Mapping[str, RowReports]
"""By the name of the row."""


def rows_by(reports: Reports, kind: Literal["data", "scenes"]) -> list[list[str]]:
    """The rows that have one hash, in order.

    >>> rows_by({"a": RowReports({}, "d", "s"), "b": RowReports({}, "e", "s")}, "scenes")
    [['a', 'b']]
    """
    found: dict[str, list[str]] = {}
    for name, row in reports.items():
        found.setdefault(getattr(row, kind), []).append(name)
    return list(found.values())


def notes_on(reports: Reports) -> list[str]:
    """Sentences on what a reader must know of the rows: other data, other numbers of seeds, baselines of one row.

    >>> notes_on({"a": RowReports({0: {}, 1: {}}, "d", "s"), "b": RowReports({1: {}}, "d", "s")})
    ['Rows have unequal numbers of seeds: a has 0, 1; b has 1']
    """
    groups = rows_by(reports, "data")
    notes = []
    if len(groups) > 1:
        notes.append("Rows are of different data, which have their own baselines")
        for number, rows in enumerate(groups, 1):
            notes.append(f"Data {number} ({reports[rows[0]].first['data']['name']}): {', '.join(rows)}")
        if len(rows_by(reports, "scenes")) > 1:
            notes.append("Ranks and tests are among rows of the same scenes")
    if len({tuple(row.by_seed) for row in reports.values()}) > 1:
        held = "; ".join(f"{name} has {', '.join(map(str, row.by_seed))}" for name, row in reports.items())
        same = len({len(row.by_seed) for row in reports.values()}) == 1
        notes.append(f"Rows have {'different seeds' if same else 'unequal numbers of seeds'}: {held}")
    for rows in groups:
        notes += _other_baselines(reports, rows)
    return notes


def _other_baselines(reports: Reports, rows: Sequence[str]) -> list[str]:
    """Which row baselines are of, where other rows of the same data have others: of other bands or inputs."""
    notes = []
    shown: dict[str, tuple[str, dict[str, Any]]] = {}
    other: dict[str, list[str]] = {}
    for row in rows:
        for direction, by in reports[row].first.get("baselines", {}).items():
            owner, known = shown.setdefault(direction, (row, by))
            if any(_scores(by[name]) != _scores(known[name]) for name in by if name in known):
                other.setdefault(direction, [owner]).append(row)
    for direction, (owner, *others) in other.items():
        notes.append(f"Baselines of {direction} are of the bands of {owner}, not of those of {', '.join(others)}")
    return notes


def _scores(figures: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(figures.get(key) for key in ("psnr", "mae"))


def references_by_data(reports: Reports, key: str) -> list[tuple[str, dict[str, Any]]]:
    """For each set of data what its name ends with in the table, and direction -> an entry of its first report."""
    groups = rows_by(reports, "data")
    found = []
    for number, rows in enumerate(groups, 1):
        by: dict[str, Any] = {}
        for row in rows:
            by = {**reports[row].first.get(key, {}), **by}
        found.append((f", data {number}" if len(groups) > 1 else "", by))
    return found
