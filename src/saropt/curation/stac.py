"""Searches a STAC API (item search, version 1.0.0) for Sentinel-1 and Sentinel-2 images of one place and pairs them
by date."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from saropt.addresses import without_query
from saropt.curation.periods import in_utc
from saropt.errors import InputError, OptionError
from saropt.files import load_json, read_yaml, validated
from saropt.progress import Tell, log_line
from saropt.radiometry import SAR_UNITS
from saropt.scenes import Grid
from saropt.scenes.remote import check_address, http_json

MOST_ITEMS = 2000
_PAGE = 100
_GRID = 64
_LONGEST_BREAK = timedelta(minutes=45)


class Collection(BaseModel):
    """One collection of a service.

    Attributes:
        name: id of the collection.
        assets: band name -> key of the asset.
        units: of the pixels as stored: SAR units, or "reflectance x 10000".
        mask: key of the asset with the scene classification (Sentinel-2 L2A), or empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    assets: dict[str, str]
    units: str
    mask: str = ""


class Service(BaseModel):
    """A STAC API and its collections. `token` is an address that returns {"token": ...} for a collection; empty
    where none is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str
    sar: Collection | None = None
    optical: Collection
    token: str = ""


_PC = "https://planetarycomputer.microsoft.com/api"
SERVICES: dict[str, Service] = {
    "planetary-computer": Service(
        url=f"{_PC}/stac/v1",
        token=f"{_PC}/sas/v1/token/{{collection}}",
        sar=Collection(name="sentinel-1-rtc", assets={"VV": "vv", "VH": "vh"}, units="gamma0"),
        optical=Collection(
            name="sentinel-2-l2a",
            assets={"B4": "B04", "B3": "B03", "B2": "B02", "B8": "B08"},
            units="reflectance x 10000",
            mask="SCL",
        ),
    ),
    "earth-search": Service(
        url="https://earth-search.aws.element84.com/v1",
        optical=Collection(
            name="sentinel-2-l2a",
            assets={"B4": "red", "B3": "green", "B2": "blue", "B8": "nir"},
            units="reflectance x 10000",
            mask="scl",
        ),
    ),
}
"""Earth Search offers Sentinel-1 GRD only uncalibrated and from a bucket whose requester pays: it gives optical
images."""


@dataclass(frozen=True)
class Area:
    """The area to fetch: `bounds` (west, south, east, north) in degrees, and a polygon (GeoJSON) where the area is
    not a box."""

    bounds: tuple[float, float, float, float]
    polygon: dict[str, Any] | None = None

    @property
    def geometry(self) -> dict[str, Any]:
        west, south, east, north = self.bounds
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return self.polygon or {"type": "Polygon", "coordinates": [ring]}

    def mask(self, grid: Grid) -> NDArray[np.bool_]:
        """Which pixels (h, w) of a grid lie in the polygon; all of them where there is none."""
        from rasterio.features import geometry_mask
        from rasterio.warp import transform_geom

        if self.polygon is None:
            return np.ones((grid.height, grid.width), bool)
        polygon = transform_geom("EPSG:4326", grid.crs, self.polygon)
        return geometry_mask([polygon], (grid.height, grid.width), grid.transform, invert=True)


@dataclass(frozen=True)
class Acquisition:
    """The items of one satellite pass over the place.

    Attributes:
        when: mean time, UTC.
        items: STAC items as the service returned them.
        cover: share of the area that they cover.
        cloud: mean cloud cover in percent, NaN where it is not stated.
    """

    when: datetime
    items: tuple[dict[str, Any], ...] = field(repr=False)
    cover: float
    cloud: float


def read_service(name: str) -> Service:
    """A service by name, or from a YAML file with the fields of `Service`.

    Raises:
        InputError: neither.

    >>> read_service("planetary-computer").sar.units
    'gamma0'
    """
    if name in SERVICES:
        return SERVICES[name]
    path = Path(name)
    if not path.is_file():
        raise InputError(name, f"is neither a known service ({', '.join(SERVICES)}) nor a YAML file of one")
    service = validated(Service, read_yaml(path), path)
    if service.sar is not None and service.sar.units not in SAR_UNITS:
        raise InputError(path, f"sar.units: {service.sar.units!r} is not one of {', '.join(SAR_UNITS)}")
    if service.sar is not None and service.sar.units == "complex":
        raise InputError(path, "sar.units: complex pixels cannot be brought onto a grid: give power or decibels")
    return service


def read_area(text: str) -> Area:
    """A box "west,south,east,north" in degrees, or a GeoJSON file with one polygon or multipolygon.

    Raises:
        InputError: neither, or outside the globe.

    >>> read_area("-118.5,33.9,-118.2,34.1").bounds
    (-118.5, 33.9, -118.2, 34.1)
    """
    path = Path(text)
    if path.is_file():
        try:
            content = load_json(path.read_text(encoding="utf-8"))
            while content.get("type") in ("FeatureCollection", "Feature"):
                if len(content.get("features", ())) > 1:
                    raise ValueError(f"it holds {len(content['features'])} features: join them to one MultiPolygon")
                content = content["features"][0] if "features" in content else content["geometry"]
            if content.get("type") not in ("Polygon", "MultiPolygon"):
                raise ValueError("holds no polygon")
            parts = [content["coordinates"]] if content["type"] == "Polygon" else content["coordinates"]
            points = np.array([point[:2] for part in parts for ring in part for point in ring], np.float64)
            if points.ndim != 2 or points.shape[1] != 2:
                raise ValueError("its coordinates are no points")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise InputError(path, f"is no GeoJSON file with a polygon: {error}") from error
        (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
        area = Area((float(west), float(south), float(east), float(north)), content)
    else:
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != 4:
            raise OptionError("area", None, f"{text!r} is neither west,south,east,north nor a GeoJSON file")
        area = Area((numbers[0], numbers[1], numbers[2], numbers[3]))
    west, south, east, north = area.bounds
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        found = f"{west:g},{south:g},{east:g},{north:g}"
        raise OptionError("area", None, f"{found} is no box west,south,east,north in degrees")
    return area


def search(
    service: Service, collection: Collection, area: Area, start: datetime, end: datetime, tell: Tell = log_line
) -> list[dict[str, Any]]:
    """All items of a collection over an area between two times (`in_utc`), from all pages of the answer. After 2,000
    items no further page is read, and a line tells it.

    Raises:
        InputError: the service cannot be reached, or does not answer as a STAC API.
    """
    form, start, end = "%Y-%m-%dT%H:%M:%SZ", in_utc(start), in_utc(end)
    url = f"{service.url.rstrip('/')}/search"
    body: dict[str, Any] | None = {
        "collections": [collection.name],
        "intersects": area.geometry,
        "datetime": f"{start.strftime(form)}/{end.strftime(form)}",
        "limit": _PAGE,
    }
    items: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    while True:
        page = http_json(url, body)
        features = page.get("features") if isinstance(page, dict) else None
        if not isinstance(features, list):
            raise InputError(url, "did not answer with a collection of items: is it a STAC API?")
        if features and len(items) >= MOST_ITEMS:
            tell(_unread(collection.name, items.values()))
            break
        for item in features:
            if not _is_item(item):
                raise InputError(without_query(url), "answers with an item that is none: is it a STAC API?")
            if item.get("collection", collection.name) == collection.name and _moment(item) is not None:
                items[str(item["id"])] = item
        links = page.get("links") or ()
        if not isinstance(links, list | tuple) or not all(isinstance(link, dict) for link in links):
            raise InputError(without_query(url), "answers with links that are none: is it a STAC API?")
        link = next((link for link in links if link.get("rel") == "next"), None)
        if link is None or not features:
            break
        url = str(link.get("href"))
        check_address(url)
        merged = {**(body or {}), **link.get("body", {})} if link.get("merge") else link.get("body")
        body = merged if link.get("method", "GET").upper() == "POST" else None
        step = json.dumps([url, body], sort_keys=True)
        if step in seen:
            raise InputError(url, "gives the same page again and again")
        seen.add(step)
    return [item for item in items.values() if start <= _when(item) <= end]


def _unread(name: str, items: Iterable[Mapping[str, Any]]) -> str:
    """The line that tells of a search that was not read to its end."""
    days = sorted(_when(item).date() for item in items)
    looked = f"those that were looked at are of {days[0]} to {days[-1]}"
    advice = "others may be clearer or nearer in time: narrow the dates"
    return f"{name} has more than {len(days)} items in these dates; {looked}, and {advice}"


def _is_item(item: Any) -> bool:
    """Whether an answer has the shape of an item of a place."""
    if not isinstance(item, dict) or "id" not in item:
        return False
    parts = (item.get("properties"), item.get("geometry"), item.get("assets", {}))
    if not all(isinstance(part, dict) for part in parts):
        return False
    assets, geometry = item.get("assets", {}), item["geometry"]
    cloud = item["properties"].get("eo:cloud_cover")
    numbers = cloud is None or (isinstance(cloud, int | float) and not isinstance(cloud, bool))
    shaped = geometry.get("type") in ("Polygon", "MultiPolygon") and isinstance(geometry.get("coordinates"), list)
    return numbers and shaped and all(isinstance(asset, dict) for asset in assets.values())


def acquisitions(items: Iterable[Mapping[str, Any]], area: Area) -> list[Acquisition]:
    """Join items of one pass, which are those of one satellite and orbit that follow each other within 45 minutes, into
    acquisitions, with the share of the area that each covers."""
    passes: dict[tuple[str, ...], list[list[dict[str, Any]]]] = {}
    for item in sorted(items, key=_when):
        properties = item["properties"]
        orbit = properties.get("sat:relative_orbit", properties.get("s2:orbit", ""))
        named = (properties.get("platform", ""), orbit, properties.get("sat:orbit_state", ""))
        known = passes.setdefault(tuple(map(str, named)), [])
        if not known or _when(item) - _when(known[-1][-1]) > _LONGEST_BREAK:
            known.append([])
        known[-1].append(dict(item))
    found = []
    for members in (one for known in passes.values() for one in known):
        members.sort(key=lambda item: str(item["id"]))
        clouds = [item["properties"].get("eo:cloud_cover") for item in members]
        stated = [float(cloud) for cloud in clouds if cloud is not None]
        mean = sum(_when(item).timestamp() for item in members) / len(members)
        found.append(
            Acquisition(
                datetime.fromtimestamp(mean, UTC),
                tuple(members),
                _cover([item["geometry"] for item in members], area),
                float(np.mean(stated)) if stated else float("nan"),
            )
        )
    return sorted(found, key=lambda one: one.when)


def pair_acquisitions(
    sar: Sequence[Acquisition],
    optical: Sequence[Acquisition],
    *,
    pairs: int,
    max_cloud: float,
    max_days: float,
    min_cover: float,
) -> list[tuple[Acquisition, Acquisition]]:
    """Pair the optical acquisitions with the least cloud with the SAR acquisitions nearest in time. Returns (SAR,
    optical).

    An acquisition is used only where it covers at least `min_cover` of the area, has at most `max_cloud` percent of
    cloud, and is at most `max_days` days from its partner. No SAR acquisition is used twice.
    """
    chosen: list[tuple[Acquisition, Acquisition]] = []
    taken: set[int] = set()
    for image in sorted(optical, key=lambda one: (np.nan_to_num(one.cloud, nan=100.0), one.when)):
        if image.cover < min_cover or image.cloud > max_cloud:
            continue
        near = [
            (abs((radar.when - image.when).total_seconds()) / 86400.0, number)
            for number, radar in enumerate(sar)
            if radar.cover >= min_cover and number not in taken
        ]
        if not near or min(near)[0] > max_days:
            continue
        number = min(near)[1]
        taken.add(number)
        chosen.append((sar[number], image))
        if len(chosen) == pairs:
            break
    return chosen


def _cover(geometries: Sequence[Mapping[str, Any]], area: Area) -> float:
    from rasterio.features import geometry_mask
    from rasterio.transform import from_bounds

    transform = from_bounds(*area.bounds, _GRID, _GRID)
    inside = geometry_mask([area.geometry], (_GRID, _GRID), transform, invert=True)
    try:
        shapes = [shape for geometry in geometries for shape in _shapes(geometry)]
        covered = geometry_mask(shapes, (_GRID, _GRID), transform, invert=True, all_touched=True)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError("STAC answer", "holds a geometry that is none") from error
    return float((inside & covered).sum() / max(int(inside.sum()), 1))


def _shapes(geometry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A footprint, or where a ring of it crosses 180 degrees, the footprint drawn on beyond 180 degrees and the same a
    turn to the west and to the east."""
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    rings = [[np.array([point[:2] for point in ring], np.float64) for ring in part] for part in parts]
    if not all(np.isfinite(ring).all() for part in rings for ring in part):
        raise ValueError("holds a place that is not finite")
    crosses = False
    for part in rings:
        for ring in part:
            steps = np.diff(ring[:, 0])
            jumps = np.where((np.abs(steps) > 180) & (np.abs(steps) < 360), -360.0 * np.sign(steps), 0.0)
            if jumps.any() and jumps.sum() == 0:  # a ring around a pole comes back a turn away: it is left as it is
                ring[1:, 0] += np.cumsum(jumps)
                crosses = True
            ring[:, 0] += 360.0 * np.rint((part[0][0, 0] - ring[0, 0]) / 360.0)
    if not crosses:
        return [geometry]
    turned = [
        [[np.add(ring, (turn, 0.0)).tolist() for ring in part] for part in rings] for turn in (-360.0, 0.0, 360.0)
    ]
    return [{"type": "MultiPolygon", "coordinates": coordinates} for coordinates in turned]


def _moment(item: Mapping[str, Any]) -> datetime | None:
    properties = item.get("properties") or {}
    text = properties.get("datetime") or properties.get("start_datetime")
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _when(item: Mapping[str, Any]) -> datetime:
    moment = _moment(item)
    assert moment is not None
    return moment
