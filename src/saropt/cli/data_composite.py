"""`saropt data composite`: dual-polarised SAR as a colour picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def composite(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="SAR raster with VV and VH (or HH and HV), or a Sentinel-1 product.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="GeoTIFF to write.")],
    units: Annotated[
        str | None,
        typer.Option(
            metavar="UNITS",
            help="Units of a raster; when not given, those of its tags or band names, else sigma0_db. A product is "
            "calibrated to them.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Write SAR as red VV, green VH and blue VV/VH.

    The ranges are the same for every scene: VV -20 to 0 dB, VH -26 to -5 dB, VV/VH 4 to 16 dB.
    """
    from saropt.cli.progress import progress_bar, warn
    from saropt.curation.composite import write_composite

    told: list[str] = []
    with progress_bar("composite") as report:
        path = write_composite(source, out, units, overwrite=overwrite, progress=report, tell=told.append)
    typer.echo(f"wrote {path}: red VV, green VH, blue VV/VH in fixed ranges of decibels")
    warn(told)
