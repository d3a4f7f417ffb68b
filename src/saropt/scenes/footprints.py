"""Footprints of rasters on the ground, and by how much they overlap, whatever their coordinate systems."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from saropt.scenes.georeference import Georeference
from saropt.scenes.grid import Bounds

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

_DEGREES = "EPSG:4326"
_POINTS_PER_EDGE = 20
_Ring = NDArray[np.float64]


@dataclass(frozen=True)
class Footprint:
    """Where a raster lies.

    Attributes:
        crs, transform, height, width: its grid.
        system: what `box` is in: "degrees", or else the name of a CRS that has no place on the globe.
        box: (left, bottom, right, top); in degrees right may be above 180.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> Footprint(CRS.from_epsg(4326), Affine(1, 0, 0, 0, -1, 0), 8, 9, "degrees", (0.0, -8.0, 9.0, 0.0)).width
    9
    """

    crs: CRS
    transform: Affine
    height: int
    width: int
    system: str
    box: Bounds


def footprint_of(place: Georeference, height: int, width: int) -> Footprint | None:
    """The footprint of a raster; None where it has no place on the ground, for want of a transform or a CRS.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> place = Georeference(CRS.from_epsg(32633), Affine(10, 0, 500000, 0, -10, 4e6))
    >>> found = footprint_of(place, 64, 64)
    >>> [round(side, 3) for side in found.box]
    [15.0, 36.139, 15.007, 36.145]
    """
    if place.transform is None or place.crs is None:
        return None
    ring = _ring(place.transform, height, width)
    degrees = _transformed(ring, place.crs, _DEGREES)
    if degrees is None:
        return Footprint(place.crs, place.transform, height, width, place.crs.to_string(), _box(ring))
    degrees[:, 0] = np.unwrap(degrees[:, 0], period=360.0)
    degrees[:, 0] -= 360.0 * math.floor((degrees[:, 0].min() + 180.0) / 360.0)
    box = _box(degrees)
    if np.abs(np.diff(degrees[:, 0], append=degrees[:1, 0])).max() > 90.0:  # the pole lies within or at an edge
        box = (-180.0, box[1], 180.0, 90.0) if degrees[:, 1].mean() > 0 else (-180.0, -90.0, 180.0, box[3])
    return Footprint(place.crs, place.transform, height, width, "degrees", box)


def overlap(one: Footprint, other: Footprint) -> float:
    """The share of the smaller footprint that overlaps; 0 where it is no wider than the larger pixel of the two.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> utm = CRS.from_epsg(32633)
    >>> places = [Georeference(utm, Affine(10, 0, x, 0, -10, 4e6)) for x in (500000, 500320)]
    >>> overlap(*(footprint_of(place, 64, 64) for place in places))
    0.5
    """
    if one.system != other.system:
        return 0.0
    if one.crs.is_geographic and not other.crs.is_geographic:
        one, other = other, one  # in degrees a ring about a pole does not close
    if one.crs == other.crs:
        ring = _ring(other.transform, other.height, other.width, 1)
    else:
        there = _transformed(_ring(other.transform, other.height, other.width), other.crs, one.crs)
        if there is None:
            return 0.0
        ring = there
    if one.crs.is_geographic:
        middle = one.transform @ (one.width / 2, one.height / 2)
        ring[:, 0] += 360.0 * np.round((middle[0] - ring[:, 0]) / 360.0)
    inverse = ~one.transform
    x, y = ring.T
    pixels = np.stack([inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f], axis=1)
    shared = _clipped(pixels, one.width, one.height)
    if len(shared) < 3:
        return 0.0
    area, whole = _area(shared), _area(pixels)
    pixel = max(1.0, math.sqrt(whole / (other.width * other.height)))
    if area <= pixel * (1.0 + 1e-9) * float(np.ptp(shared, axis=0).max()):
        return 0.0
    return min(area / min(whole, float(one.width * one.height)), 1.0)


def overlaps(here: Sequence[Footprint], there: Sequence[Footprint] | None = None) -> Iterator[tuple[int, int, float]]:
    """Pairs of places in both lists whose footprints overlap by more than a pixel, each with `overlap`. Without a
    second list: pairs of the first one, each once.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> utm = CRS.from_epsg(32633)
    >>> places = [Georeference(utm, Affine(10, 0, x, 0, -10, 4e6)) for x in (500000, 500480)]
    >>> footprints = [footprint_of(place, 64, 64) for place in places]
    >>> list(overlaps(footprints)), list(overlaps(footprints[:1], footprints))
    ([(0, 1, 0.25)], [(0, 0, 1.0), (0, 1, 0.25)])
    """
    others = here if there is None else there
    for system in dict.fromkeys(own.system for own in here):
        held = [number for number, own in enumerate(others) if own.system == system]
        boxes = np.array([others[number].box for number in held]).reshape(-1, 4)
        order = np.argsort(boxes[:, 0], kind="stable")
        boxes, lefts = boxes[order], boxes[order, 0]
        widest = float((boxes[:, 2] - lefts).max(initial=0.0))
        for one, own in enumerate(here):
            if own.system != system:
                continue
            left, bottom, right, top = own.box
            near: set[int] = set()
            for turn in (-360.0, 0.0, 360.0) if system == "degrees" else (0.0,):
                first, last = np.searchsorted(lefts, (left + turn - widest, right + turn))
                part = boxes[first:last]
                meets = (part[:, 2] > left + turn) & (part[:, 1] < top) & (part[:, 3] > bottom)
                near |= {held[place] for place in order[first:last][meets]}
            for other in sorted(near):
                if (there is not None or one < other) and (share := overlap(own, others[other])):
                    yield one, other, share


def _ring(transform: Affine, height: int, width: int, per_edge: int = _POINTS_PER_EDGE) -> _Ring:
    """Points (n, 2) along the edges of a raster."""
    along = np.arange(per_edge) / per_edge
    none, full = np.zeros_like(along), np.ones_like(along)
    column = np.concatenate([along, full, 1.0 - along, none]) * width
    row = np.concatenate([none, along, full, 1.0 - along]) * height
    t = transform
    return np.stack([t.a * column + t.b * row + t.c, t.d * column + t.e * row + t.f], axis=1)


def _transformed(ring: _Ring, source: CRS, target: CRS | str) -> _Ring | None:
    """A ring in another coordinate system; None where it has no place there."""
    from rasterio.warp import transform

    try:
        found = np.stack(transform(source, target, *ring.T.tolist()), axis=1)
    except (RasterioError, CPLE_BaseError):
        return None
    return found if np.isfinite(found).all() else None


def _box(ring: _Ring) -> Bounds:
    (left, bottom), (right, top) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
    return left, bottom, right, top


def _clipped(ring: _Ring, width: float, height: float) -> _Ring:
    """What of a polygon lies in [0, width] x [0, height] (Sutherland and Hodgman, CACM 17(1), 1974)."""
    for axis, limit, side in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        if not len(ring):
            break
        depth = side * (ring[:, axis] - limit)
        after, deeper = np.roll(ring, -1, axis=0), np.roll(depth, -1)
        kept = []
        for here, there, own, following in zip(ring, after, depth, deeper, strict=True):
            if own >= 0:
                kept.append(here)
            if (own >= 0) != (following >= 0):
                kept.append(here + (there - here) * (own / (own - following)))
        ring = np.array(kept).reshape(-1, 2)
    return ring


def _area(ring: _Ring) -> float:
    x, y = (ring - ring[0]).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2.0
