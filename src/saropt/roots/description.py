"""Writes the two files that describe a data root."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def write_description(
    folder: Path, description: Mapping[str, Any], splits: Iterable[Sequence[object]], columns: Sequence[str] = ()
) -> None:
    """Write dataset.yaml from the description, and splits.csv from pairs of name and split.

    Args:
        columns: names of further columns, whose entries stand behind those of a pair.

    >>> write_description(Path("."), {"name": "mine", "gsd_m": 10.0}, [("tile", "train")])
    >>> Path("splits.csv").read_text()
    'name,split\\ntile,train\\n'
    """
    write_dataset_yaml(folder, description)
    with (folder / "splits.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("name", "split", *columns), *splits])


def write_dataset_yaml(folder: Path, description: Mapping[str, Any]) -> None:
    """Write dataset.yaml, in place of one that is there.

    >>> write_dataset_yaml(Path("."), {"name": "mine"})
    >>> Path("dataset.yaml").read_text()
    'name: mine\\n'
    """
    text = yaml.safe_dump(dict(description), sort_keys=False, allow_unicode=True)
    (folder / "dataset.yaml").write_text(text, encoding="utf-8")
