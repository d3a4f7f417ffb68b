"""`saropt data calibrate`: Sentinel-1 GRD products to sigma0 or gamma0."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate_data(
    source: Annotated[Path, typer.Argument(metavar="SAFE", help="Sentinel-1 GRD product: .SAFE folder or .zip.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="GeoTIFF to write.")],
    target: Annotated[
        str, typer.Option("--to", metavar="sigma0_db|sigma0|gamma0_db|gamma0", help="Units of the output.")
    ] = ("sigma0_db"),
    pixel: Annotated[
        float | None,
        typer.Option(metavar="METRES", help="Project to UTM with this pixel size (default: keep radar geometry)."),
    ] = None,
    keep_noise: Annotated[bool, typer.Option("--keep-noise", help="Do not subtract the thermal noise.")] = False,
    keep_border: Annotated[bool, typer.Option("--keep-border", help="Do not mask the border noise.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Calibrate a Sentinel-1 GRD product to sigma0 or gamma0.

    The terrain is not flattened. In hills and mountains, use `saropt translate PRODUCT OUT --dem DEM`
    or RTC products.
    """
    from saropt.cli.progress import progress_bar
    from saropt.sensors.sentinel1 import calibrate

    with progress_bar("calibrate") as report:
        path = calibrate(
            source,
            out,
            target,
            remove_noise=not keep_noise,
            remove_border=not keep_border,
            pixel_m=pixel,
            overwrite=overwrite,
            progress=report,
        )
    typer.echo(f"wrote {path}")
