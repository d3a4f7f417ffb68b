"""Cast shadow: against pairs of pixels, rays to the satellite, and the length that a ridge must cast."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform
from scipy.optimize import fsolve

from safe_files import FIRST_GROUND, LINE_S, orbit_xml, satellite_at, write_safe
from saropt.scenes import Georeference, Grid, Window, write_array
from saropt.sensors import terrain
from saropt.sensors.grd_scene import GrdScene
from saropt.sensors.orbit import ImageGeometry, earth_fixed
from saropt.sensors.shadow import NEAR_SIDES, RangeDirection, cast_shadow
from saropt.sensors.terrain import Terrain, TerrainProjection
from terrain_files import nearest

ZONES = {"east": CRS.from_epsg(32631), "west": CRS.from_epsg(32629)}
SIDE, LINE, COLUMN = 160, 3000.0, 9000.0
RIDGE_M, HALF_M = 240.0, 40.0


@pytest.fixture(scope="module")
def geometry() -> ImageGeometry:
    return ImageGeometry(ElementTree.fromstring(f"<product>{orbit_xml()}</product>"), Path("product"))


def place_of(line: float, column: float, look: str) -> tuple[float, float]:
    """Longitude and latitude that are seen at a pixel, to the east or to the west of the flight."""

    def miss(place: np.ndarray) -> list[float]:
        time, slant = nearest(earth_fixed(np.array(place[0]), np.array(place[1]), np.array(0.0))[0])
        return [time / LINE_S - line, (slant - FIRST_GROUND) / 5.0 - column]

    longitude, latitude = fsolve(miss, [3.0, 0.1] if look == "east" else [-8.5, 0.1])
    return float(longitude), float(latitude)


def grid_over(look: str, turned: bool = False) -> Grid:
    """A grid of 10 m around the middle of the image, or one that is turned by 90 degrees."""
    (x,), (y,) = transform("EPSG:4326", ZONES[look], *([one] for one in place_of(LINE, COLUMN, look)))
    x, y = round(x, -1), round(y, -1)
    place = from_origin(x - SIDE * 5, y + SIDE * 5, 10, 10)
    if turned:
        place = Affine(0, -10, x + SIDE * 5, -10, 0, y + SIDE * 5)  # down the rows is west, along the columns south
    return Grid(ZONES[look], place, SIDE, SIDE)


def ridge(x: np.ndarray, y: np.ndarray, middle: tuple[float, float]) -> np.ndarray:
    """Flat ground with a ridge from north to south."""
    return RIDGE_M * np.maximum(1 - np.abs(x - middle[0]) / HALF_M, 0)


def hills(x: np.ndarray, y: np.ndarray, middle: tuple[float, float]) -> np.ndarray:
    """Rolling ground with an oblique ridge and a steep peak."""
    east, north = x - middle[0], y - middle[1]
    rolling = 15 * np.sin(east / 70) * np.cos(north / 90)
    oblique = 220 * np.exp(-(((east + 0.4 * north) / 60) ** 2))
    peak = 350 * np.exp(-(((east - 330) ** 2 + (north - 300) ** 2) / 80**2))
    other = 350 * np.exp(-(((east + 330) ** 2 + (north + 350) ** 2) / 80**2))
    return rolling + oblique + peak + other


def middle_of(grid: Grid) -> tuple[float, float]:
    return grid.transform @ (SIDE / 2 + 0.5, SIDE / 2 + 0.5)


def write_heights(path: Path, grid: Grid, heights) -> Terrain:
    x, y = middle_of(grid)
    size = SIDE + 401
    place = from_origin(x - size * 5, y + size * 5, 10, 10)
    cols, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    values = heights(*(place @ (cols, rows)), (x, y)).astype(np.float32)
    georeference = Georeference(grid.crs, place)
    return Terrain(write_array(path, values[None], band_names=["height"], georeference=georeference))


def ones(window: Window) -> tuple[np.ndarray, np.ndarray]:
    values = np.ones((1, window.height, window.width), np.float32)
    return values, np.ones(values.shape, bool)


def shadow_on(geometry: ImageGeometry, model: Terrain, grid: Grid) -> np.ndarray:
    projection = TerrainProjection(geometry, model, 6000, 18000, grid, ones)
    found = projection.places(Window(0, 0, grid.height, grid.width))[3]
    projection.close()
    return found


@pytest.mark.parametrize("side", NEAR_SIDES)
@pytest.mark.parametrize("downwards", [True, False])
def test_a_pixel_is_hidden_by_any_nearer_one_of_its_line_within_reach(side, downwards):
    rng, reach = np.random.default_rng(3), 7
    look = np.cumsum(rng.uniform(-0.6, 1.0, (20, 50)), axis=1)
    expected = np.array([[max(row[max(0, x - reach) : x], default=-9e9) > row[x] for x in range(50)] for row in look])
    lines = np.repeat(np.arange(20.0)[:, None] * (1 if downwards else -1), 50, axis=1)
    flipped = {"left": lambda a: a, "right": lambda a: a[:, ::-1], "top": lambda a: a.T, "bottom": lambda a: a.T[::-1]}
    turned = [flipped[side](one) for one in (look, lines, expected)]
    assert 0.2 < expected.mean() < 0.6
    assert np.array_equal(cast_shadow(turned[0], turned[1], 1.0, reach, side), turned[2])


@pytest.mark.parametrize(("look", "turned", "side"), [
    ("east", False, "left"), ("west", False, "right"), ("east", True, "bottom"), ("west", True, "top"),
])  # fmt: skip
def test_a_ridge_casts_its_height_times_the_tangent(geometry, tmp_path, look, turned, side):
    """From its crest on, seen across: the ridge runs to the north, the beam comes almost from the west or east."""
    grid = grid_over(look, turned)
    direction = RangeDirection.on(grid, geometry, 6000, 18000)
    assert direction.side == side
    shadow = shadow_on(geometry, write_heights(tmp_path / "dem.tif", grid, ridge), grid)
    point, up = earth_fixed(*(np.array(one) for one in place_of(LINE, COLUMN, look)), np.array(0.0))
    sight = satellite_at(nearest(point)[0]) - point
    theta = np.arccos(up @ sight / np.linalg.norm(sight))
    length = RIDGE_M * np.tan(theta) / 10 * np.cos(np.arctan(direction.aside))
    assert length > 2.5 * HALF_M / 10
    across = shadow.sum(axis=0 if turned else 1)
    assert across.mean() == pytest.approx(length, abs=0.7)
    assert across.std() < 0.7
    rows, cols = np.nonzero(shadow)
    x, _ = grid.transform @ (cols + 0.5, rows + 0.5)
    away = (x - middle_of(grid)[0]) * (1 if look == "east" else -1)
    assert away.min() > -6
    assert away.max() < 10 * length + 6


def rays_are_stopped(geometry: ImageGeometry, grid: Grid, heights, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Whether the straight way from pixels to the satellite dips below the ground, looked at every 2 m."""
    middle = middle_of(grid)
    xs, ys = grid.transform @ (cols + 0.5, rows + 0.5)
    degrees = transform(grid.crs, "EPSG:4326", xs, ys)[:2]
    points, _ = earth_fixed(*(np.array(one) for one in degrees), heights(xs, ys, middle))
    stopped = np.zeros(len(xs), bool)
    for number, point in enumerate(points.T):
        sight = satellite_at(nearest(point)[0]) - point
        steps = np.arange(15.0, 1500.0, 2.0)
        way = point[:, None] + sight[:, None] / np.linalg.norm(sight) * steps
        x, y, z = (np.array(one) for one in transform("EPSG:4978", grid.crs, *way))
        height = transform("EPSG:4978", "EPSG:4979", *way)[2]
        assert len(z) == len(steps)
        stopped[number] = bool((heights(x, y, middle) > np.array(height)).any())
    return stopped


@pytest.mark.parametrize("look", ["east", "west"])
def test_shadow_is_where_rays_to_the_satellite_are_stopped(geometry, tmp_path, look):
    grid = grid_over(look)
    shadow = shadow_on(geometry, write_heights(tmp_path / "dem.tif", grid, hills), grid)
    rng = np.random.default_rng(4)
    rows, cols = rng.integers(2, SIDE - 2, (2, 500))
    truth, found = rays_are_stopped(geometry, grid, hills, rows, cols), shadow[rows, cols]
    assert 0.05 < truth.mean() < 0.5
    assert (truth == found).mean() > 0.99
    for row, col in zip(rows[truth != found], cols[truth != found], strict=True):
        around = shadow[row - 2 : row + 3, col - 2 : col + 3]
        assert around.any(), "errors are at the edge of a shadow"
        assert not around.all(), "errors are at the edge of a shadow"


def test_blocks_do_not_show(geometry, tmp_path, monkeypatch):
    grid = grid_over("east")
    model = write_heights(tmp_path / "dem.tif", grid, hills)
    whole = shadow_on(geometry, model, grid)
    assert whole.mean() > 0.05
    for block in (32, 96):
        monkeypatch.setattr(terrain, "_BLOCK", block)
        projection = TerrainProjection(geometry, model, 6000, 18000, grid, ones)
        for window in (Window(0, 0, SIDE, SIDE), Window(37, 41, 50, 60)):
            valid = projection.read(window, 1)[1]
            area = np.s_[window.row : window.row + window.height, window.col : window.col + window.width]
            assert not (valid & whole[area]).any()
        assert projection.shadow_share == pytest.approx(whole.mean(), abs=1e-12)
        for row in range(0, SIDE, block):
            for col in range(0, SIDE, block):
                size = min(block, SIDE - row), min(block, SIDE - col)
                found = projection.places(Window(row, col, *size))[3]
                assert np.array_equal(found, whole[row : row + size[0], col : col + size[1]])
        projection.close()


def test_ground_before_the_grid_casts_shadows_on_it(geometry, tmp_path):
    """The grid begins behind the crest of the ridge."""
    whole = grid_over("east")
    model = write_heights(tmp_path / "dem.tif", whole, ridge)
    first = SIDE // 2 + int(HALF_M / 10)
    part = Grid(whole.crs, whole.transform @ Affine.translation(first, 0), SIDE, SIDE - first)
    assert np.array_equal(shadow_on(geometry, model, part), shadow_on(geometry, model, whole)[:, first:])


def test_flat_ground_has_no_shadow(geometry, tmp_path):
    grid = grid_over("east")
    assert not shadow_on(
        geometry, write_heights(tmp_path / "dem.tif", grid, lambda x, y, middle: 0 * x + 300), grid
    ).any()


def test_a_product_says_how_much_of_it_is_shadow(tmp_path):
    safe, _ = write_safe(tmp_path, geometry=True)
    (x,), (y,) = transform("EPSG:4326", ZONES["east"], *([one] for one in place_of(20.0, 30.0, "east")))
    grid = Grid(ZONES["east"], from_origin(round(x) - SIDE * 5, round(y) + SIDE * 5, 10, 10), SIDE, SIDE)
    model = write_heights(tmp_path / "dem.tif", grid, ridge)
    with GrdScene(safe, ["VV"], "sigma0", grid=grid, terrain=model) as scene:
        assert "RADAR_SHADOW_PERCENT" not in scene.tags
        scene.sample()
        told, (_, valid) = float(scene.tags["RADAR_SHADOW_PERCENT"]), scene.read()
    behind = valid[:, SIDE // 2 + 1 : SIDE // 2 + 8]
    assert not behind.any()
    assert valid.any()
    assert 10 < told < 60
