"""Pixels of tiles, readings and pictures against the rasters themselves."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asking import PLACE
from PIL import Image
from rasterio.warp import transform

from saropt.inference import NOTICE
from saropt.scenes import Scene, write_array
from saropt.viewer import render, saved
from saropt.viewer.catalogue import Catalogue, Layer
from saropt.viewer.rasters import Limits, inspect
from saropt.viewer.statistics import BINS, Statistics
from saropt.viewer.styles import PERCENTILES, Style, default_style, in_db

GUESS = {"SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt", "SAROPT_SOURCE": "here.tif"}
WHOLE = Style((1,), (0.0,), (255.0,))


@pytest.fixture
def layers(folder: Path, simulated: tuple[np.ndarray, np.ndarray]) -> dict[str, Layer]:
    """Layers by name; guess.tif is the optical reference with its bands turned round and 51 added to red."""
    optical = simulated[1][::-1].astype(np.int64)
    optical[2] += 51
    guess = np.clip(optical, 1, 255).astype(np.uint8)
    write_array(folder / "guess.tif", guess, band_names=["B2", "B3", "B4"], georeference=PLACE, tags=GUESS)
    catalogue = Catalogue(folder, Limits())
    catalogue.scan({}, [])
    return {layer.name: layer for layer in catalogue.layers.values()}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def stored(layer: Layer) -> np.ndarray:
    with Scene.open(layer.path) as scene:
        return scene.read()[0]


def test_tiles_in_pixels_are_the_file(layers: dict[str, Layer]) -> None:
    layer = layers["plain.png"]
    assert layer.info.maxzoom == 0
    tile = pixels(render.tile_png(layer, 0, 0, 0, WHOLE))
    assert np.array_equal(tile[:160, :224, 0], stored(layer)[0])
    assert (tile[:160, :224, 1] == 255).all()
    assert not tile[160:, :, 1].any()
    assert not tile[:, 224:, 1].any()
    assert not pixels(render.tile_png(layer, 0, 5, 5, WHOLE)).any()


def test_tiles_on_the_map_show_the_right_place(layers: dict[str, Layer]) -> None:
    """Far above full resolution a tile's middle pixel is the raster's pixel at that place."""
    layer, zoom = layers["here.tif"], 18
    values = stored(layer)[0]
    for column, row in ((3, 5), (100, 80), (220, 157)):
        east, north = 380_000 + 10 * (column + 0.5), 3_780_000 - 10 * (row + 0.5)
        (longitude,), (latitude,) = transform("EPSG:32611", "EPSG:4326", [east], [north])
        across = (longitude + 180) / 360 * 2**zoom
        down = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2 * 2**zoom
        tile = pixels(render.tile_png(layer, zoom, int(across), int(down), WHOLE))
        assert tile[int(down % 1 * 256), int(across % 1 * 256), 0] == values[row, column]
        reading = render.read_point(layer, longitude, latitude)
        assert reading is not None
        assert (reading.column, reading.row, reading.values) == (column, row, (float(values[row, column]),))
        assert reading.x == pytest.approx(east, abs=0.01)


def test_points_outside_and_invalid(layers: dict[str, Layer]) -> None:
    assert render.read_point(layers["here.tif"], 0.0, 0.0) is None
    assert render.read_point(layers["here.tif"], 500.0, 95.0) is None
    assert render.read_point(layers["plain.png"], 224.0, 0.0) is None
    assert render.read_point(layers["plain.png"], -0.5, 0.0) is None
    reading = render.read_point(layers["plain.png"], 223.9, 159.2)
    assert reading is not None
    assert (reading.column, reading.row) == (223, 159)
    (longitude,), (latitude,) = transform("EPSG:32611", "EPSG:4326", [380_025], [3_779_005])
    edge = render.read_point(layers["root/sar/a.tif"], longitude, latitude)
    assert edge is not None
    assert edge.values == (None,)


def test_error_is_the_mean_absolute_difference(layers: dict[str, Layer]) -> None:
    guess = stored(layers["guess.tif"])[::-1].astype(float)
    truth = stored(layers["here_optical.tif"]).astype(float)
    expected = np.zeros(guess.shape[1:])
    for row in range(guess.shape[1]):
        for column in range(guess.shape[2]):
            expected[row, column] = sum(
                abs(float(guess[b, row, column]) - float(truth[b, row, column])) for b in range(3)
            )
    expected /= 3 * 255
    error = layers["|guess.tif - here_optical.tif|"]
    (east,), (north,) = transform("EPSG:32611", "EPSG:4326", [380_000 + 1005], [3_780_000 - 705])
    reading = render.read_point(error, east, north)
    assert reading is not None
    assert reading.values[0] == pytest.approx(expected[70, 100], abs=1e-6)
    percentiles = Statistics()(error)
    assert percentiles[0, -1] == pytest.approx(expected.max(), abs=1e-6)
    assert percentiles[0, PERCENTILES.index(50.0)] == pytest.approx(np.median(expected), abs=1e-6)


def test_statistics_and_default_styles(layers: dict[str, Layer]) -> None:
    statistics = Statistics()
    layer = layers["root/sar/a.tif"]
    valid = stored(layer)[0, :, 8:].astype(np.float64)
    expected = np.percentile(valid, PERCENTILES)
    assert np.allclose(statistics(layer)[0], expected, atol=1e-4)
    style = default_style(layer, statistics(layer))
    assert style.decibels is None
    assert (style.low[0], style.high[0]) == pytest.approx((expected[3], expected[9]), abs=1e-4)
    for name, bands in (("here_optical.tif", (1, 2, 3)), ("guess.tif", (3, 2, 1))):
        assert default_style(layers[name], statistics(layers[name])) == Style(bands, (0.0,), (255.0,))


def test_histograms(layers: dict[str, Layer]) -> None:
    """Counts of a band, of the valid pixels alone; nothing of the sample is lost."""
    layer, statistics = layers["root/sar/a.tif"], Statistics()
    valid = stored(layer)[0, :, 8:].astype(np.float64)
    found = statistics.histogram(layer, 1, None)
    start, end = np.percentile(valid, (0.5, 99.5))
    assert found.low == pytest.approx(max(valid.min(), start - (end - start) / 10), abs=1e-4)
    assert found.high == pytest.approx(min(valid.max(), end + (end - start) / 10), abs=1e-4)
    counts, _ = np.histogram(valid, BINS, (found.low, found.high))
    assert np.abs(np.cumsum(found.counts) - np.cumsum(counts)).max() <= 2  # float32 at the edges of the parts
    assert found.below + sum(found.counts) + found.above == valid.size
    assert found.above == (valid > found.high).sum()

    amplitude = statistics.histogram(layers["here.tif"], 1, "amplitude")
    logarithm = in_db(stored(layers["here.tif"])[0], "amplitude")
    assert amplitude.high <= logarithm.max()
    edges = np.linspace(amplitude.low, amplitude.high, BINS + 1)
    assert amplitude.counts[-5] == ((logarithm >= edges[-6]) & (logarithm < edges[-5])).sum()


def test_thresholds_hide_pixels(layers: dict[str, Layer]) -> None:
    layer = layers["plain.png"]
    values = stored(layer)[0]
    shown = pixels(render.tile_png(layer, 0, 0, 0, replace(WHOLE, least=60.0, most=90.0)))[:160, :224, 1] > 0
    assert 0 < shown.sum() < shown.size
    assert np.array_equal(shown, (values >= 60) & (values <= 90))


def test_decibels(tmp_path: Path) -> None:
    amplitude = np.linspace(0.05, 1.0, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    (tmp_path / "sar").mkdir()
    (tmp_path / "optical").mkdir()
    write_array(tmp_path / "sar" / "a.tif", amplitude, band_names=["VV"])
    (tmp_path / "dataset.yaml").write_text("sar: {units: amplitude}\n")
    catalogue = Catalogue(tmp_path, Limits())
    catalogue.scan({}, [])
    (layer,) = catalogue.layers.values()
    style = default_style(layer, Statistics()(layer))
    assert style.decibels == "amplitude"
    assert style.low[0] == pytest.approx(20 * math.log10(np.percentile(amplitude, 2)), abs=1e-3)
    shown = pixels(render.tile_png(layer, 0, 0, 0, Style((1,), (-20.0,), (0.0,), "amplitude")))[:64, :64, 0]
    assert np.abs(shown - np.clip(20 * np.log10(amplitude[0]) + 20, 0, 20) / 20 * 255).max() <= 0.51


def test_palette_and_alpha(tmp_path: Path) -> None:
    picture = Image.fromarray(np.tile(np.array([0, 1], np.uint8), (40, 20)), "P")
    picture.putpalette([200, 10, 20, 30, 40, 250])
    picture.save(tmp_path / "palette.png")
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[..., 0], rgba[:20, :, 3] = 90, 255
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    catalogue = Catalogue(tmp_path, Limits())
    catalogue.scan({}, [])
    layers = {layer.name: layer for layer in catalogue.layers.values()}
    colour = Style((1, 2, 3), (0.0,), (255.0,))
    tile = pixels(render.tile_png(layers["palette.png"], 0, 0, 0, colour))
    assert tile[3, 4].tolist() == [200, 10, 20, 255]
    assert tile[3, 5].tolist() == [30, 40, 250, 255]
    assert render.read_point(layers["palette.png"], 5.5, 3.5).values == (30, 40, 250)  # type: ignore[union-attr]
    tile = pixels(render.tile_png(layers["alpha.png"], 0, 0, 0, colour))
    assert tile[5, 5].tolist() == [90, 0, 0, 255]
    assert tile[30, 5, 3] == 0


def test_exported_pictures_carry_the_notice_in_their_pixels(layers: dict[str, Layer]) -> None:
    natural, turned = (Style(bands, (0.0,), (255.0,)) for bands in ((1, 2, 3), (3, 2, 1)))
    plain = Image.open(io.BytesIO(saved.exported_png(layers["here_optical.tif"], 512, natural)))
    assert plain.size == (224, 160)
    assert "Notice" not in plain.info
    guess = Image.open(io.BytesIO(saved.exported_png(layers["guess.tif"], 512, turned)))
    assert guess.info["Notice"] == NOTICE
    assert guess.width == 448
    strip = np.asarray(guess.convert("L"))[320:]
    assert len(strip) >= 20
    assert strip.min() < 40
    assert strip.max() > 240
    assert np.array_equal(
        np.asarray(guess.convert("RGB"))[:320:2, ::2].transpose(2, 0, 1), stored(layers["guess.tif"])[::-1]
    )


def test_large_rasters_get_overviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rasterio

    from saropt.viewer import pyramids

    monkeypatch.setattr(pyramids, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(pyramids, "_COARSEST", 64)
    values = np.random.default_rng(0).integers(1, 255, (1, 300, 400), dtype=np.uint8)
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=400, height=300, count=1, dtype="uint8", nodata=0
    ) as dataset:
        dataset.write(values)
    info = inspect(tmp_path / "a.tif", Limits())
    ready: list[int] = []
    made = pyramids.Pyramids(tmp_path / "made", lambda: ready.append(1))
    made.want("0a", tmp_path / "a.tif", info)
    made.want("0a", tmp_path / "a.tif", info)
    made.stop()
    made.start()
    made._maker.join(30)
    assert ready == [1]
    path = made.file("0a", info)
    assert path is not None
    with pyramids.open_for_display(tmp_path / "a.tif", path) as dataset:
        assert dataset.overviews(1) == [2, 4, 8]
        assert np.array_equal(dataset.read(), values)
        mean = values[0].reshape(150, 2, 200, 2).mean(axis=(1, 3))
        assert np.abs(dataset.read(1, out_shape=(150, 200)) - mean).max() <= 0.5
    made.keep(set())
    assert made.file("0a", info) is None


def test_a_reading_has_every_band_that_is_valid_and_whole_numbers_as_they_are(tmp_path: Path) -> None:
    radar = np.full((2, 40, 40), -9, np.float32)
    radar[1] = -9999
    write_array(tmp_path / "radar.tif", radar, band_names=["VV", "VH"], nodata=-9999, georeference=PLACE)
    water = np.full((4, 40, 40), 300, np.uint16)
    water[3] = 0
    write_array(tmp_path / "water.tif", water, band_names=["B4", "B3", "B2", "B8"], nodata=0)
    write_array(tmp_path / "ids.tif", np.full((1, 40, 40), 123_456_789, np.int32))
    catalogue = Catalogue(tmp_path, Limits())
    catalogue.scan({}, [])
    layers = {layer.name: layer for layer in catalogue.layers.values()}
    (east,), (north,) = transform("EPSG:32611", "EPSG:4326", [380_105], [3_779_895])
    for name, place, expected in (
        ("radar.tif", (east, north), (-9, None)),
        ("water.tif", (5, 5), (300, 300, 300, None)),
        ("ids.tif", (5, 5), (123_456_789,)),
    ):
        reading = render.read_point(layers[name], *place)
        assert reading is not None
        assert reading.values == expected
