"""A STAC item that describes the products of a run, beside the image."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.transform import GCPTransformer
from rasterio.warp import transform

from saropt.addresses import without_secrets
from saropt.errors import InputError, OptionError
from saropt.files import write_text
from saropt.files.structured import load_json
from saropt.scenes import Georeference, Scene, is_remote, open_scene
from saropt.scenes.georeference import unwrapped_gcps
from saropt.scenes.metadata import acquisition_text, unreadable_date

EXTENSIONS: Final = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)
_COG: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
_EDGE_POINTS: Final = 9
_PREFIX: Final = "SAROPT_"
_STATED_ELSEWHERE: Final = frozenset({"VERSION", "SOURCE", "RUN", "WORK", "PRODUCT", "CONTENT"})
"""Tags that stand in the item as a field, a link or an asset, or that only tell runs and their rasters apart."""


def item_path(out: str | Path) -> Path:
    """The item of an output: the same name with .json.

    >>> item_path("optical.tif").name
    'optical.json'
    """
    return Path(out).with_suffix(".json")


def is_item_of(path: Path, out: str | Path) -> bool:
    """Whether a file is a STAC item of an output, as `write_item` names it.

    >>> is_item_of(Path("optical.json"), "optical.tif")
    False
    """
    try:
        item = load_json(path.read_bytes())
        return bool(item["type"] == "Feature" and item["assets"]["image"]["href"] == Path(out).name)
    except (OSError, ValueError, TypeError, LookupError):
        return False


def check_item(scene: Scene, out: str | Path, overwrite: bool, resume: bool = False) -> None:
    """Check, before any pixel is made, that an output can have an item.

    Args:
        overwrite: whatever is in its place is replaced.
        resume: an item of this output is replaced.

    Raises:
        InputError: the output is an object of a store, the scene has no date (STAC requires one) or an impossible
            place, or there is an item already, or something else with its name.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> path = write_array("scene.tif", np.ones((1, 8, 8), np.uint8))
    >>> with Scene.open(path) as scene:
    ...     check_item(scene, "optical.tif", overwrite=False)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: scene.tif: has no date, which a STAC item needs: add the tag ACQUISITION_DATE
    """
    if is_remote(out):
        raise OptionError("stac", True, "writes items beside local outputs only")
    if scene.acquired is None:
        raise InputError(scene.source, _undated(scene))
    try:
        footprint(scene.georeference, scene.height, scene.width)
    except (ValueError, CPLE_BaseError, RasterioError) as error:
        raise InputError(scene.source, f"has no place on the globe, which a STAC item states: {error}") from error
    path = item_path(out)
    if os.path.lexists(path) and not overwrite:
        if not resume:
            raise InputError(path, "exists already", remedy="overwrite")
        _check_own(path, out)


def _check_own(path: Path, out: str | Path) -> None:
    if not is_item_of(path, out):
        raise InputError(path, f"is no STAC item of {Path(out).name}", remedy="overwrite")


def lacks_item(products: Mapping[str, Path | str], inputs: Sequence[str | Path]) -> bool:
    """Whether finished products have no item, or one of an earlier run that tells something else of them.

    Args:
        products, inputs: as of `write_item`.

    Raises:
        InputError: another file has the item's name, or the image cannot be read.

    >>> lacks_item({"image": Path("optical.tif")}, ["sar.tif"])
    True
    """
    image = Path(next(iter(products.values())))
    path = item_path(image)
    if not os.path.lexists(path):
        return True
    _check_own(path, image)
    found, due = load_json(path.read_bytes()), json.loads(json.dumps(_describe(products, inputs)))
    del due["properties"]["created"]
    told = found.get("properties") or {}
    links = [link.get("href") for link in found.get("links") or []]
    return not (
        found.get("geometry") == due["geometry"]
        and all(told.get(key) == value for key, value in due["properties"].items())
        and all(link["href"] in links for link in due["links"])
        and all(found["assets"].get(name, {}).get("href") == one["href"] for name, one in due["assets"].items())
    )


def _undated(scene: Scene) -> str:
    unreadable = unreadable_date(scene.tags)
    if unreadable is None:
        return "has no date, which a STAC item needs: add the tag ACQUISITION_DATE"
    return f"has no date, which a STAC item needs: {unreadable}: write 2023-05-31"


def write_item(products: Mapping[str, Path | str], inputs: Sequence[str | Path]) -> Path:
    """Write the STAC item (version 1.1.0) of the products of a run; an older one is replaced.

    Args:
        products: product name -> local raster that `Translator.run` wrote; the first is the image.
        inputs: paths or addresses that they were made from; each gets a link `derived_from`.

    Returns:
        The item's path.

    Raises:
        InputError: a product cannot be read, or the item cannot be written.

    >>> from saropt.scenes import write_array
    >>> place = Georeference(rasterio.CRS.from_epsg(32633), rasterio.Affine(10, 0, 500000, 0, -10, 5000000))
    >>> tags = {"SAROPT_VERSION": "0.1.0", "SAROPT_TRANSLATOR": "s1-world", "SAROPT_DIRECTION": "sar2opt"}
    >>> date = {"ACQUISITION_DATE": "2023-05-31"}
    >>> image = write_array("out.tif", np.ones((1, 8, 8), np.uint8), georeference=place, tags=tags | date)
    >>> write_item({"image": image}, ["scene.tif"]).name
    'out.json'
    """
    path = item_path(next(iter(products.values())))
    write_text(path, json.dumps(_describe(products, inputs), indent=2, ensure_ascii=False) + "\n")
    return path


def _describe(products: Mapping[str, Path | str], inputs: Sequence[str | Path]) -> dict[str, Any]:
    """The item of the products of a run."""
    image = Path(next(iter(products.values())))
    with open_scene(image) as scene:
        tags, shape, where = dict(scene.tags), (scene.height, scene.width), scene.georeference
        when = _times(scene)
    geometry, bbox = footprint(where, *shape)
    software = tags["SAROPT_VERSION"]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": image.stem,
        "geometry": geometry,
        **({} if bbox is None else {"bbox": bbox}),
        "properties": {
            **when,
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "processing:software": {"saropt": software},
            "processing:version": software,
            "processing:lineage": f"translated by {tags['SAROPT_TRANSLATOR']} ({tags['SAROPT_DIRECTION']})",
            **_projection(where, shape),
            **_facts(tags),
        },
        "links": [{"rel": "derived_from", "href": _href(one, image.parent)} for one in inputs],
        "assets": {name: _asset(name, Path(product)) for name, product in products.items()},
    }


def _facts(tags: Mapping[str, str]) -> dict[str, str]:
    """What the tags of an image say of its run, such as the dates of companions and warnings."""
    own = {key.removeprefix(_PREFIX): text for key, text in tags.items() if key.startswith(_PREFIX)}
    return {f"saropt:{key.lower()}": text for key, text in own.items() if key not in _STATED_ELSEWHERE}


def _times(scene: Scene) -> dict[str, str | None]:
    """When an image was acquired: a moment, or from a start to an end where an interval is stated or no time of day."""
    text = acquisition_text(scene.tags, scene.band_names)
    assert text is not None
    start, _, end = text.replace("+00:00", "Z").partition("/")
    if "T" in start and not end:
        return {"datetime": start}
    end = end or start
    first, last = (day if "T" in day else f"{day}T{time}Z" for day, time in ((start, "00:00:00"), (end, "23:59:59")))
    return {"datetime": None, "start_datetime": first, "end_datetime": last}


def footprint(where: Georeference, height: int, width: int) -> tuple[dict[str, Any] | None, list[float] | None]:
    """Outline and box of a raster in degrees as GeoJSON (RFC 7946) has them; None for each where it has no place.

    An outline that crosses 180 degrees is cut there, and the west of its box is then greater than its east. That of a
    raster around a pole reaches from -180 to 180 degrees and up to the pole.

    Raises:
        ValueError: the raster lies outside the range of its coordinate system.
        CPLE_BaseError, RasterioError: its control points or its coordinate system cannot be used.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> where = Georeference(CRS.from_epsg(4326), Affine(0.5, 0, 179.5, 0, -0.5, 10))
    >>> outline, box = footprint(where, 2, 2)
    >>> outline["type"], box
    ('MultiPolygon', [179.5, 9.0, -179.5, 10.0])
    """
    crs = where.crs if where.transform is not None else where.gcp_crs
    if crs is None or (where.transform is None and len(where.gcps) < 3):
        return None, None
    steps = [step / _EDGE_POINTS for step in range(_EDGE_POINTS)]
    edge = [(width * s, 0.0) for s in steps] + [(float(width), height * s) for s in steps]
    edge += [(width * (1 - s), float(height)) for s in steps] + [(0.0, height * (1 - s)) for s in steps]
    if where.transform is not None:
        points = [where.transform @ point for point in edge]
    else:
        with rasterio.Env(), GCPTransformer(unwrapped_gcps(where.gcps, crs)) as places:
            xs, ys = places.xy([row for _, row in edge], [column for column, _ in edge], offset="ul")
        points = list(zip(xs, ys, strict=True))
    longitudes, latitudes = transform(crs, "EPSG:4326", [x for x, _ in points], [y for _, y in points])
    if not np.isfinite([longitudes, latitudes]).all():
        raise ValueError("its coordinates are out of the range of its CRS")
    straight = np.unwrap([*longitudes, longitudes[0]], period=360.0)
    if abs(straight[-1] - straight[0]) > 180.0:
        return _around_pole(longitudes, latitudes)
    straight = straight[:-1] - 360.0 * math.floor((straight.min() + 180.0) / 360.0)
    west, east, south, north = straight.min(), straight.max(), min(latitudes), max(latitudes)
    if east - west >= 360.0:
        west, east = -180.0, 180.0
        ring = [(west, south), (east, south), (east, north), (west, north)]
    else:
        ring = list(zip(straight.tolist(), latitudes, strict=True))
    parts = [_clipped(ring, 180.0, left=True)]
    if east > 180.0:
        parts.append([(x - 360.0, y) for x, y in _clipped(ring, 180.0, left=False)])
        east -= 360.0
    return _geojson(parts, (west, south, east, north))


def _around_pole(longitudes: Sequence[float], latitudes: Sequence[float]) -> tuple[dict[str, Any], list[float]]:
    """Outline and box of a raster that a pole lies in, by its edge: all that is nearer to the pole."""
    pole = math.copysign(90.0, sum(latitudes))
    edge = sorted(((x + 180.0) % 360.0 - 180.0, y) for x, y in zip(longitudes, latitudes, strict=True))
    (last, before), (first, after) = edge[-1], edge[0]
    cut = before + (after - before) * (180.0 - last) / (first + 360.0 - last)
    ring = [(-180.0, cut), *edge, (180.0, cut), (180.0, pole), (-180.0, pole)]
    south, north = min(*latitudes, pole), max(*latitudes, pole)
    return _geojson([ring], (-180.0, south, 180.0, north))


def _geojson(
    parts: Sequence[Sequence[tuple[float, float]]], bounds: tuple[float, float, float, float]
) -> tuple[dict[str, Any], list[float]]:
    """Polygons, counter-clockwise, and their box."""
    outlines = []
    for part in parts:
        closed = [*part, part[0]]
        area = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in itertools.pairwise(closed))
        outlines.append([[[round(x, 7), round(y, 7)] for x, y in (closed if area > 0 else closed[::-1])]])
    box = [round(float(side), 7) for side in bounds]
    if len(outlines) == 1:
        return {"type": "Polygon", "coordinates": outlines[0]}, box
    return {"type": "MultiPolygon", "coordinates": outlines}, box


def _clipped(ring: list[tuple[float, float]], at: float, left: bool) -> list[tuple[float, float]]:
    """The part of a polygon left or right of a meridian (Sutherland and Hodgman, 1974)."""
    kept: list[tuple[float, float]] = []
    for (x, y), (next_x, next_y) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (x <= at) == left or x == at:
            kept.append((x, y))
        if (x - at) * (next_x - at) < 0:
            kept.append((at, y + (next_y - y) * (at - x) / (next_x - x)))
    return kept


def _projection(where: Georeference, shape: tuple[int, int]) -> dict[str, Any]:
    """Fields of the projection extension; `proj:code` is None where the coordinate system has no EPSG number."""
    found: dict[str, Any] = {"proj:shape": list(shape)}
    if where.crs is None or where.transform is None:
        return {**found, "proj:code": None}
    number = where.crs.to_epsg()
    found["proj:code"] = None if number is None else f"EPSG:{number}"
    if number is None:
        found["proj:wkt2"] = where.crs.to_wkt(version="WKT2_2019")
    return {**found, "proj:transform": list(where.transform)[:6]}


def _asset(name: str, path: Path) -> dict[str, Any]:
    with rasterio.open(path) as dataset:
        bands = [{"name": band or f"band_{number}"} for number, band in enumerate(dataset.descriptions, 1)]
        nodata, dtype = dataset.nodata, dataset.dtypes[0]
    value = {} if nodata is None else {"nodata": "nan" if nodata != nodata else nodata}
    roles = ["data"] if name == "image" else ["metadata"]
    return {"href": path.name, "type": _COG, "title": name, "roles": roles, "data_type": dtype, **value, "bands": bands}


def _href(place: str | Path, folder: Path) -> str:
    """An address without its secrets, or a path relative to the item."""
    return without_secrets(str(place)) if is_remote(place) else os.path.relpath(place, folder)
