"""The size of pixels on the ground, scale bars, and scenes across 180 degrees."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from PIL import Image, ImageDraw
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform
from test_far_tiles import HALF_WORLD

from saropt.scenes import Georeference, write_array
from saropt.viewer import render, saved
from saropt.viewer.catalogue import Catalogue, Layer
from saropt.viewer.rasters import Limits
from saropt.viewer.styles import Style

WHOLE = Style((1,), (0.0,), (255.0,))
TALL = Georeference(CRS.from_epsg(4326), Affine(0.2, 0, -60, 0, -0.2, 80))
"""From 80 degrees north on, 140 degrees high."""
HEIGHT, WIDTH = 400, 600


def layer_on(folder: Path, place: Georeference, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Layer:
    """Brightness grows with the columns."""
    pixels = np.broadcast_to(np.linspace(1, 250, shape[1]), (1, *shape)).astype(np.uint8)
    write_array(folder / "a.tif", pixels, georeference=place)
    catalogue = Catalogue(folder, Limits())
    catalogue.scan({}, [])
    (layer,) = catalogue.layers.values()
    return layer


def placed(crs: str, longitude: float, latitude: float, side: float) -> Georeference:
    """Upright pixels; the middle of the raster is at these degrees."""
    (x,), (y,) = transform("EPSG:4326", crs, [longitude], [latitude])
    return Georeference(
        CRS.from_user_input(crs), Affine(side, 0, x - side * WIDTH / 2, 0, -side, y + side * HEIGHT / 2)
    )


def in_radar_geometry() -> Georeference:
    """An ascending pass; pixels three times as long as wide."""
    ground = Affine.translation(12, 42) @ Affine.rotation(-12) @ Affine.scale(0.00012, -0.00036)
    corners = [(row, column) for row in np.linspace(0, HEIGHT, 6) for column in np.linspace(0, WIDTH, 6)]
    points = tuple(GroundControlPoint(row, column, *(ground @ (column, row))) for row, column in corners)
    return Georeference(gcps=points, gcp_crs=CRS.from_epsg(4326))


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (placed("EPSG:32611", -117, 36, 10), 10.0),
        (placed("EPSG:32633", 15, 70, 10), 10.0),
        (placed("EPSG:3857", 10, 60, 10), 5.0),
        (placed("EPSG:3395", -118.2, 34, 10), 8.3),
        (TALL, 22_026),
        (placed("EPSG:3413", 10, 75, 40), 40.54),
    ],
)
def test_pixels_have_their_size_on_the_ground(tmp_path: Path, place: Georeference, expected: float) -> None:
    layer = layer_on(tmp_path, place, (700 if place is TALL else HEIGHT, WIDTH))
    assert layer.info.pixel_m == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize(
    "place", [placed("EPSG:32611", -117, 36, 10), placed("EPSG:3857", 10, 60, 10), in_radar_geometry()]
)
def test_the_scale_bar_is_as_long_as_it_says(
    tmp_path: Path, place: Georeference, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, texts = layer_on(tmp_path, place), []
    draw = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, *options: object, **more: object) -> None:
        texts.append(text)
        draw(self, xy, text, *options, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    shown = Image.open(io.BytesIO(saved.compared_png([layer, layer], [WHOLE, WHOLE], 1024, None))).convert("L")
    half = render.picture(layer, 1024, WHOLE).width
    foot = np.asarray(shown)[-saved._line_of_text(half)[1] :]
    middle = foot[len(foot) // 2]
    bar = np.flatnonzero(middle[-half:] == 255)
    runs = np.split(bar, np.flatnonzero(np.diff(bar) > 1) + 1)
    length = max(map(len, runs)) - 1
    west, south, east, north = layer.info.bounds  # type: ignore[misc]
    metres = (east - west) * 111_320 * np.cos(np.radians((south + north) / 2)) / half * length
    (said,) = (text.split() for text in texts if text.endswith("m"))
    assert metres == pytest.approx(float(said[0]) * {"m": 1, "km": 1000}[said[1]], rel=0.02)


ACROSS = [
    (placed("EPSG:32660", 180, -17, 10), 10.0),
    (placed("EPSG:32601", -179.99, 40, 10), 10.0),
    (placed("EPSG:3413", 180, 72, 40), 40.0),
]


@pytest.mark.parametrize(("place", "pixel"), ACROSS)
def test_projected_scenes_across_180_have_their_place_on_the_map(
    tmp_path: Path, place: Georeference, pixel: float
) -> None:
    layer = layer_on(tmp_path, place)
    info = layer.info
    assert (info.grid, info.crs) == ("map", f"EPSG:{place.crs.to_epsg()}")  # type: ignore[union-attr]
    assert info.pixel_m == pytest.approx(pixel, rel=0.03)
    west, _, east, _ = info.bounds  # type: ignore[misc]
    assert west < 180 < east < west + 3
    assert info.extent[0] < HALF_WORLD < info.extent[2]
    columns, rows = np.meshgrid(np.arange(20, WIDTH, 80), np.arange(20, HEIGHT, 60))
    xs, ys = place.transform @ (columns.ravel() + 0.5, rows.ravel() + 0.5)  # type: ignore[operator]
    longitudes, latitudes = transform(place.crs, "EPSG:4326", xs, ys)
    values = np.linspace(1, 250, WIDTH).astype(np.uint8)
    seen, zooms = set(), range(info.maxzoom - 2, info.maxzoom + 1)
    for column, longitude, latitude in zip(columns.ravel(), longitudes, latitudes, strict=True):
        reading = render.read_point(layer, longitude, latitude)
        assert reading is not None
        assert (reading.column, reading.values) == (column, (float(values[column]),))
        for z in zooms:
            side = 2 * HALF_WORLD / 2**z
            across = (
                longitude % 360 if longitude % 360 < 180 else longitude % 360 - 360
            ) / 180 * HALF_WORLD + HALF_WORLD
            down = HALF_WORLD * (1 - np.arcsinh(np.tan(np.radians(latitude))) / np.pi)
            key = (z, int(across / side), int(down / side))
            seen.add((z, key[1] > 0))
            tile = np.asarray(Image.open(io.BytesIO(render.tile_png(layer, *key, WHOLE))))
            shown = tile[int(down / side % 1 * 256), int(across / side % 1 * 256)].astype(int)
            assert shown[1] == 255
            assert abs(shown[0] - int(values[column])) <= 4
    assert seen == {(z, east) for z in zooms for east in (True, False)}
