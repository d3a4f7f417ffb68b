"""`saropt data filter` and `saropt data pauli`: derived SAR rasters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def filter_data(
    source: Annotated[Path, typer.Argument(metavar="IN", help="SAR raster or data root.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="GeoTIFF or data root to write.")],
    name: Annotated[
        str, typer.Option("--filter", metavar="lee|refined-lee|gamma-map|frost|ppb", help="Which filter.")
    ] = "refined-lee",
    looks: Annotated[float, typer.Option(help="Equivalent number of looks of the input.")] = 4.4,
    units: Annotated[
        str, typer.Option(metavar="sigma0_db|...", help="SAR units of a raster; a root states its own.")
    ] = "sigma0_db",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing raster.")] = False,
) -> None:
    """Filter the speckle of a raster, or of every SAR raster of a data root."""
    from saropt.cli.progress import progress_bar
    from saropt.curation.filtering import filter_root, filter_scene

    with progress_bar("filter") as report:
        if source.is_dir():
            path = filter_root(source, out, name, looks, progress=report)
        else:
            path = filter_scene(source, out, name, looks, units, overwrite=overwrite, progress=report)
    typer.echo(f"wrote {path}")


def pauli(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Rasters with HH, HV, VV, or C3 or T3 elements, on one grid.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT", help="GeoTIFF to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing raster.")] = False,
) -> None:
    """Write the Pauli components of quad-polarised SAR: power of HH-VV, HV, HH+VV."""
    from saropt.cli.progress import progress_bar
    from saropt.curation.filtering import write_pauli

    with progress_bar("pauli") as report:
        path = write_pauli(sources, out, overwrite=overwrite, progress=report)
    typer.echo(f"wrote {path}")
