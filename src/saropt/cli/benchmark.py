"""`saropt benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def benchmark(
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="Shipped suite by name, or a YAML file; none lists them.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of parts and tables.")] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DATA", help="Data root; else simulated.")] = None,
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Run only this seed; may be repeated.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ROW", help="Run only this row.")] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Steps of every training.")] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Published weights, for FID, KID and LPIPS.")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Kind of device.")] = "auto",
) -> None:
    """Train and evaluate several methods over seeds, and make one table; a second call goes on."""
    from saropt.cli.extras import require

    require("benchmark", "train", "torch", "lightning_fabric", "tensorboard", "jinja2")

    from saropt import benchmark as room
    from saropt.cli.progress import progress_bar
    from saropt.cli.tables import print_table

    if suite is None:
        shipped = [[name, room.load_suite(name).title] for name in room.list_suites()]
        print_table(["suite", "what"], shipped, "shipped suites")
        return
    chosen = room.load_suite(suite)
    if out is None:
        raise typer.BadParameter("the tables need a folder: --out DIR")
    with progress_bar(chosen.name) as bar:
        table = room.run_suite(
            chosen,
            out,
            data,
            seeds=seeds,
            only=only,
            max_steps=max_steps,
            weights=weights,
            accelerator=device,
            progress=bar,
        )
    typer.echo(table.markdown())
    typer.echo(f"wrote {out / 'table.md'}, .tex, .csv, .html and {out / 'results.json'}")
