"""What a fetch asks for, and the rasters that follow from it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rasterio.warp import transform_bounds

from saropt.addresses import without_query
from saropt.curation.sets.base import strips
from saropt.curation.stac import Acquisition, Area, Collection
from saropt.errors import InputError, OptionError, counted
from saropt.progress import Tell, log_line
from saropt.scenes import Grid, Window, grid_over, utm_of


class NoPairError(OptionError):
    """A place has no pair of images within the limits that were asked for.

    >>> str(NoPairError("area", None, "no pair"))
    'area: no pair'
    """


@dataclass(frozen=True)
class Request:
    """What to fetch, and from when.

    Attributes:
        start, end: first and last time of acquisition, UTC.
        pairs: the largest number of pairs (dates) to fetch.
        max_cloud: largest cloud cover in percent, as the service states it for its items.
        max_days: longest time between the SAR and the optical acquisition, in days.
        min_cover: smallest share of the area that an acquisition must cover.
        pixel_m: side of a pixel in metres.
        split: "train", "val", "test", or "strips": the area cut across its longer side 70/15/15, with gaps of 64 px,
            or of a twentieth of that side where this is less.
        references: how many earlier pairs of the same place each pair gets as earlier images; see `add_references`.
        max_gigabytes: nothing is fetched when the needed parts of all files are estimated to be larger than this.

    Raises:
        OptionError: there are no more pairs than references.

    >>> Request(datetime(2024, 6, 1), datetime(2024, 7, 1), pairs=2).max_days
    5.0
    """

    start: datetime
    end: datetime
    pairs: int = 1
    max_cloud: float = 10.0
    max_days: float = 5.0
    min_cover: float = 0.95
    pixel_m: float = 10.0
    split: str = "strips"
    max_gigabytes: float = 4.0
    references: int = 0

    def __post_init__(self) -> None:
        if 0 < self.references >= self.pairs:
            reason = f"earlier images are those of earlier pairs: needs pairs of {self.references + 1} or more"
            raise OptionError("references", str(self.references), reason)


@dataclass(frozen=True)
class Job:
    """One raster to write: a window of the grid, from the items of one acquisition."""

    name: str
    split: str
    side: str
    window: Window
    items: tuple[dict[str, Any], ...]
    when: datetime
    collection: Collection


def grid_of(area: Area, pixel_m: float) -> Grid:
    """The grid of an area in its UTM zone."""
    west, south, east, north = area.bounds
    crs = utm_of((west + east) / 2, (south + north) / 2)
    return grid_over(transform_bounds("EPSG:4326", crs, *area.bounds, densify_pts=21), crs, pixel_m, "--area")


def plan_jobs(
    name: str,
    radar: Acquisition,
    image: Acquisition,
    grid: Grid,
    request: Request,
    sar: Collection,
    optical: Collection,
) -> list[Job]:
    """Two rasters for each split of a pair, which are called NAME_SPLIT."""
    if request.split == "strips":
        parts = strips(grid.height, grid.width, 0.7, 0.15, gap=min(64, max(grid.height, grid.width) // 20))
    else:
        parts = {request.split: Window(0, 0, grid.height, grid.width)}
    return [
        Job(f"{name}_{split}", split, side, window, one.items, one.when, collection)
        for split, window in parts.items()
        for side, one, collection in (("sar", radar, sar), ("optical", image, optical))
    ]


def add_references(root: Path, jobs: Sequence[Job], count: int, tell: Tell = log_line) -> list[tuple[str, str, str]]:
    """Give each fetched pair the pairs of earlier dates as `sar_reference` and `optical_reference`.

    Of an earlier pair both images are earlier: the optical one is of an earlier day, and the SAR image of an earlier
    pass. The nearest earlier pair goes with NAME, the next one with NAME_2, which has the same images of today. The
    files are links or copies of those that were fetched; a first date has no earlier images.

    Args:
        root: folder with the fetched rasters.
        jobs: what was fetched.
        count: how many earlier pairs at most; 0 for none.
        tell: gets a line where pairs have fewer.

    Returns:
        (name, split, group) of all rasters of the root. All dates of a strip are one group: they show one place.

    >>> add_references(Path("root"), [], 1)
    []
    """
    whens = {(job.name, job.split): job.when for job in jobs if job.side == "optical"}
    passes = {(job.name, job.split): job.when for job in jobs if job.side == "sar"}
    rows, few = [(name, split, split) for name, split in whens], set()
    for name, split in list(whens):
        day, overflight = whens[(name, split)].date(), passes[(name, split)]
        earlier = [
            one
            for (one, its), when in whens.items()
            if count and its == split and when.date() < day and passes[(one, its)] < overflight
        ]
        nearest = sorted(earlier, key=lambda one: whens[(one, split)], reverse=True)[:count]
        if len(nearest) < count:
            few.add(name)
        for number, before in enumerate(nearest, start=1):
            called = name if number == 1 else f"{name}_{number}"
            if number > 1:
                rows.append((called, split, split))
            for role in ("sar", "optical"):
                if number > 1:
                    _link(root / role / f"{name}.tif", root / role / f"{called}.tif")
                _link(root / role / f"{before}.tif", root / f"{role}_reference" / f"{called}.tif")
    if few:
        tell(f"{len(few)} of {counted(len(whens), 'raster')} have fewer than {counted(count, 'earlier pair')}")
    return rows


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def hrefs_of(job: Job, item: dict[str, Any]) -> dict[str, str]:
    """Band (or "mask") -> address of its file."""
    keys = dict(job.collection.assets)
    if job.collection.mask:
        keys["mask"] = job.collection.mask
    found = {}
    for band, key in keys.items():
        href = str((item.get("assets", {}).get(key) or {}).get("href", ""))
        if urlsplit(href).scheme not in ("http", "https"):
            reason = f"asset {key} is at {without_query(href)[:60]}, not http(s)" if href else f"has no asset {key}"
            raise InputError(f"item {item['id']}", reason)
        found[band] = href
    return found
