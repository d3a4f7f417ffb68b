"""splits.csv: the names of a data root, the split of each, and what else is stated of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from saropt.domain import SCENE_INPUTS, check_scene_input, listed
from saropt.errors import InputError
from saropt.roots.names import check_name

SPLITS = ("train", "val", "test")


def read_splits(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> split, and name -> group where there is one, of a splits.csv.

    Raises:
        InputError: it is missing or malformed.

    >>> _ = Path("splits.csv").write_text("name,split,group\\na,train,\\nb,test,one\\n")
    >>> read_splits(Path("splits.csv"))
    ({'a': 'train', 'b': 'test'}, {'b': 'one'})
    """
    splits: dict[str, str] = {}
    groups: dict[str, str] = {}
    for row in split_rows(path):
        splits[row["name"]] = row["split"]
        if row.get("group"):
            groups[row["name"]] = row["group"]
    if not splits:
        raise InputError(path, "lists no raster")
    return splits, groups


def split_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a splits.csv, column -> cell, each of another name.

    Raises:
        InputError: it is missing or malformed, or states a scene input that is no number or out of range.

    >>> _ = Path("splits.csv").write_text("name,split,month\\na,train,7\\n")
    >>> list(split_rows(Path("splits.csv")))
    [{'name': 'a', 'split': 'train', 'month': '7'}]
    """
    if not path.is_file():
        raise InputError(path, "no such file")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(path, "is not a UTF-8 text file") from error
    try:
        yield from _checked(path, csv.DictReader(lines))
    except csv.Error as error:
        raise InputError(path, f"is not readable: {error}") from error


def _checked(path: Path, reader: csv.DictReader) -> Iterator[dict[str, str]]:
    if not reader.fieldnames or not {"name", "split"} <= set(reader.fieldnames):
        raise InputError(path, "must have the columns name and split")
    names: set[str] = set()
    for row in reader:
        if row.get(None) and any(cell.strip() for cell in row[None]):
            raise InputError(path, f"line {reader.line_num}: has more cells than the first line has columns")
        if row["split"] not in SPLITS:
            raise InputError(path, f"line {reader.line_num}: split {row['split']!r} is not {', '.join(SPLITS)}")
        check_name(row["name"], path, f"line {reader.line_num}")
        if row["name"] in names:
            raise InputError(path, f"line {reader.line_num}: {row['name']} appears twice")
        names.add(row["name"])
        scene_inputs_in(row, path)
        yield row


def shared_groups(splits: Mapping[str, str], groups: Mapping[str, str]) -> dict[str, list[str]]:
    """Group -> its names, of the groups that stand in more than one split. Both arguments are those of `read_splits`.

    >>> shared_groups({"a": "train", "b": "test", "c": "val"}, {"a": "north", "b": "north", "c": "south"})
    {'north': ['a', 'b']}
    """
    members: dict[str, list[str]] = {}
    for name in splits:
        if name in groups:
            members.setdefault(groups[name], []).append(name)
    return {group: names for group, names in members.items() if len({splits[name] for name in names}) > 1}


def shared_groups_line(splits: Mapping[str, str], groups: Mapping[str, str]) -> str | None:
    """A line on the groups that stand in more than one split; None where each is in one.

    >>> shared_groups_line({"a": "train", "b": "test"}, {"a": "north", "b": "north"})
    '1 group stands in more than one split (north): a group is one place, which belongs to one split'
    """
    if not (found := list(shared_groups(splits, groups))):
        return None
    words = "1 group stands" if len(found) == 1 else f"{len(found)} groups stand"
    return f"{words} in more than one split ({listed(found)}): a group is one place, which belongs to one split"


def rows_as_text(rows: Sequence[Mapping[str, str]]) -> str:
    """A splits.csv of some rows, with the columns of the first one.

    >>> rows_as_text([{"name": "a", "split": "train", "group": ""}, {"name": "b", "split": "test"}])
    'name,split,group\\na,train,\\nb,test,\\n'
    """
    table = io.StringIO()
    columns = [column for column in rows[0] if column is not None]
    writer = csv.DictWriter(table, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def scene_inputs_in(row: Mapping[str, str | None], path: Path) -> dict[str, float]:
    """Scene input (`saropt.domain.SCENE_INPUTS`) -> value, of those that a row of a splits.csv states.

    Raises:
        InputError: an entry is no number or out of range.

    >>> scene_inputs_in({"name": "a", "split": "train", "month": "7", "latitude": ""}, Path("splits.csv"))
    {'month': 7.0}
    """
    found = {}
    for name in SCENE_INPUTS:
        text = (row.get(name) or "").strip()
        if text:
            try:
                found[name] = check_scene_input(name, float(text))
            except ValueError as error:
                reason = str(error) if str(error).startswith("must") else "must be a number"
                raise InputError(f"{path}: {row['name']}", f"{name} {text} {reason}") from error
    return found
