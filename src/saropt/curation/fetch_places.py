"""A data root of many small places, each fetched from a STAC API for a time of its own."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

from saropt.curation.fetch_pairs import settings_of
from saropt.curation.fetch_plan import NoPairError, Request
from saropt.curation.fetching import check_new, fetch
from saropt.curation.joining import join_roots
from saropt.curation.periods import period_of
from saropt.curation.stac import Area, Service
from saropt.domain import listed
from saropt.errors import BusyError, InputError, SaroptError, counted
from saropt.files import Lock, write_text
from saropt.progress import Progress, Tell, log_line, silent
from saropt.roots.names import check_name
from saropt.roots.splits import SPLITS
from saropt.scenes.georeference import METRES_PER_DEGREE

FAILURES_IN_A_ROW = 3
_COLUMNS = ("name", "longitude", "latitude", "from", "to", "split")


@dataclass(frozen=True)
class Place:
    """A square to fetch.

    Attributes:
        name: a file name, alone in its list.
        longitude, latitude: centre in degrees.
        start, end: first and last time of acquisition, UTC.
        split: "train", "val" or "test".

    >>> Place("cape", 18.4, -33.9, datetime(2020, 2, 1), datetime(2020, 5, 1), "train").area(5.0).bounds[0] < 18.4
    True
    """

    name: str
    longitude: float
    latitude: float
    start: datetime
    end: datetime
    split: str

    def area(self, side_km: float) -> Area:
        """The square of `side_km` around the centre, along longitudes and latitudes; it may not cross 180 degrees."""
        north = 1000.0 * side_km / METRES_PER_DEGREE / 2
        east = north / math.cos(math.radians(self.latitude))
        bounds = (self.longitude - east, self.latitude - north, self.longitude + east, self.latitude + north)
        if bounds[0] < -180 or bounds[2] > 180 or bounds[1] < -84 or bounds[3] > 84:
            reason = f"{self.longitude:g}, {self.latitude:g} is too near to a pole or to 180 degrees"
            raise InputError(self.name, reason)
        return Area(bounds)


def read_places(name: str) -> list[Place]:
    """The places of a list in the package, or of a CSV file: name, longitude, latitude, from, to, split.

    Raises:
        InputError: there is no such list, or a line says no place.

    >>> len(read_places("s1-world-large")) > 450
    True
    """
    path = Path(name)
    if not path.is_file():
        lists = {file.stem: file for file in Path(str(files("saropt.curation"))).glob("places/*.csv")}
        if name not in lists:
            raise InputError(name, f"is neither a list of places ({', '.join(sorted(lists))}) nor a CSV file")
        path = lists[name]
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(path, f"cannot be read as CSV: {error}") from error
    if not rows or any(column not in rows[0] for column in _COLUMNS):
        raise InputError(path, f"needs the columns {', '.join(_COLUMNS)}, and at least one place")
    places = [_place(row, f"{path}, line {number}") for number, row in enumerate(rows, start=2)]
    names = [place.name.casefold() for place in places]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise InputError(path, f"has {twice[0]} twice")
    return places


def _place(row: dict[str, str], where: str) -> Place:
    check_name(row["name"], where)
    try:
        longitude, latitude = float(row["longitude"]), float(row["latitude"])
        start, end = period_of(row["from"], row["to"])
    except (TypeError, ValueError) as error:
        raise InputError(where, f"is no place: {error}") from error
    if not (abs(longitude) <= 180 and abs(latitude) <= 90) or row["split"] not in SPLITS:
        raise InputError(where, f"is no place within the globe, of {', '.join(SPLITS)}")
    return Place(row["name"], longitude, latitude, start, end, row["split"])


def fetch_places(
    places: Sequence[Place],
    request: Request,
    out: str | Path,
    sar_service: Service,
    optical_service: Service,
    *,
    side_km: float = 5.12,
    progress: Progress = silent,
    tell: Tell = log_line,
) -> tuple[Path, dict[str, str]]:
    """Fetch many places into one data root. It appears under `out` when it is complete; the same call continues.

    Args:
        places: what to fetch; the rasters of a place are called NAME-DATE_SPLIT.
        request: limits of each place; its times and its split are those of the place.
        side_km: side of each square in kilometres.
        tell: gets a line where places of different splits share ground.

    Returns:
        The root, and name -> reason of the places without a pair within the limits.

    Raises:
        InputError: no place has a pair, some cannot be fetched (they are named, and the others are kept for the next
            call), or the output exists or cannot be written.
        BusyError: another process is fetching the same root.

    >>> from saropt.curation.stac import SERVICES
    >>> request, service = Request(datetime(2024, 6, 1), datetime(2024, 7, 1)), SERVICES["planetary-computer"]
    >>> fetch_places([], request, "nowhere/root", service, service)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: nowhere/root: the folder nowhere does not exist
    """
    out = Path(out)
    check_new(out)
    if shared := _shared_ground(places, side_km):
        tell(f"{counted(len(shared), 'pair')} of places of different splits share ground: {listed(shared, 3)}")
    part = out.with_name(f".{out.name}.places")
    lock = Lock(part.with_name(f"{part.name}.lock"), out, "is being fetched by another process")
    try:
        lock.acquire()
        part.mkdir(exist_ok=True)
        _check_work(part, [asdict(request), side_km, settings_of(sar_service, optical_service), *map(asdict, places)])
        empty = _fetch_each(places, request, part, (sar_service, optical_service), side_km, progress)
        roots = [part / place.name for place in places if place.name not in empty]
        if not roots:
            first = next(iter(empty.values()), "the list is empty")
            raise InputError(out, f"no place has a pair of images: {first}")
        join_roots(out, roots, least=1)
        shutil.rmtree(part)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        lock.release()
    return out, empty


def _shared_ground(places: Sequence[Place], side_km: float) -> list[str]:
    """The pairs of places whose squares overlap and whose splits differ."""
    boxes = [(place, place.area(side_km).bounds) for place in places]
    return [
        f"{one.name} and {two.name}"
        for (one, a), (two, b) in combinations(boxes, 2)
        if one.split != two.split and a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]


def _check_work(part: Path, wanted: list[Any]) -> None:
    """Note in the folder of unfinished work what it is for, or refuse work with other places or settings."""
    note, content = part / "work.json", json.dumps(wanted, default=str)
    if not note.is_file():
        write_text(note, content)
    elif note.read_text(encoding="utf-8") != content:
        raise InputError(part, "is unfinished work with other settings: remove it")


def _fetch_each(
    places: Sequence[Place],
    request: Request,
    part: Path,
    services: tuple[Service, Service],
    side_km: float,
    progress: Progress,
) -> dict[str, str]:
    """Fetch the places that are not there yet, each as a root of its own; the reasons of those without a pair."""
    empty: dict[str, str] = {}
    failed: dict[str, str] = {}
    in_a_row = 0
    for number, place in enumerate(places, start=1):
        target, note = part / place.name, part / f"{place.name}.none"
        if note.is_file():
            empty[place.name] = note.read_text(encoding="utf-8")
        elif not target.is_dir():
            own = replace(request, start=place.start, end=place.end, split=place.split)
            try:
                fetch(place.area(side_km), own, target, *services)
                in_a_row = 0
            except NoPairError as error:
                empty[place.name] = error.reason
                write_text(note, error.reason)
                in_a_row = 0
            except BusyError:
                raise
            except SaroptError as error:
                failed[place.name] = str(error)
                in_a_row += 1
                if in_a_row == FAILURES_IN_A_ROW:
                    break
        progress(number, len(places), place.name)
    if failed:
        name, reason = next(iter(failed.items()))
        lost = f"{counted(len(failed), 'place')} failed"
        raise InputError(name, f"{reason} ({lost}; what was fetched is kept: the same command goes on)")
    return empty
