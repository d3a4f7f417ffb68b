"""`saropt data fetch`: Sentinel-1 and Sentinel-2 of a place from a STAC API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer


def fetch_data(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Data root to make.")],
    area: Annotated[str, typer.Option(metavar="W,S,E,N|FILE", help="Box in degrees, or a GeoJSON polygon.")],
    dates: Annotated[str, typer.Option(metavar="FROM/TO", help="Days, such as 2023-05-01/2023-06-30.")],
    service: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="planetary-computer, or a YAML of another STAC API.")
    ] = "planetary-computer",
    optical_service: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Another one for optical, such as earth-search.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of dates at most, the clearest first.")] = 1,
    max_cloud: Annotated[float, typer.Option(min=0, max=100, help="Percent, as the service states it.")] = 10.0,
    max_days: Annotated[float, typer.Option(min=0, help="Between SAR and optical.")] = 5.0,
    min_cover: Annotated[float, typer.Option(min=0, max=1, help="Share of the area under an acquisition.")] = 0.95,
    pixel: Annotated[float, typer.Option(min=1, help="Side of a pixel in metres.")] = 10.0,
    split: Annotated[str, typer.Option(metavar="strips|train|val|test", help="How the area is split.")] = "strips",
    max_gigabytes: Annotated[float, typer.Option(min=0, help="Refuse to fetch more than about this.")] = 4.0,
) -> None:
    """Fetch Sentinel-1 and Sentinel-2 of a place. After a break the same command goes on."""
    from saropt.cli.progress import progress_bar
    from saropt.curation.fetching import Request, fetch
    from saropt.curation.stac import read_area, read_service

    start, end = _days(dates)
    request = Request(start, end, pairs, max_cloud, max_days, min_cover, pixel, split, max_gigabytes)
    radar = read_service(service)
    optical = radar if optical_service is None else read_service(optical_service)
    with progress_bar("fetch") as report:
        path = fetch(read_area(area), request, out, radar, optical, progress=report)
    typer.echo(f"wrote {path}")


def _days(text: str) -> tuple[datetime, datetime]:
    try:
        first, last = (datetime.fromisoformat(part).replace(tzinfo=UTC) for part in text.split("/"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not FROM/TO", param_hint="--dates") from None
    if first > last:
        raise typer.BadParameter(f"{text!r} ends before it begins", param_hint="--dates")
    return first, last + timedelta(days=1)
