"""Data roots from a STAC API: Sentinel-1 and Sentinel-2 of one place on one grid, window by window."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from saropt.curation.sets.base import strips
from saropt.curation.stac import Acquisition, Area, Collection, Service, acquisitions, pair_acquisitions, search
from saropt.errors import BusyError, InputError, OptionError, SaroptError
from saropt.files import Lock, write_text
from saropt.progress import Progress
from saropt.radiometry import to_db
from saropt.roots.root import SPLITS
from saropt.scenes import Georeference, Grid, SceneWriter, Window, grid_over, utm_of
from saropt.scenes.remote import FIRST_DELAY_S, TRIES, http_json, remote_scene, remote_size

TILE = 1024
CLOUDY = (0, 1, 3, 8, 9, 10)
"""Classes of Sentinel-2's scene classification that are masked: no data, defective, cloud shadow, clouds, cirrus."""


@dataclass(frozen=True)
class Request:
    """What to fetch.

    Attributes:
        start, end: UTC.
        pairs: how many dates at most.
        max_cloud: percent, of the items as the service states it.
        max_days: between SAR and optical.
        min_cover: share of the area that an acquisition must cover.
        pixel_m: side of the pixels.
        split: "train", "val", "test", or "strips": the area cut across its longer side 70/15/15, with a gap of 64 px.
        max_gigabytes: refuse to begin when the parts needed of all files are larger than this, as estimated.

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


def fetch(
    area: Area,
    request: Request,
    out: str | Path,
    sar_service: Service,
    optical_service: Service,
    *,
    progress: Progress | None = None,
) -> Path:
    """Fetch pairs as a data root. It appears under `out` only when it is whole; after a break the same call goes on.

    SAR is written as decibels of what the service has (gamma0 for RTC products), optical as reflectance x 10000 without
    the processing baseline's offset, masked where the scene classification sees clouds, cloud shadows or nothing.

    Raises:
        InputError: nothing found, a server that fails again and again or contradicts what it lists, too much to fetch,
            or an output that cannot be written.
        BusyError: another process fetches the same root.

    >>> from saropt.curation.stac import SERVICES, read_area
    >>> request = Request(datetime(2024, 6, 1), datetime(2024, 7, 1), split="odd")
    >>> area, service = read_area("-118.5,33.9,-118.2,34.1"), SERVICES["planetary-computer"]
    >>> fetch(area, request, "root", service, service)
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: split='odd': is not one of train, val, test, strips
    """
    out = Path(out).absolute()
    if out.exists():
        raise InputError(out, "exists already")
    if not out.parent.is_dir():
        raise InputError(out, f"the folder {out.parent} does not exist")
    if sar_service.sar is None:
        raise InputError(sar_service.url, "offers no calibrated Sentinel-1: take another service for SAR")
    if request.split not in (*SPLITS, "strips"):
        raise OptionError("split", request.split, f"is not one of {', '.join(SPLITS)}, strips")
    part = out.with_name(f".{out.name}.fetching")
    lock = Lock(part.with_name(f"{part.name}.lock"), out, "is being fetched by another process")
    try:
        lock.acquire()
        part.mkdir(exist_ok=True)
        pairs = _plan(part, area, request, sar_service, optical_service)
        grid = _grid(area, request.pixel_m)
        jobs = _jobs(pairs, grid, request, sar_service.sar, optical_service.optical)
        _check_sizes(jobs, grid, area, request, {"sar": sar_service, "optical": optical_service})
        for number, job in enumerate(jobs, start=1):
            (part / job.side).mkdir(exist_ok=True)
            target = part / job.side / f"{job.name}.tif"
            if not target.exists():
                service = sar_service if job.side == "sar" else optical_service
                _fetch_raster(job, target, grid, area, service)
            if progress is not None:
                progress(number, len(jobs), f"{job.side} {job.name}")
        _describe(part, out.name, area, request, grid, jobs, sar_service.sar, optical_service.optical)
        (part / "plan.json").unlink()
        part.rename(out)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    except BusyError:
        raise
    except SaroptError:
        with contextlib.suppress(OSError):
            part.rmdir()
        raise
    finally:
        lock.release()
    return out


@dataclass(frozen=True)
class _Job:
    name: str
    split: str
    side: str
    window: Window
    items: tuple[dict[str, Any], ...]
    when: datetime
    collection: Collection


def _plan(
    part: Path, area: Area, request: Request, sar_service: Service, optical_service: Service
) -> list[tuple[Acquisition, Acquisition]]:
    """The pairs to fetch. They are searched for once and noted, so that a later call goes on with the same pairs."""
    assert sar_service.sar is not None
    wanted = json.dumps([asdict(area), asdict(request), sar_service.url, optical_service.url], default=str)
    note = part / "plan.json"
    if note.is_file():
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["wanted"] != wanted:
            raise InputError(part, "is unfinished work with other settings: remove it")
        return [(_read(pair[0]), _read(pair[1])) for pair in known["pairs"]]
    found = {
        side: acquisitions(search(service, collection, area, request.start, request.end), area)
        for side, service, collection in (
            ("sar", sar_service, sar_service.sar),
            ("optical", optical_service, optical_service.optical),
        )
    }
    pairs = pair_acquisitions(
        found["sar"],
        found["optical"],
        pairs=request.pairs,
        max_cloud=request.max_cloud,
        max_days=request.max_days,
        min_cover=request.min_cover,
    )
    if not pairs:
        clear = [one for one in found["optical"] if one.cloud <= request.max_cloud]
        counts = f"{len(found['sar'])} SAR and {len(found['optical'])} optical dates ({len(clear)} clear enough)"
        reason = (
            f"no pair: found {counts}, none within {request.max_days:g} days over {request.min_cover:.0%} of the area"
        )
        raise OptionError("area", None, reason)
    content = {"wanted": wanted, "pairs": [[_written(one) for one in pair] for pair in pairs]}
    write_text(note, json.dumps(content))
    return pairs


def _written(one: Acquisition) -> dict[str, Any]:
    return {"when": one.when.isoformat(), "items": list(one.items), "cover": one.cover, "cloud": one.cloud}


def _read(content: dict[str, Any]) -> Acquisition:
    when = datetime.fromisoformat(content["when"])
    return Acquisition(when, tuple(content["items"]), content["cover"], content["cloud"])


def _grid(area: Area, pixel_m: float) -> Grid:
    west, south, east, north = area.bounds
    crs = utm_of((west + east) / 2, (south + north) / 2)
    return grid_over(transform_bounds("EPSG:4326", crs, *area.bounds, densify_pts=21), crs, pixel_m, "--area")


def _jobs(
    pairs: Sequence[tuple[Acquisition, Acquisition]], grid: Grid, request: Request, sar: Collection, optical: Collection
) -> list[_Job]:
    if request.split == "strips":
        parts = strips(grid.height, grid.width, 0.7, 0.15, gap=min(64, max(grid.height, grid.width) // 20))
    else:
        parts = {request.split: Window(0, 0, grid.height, grid.width)}
    return [
        _Job(f"{image.when:%Y%m%d}_{split}", split, side, window, one.items, one.when, collection)
        for radar, image in pairs
        for split, window in parts.items()
        for side, one, collection in (("sar", radar, sar), ("optical", image, optical))
    ]


def _hrefs(job: _Job, item: dict[str, Any]) -> dict[str, str]:
    """Band (or "mask") -> address of its file."""
    keys = dict(job.collection.assets)
    if job.collection.mask:
        keys["mask"] = job.collection.mask
    found = {}
    for band, key in keys.items():
        href = str((item.get("assets", {}).get(key) or {}).get("href", ""))
        if urlsplit(href).scheme not in ("http", "https"):
            reason = f"asset {key} is at {href[:60]}, not http(s)" if href else f"has no asset {key}"
            raise InputError(f"item {item['id']}", reason)
        found[band] = href
    return found


def _check_sizes(jobs: Sequence[_Job], grid: Grid, area: Area, request: Request, services: dict[str, Service]) -> None:
    """Every file answers, with the size that the service states, and the share that is needed is not too much."""
    needed = 0.0
    seen: set[str] = set()
    for job in jobs:
        for item in job.items:
            for band, href in _hrefs(job, item).items():
                if href in seen:
                    continue
                seen.add(href)
                key = job.collection.mask if band == "mask" else job.collection.assets[band]
                stated = item["assets"][key].get("file:size")
                size = remote_size(_signed(href, job, services[job.side]), stated)
                box = item.get("bbox") or area.bounds
                whole = max(
                    (box[-2 if len(box) == 4 else 3] - box[0]) * (box[-1 if len(box) == 4 else 4] - box[1]), 1e-9
                )
                own = (area.bounds[2] - area.bounds[0]) * (area.bounds[3] - area.bounds[1])
                needed += size * min(1.0, own / whole)
    if needed > request.max_gigabytes * 1e9:
        raise OptionError(
            "max_gigabytes", None, f"about {needed / 1e9:.1f} GB are needed, {request.max_gigabytes:g} allowed"
        )


_TOKENS: dict[str, tuple[float, str]] = {}


def _signed(href: str, job: _Job, service: Service) -> str:
    """The address with the service's token for the collection, asked for again after ten minutes."""
    if not service.token:
        return href
    address = service.token.format(collection=job.collection.name)
    now = time.monotonic()
    if address not in _TOKENS or now - _TOKENS[address][0] > 600.0:
        answer = http_json(address)
        if not isinstance(answer, dict) or not answer.get("token"):
            raise InputError(address, "gives no token")
        _TOKENS[address] = (now, str(answer["token"]))
    return f"{href}{'&' if '?' in href else '?'}{_TOKENS[address][1]}"


def _fetch_raster(job: _Job, target: Path, grid: Grid, area: Area, service: Service) -> None:
    bands = list(job.collection.assets)
    is_sar = job.side == "sar"
    key = hashlib.sha256(json.dumps([job.name, [item["id"] for item in job.items], str(grid)]).encode()).hexdigest()
    place = Georeference(grid.crs, grid.transform @ rasterio.Affine.translation(job.window.col, job.window.row))
    tags = {
        "ACQUISITION_DATE": job.when.isoformat(),
        f"{'SAR' if is_sar else 'OPTICAL'}_PRODUCT": ", ".join(str(item["id"]) for item in job.items)[:2000],
    }
    windows = [
        Window(row, col, min(TILE, job.window.height - row), min(TILE, job.window.width - col))
        for row in range(0, job.window.height, TILE)
        for col in range(0, job.window.width, TILE)
    ]
    with SceneWriter(
        target,
        width=job.window.width,
        height=job.window.height,
        band_names=bands,
        dtype="float32" if is_sar else "uint16",
        nodata=float("nan") if is_sar else 0,
        georeference=place,
        tags=tags,
        resume=True,
        resume_key=key,
    ) as writer:
        for number, window in enumerate(windows):
            if number in writer.completed:
                continue
            own = Grid(
                grid.crs,
                place.transform @ rasterio.Affine.translation(window.col, window.row),
                window.height,
                window.width,
            )
            try:
                values, valid = _mosaic(job, own, service)
            except SaroptError:
                writer.suspend()
                raise
            valid &= area.mask(own)
            if is_sar:
                stored = (
                    to_db(np.where(valid, values, 1.0), job.collection.units) if _linear(job.collection) else values
                )
                stored = np.where(valid, stored, np.float32(np.nan)).astype(np.float32)
            else:
                stored = np.where(valid, np.clip(np.rint(values), 1, 65535), 0).astype(np.uint16)
            writer.write(window.row, window.col, stored, key=number)
        writer.finish()


def _linear(collection: Collection) -> bool:
    return not collection.units.endswith("_db") and collection.units != "uint8"


def sar_units(collection: Collection) -> str:
    """Units as written: decibels of power; amplitude stays."""
    return {"gamma0": "gamma0_db", "sigma0": "sigma0_db", "amplitude": "sigma0_db"}.get(
        collection.units, collection.units
    )


def _mosaic(job: _Job, grid: Grid, service: Service) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values (C, h, w) and validity (h, w) of a window: of the first item that has the pixel."""
    total = np.zeros((len(job.collection.assets), grid.height, grid.width), np.float32)
    filled = np.zeros((grid.height, grid.width), bool)
    for item in job.items:
        hrefs = _hrefs(job, item)
        valid = np.ones_like(filled)
        layers = []
        for band in job.collection.assets:
            values, here = _read_window(hrefs[band], job, service, grid, "bilinear")
            if job.side == "optical":
                here &= values[0] > 0
            layers.append(values[0])
            valid &= here
        if "mask" in hrefs:
            classes, here = _read_window(hrefs["mask"], job, service, grid, "nearest")
            valid &= here & ~np.isin(classes[0], CLOUDY)
        new = valid & ~filled
        offset = _offset(item) if job.side == "optical" else 0.0
        total[:, new] = np.stack(layers)[:, new] + np.float32(offset)
        filled |= new
        if filled.all():
            break
    return total, filled


def _offset(item: dict[str, Any]) -> float:
    """What Sentinel-2 numbers need to be reflectance x 10000: -1000 from processing baseline 04.00 (2022-01-25) on,
    unless the service says that it has been applied."""
    properties = item["properties"]
    if properties.get("earthsearch:boa_offset_applied"):
        return 0.0
    try:
        return -1000.0 if float(properties.get("s2:processing_baseline", 0)) >= 4.0 else 0.0
    except ValueError:
        return 0.0


def _read_window(
    href: str, job: _Job, service: Service, grid: Grid, resampling: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    for attempt in range(TRIES):
        try:
            with remote_scene(_signed(href, job, service), attempt, grid, resampling) as scene:
                return scene.read()
        except InputError:
            if attempt == TRIES - 1:
                raise
            time.sleep(FIRST_DELAY_S * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _describe(
    part: Path,
    name: str,
    area: Area,
    request: Request,
    grid: Grid,
    jobs: Sequence[_Job],
    sar: Collection,
    optical: Collection,
) -> None:
    description = {
        "name": name,
        "gsd_m": float(grid.transform.a),
        "paired": True,
        "sar": {"bands": list(sar.assets), "units": sar_units(sar)},
        "optical": {"bands": list(optical.assets), "units": optical.units},
        "licence": "Copernicus Sentinel data terms; attribution: Contains modified Copernicus Sentinel data",
        "fetched": {
            "bounds": list(area.bounds),
            "sar": sorted({str(item["id"]) for job in jobs if job.side == "sar" for item in job.items}),
            "optical": sorted({str(item["id"]) for job in jobs if job.side == "optical" for item in job.items}),
        },
    }
    (part / "dataset.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")
    with (part / "splits.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("name", "split"))
        writer.writerows(dict.fromkeys((job.name, job.split) for job in jobs))
