"""Overlaps of footprints against points that are counted one by one, across zones, turned grids and 180 degrees."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from saropt.scenes import Georeference
from saropt.scenes.footprints import Footprint, footprint_of, overlap, overlaps

SIDE = 320


def placed(code: int, x: float, y: float, side: int = SIDE, pixel: float = 10.0, turn: float = 0.0) -> Footprint:
    """A raster whose middle is at x, y."""
    grid = Affine.translation(x, y) @ Affine.rotation(turn) @ Affine.scale(pixel, -pixel)
    found = footprint_of(Georeference(CRS.from_epsg(code), grid @ Affine.translation(-side / 2, -side / 2)), side, side)
    assert found is not None
    return found


def counted_share(one: Footprint, other: Footprint) -> float:
    """The share of the pixels of the second raster whose middles lie in the first one."""
    row, column = np.mgrid[0 : other.height, 0 : other.width] + 0.5
    x, y = other.transform @ (column.ravel(), row.ravel())
    x, y = map(np.array, transform(other.crs, one.crs, x.tolist(), y.tolist()))
    column, row = ~one.transform @ (x, y)
    return float(((column > 0) & (column < one.width) & (row > 0) & (row < one.height)).mean())


@pytest.mark.parametrize("shift", [(0, 0), (160, -40), (300, 100), (326, 326), (326, -326), (-326, 326), (400, 0)])
@pytest.mark.parametrize(("code", "turn"), [(32633, 0.0), (4326, 0.0), (3035, 0.0), (32632, 30.0)])
def test_share_is_that_of_counted_points(shift: tuple[int, int], code: int, turn: float) -> None:
    here = placed(32632, 760000.0, 5000000.0)
    x, y = 760000.0 + 10.0 * shift[0], 5000000.0 + 10.0 * shift[1]
    (east,), (north,) = transform(CRS.from_epsg(32632), CRS.from_epsg(code), [x], [y])
    there = placed(code, east, north, pixel=1e-4 if code == 4326 else 10.0, turn=turn)
    counted = counted_share(here, there)
    found = overlap(here, there)
    assert found == pytest.approx(counted, abs=0.003)
    assert bool(found) == bool(list(overlaps([here], [there])))
    assert overlap(there, here) == pytest.approx(found, abs=0.003)


def test_neighbours_of_one_grid_do_not_overlap_and_pixels_count() -> None:
    here = placed(32632, 500000.0, 5000000.0)
    for shift, pixels in ((3200.0, 0), (3190.0, 0), (3180.0, 2)):
        assert overlap(here, placed(32632, 500000.0 + shift, 5000000.0)) == pytest.approx(pixels / SIDE)
    coarse = placed(32632, 500000.0 + 1600 + 1600 - 25.0, 5000000.0, side=80, pixel=40.0)
    assert overlap(here, coarse) == 0.0


def test_180_degrees_and_the_order_of_the_list_do_not_matter() -> None:
    east, west = placed(32601, 166100.0, 1000.0), placed(32660, 833900.0 - 100.0, 1000.0)
    assert overlap(east, west) > 0.5
    for pair in ([east, west], [west, east]):
        assert [(one, other) for one, other, _ in overlaps(pair)] == [(0, 1)]


@pytest.mark.parametrize(("code", "latitude"), [(3413, 89.0), (3031, -88.0)])
def test_overlaps_at_the_poles_are_found(code: int, latitude: float) -> None:
    small = placed(code, 100.0, 100.0, pixel=30.0)
    for shift, share in ((0.0, 1.0), (320000.0, 49 / 96)):  # the pole in the middle, and in the middle of an edge
        large = placed(code, shift, 0.0, pixel=2000.0)
        for pair in ([large, small], [small, large]):
            assert list(overlaps(pair)) == [(0, 1, pytest.approx(share))]
    large = placed(code, 0.0, 0.0, pixel=2000.0)
    degrees = footprint_of(Georeference(CRS.from_epsg(4326), Affine(0.1, 0, 30, 0, -0.1, latitude)), 10, 100)
    assert degrees is not None
    for pair in ([large, degrees], [degrees, large]):
        assert list(overlaps(pair)) == [(0, 1, pytest.approx(1.0))]


def test_rasters_without_a_crs_or_a_transform_have_no_place() -> None:
    assert footprint_of(Georeference(None, Affine(10, 0, 758400, 0, -10, 5001600)), SIDE, SIDE) is None
    assert footprint_of(Georeference(), SIDE, SIDE) is None
