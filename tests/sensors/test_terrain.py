"""Terrain models: places by the orbit against naive minimisation, and flattening against what planes must give."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from affine import Affine
from rasterio.transform import from_origin

from safe_files import FIRST_GROUND, FIRST_TIME, LINE_S, ORBIT_RADIUS, orbit_xml, satellite_at, write_safe
from saropt.errors import InputError
from saropt.scenes import Grid, Scene, Window, write_array
from saropt.sensors.grd_scene import GrdScene
from saropt.sensors.orbit import ImageGeometry, earth_fixed
from saropt.sensors.terrain import Terrain, TerrainProjection
from terrain_files import SIDE, UTM, grid_at, ground, nearest, write_dem


@pytest.fixture
def geometry() -> ImageGeometry:
    return ImageGeometry(ElementTree.fromstring(f"<product>{orbit_xml()}</product>"), Path("product"))


def test_places_are_those_of_the_nearest_approach(geometry):
    rng = np.random.default_rng(1)
    longitudes, latitudes, heights = rng.uniform(2.5, 3.5, 20), rng.uniform(-0.5, 0.5, 20), rng.uniform(0, 4000, 20)
    points, _ = earth_fixed(longitudes, latitudes, heights)
    time = geometry.closest(points)
    slant = np.linalg.norm(points - geometry.satellite(time)[0], axis=0)
    lines, columns = geometry.pixels(time, slant)
    for number in range(20):
        expected_time, expected_slant = nearest(points[:, number])
        assert lines[number] == pytest.approx(expected_time / LINE_S, abs=0.02)
        assert columns[number] == pytest.approx((expected_slant - FIRST_GROUND) / 5.0, abs=0.02)


def columns_and_ones(window: Window) -> tuple[np.ndarray, np.ndarray]:
    column = np.arange(window.col, window.col + window.width, dtype=np.float32)
    values = np.stack([np.repeat(column[None], window.height, 0), np.ones((window.height, window.width), np.float32)])
    return values, np.ones(values.shape, bool)


def incidence(geometry: ImageGeometry, longitude: float, latitude: float, height: float) -> float:
    point, up = earth_fixed(np.array(longitude), np.array(latitude), np.array(height))
    sight = satellite_at(nearest(point)[0]) - point
    return float(np.arccos(up @ sight / np.linalg.norm(sight)))


@pytest.mark.parametrize("pixel", [10.0, 37.0, 100.0])
@pytest.mark.parametrize("rise", [0.0, 0.15, -0.15])
def test_a_plane_is_flattened_by_the_ratio_of_tangents(geometry, tmp_path, rise, pixel):
    """The satellite looks to the east: gamma areas of a plane that rises by alpha away from it are those of flat ground
    times tan(theta - alpha) / tan(theta), alpha seen in the direction of the look."""
    longitude, latitude = ground(3000.0, 9000.0, 300.0)
    grid = grid_at(longitude, latitude, pixel)
    dem = Terrain(write_dem(tmp_path / "dem.tif", grid, rise))
    projection = TerrainProjection(geometry, dem, 6000, 18000, grid, columns_and_ones)
    values, valid = projection.read(Window(0, 0, SIDE, SIDE), 2)
    projection.close()
    assert valid.all()
    theta, alpha = incidence(geometry, longitude, latitude, 300.0), np.arctan(rise * np.cos(np.deg2rad(8.3)))
    expected = np.tan(theta - alpha) / np.tan(theta)
    middle = values[1][20:-20, 20:-20]
    assert middle.mean() == pytest.approx(expected, rel=0.004)
    assert middle.std() < 0.01


def test_heights_move_pixels_towards_the_radar(geometry, tmp_path):
    """The middle of the grid is read at its own column, which a geoid or a wrong height would change."""
    for height in (0.0, 1500.0):
        grid = grid_at(*ground(3000.0, 9000.0, height))
        dem = write_dem(tmp_path / f"{height:g}.tif", grid, 0.0, base=height - 40)
        projection = TerrainProjection(geometry, Terrain(dem, 40.0), 6000, 18000, grid, columns_and_ones)
        line, column, *_ = projection.places(Window(0, 0, SIDE, SIDE))
        projection.close()
        assert line[SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].mean() == pytest.approx(
            3000.0, abs=0.15
        )
        assert column[SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].mean() == pytest.approx(
            9000.0, abs=0.15
        )


def test_windows_agree_and_gaps_are_invalid(geometry, tmp_path):
    grid = grid_at(*ground(3000.0, 9000.0, 300.0))
    path = write_dem(tmp_path / "dem.tif", grid, 0.1)
    with Scene.open(path) as scene:
        heights, place = scene.read()[0], scene.georeference
    heights[0, 250:260, 250:270] = -32768
    write_array(path, heights, band_names=["height"], georeference=place, nodata=-32768, overwrite=True)
    projection = TerrainProjection(geometry, Terrain(path), 6000, 18000, grid, columns_and_ones)
    whole, valid = projection.read(Window(0, 0, SIDE, SIDE), 2)
    part, known = projection.read(Window(37, 41, 50, 60), 2)
    projection.close()
    assert np.array_equal(part, whole[:, 37:87, 41:101])
    assert np.array_equal(known, valid[37:87, 41:101])
    assert not valid[50:60, 50:70].any()
    assert valid[:45].all()


def test_a_product_is_flattened_in_the_units_asked_for(tmp_path):
    safe, _ = write_safe(tmp_path, geometry=True)
    grid = grid_at(*ground(20.0, 30.0))
    dem = write_dem(tmp_path / "dem.tif", grid, 0.0, base=0.0)
    with GrdScene(safe, ["VV"], "sigma0") as radar:
        measured, known = radar.read()
    with GrdScene(safe, ["VV"], "sigma0", grid=grid, terrain=Terrain(dem)) as flat:
        power, valid = flat.read()
        assert flat.tags["TERRAIN_MODEL"] == "dem.tif"
    assert valid.sum() > 500
    assert power[0][valid].mean() == pytest.approx(measured[0][known].mean(), rel=0.05)
    with GrdScene(safe, ["VV"], "sigma0_db", grid=grid, terrain=Terrain(dem)) as flat:
        decibels, seen = flat.read()
    assert np.array_equal(seen, valid)
    np.testing.assert_allclose(decibels[:, valid], 10 * np.log10(power[:, valid]), atol=1e-4)


def test_larger_pixels_are_the_mean_of_smaller_ones(tmp_path):
    safe, _ = write_safe(tmp_path, geometry=True)
    grid = grid_at(*ground(20.0, 30.0))
    large = Grid(grid.crs, grid.transform @ Affine.scale(4), SIDE // 4, SIDE // 4)
    dem = Terrain(write_dem(tmp_path / "dem.tif", grid, 0.0, base=0.0))
    spread = []
    for place in (grid, large):
        with GrdScene(safe, ["VV"], "sigma0", grid=place, terrain=dem) as scene:
            values, valid = scene.read()
        spread.append(values[0][valid].std() / values[0][valid].mean())
    assert spread[1] < spread[0] / 2


def test_a_terrain_model_elsewhere_is_one_line(geometry, tmp_path):
    grid = grid_at(*ground(3000.0, 9000.0))
    far = Grid(UTM, from_origin(300_000, 8_000_000, 10, 10), SIDE, SIDE)
    dem = write_dem(tmp_path / "dem.tif", far, 0.0)
    with pytest.raises(InputError, match="has no height where the scene lies"):
        TerrainProjection(geometry, Terrain(dem), 6000, 18000, grid, columns_and_ones)


def test_an_annotation_without_orbit_is_one_line(tmp_path):
    safe, _ = write_safe(tmp_path)
    grid = grid_at(3.0, 0.1)
    dem = write_dem(tmp_path / "dem.tif", grid, 0.0)
    with pytest.raises(InputError, match="annotation"):
        GrdScene(safe, grid=grid, terrain=Terrain(dem))


def test_the_orbit_of_these_tests_is_one_of_a_satellite():
    assert np.linalg.norm(satellite_at(12.0)) == pytest.approx(ORBIT_RADIUS)
    assert FIRST_TIME.startswith("2020-11-07")
