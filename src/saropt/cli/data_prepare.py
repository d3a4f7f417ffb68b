"""`saropt data prepare`: known public sets, and one's own scenes, as data roots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare_data(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name of the data set; leave it out to list all.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SRC", help="Path of the data set as published; leave it out to show the options."),
    ] = None,
    out: Annotated[Path | None, typer.Argument(metavar="DST", help="Data root to create.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set one option of the data set; may be repeated."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="Accept an incomplete data set, or one with unreadable files; missing.txt then lists them.",
        ),
    ] = False,
) -> None:
    """Convert a public data set or your own scenes to a data root.

    To continue an interrupted conversion, run the same command again.
    """
    from saropt.cli.progress import progress_bar, warn
    from saropt.cli.tables import print_facts, print_table
    from saropt.curation.sets import SETS, prepare
    from saropt.curation.warnings_of_roots import root_warnings
    from saropt.errors import InputError, counted
    from saropt.roots import DataRoot

    if name is None:
        print_table(["set", "what it is"], [[known.name, known.title] for _, known in SETS.items()])
        return
    if name not in SETS:
        raise InputError(name, f"unknown set; known: {', '.join(SETS)}")
    if source is None or out is None:
        known = SETS[name]
        print_facts({"set": known.title, "SRC": known.layout})
        rows = [
            [key, "needed" if field.is_required() else str(field.get_default()), field.description or ""]
            for key, field in known.options.model_fields.items()
        ]
        print_table(["--set", "default", "meaning"], rows)
        return
    told: list[str] = []
    with progress_bar(f"prepare {name}") as report:
        path = prepare(name, source, out, options or [], partial=partial, progress=report, tell=told.append)
    root = DataRoot.open(path)
    splits = list(root.splits.values())
    counts = ", ".join(f"{splits.count(split)} {split}" for split in ("train", "val", "test"))
    typer.echo(f"wrote {path}: {counts}")
    lacking = path / "missing.txt"
    left_out = len(lacking.read_text(encoding="utf-8").splitlines()) if lacking.exists() else 0
    if left_out:
        told.append(f"{lacking} lists {counted(left_out, 'thing')} of the set that could not be taken")
    with progress_bar("check") as report:
        told += root_warnings(root, report)
    warn(told)
