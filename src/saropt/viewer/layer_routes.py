"""The HTTP API of one layer: its pixels as pictures and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from fastapi.responses import FileResponse
from pydantic import ValidationError

from saropt.viewer import render, saved
from saropt.viewer.catalogue import Layer
from saropt.viewer.dependencies import MISSING, REFUSALS, LayerId, LayerKey, TheViewer
from saropt.viewer.differences import with_differences
from saropt.viewer.schemas import HistogramOut, LayerDetail, PointOut, StyleOut
from saropt.viewer.styles import Decibels, Style, decibels_of, default_style, in_db

_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "A picture"}}
_KEEP = {"cache-control": "private, max-age=31536000, immutable"}

router = APIRouter(prefix="/api/layers/{layer}", responses=REFUSALS | MISSING)


def _layer(viewer: TheViewer, layer: LayerKey) -> Layer:
    found = viewer.catalogue.layers.get(layer)
    if found is not None and viewer.catalogue.is_changed(found):
        viewer.scan()
        found = viewer.catalogue.layers.get(layer)
    if found is None:
        raise HTTPException(404, "no such layer")
    return with_differences(found, viewer.pyramids)


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
        Decibels | None, Query(description="Numbers are amplitude or power; show them, all limits in dB.")
    ] = None,
    least: Annotated[Number | None, Query(description="Pixels of one band below this are transparent.")] = None,
    most: Annotated[Number | None, Query(description="Pixels of one band above this are transparent.")] = None,
) -> Style:
    stated = not (band is None and low is None and high is None and decibels is None)
    if stated and band:
        style = _stated_style(layer, band, low, high, decibels)
    else:
        style = default_style(layer, viewer.statistics(layer))
        style = _stated_style(layer, style.bands, low, high, decibels) if stated else style
    if len(style.bands) > 1 and not (least is None and most is None):
        raise HTTPException(422, "least and most go with one band")
    return replace(style, least=least, most=most)


def _stated_style(
    layer: Layer, bands: Sequence[int], low: list[float] | None, high: list[float] | None, decibels: Decibels | None
) -> Style:
    if low is None or high is None or len(low) != len(high):
        raise HTTPException(422, "low and high go together")
    if len(bands) not in (1, 3) or max(bands) > len(layer.info.bands):
        raise HTTPException(422, f"one or three bands out of {len(layer.info.bands)}")
    if len(low) not in (1, len(bands)):
        raise HTTPException(422, "low and high: one number, or one for each band")
    return Style(tuple(bands), tuple(low), tuple(high), decibels)


TheStyle = Annotated[Style, Depends(_style)]


@router.get("")
def get_layer(viewer: TheViewer, layer: TheLayer) -> LayerDetail:
    """A layer with percentiles of its pixels and the style it is shown in."""
    if layer.pair is None:
        viewer.pyramids.want(layer.id, layer.path, layer.info)
    percentiles = viewer.statistics(layer)
    style = default_style(layer, percentiles)
    return LayerDetail.detailed(layer, percentiles, style, viewer.statistics.fitting_units(layer))


@router.get("/tiles/{z}/{x}/{y}", responses=_PNG, response_class=Response)
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
    headers = _KEEP if v == layer.info.version and not layer.sampled else None
    return Response(render.tile_png(layer, z, x, y, style), media_type="image/png", headers=headers)


@router.get("/thumbnail", responses=_PNG, response_class=Response)
def get_thumbnail(viewer: TheViewer, layer: TheLayer, v: Annotated[str, Query(max_length=40)] = "") -> Response:
    """The whole layer in 192 pixels."""
    style = default_style(layer, viewer.statistics(layer))
    headers = _KEEP if v == layer.info.version and not layer.sampled else None
    return Response(render.thumbnail_png(layer, style), media_type="image/png", headers=headers)


@router.get("/picture", responses=_PNG, response_class=Response)
def get_picture(layer: TheLayer, style: TheStyle, side: Annotated[int, Query(ge=16, le=4096)] = 2048) -> Response:
    """The whole layer as a PNG to keep; translations carry their notice in the pixels."""
    name = layer.name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    headers = {"content-disposition": f'attachment; filename="{safe}.png"'}
    return Response(saved.exported_png(layer, side, style), media_type="image/png", headers=headers)


@router.get(
    "/swipe/{other}",
    responses={200: {"content": {"image/gif": {}}, "description": "An animation"}},
    response_class=Response,
)
def get_swipe(
    viewer: TheViewer, layer: TheLayer, other: LayerKey, side: Annotated[int, Query(ge=16, le=1024)] = 512
) -> Response:
    """A divider that runs over this layer and another one of the same grid, as GIF; each in its default colours."""
    right = _layer(viewer, other)
    if not layer.info.same_grid(right.info):
        raise HTTPException(422, "the layers lie on different grids")
    styles = (default_style(layer, viewer.statistics(layer)), default_style(right, viewer.statistics(right)))
    headers = {"content-disposition": 'attachment; filename="swipe.gif"'}
    return Response(saved.swipe_gif((layer, right), styles, side), media_type="image/gif", headers=headers)


@router.get("/beside", responses=_PNG, response_class=Response)
def get_beside(
    viewer: TheViewer,
    layer: TheLayer,
    other: Annotated[list[LayerId], Query(min_length=1, max_length=2, description="What stands right of the layer.")],
    style: Annotated[
        list[Annotated[str, Query(max_length=1000)]],
        Query(max_length=3, description="As JSON, one for each layer, as `style` of a layer with its percentiles."),
    ],
    cut: Annotated[
        list[Annotated[float, Query(ge=0, le=1)]] | None,
        Query(
            max_length=2,
            description="Shares of the extent from west to east where the next layer begins; side by side without.",
        ),
    ] = None,
    side: Annotated[int, Query(ge=16, le=2048)] = 1024,
) -> Response:
    """This layer and others of the same grid in one PNG to keep; what is a translation says so in the pixels."""
    layers = [layer, *(_layer(viewer, key) for key in other)]
    if not all(layer.info.same_grid(one.info) for one in layers[1:]):
        raise HTTPException(422, "the layers lie on different grids")
    if len(style) != len(layers) or (cut is not None and (len(cut) != len(other) or sorted(cut) != cut)):
        raise HTTPException(422, "one style for each layer; one cut for each other layer, from left to right")
    styles = [_style_of_text(one, text) for one, text in zip(layers, style, strict=True)]
    headers = {"content-disposition": 'attachment; filename="comparison.png"'}
    return Response(saved.compared_png(layers, styles, side, cut), media_type="image/png", headers=headers)


def _style_of_text(layer: Layer, text: str) -> Style:
    try:
        given = StyleOut.model_validate_json(text)
    except ValidationError:
        raise HTTPException(422, "a style is not as a layer's detail gives it") from None
    numbers = (*given.low, *given.high, given.least or 0.0, given.most or 0.0)
    if not given.bands or min(given.bands) < 1 or not all(abs(number) <= 1e30 for number in numbers):
        raise HTTPException(422, "a style has bands from 1 on and finite limits")
    stated = _stated_style(layer, given.bands, given.low, given.high, given.decibels)
    return replace(stated, least=given.least, most=given.most)


@router.get("/histogram")
def get_histogram(
    viewer: TheViewer,
    layer: TheLayer,
    band: Annotated[int, Query(ge=1, le=1000)] = 1,
    decibels: Annotated[Decibels | None, Query(description="Count amplitude or power in dB.")] = None,
) -> HistogramOut:
    """How often values occur in a band, out of a sample of the layer's valid pixels."""
    if band > len(layer.info.bands):
        raise HTTPException(422, f"one band out of {len(layer.info.bands)}")
    return HistogramOut.of(viewer.statistics.histogram(layer, band, decibels))


@router.get("/point")
def get_point(
    layer: TheLayer,
    x: Annotated[float, Query(allow_inf_nan=False, ge=-1e7, le=1e7, description="Longitude, or column.")],
    y: Annotated[float, Query(allow_inf_nan=False, ge=-1e7, le=1e7, description="Latitude, or row.")],
) -> PointOut:
    """One pixel, by longitude and latitude, or by column and row where there is no georeference."""
    reading = render.read_point(layer, x, y)
    if reading is None:
        raise HTTPException(404, "outside the scene")
    kind = decibels_of(layer)
    decibels = None
    if kind is not None:
        decibels = [None if v is None else float(in_db(np.array(v), kind)) for v in reading.values]
    return PointOut.of(layer, reading, decibels)


@router.get(
    "/file",
    responses={200: {"content": {"image/tiff": {}}, "description": "The GeoTIFF"}},
    response_class=FileResponse,
)
def get_file(layer: TheLayer) -> FileResponse:
    """The GeoTIFF of a translation."""
    if layer.kind != "translation":
        raise HTTPException(404, "only translations can be fetched as files")
    return FileResponse(layer.path, media_type="image/tiff", filename=layer.path.name)
