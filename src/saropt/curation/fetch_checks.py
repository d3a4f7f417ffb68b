"""Whether fetched images show what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio

from saropt.curation.fetch_plan import Job, Request
from saropt.curation.stac import Area
from saropt.errors import InputError
from saropt.progress import Tell, log_line
from saropt.radiometry import check_units, from_db
from saropt.scenes import Grid, Scene, Window

NEARLY_EMPTY = 0.1
"""An image with a smaller valid share of the area is not used, unless `Request.min_cover` asks for little more."""
_STEP = 1024


def unfit_side(folder: Path, jobs: Sequence[Job], area: Area, request: Request, tell: Tell = log_line) -> str | None:
    """The side of a fetched pair, "sar" or "optical", that shows almost nothing of the area; None where both show it.

    A line tells of an image that shows less of the area than was asked for.

    Args:
        folder: holds the rasters as SIDE/NAME.tif.
        jobs: all rasters of the pair.

    Raises:
        InputError: SAR values cannot be what the service's units say.

    >>> from datetime import datetime
    >>> request = Request(datetime(2024, 6, 1), datetime(2024, 7, 1))
    >>> unfit_side(Path("root"), [], Area((0.0, 0.0, 1.0, 1.0)), request) is None
    True
    """
    for side in sorted({job.side for job in jobs}, reverse=True):
        own = [job for job in jobs if job.side == side]
        counts = [_counts(folder / side / f"{job.name}.tif", area) for job in own]
        valid, inside = (sum(part) for part in zip(*counts, strict=True))
        share = valid / max(inside, 1)
        name = f"the {'SAR' if side == 'sar' else 'optical'} image of {own[0].when:%Y-%m-%d}"
        rest = "has no data or power of zero or less" if side == "sar" else "is cloud or has no data"
        wanted = request.min_cover * (1.0 if side == "sar" else 1.0 - request.max_cloud / 100.0)
        if not valid or share < min(NEARLY_EMPTY, request.min_cover / 2.0):
            return side
        if share < wanted:
            tell(f"{name} shows {share:.0%} of the area (the rest {rest})")
        blank = [job.name for job, (seen, asked) in zip(own, counts, strict=True) if asked and not seen]
        if blank:
            tell(f"{name} has no valid pixel in {', '.join(blank)}")
        if side == "sar":
            _check_values([folder / side / f"{job.name}.tif" for job in own], own[0])
    return None


def _counts(path: Path, area: Area) -> tuple[int, int]:
    """Number of valid pixels, and of pixels in the area."""
    valid = inside = 0
    with Scene.open(path) as scene:
        place = scene.georeference
        assert place.crs is not None
        assert place.transform is not None
        for row in range(0, scene.height, _STEP):
            height = min(_STEP, scene.height - row)
            transform = place.transform @ rasterio.Affine.translation(0, row)
            valid += int(scene.read(Window(row, 0, height, scene.width))[1].sum())
            inside += int(area.mask(Grid(place.crs, transform, height, scene.width)).sum())
    return valid, inside


def _check_values(paths: Sequence[Path], job: Job) -> None:
    samples = []
    for path in paths:
        with Scene.open(path) as scene:
            samples.append(scene.sample())
    values, units = np.concatenate(samples, axis=1), job.collection.units
    try:
        check_units(from_db(values, units) if units in ("gamma0", "sigma0") else values, units)
    except ValueError as error:
        raise InputError(f"collection {job.collection.name}", str(error)) from error
