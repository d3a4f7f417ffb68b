"""`saropt data fetch`: Sentinel-1 and Sentinel-2 of a place from a STAC API."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def fetch_data(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Data root to create.")],
    area: Annotated[
        str | None,
        typer.Option(metavar="W,S,E,N|FILE", help="Bounding box in degrees, or a GeoJSON file with one polygon."),
    ] = None,
    dates: Annotated[
        str | None,
        typer.Option(metavar="FROM/TO", help="First and last day, or time in UTC, for example 2023-05-01/2023-06-30."),
    ] = None,
    places: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Fetch many places: s1-world-large, or a CSV file (name, longitude, latitude, from, to, split).",
        ),
    ] = None,
    side_km: Annotated[
        float, typer.Option("--side", min=0.5, metavar="KM", help="With --places: side of each square.")
    ] = 5.12,
    service: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Name of a STAC service, or a YAML file that describes one.")
    ] = "planetary-computer",
    optical_service: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="STAC service of the optical images, for example earth-search (default: --service).",
        ),
    ] = None,
    pairs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Maximum number of date pairs; the least cloudy come first.")
    ] = 1,
    max_cloud: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="Maximum cloud cover that the service reports.")
    ] = 10.0,
    max_days: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="Maximum time between the SAR and the optical image.")
    ] = 5.0,
    min_cover: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="FRACTION", help="Minimum fraction of the area that an image must cover."),
    ] = 0.95,
    pixel: Annotated[float, typer.Option(min=1, metavar="METRES", help="Pixel size.")] = 10.0,
    split: Annotated[
        str,
        typer.Option(
            metavar="strips|train|val|test",
            help="Split the area into train, val and test strips, or put all of it in one split (not with --places).",
        ),
    ] = "strips",
    references: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Give each pair up to N earlier ones of the --pairs as earlier images."),
    ] = 0,
    max_gigabytes: Annotated[
        float, typer.Option(min=0, metavar="GB", help="Stop before the download if the estimated size is larger.")
    ] = 4.0,
) -> None:
    """Download Sentinel-1 and Sentinel-2 images of places.

    To continue an interrupted download, run the same command again.
    """
    from saropt.cli.progress import progress_bar
    from saropt.curation.fetch_places import fetch_places, read_places
    from saropt.curation.fetching import Request, fetch
    from saropt.curation.stac import read_area, read_service

    if (places is None) != (area is not None and dates is not None) or (places and (area or dates)):
        raise typer.BadParameter("needs --area and --dates, or --places alone", param_hint="data fetch")
    listed = [] if places is None else read_places(places)
    start, end = _days(dates) if dates is not None else (listed[0].start, listed[0].end)
    request = Request(start, end, pairs, max_cloud, max_days, min_cover, pixel, split, max_gigabytes, references)
    radar = read_service(service)
    optical = radar if optical_service is None else read_service(optical_service)
    with progress_bar("fetch") as report:
        if area is not None:
            path = fetch(read_area(area), request, out, radar, optical, progress=report)
        else:
            path, empty = fetch_places(listed, request, out, radar, optical, side_km=side_km, progress=report)
            if empty:
                first = "; ".join(f"{name}: {reason}" for name, reason in list(empty.items())[:3])
                typer.echo(f"{len(empty)} of {len(listed)} places have no pair ({first})")
    typer.echo(f"wrote {path}")


def _days(text: str) -> tuple[datetime, datetime]:
    from saropt.curation.periods import period_of

    first, slash, last = text.partition("/")
    try:
        if not slash:
            raise ValueError(f"{text!r} is not FROM/TO")
        return period_of(first, last)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--dates") from None
