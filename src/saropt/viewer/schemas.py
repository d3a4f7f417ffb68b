"""What the HTTP API takes and gives."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from saropt.artifacts import Card
from saropt.domain import SAR_UNITS, Direction
from saropt.domain.stated_units import stated_units
from saropt.inference import NOTICE
from saropt.viewer.catalogue import Layer, Origin, SceneEntry
from saropt.viewer.file_roles import Kind
from saropt.viewer.jobs import Job, State
from saropt.viewer.render import Reading
from saropt.viewer.statistics import Histogram
from saropt.viewer.styles import PERCENTILES, Decibels, Style, decibels_of, unit_texts

Band = Annotated[str, Field(min_length=1, max_length=64)]
LAYER_ID = r"^[0-9a-f]{16}(-error)?$"
Id = Annotated[str, Field(pattern=LAYER_ID)]


def _known_units(value: str) -> str:
    if value not in SAR_UNITS:
        raise ValueError(f"known units: {', '.join(SAR_UNITS)}")
    return value


class Detail(BaseModel):
    """Why something was refused."""

    detail: str


class Info(BaseModel):
    """The server."""

    version: str
    folder: str
    notice: str = NOTICE
    units: tuple[str, ...] = SAR_UNITS
    upload_bytes: int
    quota_bytes: int
    used_bytes: int


class StyleOut(BaseModel):
    """How numbers become colours: the query parameters of tiles and pictures."""

    bands: list[int]
    low: list[float]
    high: list[float]
    decibels: Decibels | None
    least: float | None
    most: float | None

    @classmethod
    def of(cls, style: Style) -> StyleOut:
        return cls(**asdict(style))


class LayerOut(BaseModel):
    """A raster of a scene.

    `extent` is in Web Mercator metres where `grid` is "map", else columns and rows counted from the lower left corner.
    `band_units` stand behind the numbers of each band, None where nothing is known; `stated_units` are the SAR units
    that its folder, its tags or the names of its bands state.
    """

    id: str
    kind: Kind
    name: str
    origin: Origin
    width: int
    height: int
    bands: list[str]
    dtype: str
    units: str | None
    decibels: Decibels | None
    grid: Literal["map", "pixels"]
    bounds: tuple[float, float, float, float] | None
    extent: tuple[float, float, float, float]
    crs: str
    pixel_m: float | None
    minzoom: int
    maxzoom: int
    version: str
    translator: str | None
    direction: str | None
    role: str | None
    product: str | None
    guess: bool
    notice: str | None
    parent: str | None
    acquired: str | None
    band_units: list[str | None]
    stated_units: str | None

    @classmethod
    def of(cls, layer: Layer) -> LayerOut:
        info = layer.info
        said = stated_units(info.tags, info.bands, info.dtype) if layer.role == "sar" else None
        stated = layer.units if layer.units in SAR_UNITS else None if said is None else said.units
        return cls(
            **{name: getattr(layer, name) for name in ("id", "kind", "name", "origin", "units", "translator", "guess")},
            parent=layer.parent,
            **{name: getattr(info, name) for name in ("width", "height", "dtype", "grid", "bounds", "extent", "crs")},
            **{name: getattr(info, name) for name in ("pixel_m", "minzoom", "maxzoom", "version", "acquired")},
            bands=list(info.bands),
            band_units=unit_texts(layer),
            stated_units=stated,
            decibels=decibels_of(layer),
            direction=layer.direction,
            role=layer.role,
            product=layer.product,
            notice=NOTICE if layer.guess else None,
        )


class LayerDetail(LayerOut):
    """A raster with its statistics.

    `percentiles[band][i]` is the `levels[i]` percentile, None without valid pixels. `fitting_units` are the SAR units
    that the values can be in.
    """

    levels: list[float]
    percentiles: list[list[float | None]]
    style: StyleOut
    fitting_units: list[str]

    @classmethod
    def detailed(cls, layer: Layer, percentiles: NDArray[np.float64], style: Style, fitting: list[str]) -> LayerDetail:
        return cls(
            **LayerOut.of(layer).model_dump(),
            levels=list(PERCENTILES),
            percentiles=[[float(v) if np.isfinite(v) else None for v in row] for row in percentiles],
            style=StyleOut.of(style),
            fitting_units=fitting,
        )


class HistogramOut(BaseModel):
    """How often values occur in one band.

    `counts` are of equal parts of the range from `low` to `high`, out of a sample of the valid pixels; `below` and
    `above` lie beyond it.
    """

    low: float
    high: float
    counts: list[int]
    below: int
    above: int

    @classmethod
    def of(cls, found: Histogram) -> HistogramOut:
        return cls(**asdict(found))


class SceneOut(BaseModel):
    """Layers that lie on one another; the first one is the scene itself."""

    id: str
    name: str
    origin: Origin
    layers: list[LayerOut]

    @classmethod
    def of(cls, scene: SceneEntry) -> SceneOut:
        layers = [LayerOut.of(layer) for layer in scene.layers]
        return cls(id=scene.id, name=scene.name, origin=scene.origin, layers=layers)


class RefusedOut(BaseModel):
    """A file of the folder that is not shown."""

    name: str
    reason: str


class ReportOut(BaseModel):
    """An evaluation report; its page is at /api/reports/{id}/page."""

    id: str
    name: str


class CatalogueOut(BaseModel):
    """Everything that can be shown."""

    scenes: list[SceneOut]
    reports: list[ReportOut]
    refused: list[RefusedOut]


class PointOut(BaseModel):
    """One pixel.

    `x` and `y` are in the raster's own coordinate system `crs`; `decibels` are those of amplitude and power.
    """

    column: int | None
    row: int | None
    x: float | None
    y: float | None
    crs: str
    units: str | None
    bands: list[str]
    values: list[float | None]
    decibels: list[float | None] | None

    @classmethod
    def of(cls, layer: Layer, reading: Reading, decibels: list[float | None] | None) -> PointOut:
        return cls(
            column=reading.column,
            row=reading.row,
            x=reading.x,
            y=reading.y,
            crs=layer.info.crs,
            units=layer.units,
            bands=list(layer.info.bands),
            values=list(reading.values),
            decibels=decibels,
        )


class TranslatorOut(BaseModel):
    """A translator and its card (docs/formats.md)."""

    name: str
    bundled: bool
    directions: list[Direction]
    card: Card


Companion = Literal["reference", "reference_sar", "reference_mask", "keep_clear", "keep_clear_mask"]


class JobIn(BaseModel):
    """A translation to make: as `saropt translate`, with a catalogue's layers for the scene and for the rasters that
    come with it (`saropt.inference.TranslateOptions`). Of `bands`, null is the one that has the name asked for."""

    model_config = ConfigDict(extra="forbid")
    layer: Id
    translator: Annotated[str, Field(min_length=1, max_length=200)]
    direction: Annotated[str, Field(max_length=100)] | None = None
    bands: Annotated[list[Band | None], Field(min_length=1, max_length=8)] | None = None
    units: Annotated[str, Field(json_schema_extra={"enum": list(SAR_UNITS)}), AfterValidator(_known_units)] | None = (
        None
    )
    tile: Annotated[int, Field(ge=16, le=8192)] | None = None
    realism: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    reliability: bool = False
    companions: dict[Companion, Id] = Field(default_factory=dict)


class JobOut(BaseModel):
    """A translation job. `result` is the layer that it brought, with the file at /api/layers/{result}/file."""

    id: str
    state: State
    scene: str
    layer: str
    source: str
    translator: str
    done: int
    total: int
    message: str
    seam: float | None
    created: float
    started: float | None
    finished: float | None
    result: str | None
    request: dict[str, Any]

    @classmethod
    def of(cls, job: Job) -> JobOut:
        request = {key: job.request[key] for key in ("direction", "bands", "units", "tile", "realism")}
        request["reliability"] = job.request.get("reliability", False)
        request["companions"] = job.request.get("companions", {})
        return cls(
            **{name: getattr(job, name) for name in ("id", "state", "done", "total", "message", "seam", "created")},
            started=job.started,
            finished=job.finished,
            **{name: job.request[name] for name in ("scene", "layer", "source", "translator")},
            result=job.id if job.state == "done" else None,
            request=request,
        )
