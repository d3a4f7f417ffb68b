"""`saropt data filter` and `saropt data pauli`: derived SAR rasters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def filter_data(
    source: Annotated[Path, typer.Argument(metavar="IN", help="SAR raster or data root to filter.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="GeoTIFF or data root to write.")],
    name: Annotated[
        str, typer.Option("--filter", metavar="lee|refined-lee|gamma-map|frost|ppb", help="Speckle filter.")
    ] = "refined-lee",
    looks: Annotated[float, typer.Option(metavar="N", help="Equivalent number of looks of the input.")] = 4.4,
    units: Annotated[
        str | None,
        typer.Option(
            metavar="UNITS",
            help="Units of a single raster; when not given, those of its tags or band names, else sigma0_db.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is an existing raster.")] = False,
) -> None:
    """Reduce the speckle of a SAR raster, or of a whole data root."""
    from saropt.cli.progress import progress_bar, warn
    from saropt.curation.filtering import filter_root, filter_scene
    from saropt.errors import OptionError
    from saropt.files.polarisation_files import polarisation_files

    told: list[str] = []
    with progress_bar("filter") as report:
        if source.is_dir() and not polarisation_files(source):
            if units is not None:
                raise OptionError("units", units, "is of a single raster: a data root states its units")
            path = filter_root(source, out, name, looks, progress=report, tell=told.append)
        else:
            path = filter_scene(source, out, name, looks, units, overwrite=overwrite, progress=report, tell=told.append)
    typer.echo(f"wrote {path}")
    warn(told)


def pauli(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="IN", help="Rasters on one grid: HH, HV and VV, or the elements of C3 or T3."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT", help="GeoTIFF to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Compute the Pauli components of quad-polarised SAR.

    The output has three bands: the power of HH-VV, HV and HH+VV.
    """
    from saropt.cli.progress import progress_bar
    from saropt.curation.filtering import write_pauli

    with progress_bar("pauli") as report:
        path = write_pauli(sources, out, overwrite=overwrite, progress=report)
    typer.echo(f"wrote {path}")
