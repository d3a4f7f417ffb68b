"""Cloud polygons of Sentinel-2 L1C before baseline 04.00, against naive tests of each pixel's centre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform

from saropt.errors import InputError
from saropt.scenes import Grid, Window
from saropt.sensors.sentinel2 import open_cloud_mask
from sentinel2_files import (
    CRS_33N,
    NORTH,
    SIDE,
    WEST,
    add_cloud_polygons,
    cloud_gml,
    write_sentinel2,
    zipped,
)

Points = list[tuple[float, float]]
STEPS: Points = [(300, 240), (900, 240), (900, 600), (1200, 600), (1200, 960), (300, 960)]
HOLE: Points = [(480, 420), (660, 420), (660, 660), (480, 660)]
CIRRUS: Points = [(1500, 1380), (2100, 1380), (2100, 2100), (1740, 2100), (1740, 1620), (1500, 1620)]
WIDE: Points = [(0, 2280), (2400, 2280), (2400, 2400), (0, 2400)]
CLOUDS = [("OPAQUE", [STEPS, HOLE]), ("CIRRUS", [CIRRUS]), ("OPAQUE", [WIDE]), ("SNOW", [[(0, 0), (60, 0), (60, 60)]])]


def inside(rings: list[Points], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether points lie inside a polygon: how often a ray to the east crosses its edges."""
    found = np.zeros(x.shape, bool)
    for ring in rings:
        for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
            if ay != by:
                between = (y >= min(ay, by)) & (y < max(ay, by))
                found ^= between & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return found


def cloudy_at(east: np.ndarray, south: np.ndarray) -> np.ndarray:
    return np.logical_or.reduce([inside(rings, east, south) for kind, rings in CLOUDS if kind != "SNOW"])


def own_pixels() -> np.ndarray:
    centre = (np.arange(SIDE) + 0.5) * 10
    return cloudy_at(*np.meshgrid(centre, centre))


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    return add_cloud_polygons(write_sentinel2(tmp_path, "1C", "02.06")[0], cloud_gml(CLOUDS))


def test_pixels_are_cloudy_where_their_centres_lie_in_polygons(safe):
    truth = own_pixels()
    for product in (safe, zipped(safe)):
        with open_cloud_mask(product) as clouds:
            values, valid = clouds.read()
            assert np.array_equal(values[0], truth)
            assert valid.all()
            assert clouds.tags["CLOUDS"] == "opaque clouds and cirrus (polygons of the cloud mask; shadows are not)"
            assert np.mean(clouds.sample()) == pytest.approx(truth.mean())


def test_windows_agree_with_the_whole(safe):
    with open_cloud_mask(safe) as clouds:
        whole = clouds.read()[0]
        for w in (Window(0, 0, 1, 1), Window(17, 29, 64, 91), Window(90, 150, 60, 60), Window(239, 0, 1, 240)):
            area = np.s_[:, w.row : w.row + w.height, w.col : w.col + w.width]
            assert np.array_equal(clouds.read(w)[0], whole[area])


@pytest.mark.parametrize("code", [32632, 4326])
def test_polygons_are_drawn_on_any_grid(safe, code):
    crs, size = CRS.from_epsg(code), 3e-5 if code == 4326 else 7.0
    (x,), (y,) = transform(CRS_33N, crs, [WEST + 1200], [NORTH - 1200])
    grid = Grid(crs, from_origin(x - 150 * size, y + 170 * size, size, size), 340, 300)
    cols, rows = np.meshgrid(np.arange(300) + 0.5, np.arange(340) + 0.5)
    xs, ys = grid.transform @ (cols.ravel(), rows.ravel())
    east, south = (np.reshape(part, cols.shape) for part in transform(crs, CRS_33N, xs, ys)[:2])
    with open_cloud_mask(safe, grid=grid) as clouds:
        drawn = clouds.read()[0][0] != 0
    truth = cloudy_at(east - WEST, NORTH - south)
    assert 0.1 < truth.mean() < 0.5
    assert (drawn != truth).sum() <= 1, "one centre lies 2 mm from an edge"


def test_long_edges_are_bent_like_the_map(tmp_path):
    """A cloud over the whole granule of 110 km: seen in the next zone, its edges are no straight lines."""
    box: Points = [(0, 0), (109_800, 0), (109_800, 109_800), (0, 109_800)]
    safe = add_cloud_polygons(write_sentinel2(tmp_path, "1C", "02.06")[0], cloud_gml([("OPAQUE", [box])]))
    zone = CRS.from_epsg(32632)
    (x,), (y,) = transform(CRS_33N, zone, [WEST + 54_900], [NORTH])
    grid = Grid(zone, from_origin(x - 500, y + 500, 10, 10), 100, 100)
    cols, rows = np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5)
    _, ys = transform(zone, CRS_33N, *(grid.transform @ (cols.ravel(), rows.ravel())))[:2]
    with open_cloud_mask(safe, grid=grid) as clouds:
        assert np.array_equal(clouds.read()[0][0].ravel() != 0, np.array(ys) < NORTH)


def test_a_coarse_pixel_is_cloudy_where_any_part_of_it_is(safe):
    with open_cloud_mask(safe) as clouds:
        fine = clouds.read()[0][0] != 0
    side = fine.shape[0] // 8
    grid = Grid(CRS_33N, from_origin(WEST, NORTH, 80, 80), side, side)
    with open_cloud_mask(safe, grid=grid) as clouds:
        drawn = clouds.read()[0][0] != 0
        assert np.array_equal(clouds.read(Window(3, 2, 9, 11))[0][0] != 0, drawn[3:12, 2:13])
    cloudy = fine[: 8 * side, : 8 * side].reshape(side, 8, side, 8).any(axis=(1, 3))
    assert drawn[cloudy].all()
    assert drawn.mean() < 1.5 * cloudy.mean()


def test_a_mask_without_polygons_has_no_cloud(tmp_path):
    safe = add_cloud_polygons(write_sentinel2(tmp_path, "1C", "02.06")[0], cloud_gml([]))
    with open_cloud_mask(safe) as clouds:
        assert not clouds.read()[0].any()


RING = '<gml:posList srsDimension="2">'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:400], "no element found|unclosed|mismatched"),
        (lambda text: text.replace(RING, RING + "x "), "a ring of a cloud is no list of at least four coordinates"),
        (lambda text: text.replace(RING, RING + "9 "), "a ring of a cloud is no list of at least four coordinates"),
        (lambda text: text.replace("gml:exterior", "gml:other"), "a cloud has 0 outer rings, not one"),
        (lambda text: text.replace("<eop:Mask ", '<!DOCTYPE a [<!ENTITY b "c">]><eop:Mask '), "with a document type"),
    ],
)
def test_a_damaged_mask_is_one_line(tmp_path, change, reason):
    safe = add_cloud_polygons(write_sentinel2(tmp_path, "1C", "02.06")[0], change(cloud_gml(CLOUDS)))
    with pytest.raises(InputError, match=f"MSK_CLOUDS_B00.gml cannot be read: .*({reason})") as caught:
        open_cloud_mask(safe)
    assert "\n" not in str(caught.value)
