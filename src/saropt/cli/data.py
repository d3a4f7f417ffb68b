"""`saropt data`: inspect and simulate; its other verbs have files of their own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saropt.cli.data_calibrate import calibrate_data
from saropt.cli.data_clean import clean
from saropt.cli.data_combine import harmonise, join
from saropt.cli.data_composite import composite
from saropt.cli.data_fetch import fetch_data
from saropt.cli.data_filter import filter_data, pauli
from saropt.cli.data_prepare import prepare_data
from saropt.cli.examples import epilog

if TYPE_CHECKING:
    from saropt.curation.inspection import Facts

data = typer.Typer(help="Download, prepare, check or simulate data.", epilog=epilog("data"), rich_markup_mode=None)
data.command("fetch", epilog=epilog("data fetch"))(fetch_data)
data.command("prepare", epilog=epilog("data prepare"))(prepare_data)
data.command("calibrate", epilog=epilog("data calibrate"))(calibrate_data)
data.command("composite", epilog=epilog("data composite"))(composite)
data.command("clean", epilog=epilog("data clean"))(clean)
data.command("filter", epilog=epilog("data filter"))(filter_data)
data.command("harmonise", epilog=epilog("data harmonise"))(harmonise)
data.command("join", epilog=epilog("data join"))(join)
data.command("pauli", epilog=epilog("data pauli"))(pauli)


@data.command("inspect", epilog=epilog("data inspect"))
def inspect_data(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Data root, raster file, Sentinel or RTC product.")],
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write an HTML page with histograms and pictures."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:
    """Show the bands, units and statistics of a data root or raster."""
    from saropt.cli.progress import progress_bar
    from saropt.cli.tables import print_facts
    from saropt.curation.inspection import inspect_raster, inspect_root
    from saropt.errors import InputError
    from saropt.scenes.reserved import reserved
    from saropt.sensors.product_names import is_product, product_of

    with ExitStack() as held:
        if html is not None:
            held.enter_context(reserved(html, suffixes=(".html", ".htm"), overwrite=overwrite))
        if html is not None and product_of(path) is not None:
            raise InputError(path, "is a product: --html takes rasters and data roots")
        with progress_bar("inspect") as report:
            if not path.is_dir() or is_product(path):
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


@data.command("simulate", epilog=epilog("data simulate"))
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Data root to create.")],
    scenes: Annotated[
        str, typer.Option(metavar="N[,N,N]", help="Number of scenes in train, val and test; N alone means N,1,1.")
    ] = "4,1,1",
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Side of every scene in pixels.")] = 512,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the random scenes.")] = 0,
    units: Annotated[
        str, typer.Option(metavar="amplitude|sigma0|sigma0_db", help="Units of the SAR images.")
    ] = "amplitude",
    bands: Annotated[
        str, typer.Option(metavar="BAND[,BAND]", help="SAR bands: VV, VH, or the Pauli components HH-VV, HV, HH+VV.")
    ] = "VV,VH",
    misregistration: Annotated[
        float, typer.Option(metavar="PIXELS", help="Shift of the optical images in train and val.")
    ] = 0.0,
    misregistration_subpixel: Annotated[
        bool, typer.Option("--misregistration-subpixel", help="With --misregistration: shift by fractions of a pixel.")
    ] = False,
    misregistration_test: Annotated[
        bool,
        typer.Option("--misregistration-test", help="With --misregistration: shift the optical images of test too."),
    ] = False,
    season: Annotated[
        str, typer.Option(metavar="autumn|winter|spring|summer", help="Season of the vegetation.")
    ] = "autumn",
    water: Annotated[
        float | None, typer.Option(metavar="FRACTION", help="Fraction of the scene under water (default: 0.06).")
    ] = None,
    wind: Annotated[
        float | None, typer.Option(metavar="M/S", help="Wind speed over water, 1 to 25 (default: nearly calm).")
    ] = None,
    incidence: Annotated[float, typer.Option(metavar="DEGREES", help="Incidence angle of the radar, 10 to 70.")] = 38.0,
    clouds: Annotated[
        float, typer.Option(metavar="FRACTION", help="Fraction of the (earlier) optical images under clouds.")
    ] = 0.0,
    change: Annotated[
        float, typer.Option(metavar="FRACTION", help="Fraction of the fields that change between the two dates.")
    ] = 0.0,
    earlier: Annotated[
        str | None,
        typer.Option(
            metavar="autumn|winter|spring|summer",
            help="Add earlier SAR and optical images of this season; labels then mark what changed.",
        ),
    ] = None,
    flood: Annotated[
        float, typer.Option(metavar="FRACTION", help="With --earlier: fraction of the plain under water today.")
    ] = 0.0,
    built: Annotated[
        float, typer.Option(metavar="FRACTION", help="With --earlier: fraction of the fields that were built on.")
    ] = 0.0,
    gaps: Annotated[
        float, typer.Option(metavar="FRACTION", help="With --earlier: fraction of the earlier images without data.")
    ] = 0.0,
) -> None:
    """Simulate a data root of SAR-optical pairs with labels."""
    from dataclasses import replace

    from saropt.cli.progress import progress_bar
    from saropt.errors import InputError
    from saropt.roots.simulated import write_simulated_root
    from saropt.roots.simulated_dates import write_simulated_dates
    from saropt.simulate import SEASONS, DatesConfig, SceneConfig

    try:
        config = SceneConfig(season=season, wind_ms=wind, incidence_deg=incidence)
        if water is not None:
            config = replace(config, water=water, hills=min(config.hills, max(0.0, 1.0 - water)))
        if not earlier:
            config = replace(config, clouds=clouds, change=change)
        dates = DatesConfig(earlier or season, change, built, flood, clouds, gaps)
    except ValueError as error:
        raise InputError("simulate", str(error)) from error
    if earlier is not None and (earlier not in SEASONS or misregistration):
        raise InputError("simulate", f"--earlier takes {', '.join(SEASONS)}, and no --misregistration")
    if earlier is None and (flood or built or gaps):
        raise InputError("simulate", "--flood, --built and --gaps need --earlier")
    if not misregistration and (misregistration_test or misregistration_subpixel):
        raise InputError("simulate", "--misregistration-test and --misregistration-subpixel need --misregistration")
    with progress_bar("simulate") as report:
        common: dict[str, Any] = {
            "scenes": _counts(scenes),
            "size": size,
            "seed": seed,
            "units": units,
            "bands": tuple(bands.split(",")),
            "config": config,
            "progress": lambda done, total: report(done, total, "scenes"),
        }
        if earlier is not None:
            path = write_simulated_dates(out, dates=dates, **common)
        else:
            path = write_simulated_root(
                out,
                misregistration_px=misregistration,
                misregistration_subpixel=misregistration_subpixel,
                misregistration_test=misregistration_test,
                **common,
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
