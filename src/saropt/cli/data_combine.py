"""`saropt data harmonise` and `saropt data join`: data roots made of other data roots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def harmonise(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Data root with earlier optical images.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Data root to write.")],
    changed: Annotated[
        str | None, typer.Option(metavar="CLASS[,CLASS]", help="Label classes of changed ground, which is left out.")
    ] = None,
) -> None:
    """Match the colours of optical images to those of earlier images."""
    from saropt.cli.progress import progress_bar, warn
    from saropt.curation.harmonising import harmonise_root
    from saropt.domain import listed
    from saropt.errors import counted

    told: list[str] = []
    with progress_bar("harmonise") as report:
        classes = changed.split(",") if changed else ()
        path, dropped = harmonise_root(source, out, classes, progress=report, tell=told.append)
    typer.echo(f"wrote {path}")
    for why in dict.fromkeys(dropped.values()):
        names = [name for name, reason in dropped.items() if reason == why]
        typer.echo(f"left out {counted(len(names), 'place')} with {why}: {listed(names, 10)}")
    warn(told)


def join(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Data root to write.")],
    sources: Annotated[list[Path], typer.Argument(metavar="IN...", help="Data roots with the same bands and units.")],
) -> None:
    """Copy several data roots into one."""
    from saropt.cli.progress import progress_bar, warn
    from saropt.curation.joining import join_roots

    told: list[str] = []
    with progress_bar("join") as report:
        path = join_roots(out, sources, progress=report, tell=told.append)
    typer.echo(f"wrote {path}")
    warn(told)
