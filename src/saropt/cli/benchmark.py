"""`saropt benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def benchmark(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUITE", help="Names of suites, or YAML files; leave it out to list the suites."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for runs, and for a folder of tables and figures per suite; required with SUITE.",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", metavar="DATA", help="Data root (default: the suite's simulated data); may be repeated."
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", metavar="N", help="Run only this seed; may be repeated.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ROW", help="Run only this row of the table; may be repeated.")
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of steps of every training run (default: the suite's)."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one setting of the suite, for example base.data.batch_size=1; may be repeated.",
        ),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(metavar="NAME[,NAME]", help="Rasters to show in the figures (default: four of the split)."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Sampling steps of diffusion models (default: each model's own)."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of pretrained weights, which FID, KID and LPIPS need.")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Device to train and score on.")] = "auto",
) -> None:
    """Train and score several methods, and write one table.

    Every method is trained once per seed. To continue an interrupted suite, run the same command again. Suites in one
    folder share what they have in common: a training that is in several tables is made once.
    """
    from saropt.cli.extras import require

    require("benchmark", "train", "torch", "lightning_fabric", "tensorboard", "jinja2", "matplotlib")

    from saropt import benchmark as room
    from saropt.cli.progress import progress_bar, warn_at_once
    from saropt.cli.tables import print_table

    if not suites:
        shipped = [[name, room.load_suite(name).title] for name in room.list_suites()]
        print_table(["suite", "what"], shipped, "shipped suites")
        return
    loaded = [room.load_suite(suite, settings or ()) for suite in suites]
    if out is None:
        raise typer.BadParameter("the tables need a folder: --out DIR")
    failed: list[str] = []
    for chosen in loaded:
        with progress_bar(chosen.name) as bar:
            table = room.run_suite(
                chosen,
                out,
                data or None,
                seeds=seeds,
                only=only,
                max_steps=max_steps,
                weights=weights,
                accelerator=device,
                tiles=tiles.split(",") if tiles else (),
                steps=steps,
                progress=bar,
                tell=warn_at_once,
            )
        typer.echo(table.markdown())
        for note in table.notes:
            typer.echo(f"{note}.")
        for heading, lines in table.below:
            typer.echo("\n".join([heading, *lines]))
        typer.echo(f"wrote table.md, .tex, .csv, .html, results.json and the figures to {out / chosen.name}")
        failed += [f"{chosen.name}: {line}" for line in table.failed]
    for line in failed:
        typer.echo(f"saropt: error: {line}", err=True)
    if failed:
        raise typer.Exit(2)
