"""Data roots from a STAC API: Sentinel-1 and Sentinel-2 of one place on one grid, window by window."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from saropt.curation.fetch_checks import unfit_side
from saropt.curation.fetch_clouds import clear_pixels
from saropt.curation.fetch_pairs import Plan
from saropt.curation.fetch_plan import Job, NoPairError, Request, add_references, grid_of, hrefs_of, plan_jobs
from saropt.curation.fetch_scaling import scaling_of
from saropt.curation.stac import Area, Collection, Service
from saropt.domain import describe_units, listed, match_some_bands
from saropt.errors import BusyError, InputError, OptionError, SaroptError, counted
from saropt.files import Lock
from saropt.progress import Progress, Tell, log_line
from saropt.radiometry import ValueRule, to_db
from saropt.roots.description import write_description
from saropt.roots.splits import SPLITS
from saropt.scenes import Georeference, Grid, Scene, SceneWriter, Window, open_scene
from saropt.scenes.remote import http_json, remote_size

TILE = 1024


def fetch(
    area: Area,
    request: Request,
    out: str | Path,
    sar_service: Service,
    optical_service: Service,
    *,
    progress: Progress | None = None,
    tell: Tell = log_line,
) -> Path:
    """Fetch pairs as a data root. It appears under `out` only when it is complete; after an interruption the same call
    continues.

    SAR is written in decibels of the quantity that the service offers (gamma0 for RTC products), or as the amplitude
    that it offers; power of zero or less is nodata. Optical images are written as reflectance x 10000, without the
    offset of the processing baseline; clouds, cloud shadows and empty pixels of the scene classification are masked.

    Raises:
        InputError: nothing was found, a server fails repeatedly or contradicts what it lists, there is too much to
            fetch, or the output cannot be written.
        BusyError: another process is fetching the same root.

    >>> from saropt.curation.stac import SERVICES, read_area
    >>> from datetime import datetime
    >>> request = Request(datetime(2024, 6, 1), datetime(2024, 7, 1), split="odd")
    >>> area, service = read_area("-118.5,33.9,-118.2,34.1"), SERVICES["planetary-computer"]
    >>> fetch(area, request, "root", service, service)
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: split='odd': is not one of train, val, test, strips
    """
    out = Path(out).absolute()
    check_new(out)
    if sar_service.sar is None:
        raise InputError(sar_service.url, "offers no calibrated Sentinel-1: take another service for SAR")
    if request.split not in (*SPLITS, "strips"):
        raise OptionError("split", request.split, f"is not one of {', '.join(SPLITS)}, strips")

    def named(line: str) -> None:
        tell(f"{out.name}: {line}")

    part = out.with_name(f".{out.name}.fetching")
    lock = Lock(part.with_name(f"{part.name}.lock"), out, "is being fetched by another process")
    try:
        lock.acquire()
        part.mkdir(exist_ok=True)
        plan = Plan(part, area, request, sar_service, optical_service)
        plan.open()
        for line in plan.told:
            named(line)
        grid = grid_of(area, request.pixel_m)
        services = {"sar": sar_service, "optical": optical_service}
        jobs = _fetch_all(part, plan, grid, area, request, services, progress, named)
        rows = add_references(part, jobs, request.references, named)
        _describe(part, out.name, area, rows, grid, jobs, sar_service.sar, optical_service.optical)
        for left in part.glob("*/.*.part*"):  # by a run that was killed after it had renamed a raster
            left.unlink()
        plan.close()
        part.rename(out)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    except BusyError:
        raise
    except NoPairError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    except SaroptError:
        with suppress(OSError):
            part.rmdir()
        raise
    finally:
        lock.release()
    return out


def _fetch_all(
    part: Path,
    plan: Plan,
    grid: Grid,
    area: Area,
    request: Request,
    services: dict[str, Service],
    progress: Progress | None,
    tell: Tell,
) -> list[Job]:
    """Fetch the rasters of all pairs. A pair of which an image shows almost nothing is given up for another one."""
    sar, optical = services["sar"].sar, services["optical"].optical
    assert sar is not None
    done: set[str] = set()
    lines: list[str] = []
    while True:
        planned = {
            pair.name: plan_jobs(pair.name, pair.sar, pair.optical, grid, request, sar, optical) for pair in plan.pairs
        }
        jobs = [job for own in planned.values() for job in own]
        waiting = [pair for pair in plan.pairs if pair.name not in done]
        if not waiting:
            if plan.unfit:
                lines.append(f"not used, because they show almost nothing (cloud or no data): {plan.unfit}")
            for line in lines:
                tell(line)
            return jobs
        _check_sizes(jobs, grid, area, request, services)
        for pair in waiting:
            own = planned[pair.name]
            for job in own:
                (part / job.side).mkdir(exist_ok=True)
                target = part / job.side / f"{job.name}.tif"
                if not target.exists():
                    _fetch_raster(job, target, grid, area, services[job.side])
                if progress is not None:
                    progress(jobs.index(job) + 1, len(jobs), f"{job.side} {job.name}")
            unfit = unfit_side(part, own, area, request, lines.append)
            if unfit is not None:
                for job in own:
                    (part / job.side / f"{job.name}.tif").unlink()
                plan.replace(pair, unfit)
                break
            done.add(pair.name)


def check_new(out: Path) -> None:
    """Check that a data root can be made.

    Raises:
        InputError: it exists, or its parent does not.

    >>> check_new(Path("nowhere/root"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: nowhere/root: the folder nowhere does not exist
    """
    if out.exists():
        raise InputError(out, "exists already")
    if not out.parent.is_dir():
        raise InputError(out, f"the folder {out.parent} does not exist")


def _check_sizes(jobs: Sequence[Job], grid: Grid, area: Area, request: Request, services: dict[str, Service]) -> None:
    """Check that every file is available with the size that the service states, and that the needed parts are not
    too large."""
    needed = 0.0
    seen: set[str] = set()
    for job in jobs:
        for item in job.items:
            for band, href in hrefs_of(job, item).items():
                if href in seen:
                    continue
                seen.add(href)
                key = job.collection.mask if band == "mask" else job.collection.assets[band]
                stated = item["assets"][key].get("file:size")
                size = remote_size(_signed(href, job, services[job.side]), stated)
                box = item.get("bbox") or area.bounds
                width = (box[-2 if len(box) == 4 else 3] - box[0]) % 360.0 or 360.0
                whole = max(width * (box[-1 if len(box) == 4 else 4] - box[1]), 1e-9)
                own = (area.bounds[2] - area.bounds[0]) * (area.bounds[3] - area.bounds[1])
                needed += size * min(1.0, own / whole)
    if needed > request.max_gigabytes * 1e9:
        raise OptionError(
            "max_gigabytes", None, f"about {needed / 1e9:.1f} GB are needed, {request.max_gigabytes:g} allowed"
        )


_TOKENS: dict[str, tuple[float, str]] = {}


def _signed(href: str, job: Job, service: Service) -> str:
    """The address with the token of the service for the collection; a token is renewed after ten minutes."""
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


def _fetch_raster(job: Job, target: Path, grid: Grid, area: Area, service: Service) -> None:
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
                is_power = _scale(job.collection.units) == "power"
                stored = to_db(np.where(valid, values, 1.0), job.collection.units) if is_power else values
                stored = np.where(valid, stored, np.float32(np.nan)).astype(np.float32)
            else:
                stored = np.where(valid, np.clip(np.rint(values), 1, 65535), 0).astype(np.uint16)
            writer.write(window.row, window.col, stored, key=number)
        writer.finish()


def _measured(values: NDArray[np.float32], units: str) -> NDArray[np.bool_]:
    """Which pixels (h, w) of values (C, h, w) hold backscatter: not fill that the file does not declare, which is zero
    or less in power and amplitude, and zero in all bands in decibels."""
    rule = ValueRule.of(units, str(values.dtype))
    keep = rule.measured(values)
    if _scale(units) in ("power", "amplitude"):
        keep &= (values > 0).all(axis=0)
    elif _scale(units) == "decibels":
        keep &= (values != 0).any(axis=0)
    return keep


def _scale(units: str) -> str:
    return describe_units(units, "float32").scale


def sar_units(collection: Collection) -> str:
    """The units that are written: power becomes decibels, amplitude stays, for nothing tells its calibration."""
    return f"{collection.units}_db" if _scale(collection.units) == "power" else collection.units


def _mosaic(job: Job, grid: Grid, service: Service) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values (C, h, w) and validity (h, w) of a window. Each pixel comes from the first item in which it is valid."""
    total = np.zeros((len(job.collection.assets), grid.height, grid.width), np.float32)
    filled = np.zeros((grid.height, grid.width), bool)
    for item in job.items:
        hrefs = hrefs_of(job, item)
        valid = np.ones_like(filled)
        layers = []
        for band, (layer, here) in _layers(hrefs, job, service, grid).items():
            if job.side == "optical":
                here &= layer > 0
                gain, offset = scaling_of(item, job.collection.assets[band])
                layer = layer * np.float32(gain) + np.float32(offset)
            layers.append(layer)
            valid &= here
        if "mask" in hrefs:
            with open_scene(_signed(hrefs["mask"], job, service), palette="index") as classes:
                valid &= clear_pixels(classes, grid)
        stacked = np.stack(layers)
        if job.side == "sar":
            valid &= _measured(stacked, job.collection.units)
        new = valid & ~filled
        total[:, new] = stacked[:, new]
        filled |= new
        if filled.all():
            break
    return total, filled


def _layers(
    hrefs: dict[str, str], job: Job, service: Service, grid: Grid
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Values and validity (h, w) of each band of an item on a grid. Zeros that are fill have no part in other pixels:
    those of any band, and in decibels those that all bands have."""
    without = {band: _read_window(hrefs, band, job, service, grid, 0.0) for band in job.collection.assets}
    if job.side == "optical" or _scale(job.collection.units) != "decibels":
        return without
    plain = {band: _read_window(hrefs, band, job, service, grid, None) for band in job.collection.assets}
    near_zero = [
        (plain[band][0] != without[band][0]) | (plain[band][1] != without[band][1]) for band in job.collection.assets
    ]
    is_fill = np.logical_and.reduce(near_zero)
    chosen = {}
    for band, (values, valid) in without.items():
        others, known = plain[band]
        chosen[band] = np.where(is_fill, values, others), np.where(is_fill, valid, known)
    return chosen


def _read_window(
    hrefs: dict[str, str], band: str, job: Job, service: Service, grid: Grid, fill: float | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A band of an item on a grid: values and validity (h, w). Of the optical pixels those have a part in a pixel of
    the grid that lie in it, as those of the mask have."""
    address, is_sar = _signed(hrefs[band], job, service), job.side == "sar"
    how: dict[str, Any] = {"resampling": "bilinear" if is_sar else "average", "nodata": fill}
    how["power"] = job.collection.units if is_sar else None
    with ExitStack() as stack:
        scene = stack.enter_context(open_scene(address, grid=grid, **how))
        if scene.file_bands > 1 or list(hrefs.values()).count(hrefs[band]) > 1:
            number = _number_of(band, scene, job.collection)
            scene = stack.enter_context(open_scene(address, [number], grid=grid, **how))
        if not is_sar:
            scene.scaling = None  # the catalogue says how the numbers are scaled
        values, valid = scene.read()
        return values[0], valid


def _number_of(band: str, scene: Scene, collection: Collection) -> int:
    """Number, from 1, of a band in the file of an asset that is to give several, by their names."""
    for _, place in match_some_bands([band], scene.band_names):
        return place + 1
    found = f"asset {collection.assets[band]} has {counted(scene.file_bands, 'band')} ({listed(scene.band_names)})"
    raise InputError(scene.source, f"{found}, and none is {band} by its name")


def _describe(
    part: Path,
    name: str,
    area: Area,
    rows: Sequence[tuple[str, str, str]],
    grid: Grid,
    jobs: Sequence[Job],
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
    write_description(part, description, rows, ["group"])
