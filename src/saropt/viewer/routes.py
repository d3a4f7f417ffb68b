"""The HTTP API."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import FileResponse

from saropt.domain import Direction
from saropt.viewer import render
from saropt.viewer.catalogue import Layer
from saropt.viewer.render import Decibels, Style
from saropt.viewer.schemas import (
    CatalogueOut,
    Detail,
    Info,
    JobIn,
    JobOut,
    LayerDetail,
    PointOut,
    RefusedOut,
    ReportOut,
    SceneOut,
    TranslatorOut,
)
from saropt.viewer.security import COOKIE, REPORT_POLICY
from saropt.viewer.state import Viewer

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Detail, "description": "Unknown host name"},
    401: {"model": Detail, "description": "The token is missing or wrong"},
    422: {"model": Detail, "description": "Does not fit, or cannot be used"},
}
_ORDER_REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": Detail, "description": "The header X-Saropt is missing, or a foreign page asks"},
    413: {"model": Detail, "description": "Larger than a limit, or the quota is used up"},
}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Detail, "description": "No such thing"}}
_BUSY: dict[int | str, dict[str, Any]] = {409: {"model": Detail, "description": "Not in this state"}}
_REMOVAL = {**_ORDER_REFUSALS, **_MISSING, **_BUSY}
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "A picture"}}
_KEEP = {"cache-control": "private, max-age=31536000, immutable"}
_BINARY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter(prefix="/api", responses=_REFUSALS)


def _viewer(request: Request) -> Viewer:
    viewer: Viewer = request.app.state.viewer
    return viewer


def _order(
    x_saropt: Annotated[str, Header(min_length=1, description="1: tells the viewer's pages from others.")],
) -> None:
    """Documents the header that the guard has asked for."""


TheViewer = Annotated[Viewer, Depends(_viewer)]
_ORDER = [Depends(_order)]
Key = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
LayerKey = Annotated[str, Path(pattern=r"^[0-9a-f]{16}(-error)?$")]


def _layer(viewer: TheViewer, layer: LayerKey) -> Layer:
    found = viewer.catalogue.layers.get(layer)
    if found is None:
        raise HTTPException(404, "no such layer")
    return found


TheLayer = Annotated[Layer, Depends(_layer)]
Number = Annotated[float, Query(allow_inf_nan=False, ge=-1e30, le=1e30)]


def _style(
    viewer: TheViewer,
    layer: TheLayer,
    band: Annotated[
        list[Annotated[int, Query(ge=1, le=1000)]] | None,
        Query(max_length=3, description="One band as grey, or red, green and blue; the layer's own when left out."),
    ] = None,
    low: Annotated[list[Number] | None, Query(max_length=3, description="Black; one number, or one a band.")] = None,
    high: Annotated[list[Number] | None, Query(max_length=3, description="White; one number, or one a band.")] = None,
    decibels: Annotated[
        Decibels | None, Query(description="Stored numbers are amplitude or power; show them, low and high in dB.")
    ] = None,
) -> Style:
    if band is None and low is None and high is None and decibels is None:
        return render.default_style(layer, viewer.statistics(layer))
    if low is None or high is None or len(low) != len(high):
        raise HTTPException(422, "low and high go together")
    bands = tuple(band) if band else render.default_style(layer, viewer.statistics(layer)).bands
    if len(bands) == 2 or max(bands) > len(layer.info.bands):
        raise HTTPException(422, f"one or three bands out of {len(layer.info.bands)}")
    if len(low) not in (1, len(bands)):
        raise HTTPException(422, "low and high: one number, or one for each band")
    return Style(bands, tuple(low), tuple(high), decibels)


TheStyle = Annotated[Style, Depends(_style)]


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


@router.post("/session", dependencies=_ORDER, status_code=204, response_model=None, responses=_ORDER_REFUSALS)
def open_session(request: Request, response: Response) -> None:
    """Take the token of this request's bearer header into a cookie, for pages; nothing to do without a token."""
    if request.app.state.token is not None:
        response.set_cookie(COOKIE, request.app.state.token, httponly=True, samesite="strict", path="/")


@router.get("/catalogue")
def get_catalogue(viewer: TheViewer) -> CatalogueOut:
    """All scenes with their layers, the reports, and what is not shown."""
    held = viewer.catalogue
    return CatalogueOut(
        scenes=[SceneOut.of(scene) for scene in held.scenes.values()],
        reports=[ReportOut(id=report.id, name=report.name) for report in held.reports.values()],
        refused=[RefusedOut(name=one.name, reason=one.reason) for one in held.refused],
    )


@router.post("/catalogue/scan", dependencies=_ORDER, responses=_ORDER_REFUSALS)
def scan(viewer: TheViewer) -> CatalogueOut:
    """Look through the folder again."""
    viewer.scan()
    return get_catalogue(viewer)


@router.get("/scenes/{scene}", responses=_MISSING)
def get_scene(viewer: TheViewer, scene: Key) -> SceneOut:
    """One scene."""
    if scene not in viewer.catalogue.scenes:
        raise HTTPException(404, "no such scene")
    return SceneOut.of(viewer.catalogue.scenes[scene])


@router.post(
    "/scenes",
    dependencies=_ORDER,
    status_code=201,
    openapi_extra=_BINARY,
    responses=_ORDER_REFUSALS,
)
async def upload(
    request: Request, viewer: TheViewer, name: Annotated[str, Query(min_length=1, max_length=200)]
) -> SceneOut:
    """Upload a GeoTIFF or PNG: the file itself is the body."""
    key = await viewer.uploads.receive(name, request.stream(), viewer.used_bytes())
    viewer.scan()
    return SceneOut.of(viewer.catalogue.scenes[key])


@router.delete(
    "/scenes/{scene}",
    dependencies=_ORDER,
    status_code=204,
    response_model=None,
    responses={**_ORDER_REFUSALS, **_MISSING, **_BUSY},
)
def delete_scene(viewer: TheViewer, scene: Key) -> None:
    """Remove an upload; translations of it stay. Scenes of the folder cannot be removed."""
    found = viewer.catalogue.scenes.get(scene)
    if found is None:
        raise HTTPException(404, "no such scene")
    if found.origin != "upload":
        raise HTTPException(409, "only uploads can be removed")
    if any(job.request["scene"] == scene and job.state in ("queued", "running") for job in viewer.jobs.all()):
        raise HTTPException(409, "a job translates it: cancel that first")
    viewer.uploads.delete(scene)
    viewer.scan()


@router.get("/layers/{layer}", responses=_MISSING)
def get_layer(viewer: TheViewer, layer: TheLayer) -> LayerDetail:
    """A layer with percentiles of its pixels and the style it is shown in."""
    for shown in layer.pair or (layer,):
        viewer.pyramids.want(shown.id, shown.path, shown.info)
    percentiles = viewer.statistics(layer)
    return LayerDetail.detailed(layer, percentiles, render.default_style(layer, percentiles))


@router.get("/layers/{layer}/tiles/{z}/{x}/{y}", responses={**_MISSING, **_PNG}, response_class=Response)
def get_tile(
    layer: TheLayer,
    style: TheStyle,
    z: Annotated[int, Path(ge=0, le=26)],
    x: Annotated[int, Path(ge=0, lt=1 << 26)],
    y: Annotated[int, Path(ge=0, lt=1 << 26)],
    v: Annotated[str, Query(max_length=40, description="The layer's version; lets the answer be kept.")] = "",
) -> Response:
    """A tile of 256 pixels: of the Web Mercator quad, or of the raster's own rows and columns, y downwards.

    In the raster's own grid, zoom `maxzoom` is full resolution and each zoom below halves it.
    """
    headers = _KEEP if v == layer.info.version else None
    return Response(render.tile_png(layer, z, x, y, style), media_type="image/png", headers=headers)


@router.get("/layers/{layer}/thumbnail", responses={**_MISSING, **_PNG}, response_class=Response)
def get_thumbnail(viewer: TheViewer, layer: TheLayer, v: Annotated[str, Query(max_length=40)] = "") -> Response:
    """The whole layer in 192 pixels."""
    style = render.default_style(layer, viewer.statistics(layer))
    headers = _KEEP if v == layer.info.version else None
    return Response(render.thumbnail_png(layer, style), media_type="image/png", headers=headers)


@router.get("/layers/{layer}/picture", responses={**_MISSING, **_PNG}, response_class=Response)
def get_picture(layer: TheLayer, style: TheStyle, side: Annotated[int, Query(ge=16, le=4096)] = 2048) -> Response:
    """The whole layer as a PNG to keep; translations carry their notice in the pixels."""
    name = layer.name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    headers = {"content-disposition": f'attachment; filename="{safe}.png"'}
    return Response(render.exported_png(layer, side, style), media_type="image/png", headers=headers)


@router.get("/layers/{layer}/point", responses=_MISSING)
def get_point(
    layer: TheLayer,
    x: Annotated[float, Query(allow_inf_nan=False, ge=-1e7, le=1e7, description="Longitude, or column.")],
    y: Annotated[float, Query(allow_inf_nan=False, ge=-1e7, le=1e7, description="Latitude, or row.")],
) -> PointOut:
    """One pixel, by longitude and latitude, or by column and row where there is no georeference."""
    reading = render.read_point(layer, x, y)
    if reading is None:
        raise HTTPException(404, "outside the scene")
    kind = render.decibels_of(layer)
    decibels = None
    if kind is not None:
        decibels = [None if v is None else float(render.in_db(np.array(v), kind)) for v in reading.values]
    return PointOut.of(layer, reading, decibels)


@router.get(
    "/layers/{layer}/file",
    responses={**_MISSING, 200: {"content": {"image/tiff": {}}, "description": "The GeoTIFF"}},
    response_class=FileResponse,
)
def get_file(layer: TheLayer) -> FileResponse:
    """The GeoTIFF of a translation."""
    if layer.kind != "translation":
        raise HTTPException(404, "only translations can be fetched as files")
    return FileResponse(layer.path, media_type="image/tiff", filename=layer.path.name)


@router.get("/reports/{report}/page", responses={**_MISSING, 200: {"content": {"text/html": {}}}})
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
    dependencies=_ORDER,
    status_code=201,
    responses={
        **_ORDER_REFUSALS,
        **_MISSING,
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
    directions = translator.card.directions
    if order.direction is None and len(directions) > 1:
        raise HTTPException(422, f"{order.translator} translates both ways: state a direction")
    direction = order.direction or next(iter(directions))
    if direction not in directions:
        raise HTTPException(422, f"{order.translator} does not translate {direction}")
    if viewer.jobs.waiting() >= viewer.limits.jobs:
        raise HTTPException(429, "too many jobs wait")
    target = translator.card.target(Direction.parse(direction))
    size = layer.info.width * layer.info.height * len(target.bands) * np.dtype(target.dtype).itemsize
    if viewer.used_bytes() + size > viewer.limits.quota_bytes:
        raise HTTPException(413, "the viewer's quota is used up: delete something")
    scene = viewer.catalogue.scene_of(layer)
    request = order.model_dump(exclude={"layer"}) | {
        "direction": direction,
        "scene": scene.id,
        "layer": layer.id,
        "source": layer.name,
        "out": f"{layer.path.stem}-{order.translator.removesuffix('.onnx').removesuffix('.safetensors')}.tif",
    }
    return JobOut.of(viewer.jobs.submit(request))


@router.get("/jobs/{job}", responses=_MISSING)
def get_job(viewer: TheViewer, job: Key) -> JobOut:
    """One job."""
    try:
        return JobOut.of(viewer.jobs.get(job))
    except KeyError:
        raise HTTPException(404, "no such job") from None


@router.post("/jobs/{job}/cancel", dependencies=_ORDER, responses={**_ORDER_REFUSALS, **_MISSING})
def cancel(viewer: TheViewer, job: Key) -> JobOut:
    """End a job that waits or runs; one that has ended stays as it is."""
    try:
        return JobOut.of(viewer.jobs.cancel(job))
    except KeyError:
        raise HTTPException(404, "no such job") from None


@router.delete("/jobs/{job}", dependencies=_ORDER, status_code=204, response_model=None, responses=_REMOVAL)
def delete_job(viewer: TheViewer, job: Key) -> None:
    """Forget an ended job and its translation."""
    try:
        if viewer.jobs.get(job).state in ("queued", "running"):
            raise HTTPException(409, "it has not ended: cancel it first")
        viewer.jobs.delete(job)
    except KeyError:
        raise HTTPException(404, "no such job") from None
    viewer.scan()
