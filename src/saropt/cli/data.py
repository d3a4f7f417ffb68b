"""`saropt data`: inspect and simulate; its other verbs have files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saropt.cli.data_calibrate import calibrate_data
from saropt.cli.data_clean import clean
from saropt.cli.data_fetch import fetch_data
from saropt.cli.data_filter import filter_data, pauli
from saropt.cli.data_prepare import prepare_data

if TYPE_CHECKING:
    from saropt.curation.inspection import Facts

data = typer.Typer(help="Look at data, or make some.", rich_markup_mode=None)
data.command("fetch")(fetch_data)
data.command("prepare")(prepare_data)
data.command("calibrate")(calibrate_data)
data.command("clean")(clean)
data.command("filter")(filter_data)
data.command("pauli")(pauli)


@data.command("inspect")
def inspect_data(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A data root or a raster.")],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a page with histograms and pictures.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing page.")] = False,
) -> None:
    """Show what a data root or a raster holds."""
    from saropt.cli.progress import progress_bar
    from saropt.cli.tables import print_facts
    from saropt.curation.inspection import inspect_raster, inspect_root
    from saropt.errors import InputError

    if html is not None and html.exists() and not overwrite:
        raise InputError(html, "exists already: choose another name, or replace it with --overwrite")
    with progress_bar("inspect") as report:
        if not path.is_dir():
            description, sides = {"file": str(path)}, [inspect_raster(path, report)]
        else:
            description, sides = inspect_root(path, report)
    print_facts(description)
    for side in sides:
        _print_side(side)
    if html is not None:
        from saropt.curation.distribution import distribution_of
        from saropt.curation.inspection_html import write_page

        with progress_bar("histograms") as report:
            found = distribution_of(path, report)
        typer.echo(f"wrote {write_page(html, path.absolute().name, description, sides, found)}")


def _print_side(side: Facts) -> None:
    from saropt.cli.tables import print_facts, print_table

    print_facts(side.facts)
    rows = [[name, *(f"{value:.5g}" for value in values)] for name, values in side.quantiles.items()]
    print_table(["band", *side.levels], rows)


@data.command("simulate")
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Data root to make.")],
    scenes: Annotated[
        str, typer.Option(metavar="N[,N,N]", help="Scenes for train, val and test; one number is train's alone.")
    ] = "4,1,1",
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Side of every scene.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other scenes.")] = 0,
    units: Annotated[str, typer.Option(metavar="amplitude|sigma0|sigma0_db", help="SAR units.")] = "amplitude",
    bands: Annotated[
        str, typer.Option(metavar="BAND[,BAND]", help="VV, VH, or the Pauli components HH-VV, HV, HH+VV.")
    ] = "VV,VH",
    misregistration: Annotated[
        float, typer.Option(metavar="PIXELS", help="Shift of train's and val's optical images.")
    ] = 0.0,
    season: Annotated[str, typer.Option(metavar="autumn|winter|spring|summer", help="Look of what grows.")] = "autumn",
    clouds: Annotated[float, typer.Option(help="Fraction of the optical images under clouds.")] = 0.0,
    change: Annotated[float, typer.Option(help="Fraction of the fields that changed between the two dates.")] = 0.0,
) -> None:
    """Simulate a paired, labelled data root."""
    from saropt.cli.progress import progress_bar
    from saropt.errors import InputError
    from saropt.roots.simulated import write_simulated_root
    from saropt.simulate import SceneConfig

    try:
        config = SceneConfig(season=season, clouds=clouds, change=change)
    except ValueError as error:
        raise InputError("simulate", str(error)) from error
    with progress_bar("simulate") as report:
        path = write_simulated_root(
            out,
            scenes=_counts(scenes),
            size=size,
            seed=seed,
            units=units,
            bands=tuple(bands.split(",")),
            misregistration_px=misregistration,
            config=config,
            progress=None if report is None else lambda done, total: report(done, total, "scenes"),
        )
    typer.echo(f"wrote {path}")


def _counts(text: str) -> tuple[int, int, int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if len(counts) == 1:
        counts += [1, 1]
    if len(counts) != 3:
        raise typer.BadParameter(f"{text!r} is not N or N,N,N", param_hint="--scenes")
    return counts[0], counts[1], counts[2]
