"""Tiles far below full resolution and rasters across 180 degrees: right, and from few pixels."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform

from saropt.scenes import Georeference, write_array
from saropt.viewer import render, tiles
from saropt.viewer.catalogue import Catalogue, Layer
from saropt.viewer.rasters import Limits
from saropt.viewer.styles import Style

WHOLE = Style((1,), (0.0,), (255.0,))
HALF_WORLD = 20_037_508.342789244
UTM = CRS.from_epsg(32633)
PLACE = Affine(10, 0, 5e5, 0, -10, 4e6)
PLAIN = ("width", "height", "count", "dtype", "crs", "transform")


def layer_of(folder: Path, pixels: np.ndarray, place: Affine, crs: CRS = UTM) -> Layer:
    folder.mkdir(exist_ok=True)
    write_array(folder / "scene.tif", pixels, georeference=Georeference(crs, place), overwrite=True)
    catalogue = Catalogue(folder, Limits())
    catalogue.scan({}, [])
    return next(iter(catalogue.layers.values()))


def tile(layer: Layer, z: int, x: int, y: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(render.tile_png(layer, z, x, y, WHOLE))))


def middle_tile(layer: Layer, z: int) -> tuple[int, int]:
    left, bottom, right, top = layer.info.extent
    side = 2 * HALF_WORLD / 2**z
    return int(((left + right) / 2 + HALF_WORLD) / side), int((HALF_WORLD - (bottom + top) / 2) / side)


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((256, 256), PLACE),
        ((256, 256), PLACE @ Affine.scale(0.01)),
        ((40, 30_000), PLACE),
        ((1500, 1500), PLACE @ Affine.rotation(30)),
    ],
)
def test_what_is_warped_and_read_is_bounded_at_every_zoom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], place: Affine
):
    layer = layer_of(tmp_path, np.full((1, *shape), 150, np.uint8), place)
    most = 0

    class Recorded(WarpedVRT):
        def __init__(self, *args: Any, **options: Any) -> None:
            nonlocal most
            most = max(most, options.get("width", 0) * options.get("height", 0))
            super().__init__(*args, **options)

    def read(*args: Any, **options: Any) -> Any:
        nonlocal most
        most = max(most, options["width"] * options["height"])
        return plain(*args, **options)

    plain = tiles.read
    monkeypatch.setattr(tiles, "read", read)
    monkeypatch.setattr("rio_tiler.reader.WarpedVRT", Recorded)
    for z in range(27):
        shown = tile(layer, z, *middle_tile(layer, z))
        assert set(np.unique(shown[..., 0][shown[..., 1] > 0])) <= {150}
        assert not tile(layer, z, 2**z - 1, 2**z - 1)[..., -1].any()
        assert not tile(layer, z, 2**26 - 1, 2**26 - 1)[..., -1].any()
    assert 0 < most <= 4096 * 4096


@pytest.mark.parametrize("turn", [0, 35])
def test_a_far_tile_shows_the_right_place(tmp_path: Path, turn: float):
    """Rows of 150 and 250 meet in the middle of the raster, which is sought in the tile."""
    pixels = np.full((1, 2048, 2048), 150, np.uint8)
    pixels[:, :, 1024:] = 250
    layer = layer_of(tmp_path, pixels, PLACE @ Affine.rotation(turn))
    z = layer.info.maxzoom - tiles.FAR - 1
    x, y = middle_tile(layer, z)
    far = tile(layer, z, x, y)
    near = np.zeros((512, 512, 2), np.uint8)
    for right in (0, 1):
        for down in (0, 1):
            part = tile(layer, z + 1, 2 * x + right, 2 * y + down)
            near[256 * down : 256 * (down + 1), 256 * right : 256 * (right + 1)] = part
    near = near[::2, ::2]
    both = (far[..., 1] > 0) & (near[..., 1] > 0)
    assert both.sum() > 0.95 * max((far[..., 1] > 0).sum(), (near[..., 1] > 0).sum())
    same = np.abs(far[both][:, 0].astype(int) - near[both][:, 0]) < 60
    assert same.mean() > 0.97


def test_tiles_below_full_resolution_keep_nodata_transparent(tmp_path: Path):
    pixels = np.full((1, 1024, 1024), 150, np.uint8)
    pixels[:, :512] = 0
    write_array(tmp_path / "scene.tif", pixels, georeference=Georeference(UTM, PLACE), nodata=0)
    catalogue = Catalogue(tmp_path, Limits())
    catalogue.scan({}, [])
    layer = next(iter(catalogue.layers.values()))
    z = layer.info.maxzoom - tiles.FAR - 1
    shown = tile(layer, z, *middle_tile(layer, z))
    seen = shown[..., 1] > 0
    assert set(np.unique(shown[seen][:, 0])) == {150}
    rows, columns = np.nonzero(seen)
    assert np.ptp(columns) > 1.7 * np.ptp(rows)


@pytest.mark.parametrize("west", [179.95, 190.0, -180.05])
def test_both_sides_of_180_degrees_are_read_and_shown(tmp_path: Path, west: float):
    pixels = np.arange(100 * 100, dtype=np.uint16).reshape(1, 100, 100)
    layer = layer_of(tmp_path, pixels + 1, Affine(1e-3, 0, west, 0, -1e-3, 10), CRS.from_epsg(4326))
    for column in (20, 80):
        longitude = west + (column + 0.5) * 1e-3
        longitude -= 360 * round(longitude / 360)
        reading = render.read_point(layer, longitude, 10 - 30.5e-3)
        assert reading is not None
        assert (reading.column, reading.row, reading.values) == (column, 30, (30 * 100 + column + 1,))
        z = 12
        across = (longitude + 180) / 360 * 2**z
        down = (1 - math.asinh(math.tan(math.radians(10 - 30.5e-3))) / math.pi) / 2 * 2**z
        shown = tile(layer, z, int(across), int(down))
        assert shown[int(down % 1 * 256), int(across % 1 * 256), 1] == 255
    assert render.read_point(layer, 0.0, 9.99) is None


TURN = 2 * HALF_WORLD
EQUAL_AREA = 2 * 17_367_530.445161372
CYLINDERS = [
    (3857, HALF_WORLD, TURN),
    (3857, -HALF_WORLD, TURN),
    (3395, HALF_WORLD, TURN),
    (6933, EQUAL_AREA / 2, EQUAL_AREA),
]


@pytest.mark.parametrize(("code", "edge", "turn"), CYLINDERS)
@pytest.mark.parametrize("begins", [-5_000.0, -9_990.0, 20.0, -9_000_000.0])
def test_cylindrical_rasters_are_read_and_shown_on_both_sides(
    tmp_path: Path, code: int, edge: float, turn: float, begins: float
):
    """Mercator and equal-area rasters that reach beyond the edge of their projection, or lie beyond it."""
    crs, size, north = (CRS.from_epsg(code), *((100.0, -1.9e6) if begins > -1e6 else (100_000.0, 5e6)))
    pixels = np.arange(100 * 100, dtype=np.uint16).reshape(1, 100, 100) + 1
    west = edge + begins
    layer = layer_of(tmp_path, pixels, Affine(size, 0, west, 0, -size, north), crs)
    for column in (0, 20, 60, 99):
        (longitude,), (latitude,) = transform(
            crs, "EPSG:4326", [(west + (column + 0.5) * size + turn / 2) % turn - turn / 2], [north - 30.5 * size]
        )
        for same in (longitude, longitude + 360, longitude - 360):
            reading = render.read_point(layer, same, latitude)
            assert reading is not None
            assert (reading.column, reading.row, reading.values) == (column, 30, (30 * 100 + column + 1,))
        z = layer.info.maxzoom + 2
        across = (longitude + 180) / 360 * 2**z
        down = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * 2**z
        shown = tile(layer, z, int(across), int(down))
        assert shown[int(down % 1 * 256), int(across % 1 * 256), 1] == 255
    assert render.read_point(layer, 0.0, latitude) is None
    assert -HALF_WORLD <= layer.info.extent[0] < HALF_WORLD


@pytest.mark.parametrize("west", [170.0, -190.0])
def test_the_extent_across_180_degrees_is_the_true_one(tmp_path: Path, west: float):
    pixels = np.full((1, 100, 2000), 7, np.uint8)
    pixels[:, :, 1500:] = 9
    place = Affine(0.01, 0, west, 0, -0.01, 5)
    across = layer_of(tmp_path, pixels, place, CRS.from_epsg(4326)).info
    plain = layer_of(tmp_path / "plain", pixels, Affine.translation(150 - west, 0) @ place, CRS.from_epsg(4326)).info
    assert np.allclose(np.array(across.extent)[[0, 2]] / HALF_WORLD * 180, [170, 190])
    assert np.allclose(np.array(across.extent)[[1, 3]], np.array(plain.extent)[[1, 3]], atol=1)
    assert (across.minzoom, across.maxzoom) == (plain.minzoom, plain.maxzoom)


def test_tiles_beyond_the_edge_of_the_map_show_what_lies_there(tmp_path: Path):
    pixels = np.full((1, 100, 2000), 7, np.uint8)
    pixels[:, :, 1500:] = 9
    layer = layer_of(tmp_path, pixels, Affine(0.01, 0, 170, 0, -0.01, 5), CRS.from_epsg(4326))
    z = 7
    for longitude, value in ((184.9, 7), (186.0, 9)):
        across = (longitude + 180) / 360 * 2**z
        down = (1 - math.asinh(math.tan(math.radians(4.5))) / math.pi) / 2 * 2**z
        shown = tile(layer, z, int(across), int(down))[int(down % 1 * 256), int(across % 1 * 256)]
        assert across > 2**z
        assert tuple(shown) == (value, 255)


@pytest.mark.parametrize("shape", [(20, 4000), (4000, 20)])
@pytest.mark.parametrize("below", [0, 2, 3])
def test_strips_of_two_bands_are_shown_at_every_zoom(tmp_path: Path, shape: tuple[int, int], below: int):
    layer = layer_of(tmp_path, np.full((2, *shape), 200, np.float32), PLACE)
    with rasterio.open(layer.path) as file:
        profile, values = file.profile, file.read()
    with rasterio.open(layer.path, "w", driver="GTiff", **{key: profile[key] for key in PLAIN}) as file:
        file.write(values)
    z = layer.info.maxzoom - below
    shown = tile(layer, z, *middle_tile(layer, z))[..., -1] > 0
    across = 200 / (layer.info.pixel_m * 2**below)
    assert shown.sum() >= 0.8 * across * shown.any(axis=int(shape[0] > shape[1])).sum()
    assert shown.any(axis=int(shape[0] > shape[1])).sum() > 200
