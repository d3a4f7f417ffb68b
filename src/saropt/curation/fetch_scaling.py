"""What a STAC item says of the scale of its optical pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from saropt.errors import InputError

_REFLECTANCE_SCALE = 1e-4
_SINCE_OFFSET = "2022-01-25"


def scaling_of(item: Mapping[str, Any], key: str) -> tuple[float, float]:
    """Gain and offset that make pixels of an asset reflectance x 10000.

    They are what the service states: that it has applied the offset, or scale and offset of the asset, else of another
    one; as `raster:bands` (STAC 1.0), as `raster:scale` and `raster:offset` of the asset, or of its `bands` (STAC 1.1).
    Where it states none, Sentinel-2 has the offset -1000 since processing baseline 04.00 (2022-01-25).

    Raises:
        InputError: an item of Sentinel-2 of a later day tells neither.

    >>> asset = {"raster:scale": 0.0001, "raster:offset": -0.1}
    >>> scaling_of({"id": "a", "properties": {}, "assets": {"B04": asset}}, "B04")
    (1.0, -1000.0)
    """
    if item["properties"].get("earthsearch:boa_offset_applied"):
        return 1.0, 0.0
    assets = item.get("assets", {})
    own = next(_stated(assets.get(key) or {}), None)
    if own is not None:
        return own
    others = [stated for asset in assets.values() for stated in _stated(asset) if stated[0] == 1.0]
    if others:
        return 1.0, min(offset for _, offset in others)
    return 1.0, _offset_of_baseline(item)


def _stated(asset: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Gain and offset in stored numbers, of each statement of an asset that says something of reflectance."""
    whole = {"scale": asset.get("raster:scale"), "offset": asset.get("raster:offset")}
    listed = [whole]
    for name, prefix in (("raster:bands", ""), ("bands", "raster:")):
        bands = asset.get(name)
        for band in bands if isinstance(bands, list) else ():
            if isinstance(band, dict):
                listed.insert(-1, {part: band.get(f"{prefix}{part}", whole[part]) for part in whole})
    for entry in listed:
        scale, offset = _number(entry["scale"]), _number(entry["offset"])
        if scale is None and offset and entry["scale"] is None:
            scale = _REFLECTANCE_SCALE if abs(offset) < 1.0 else 1.0
        if not scale or offset is None:
            continue
        is_reflectance = math.isclose(scale, _REFLECTANCE_SCALE)
        if offset or is_reflectance:
            gain = 1.0 if is_reflectance or scale == 1.0 else scale / _REFLECTANCE_SCALE
            yield gain, float(round(gain * offset / scale))


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None


def _offset_of_baseline(item: Mapping[str, Any]) -> float:
    properties = item["properties"]
    described = f"{item.get('collection', '')} {properties.get('platform', '')} {item['id']}".lower()
    baseline = properties.get("s2:processing_baseline", properties.get("processing:baseline"))
    version = str(properties.get("processing:version", "")).strip()
    if baseline is None and re.fullmatch(r"\d\d\.\d\d", version) and re.search(r"sentinel[-_ ]?2|\bs2", described):
        baseline = version
    if baseline is None:
        names = f"{properties.get('s2:product_uri', '')} {item['id']}"
        named = re.search(r"_N(\d\d)(\d\d)_", names)
        baseline = f"{named[1]}.{named[2]}" if named else ""
    if re.fullmatch(r"0*\d{1,2}(\.\d+)?", str(baseline)):
        return -1000.0 if float(baseline) >= 4.0 else 0.0
    late = str(properties.get("datetime") or properties.get("start_datetime")) >= _SINCE_OFFSET
    if late and re.search(r"sentinel-?2|\bs2[abc]_", described):
        reason = "does not tell its processing baseline, and with it whether 1000 must be subtracted"
        raise InputError(f"item {item['id']}", reason)
    return 0.0
