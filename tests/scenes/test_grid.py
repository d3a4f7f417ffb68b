"""Grids, and rasters read as if warped to them."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio import warp
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from saropt.errors import InputError
from saropt.scenes import Georeference, Grid, Scene, bounds_in, grid_over, overlap_grid, utm_of, write_array
from saropt.scenes.georeference import check_ground

UTM = CRS.from_epsg(32654)


def test_a_grid_covers_its_bounds_on_whole_pixels():
    grid = grid_over((1003.0, 2001.0, 1047.0, 2039.0), UTM, 10.0, "x")
    assert (grid.height, grid.width) == (4, 5)
    assert grid.bounds == (1000.0, 2000.0, 1050.0, 2040.0)
    with pytest.raises(InputError, match="covers no ground"):
        grid_over((1.0, 2.0, 1.0, 3.0), UTM, 10.0, "x")
    assert utm_of(139.7, 35.7) == UTM
    assert utm_of(-58.4, -34.6).to_epsg() == 32721


def test_whole_pixel_shifts_keep_values_and_mark_what_is_missing(tmp_path):
    values = np.arange(80, dtype=np.float32).reshape(1, 8, 10)
    values[0, 2, 3] = -1
    place = Georeference(UTM, Affine(10, 0, 400_000, 0, -10, 3_900_000))
    path = write_array(tmp_path / "a.tif", values, nodata=-1, georeference=place)
    grid = Grid(UTM, Affine(10, 0, 400_020, 0, -10, 3_899_990), 9, 10)
    with Scene.open(path, grid=grid, resampling="nearest") as scene:
        read, valid = scene.read()
        assert (scene.count, scene.height, scene.width) == (1, 9, 10)
    expected = np.zeros((9, 10), bool)
    expected[:7, :8] = True
    expected[1, 1] = False
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(read[0, :7, :8][expected[:7, :8]], values[0, 1:, 2:][expected[:7, :8]])


def test_control_points_place_a_raster(tmp_path):
    values = np.tile(np.arange(20, dtype=np.float32), (1, 30, 1))
    corners = [GroundControlPoint(r, c, 139.0 + c * 1e-3, 35.0 - r * 1e-3) for r in (0, 15, 30) for c in (0, 10, 20)]
    path = write_array(
        tmp_path / "gcps.tif", values, georeference=Georeference(gcps=tuple(corners), gcp_crs=CRS.from_epsg(4326))
    )
    grid = Grid(CRS.from_epsg(4326), Affine(1e-3, 0, 139.0, 0, -1e-3, 35.0), 30, 20)
    with Scene.open(path, grid=grid) as scene:
        read, valid = scene.read()
    assert valid[1:-1, 1:-1].all()
    np.testing.assert_allclose(read[0, 5:-5, 3:-3], values[0, 5:-5, 3:-3], atol=0.1)


def test_common_ground():
    one = Georeference(UTM, Affine(10, 0, 400_000, 0, -10, 3_900_000))
    other = Georeference(UTM, Affine(20, 0, 400_500, 0, -20, 3_899_800))
    grid = overlap_grid([(one, 100, 100), (other, 100, 100)], None, "x")
    assert grid.crs == UTM
    assert grid.transform.a == 20
    assert grid.bounds == (400_500, 3_899_000, 401_000, 3_899_800)
    far = Georeference(UTM, Affine(10, 0, 500_000, 0, -10, 3_900_000))
    with pytest.raises(InputError, match="do not overlap"):
        overlap_grid([(one, 100, 100), (far, 100, 100)], None, "x")
    with pytest.raises(InputError, match="no place on the ground"):
        overlap_grid([(Georeference(), 5, 5)], None, "x")


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (3413, Affine(10, 0, -500, 0, -10, 500)),  # its centre is the north pole
        (3031, Affine(40, 0, 1e6, 0, -40, -1e6)),
        (3857, Affine(10, 0, 2.00375e7, 0, -10, 0)),  # across 180 degrees
        (4326, Affine(1e-4, 0, 200, 0, -1e-4, 45)),  # longitudes of 0..360
        (32633, Affine(0, 10, 5e5, 10, 0, 4e6)),
        (32633, Affine(0.02, 0, 5e5, 0, -0.02, 4e6)),
    ],
)
def test_places_on_earth(crs, transform):
    check_ground(Georeference(CRS.from_epsg(crs), transform), 100, 100, "a.tif")


def test_places_that_are_not_told():
    local = CRS.from_wkt('LOCAL_CS["laboratory",UNIT["metre",1]]')
    for place in (
        Georeference(local, Affine(1e-5, 0, 0, 0, -1e-5, 0)),
        Georeference(),
        Georeference(CRS.from_epsg(4326)),
    ):
        check_ground(place, 100, 100, "a.tif")


@pytest.mark.parametrize("first", [179.9952, -180.0048])
@pytest.mark.parametrize("grid_crs", ["EPSG:32660", "EPSG:4326", "EPSG:4326 a turn away"])
@pytest.mark.parametrize("by", ["transform", "control points", "control points within 180"])
def test_ground_across_180_degrees_is_found(tmp_path, first, grid_crs, by):
    """Whichever way longitudes are counted, and after a transformation of the same CRS was made."""
    degrees, step = CRS.from_epsg(4326), 1e-4
    values = np.random.default_rng(0).integers(1, 200, (1, 96, 96)).astype(np.uint8)
    place = Georeference(degrees, Affine(step, 0, first, 0, -step, 20))
    if by != "transform":
        corners = [(row, col, first + step * col) for row in (0, 48, 96) for col in (0, 48, 96)]
        if by.endswith("180"):
            corners = [(row, col, (x + 180.0) % 360.0 - 180.0) for row, col, x in corners]
        points = [GroundControlPoint(row, col, x, 20 - step * row) for row, col, x in corners]
        place = Georeference(gcps=tuple(points), gcp_crs=degrees)
    check_ground(place, 96, 96, "a.tif")
    path = write_array(tmp_path / "a.tif", values, georeference=place)
    if grid_crs == "EPSG:32660":
        (x,), (y,) = warp.transform("EPSG:4326", grid_crs, [180.0], [19.9952])
        grid = Grid(CRS.from_string(grid_crs), Affine(10, 0, x - 400, 0, -10, y + 400), 80, 80)
    else:
        away = 0.0 if grid_crs == "EPSG:4326" else np.copysign(360.0, -first)
        grid = Grid(degrees, Affine(step, 0, first + away + 8 * step, 0, -step, 20 - 8 * step), 80, 80)
    bounds_in(place, 96, 96, grid.crs, path)
    with Scene.open(path, grid=grid, resampling="nearest") as scene:
        found, valid = scene.read()
    assert valid.all()
    if grid_crs != "EPSG:32660":
        np.testing.assert_array_equal(found[0], values[0, 8:88, 8:88])


@pytest.mark.parametrize("as_points", [False, True])
def test_the_pixel_of_common_ground_is_that_of_the_coarser_raster_however_it_is_turned(as_points):
    affine = Affine.translation(400_000, 3_900_000) @ Affine.rotation(-12) @ Affine.scale(10, -10)
    turned = Georeference(UTM, affine)
    if as_points:
        corners = [(row, col, *(affine @ (col, row))) for row in (0, 400) for col in (0, 300)]
        turned = Georeference(gcps=tuple(GroundControlPoint(*one) for one in corners), gcp_crs=UTM)
    level = Georeference(UTM, Affine(10, 0, 399_000, 0, -10, 3_901_000))
    assert overlap_grid([(turned, 400, 300), (level, 900, 900)], None, "x").transform.a == 10
    finer = Georeference(UTM, Affine(5, 0, 399_000, 0, -5, 3_901_000))
    assert overlap_grid([(finer, 1800, 1800), (turned, 400, 300)], None, "x").transform.a == 10


def test_the_pixel_of_common_ground_in_two_zones_is_the_nominal_one():
    x, y = warp.transform(UTM, "EPSG:32653", [400_000], [3_900_000])
    zone = Georeference(CRS.from_epsg(32653), Affine(10, 0, x[0], 0, -10, y[0]))
    one = Georeference(UTM, Affine(10, 0, 400_000, 0, -10, 3_900_000))
    assert overlap_grid([(one, 300, 300), (zone, 300, 300)], None, "x").transform.a == 10
    degrees = Georeference(CRS.from_epsg(4326), Affine(1e-4, 0, 139.9, 0, -1e-4, 35.3))
    assert overlap_grid([(one, 300, 300), (degrees, 2000, 2000)], None, "x").transform.a == pytest.approx(
        11.1, abs=0.05
    )
