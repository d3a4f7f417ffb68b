"""The rows of a suite by the data that they are of: baselines belong to data, ranks and tests to scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DATA_KEY, SCENES_KEY = "data_key", "scenes_key"
"""Entries that a suite adds to a report: hashes of the data, and of the scenes that were measured."""

Reports = Mapping[str, Mapping[int, dict[str, Any]]]
"""Row -> seed -> what report.json holds."""


def rows_by(reports: Reports, key: str) -> dict[str, list[str]]:
    """Hash -> rows, in order; where reports hold no hash, by the name of their data.

    >>> rows_by({"a": {0: {"data": {"name": "d"}}}, "b": {1: {"data": {"name": "d"}}}}, DATA_KEY)
    {'d': ['a', 'b']}
    """
    found: dict[str, list[str]] = {}
    for row, by_seed in reports.items():
        first = first_of(by_seed)
        found.setdefault(first.get(key) or first.get(DATA_KEY) or first["data"]["name"], []).append(row)
    return found


def first_of(by_seed: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """The report of a row's first seed.

    >>> first_of({1: {"n": 5}, 2: {"n": 6}})
    {'n': 5}
    """
    return next(iter(by_seed.values()))


def notes_on(reports: Reports) -> list[str]:
    """Sentences on what a reader must know of the rows: other data, other numbers of seeds, baselines of one row.

    >>> notes_on({"a": {0: {"data": {"name": "d"}}, 1: {}}, "b": {1: {"data": {"name": "d"}}}})
    ['Rows have unequal numbers of seeds: a has 0, 1; b has 1']
    """
    groups = rows_by(reports, DATA_KEY)
    notes = []
    if len(groups) > 1:
        notes.append("Rows are of different data, which have their own baselines")
        for number, rows in enumerate(groups.values(), 1):
            notes.append(f"Data {number} ({first_of(reports[rows[0]])['data']['name']}): {', '.join(rows)}")
        if len(rows_by(reports, SCENES_KEY)) > 1:
            notes.append("Ranks and tests are among rows of the same scenes")
    if len({tuple(by_seed) for by_seed in reports.values()}) > 1:
        held = "; ".join(f"{row} has {', '.join(map(str, by_seed))}" for row, by_seed in reports.items())
        same = len({len(by_seed) for by_seed in reports.values()}) == 1
        notes.append(f"Rows have {'different seeds' if same else 'unequal numbers of seeds'}: {held}")
    for rows in groups.values():
        notes += _other_baselines(reports, rows)
    return notes


def _other_baselines(reports: Reports, rows: Sequence[str]) -> list[str]:
    """Which row baselines are of, where other rows of the same data have others: of other bands or inputs."""
    notes = []
    shown: dict[str, tuple[str, dict[str, Any]]] = {}
    other: dict[str, list[str]] = {}
    for row in rows:
        for direction, by in first_of(reports[row]).get("baselines", {}).items():
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
    groups = list(rows_by(reports, DATA_KEY).values())
    found = []
    for number, rows in enumerate(groups, 1):
        by: dict[str, Any] = {}
        for row in rows:
            by = {**first_of(reports[row]).get(key, {}), **by}
        found.append((f", data {number}" if len(groups) > 1 else "", by))
    return found
