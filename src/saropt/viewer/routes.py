"""The HTTP API."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse

from saropt.artifacts import ImageCard
from saropt.domain import Direction, match_some_bands, unclear_bands
from saropt.inference.opening import bands_given
from saropt.viewer.dependencies import BUSY, MISSING, ORDER, ORDER_REFUSALS, REFUSALS, REMOVAL, Key, TheViewer
from saropt.viewer.schemas import (
    CatalogueOut,
    Detail,
    Info,
    JobIn,
    JobOut,
    RefusedOut,
    ReportOut,
    SceneOut,
    TranslatorOut,
)
from saropt.viewer.security import REPORT_POLICY
from saropt.viewer.state import Viewer

_BINARY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

BASE_MAP = Path(str(files("saropt.viewer"))) / "base_map.json"

router = APIRouter(prefix="/api", responses=REFUSALS)


@router.get("/info")
def get_info(viewer: TheViewer) -> Info:
    """Version, limits and use of the quota."""
    limits = viewer.limits
    return Info(
        version=version("saropt"),
        folder=viewer.folder.name,
        upload_bytes=limits.upload_bytes,
        quota_bytes=limits.quota_bytes,
        used_bytes=viewer.used_bytes(),
    )


@router.get(
    "/base-map",
    responses={200: {"content": {"application/json": {}}, "description": "The lines and places"}},
    response_class=FileResponse,
)
def get_base_map() -> FileResponse:
    """Coasts, borders and places of Natural Earth.

    Lines are thousandths of a degree: longitude and latitude of the first point, then steps. Places are name, longitude
    and latitude, the most important first.
    """
    return FileResponse(BASE_MAP, media_type="application/json", headers={"cache-control": "private, max-age=86400"})


@router.get("/catalogue")
def get_catalogue(viewer: TheViewer) -> CatalogueOut:
    """All scenes with their layers, the reports, and what is not shown."""
    held = viewer.catalogue
    return CatalogueOut(
        scenes=[SceneOut.of(scene) for scene in held.scenes.values()],
        reports=[ReportOut(id=report.id, name=report.name) for report in held.reports.values()],
        refused=[RefusedOut(name=one.name, reason=one.reason) for one in held.refused],
    )


@router.post("/catalogue/scan", dependencies=ORDER, responses=ORDER_REFUSALS)
def scan(viewer: TheViewer) -> CatalogueOut:
    """Look through the folder again."""
    viewer.scan()
    return get_catalogue(viewer)


@router.get("/scenes/{scene}", responses=MISSING)
def get_scene(viewer: TheViewer, scene: Key) -> SceneOut:
    """One scene."""
    found = viewer.catalogue.scenes.get(scene)
    if found is None:
        raise HTTPException(404, "no such scene")
    return SceneOut.of(found)


@router.post(
    "/scenes",
    dependencies=ORDER,
    status_code=201,
    openapi_extra=_BINARY,
    responses={**ORDER_REFUSALS, **BUSY},
)
async def upload(
    request: Request, viewer: TheViewer, name: Annotated[str, Query(min_length=1, max_length=200)]
) -> SceneOut:
    """Upload a GeoTIFF or PNG: the file itself is the body."""
    key = await viewer.uploads.receive(name, request.stream(), viewer.taken_bytes)
    viewer.scan()
    uploaded = viewer.catalogue.scenes.get(key)
    if uploaded is None:
        raise HTTPException(409, "the scene was removed while it was uploaded")
    return SceneOut.of(uploaded)


@router.delete(
    "/scenes/{scene}",
    dependencies=ORDER,
    status_code=204,
    response_model=None,
    responses={**ORDER_REFUSALS, **MISSING, **BUSY},
)
def delete_scene(viewer: TheViewer, scene: Key) -> None:
    """Remove an upload; translations of it stay. Scenes of the folder cannot be removed."""
    found = viewer.catalogue.scenes.get(scene)
    if found is None:
        raise HTTPException(404, "no such scene")
    if found.origin != "upload":
        raise HTTPException(409, "only uploads can be removed")
    _refuse_what_is_read(viewer, viewer.uploads.folder / scene)
    viewer.uploads.delete(scene)
    viewer.scan()


@router.get("/reports/{report}/page", responses={**MISSING, 200: {"content": {"text/html": {}}}})
def get_report(viewer: TheViewer, report: Key) -> FileResponse:
    """An evaluation report, in a sandbox."""
    found = viewer.catalogue.reports.get(report)
    if found is None or not found.path.is_file():
        raise HTTPException(404, "no such report")
    return FileResponse(found.path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})


@router.get("/translators")
def get_translators(viewer: TheViewer) -> list[TranslatorOut]:
    """The translators that can be chosen, with their cards."""
    return [
        TranslatorOut(name=known.name, bundled=known.bundled, directions=list(known.card.directions), card=known.card)
        for known in viewer.translators().values()
    ]


@router.get("/jobs")
def get_jobs(viewer: TheViewer) -> list[JobOut]:
    """All jobs, newest first."""
    return [JobOut.of(job) for job in viewer.jobs.all()]


@router.post(
    "/jobs",
    dependencies=ORDER,
    status_code=201,
    responses={
        **ORDER_REFUSALS,
        **MISSING,
        429: {"model": Detail, "description": "Too many jobs wait"},
    },
)
def submit(viewer: TheViewer, order: JobIn) -> JobOut:
    """Translate a layer. Watch the job at /api/jobs/{id}; its result is the layer of the same id."""
    layer = viewer.catalogue.layers.get(order.layer)
    translator = viewer.translators().get(order.translator)
    if layer is None or layer.kind not in ("sar", "optical", "translation"):
        raise HTTPException(404, "no such layer to translate")
    if translator is None:
        raise HTTPException(404, "no such translator")
    missing = [name for name, companion in order.companions.items() if companion not in viewer.catalogue.layers]
    if missing:
        raise HTTPException(404, f"no such layer for {', '.join(missing)}")
    card = translator.card
    directions = card.directions
    if order.direction is None and len(directions) > 1:
        raise HTTPException(422, f"{order.translator} translates both ways: state a direction")
    direction = order.direction or next(iter(directions))
    if direction not in directions:
        raise HTTPException(422, f"{order.translator} does not translate {direction}")
    if len(viewer.jobs.waiting()) >= viewer.limits.jobs:
        raise HTTPException(429, "too many jobs wait")
    target = card.target(Direction.parse(direction))
    size = layer.info.width * layer.info.height * len(target.bands) * np.dtype(target.dtype).itemsize
    if viewer.taken_bytes() + size > viewer.limits.quota_bytes:
        raise HTTPException(413, "the viewer's quota is used up: delete something")
    scene = viewer.catalogue.scene_of(layer)
    taken = [scene.layers[0], layer, *(viewer.catalogue.layers[key] for key in order.companions.values())]
    request = order.model_dump(exclude={"layer"}) | {
        "bands": _bands(order, card.directions[Direction.parse(direction)].inputs[0], layer.info.bands),
        "direction": direction,
        "scene": scene.id,
        "layer": layer.id,
        "source": layer.name,
        "bytes": size,
        "contents": {one.id: viewer.catalogue.content(one.path) for one in taken},
        "out": f"{layer.path.stem}-{order.translator.removesuffix('.onnx').removesuffix('.safetensors')}.tif",
    }
    return JobOut.of(viewer.jobs.submit(request))


@router.get("/jobs/{job}", responses=MISSING)
def get_job(viewer: TheViewer, job: Key) -> JobOut:
    """One job."""
    try:
        return JobOut.of(viewer.jobs.get(job))
    except KeyError:
        raise HTTPException(404, "no such job") from None


@router.post("/jobs/{job}/cancel", dependencies=ORDER, responses={**ORDER_REFUSALS, **MISSING})
def cancel(viewer: TheViewer, job: Key) -> JobOut:
    """End a job that waits or runs; one that has ended stays as it is."""
    try:
        return JobOut.of(viewer.jobs.cancel(job))
    except KeyError:
        raise HTTPException(404, "no such job") from None


@router.delete("/jobs/{job}", dependencies=ORDER, status_code=204, response_model=None, responses=REMOVAL)
def delete_job(viewer: TheViewer, job: Key) -> None:
    """Forget an ended job and its translation."""
    try:
        if viewer.jobs.get(job).state in ("queued", "running"):
            raise HTTPException(409, "it has not ended: cancel it first")
        _refuse_what_is_read(viewer, viewer.jobs.folder / job)
        viewer.jobs.delete(job)
    except KeyError:
        raise HTTPException(404, "no such job") from None
    viewer.scan()


def _refuse_what_is_read(viewer: Viewer, folder: Path) -> None:
    """Refuse to remove a folder with a layer that a job reads which waits or runs, or with the scene of its layer."""
    held = {layer.id for layer in viewer.catalogue.layers.values() if layer.path.parent == folder}
    for job in viewer.jobs.waiting():
        request = job.request
        if held & {request["scene"], request["layer"], *request.get("companions", {}).values()}:
            raise HTTPException(409, "a job reads it: cancel that first")


def _bands(order: JobIn, image: ImageCard, names: Sequence[str]) -> list[str | None] | None:
    """The bands of an order with those filled in that are to be found by their names; None for each that is not there,
    of translators that take some of their bands."""
    if order.bands is None or not any(order.bands):
        return None
    if None not in order.bands:
        return order.bands
    if len(order.bands) != len(image.bands):
        raise HTTPException(422, "bands: a name or null for each band that the translator takes")
    found = {place: names[index] for place, index in match_some_bands(image.bands, names)}
    bands = [found.get(place) if band is None else band for place, band in enumerate(order.bands)]
    chosen = {place: band for place, band in enumerate(bands) if band is not None}
    unclear = unclear_bands([image.bands[place] for place in range(len(bands)) if place not in chosen], names)
    is_clear = image.partial and not unclear and bands_given(image, list(chosen.values())) == list(chosen)
    if len(chosen) < len(bands) and not is_clear:
        missing = ", ".join(band for place, band in enumerate(image.bands) if place not in chosen)
        raise HTTPException(422, f"none or several bands are called {missing}: choose one for it")
    return bands
