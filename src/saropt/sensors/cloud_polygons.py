"""Clouds of Sentinel-2 L1C products before processing baseline 04.00: polygons in GML, read like a raster.

The file MSK_CLOUDS of a granule holds features of the types OPAQUE and CIRRUS, each with a polygon in the map
coordinates of the granule; it holds none where there is no cloud (ESA, "Sentinel-2 Products Specification Document",
S2-PDGS-TAS-DI-PSD, issue 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Self
from xml.etree import ElementTree

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.warp import transform

from saropt.files import load_xml
from saropt.scenes import Grid, Window, sample_pixels

_KINDS: Final = ("OPAQUE", "CIRRUS")
_STRAIGHT_M: Final = 1000.0
"""Longest edge in metres that is still straight, to a centimetre, in another coordinate system."""

Ring = NDArray[np.float64]
Polygon = list[Ring]
"""Its outer ring, and the rings of its holes, each (n, 2) of x and y."""


def read_cloud_polygons(content: bytes) -> list[Polygon]:
    """The polygons of opaque clouds and cirrus in a GML file.

    Raises:
        ValueError: no GML, or a polygon without coordinates.

    >>> read_cloud_polygons(b"<Mask><maskMembers/></Mask>")
    []
    """
    features = load_xml(content).iterfind(".//{*}MaskFeature")
    clouds = [one for one in features if one.findtext("{*}maskType", "").strip() in _KINDS]
    return [_polygon(cloud) for cloud in clouds]


def _polygon(feature: ElementTree.Element) -> Polygon:
    outer, holes = (feature.findall(f".//{{*}}{name}//{{*}}posList") for name in ("exterior", "interior"))
    if len(outer) != 1:
        raise ValueError(f"a cloud has {len(outer)} outer rings, not one")
    return [_ring(one) for one in (*outer, *holes)]


def _ring(element: ElementTree.Element) -> Ring:
    try:
        numbers = np.array((element.text or "").split(), np.float64)
        points = numbers.reshape(-1, int(element.get("srsDimension", "2")))[:, :2]
    except ValueError:
        points = np.empty((0, 2))
    if len(points) < 4 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("a ring of a cloud is no list of at least four coordinates")
    return points


class CloudPolygons:
    """A raster of one band that is 1 inside polygons and 0 elsewhere, drawn window by window; read like a scene.

    Args:
        polygons: in `crs`.
        crs: coordinate system of the polygons.
        grid: frame of the raster, in any coordinate system.
        tags: of the raster.
        is_coarse: a pixel is inside where any part of it is, not only its centre.

    >>> square = [np.array([[0, 0], [20, 0], [20, 20], [0, 20], [0, 0]], np.float64)]
    >>> utm = CRS.from_epsg(32633)
    >>> CloudPolygons([square], utm, Grid(utm, Affine(10, 0, 0, 0, -10, 30), 3, 3), {}).read()[0]
    array([[[0, 0, 0],
            [1, 1, 0],
            [1, 1, 0]]], dtype=uint8)
    """

    block_shape = (512, 512)

    def __init__(
        self, polygons: Sequence[Polygon], crs: CRS, grid: Grid, tags: dict[str, str], *, is_coarse: bool = False
    ) -> None:
        self._is_coarse = is_coarse
        self.width, self.height, self.tags, self._grid = grid.width, grid.height, tags, grid
        placed = [[_moved(ring, crs, grid.crs) for ring in polygon] for polygon in polygons]
        self._shapes = [{"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]} for rings in placed]
        boxes = [(*rings[0].min(axis=0), *rings[0].max(axis=0)) for rings in placed]
        self._boxes = np.array(boxes, np.float64).reshape(-1, 4)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, window: Window | None = None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(1, h, w) of a window inside the frame, 1 inside the polygons, and where it is valid: everywhere."""
        window = window or Window(0, 0, self.height, self.width)
        place = self._grid.transform @ Affine.translation(window.col, window.row)
        left, bottom, right, top = Grid(self._grid.crs, place, window.height, window.width).bounds
        low_x, low_y, high_x, high_y = self._boxes.T
        near = np.flatnonzero((low_x < right) & (high_x > left) & (low_y < top) & (high_y > bottom))
        shape = window.height, window.width
        drawn = np.zeros(shape, np.uint8)
        if near.size:
            shapes = [self._shapes[number] for number in near]
            rasterize(shapes, out=drawn, transform=place, default_value=1, all_touched=self._is_coarse)
        return drawn[None], np.ones(shape, bool)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray[np.uint8]:
        """Pixels (1, n) from all over the raster."""
        return sample_pixels(self, max_pixels)


def _moved(ring: Ring, crs: CRS, to: CRS) -> Ring:
    """A ring in another coordinate system, with points on its long edges."""
    if crs == to:
        return ring
    pieces = []
    for start, end in pairwise(ring):
        count = max(1, int(np.ceil(np.hypot(*(end - start)) / _STRAIGHT_M)))
        pieces.append(start + (end - start) * np.arange(count)[:, None] / count)
    points = np.concatenate([*pieces, ring[-1:]])
    return np.stack(transform(crs, to, *points.T)[:2], axis=1)
