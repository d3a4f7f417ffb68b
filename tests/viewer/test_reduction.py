"""What is shown of a raster with fewer pixels than it has: classes stay classes, and errors the size they have."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from asking import PLACE, Client, layer_of
from fastapi.testclient import TestClient
from PIL import Image
from test_far_tiles import HALF_WORLD, middle_tile

from saropt.evaluation.gallery import ERROR_TOP, heat
from saropt.scenes import write_array
from saropt.viewer import pyramids, render
from saropt.viewer.catalogue import Catalogue, Layer
from saropt.viewer.pyramids import Pyramids
from saropt.viewer.rasters import Limits
from saropt.viewer.styles import Style

BLOCKS = np.where(np.add.outer(np.arange(512) // 8, np.arange(512) // 8) % 2, 5, 1).astype(np.uint8)
"""Two numbers in squares of 8 pixels."""


def class_map(folder: Path, band: str = "map") -> Layer:
    return written(folder, band, tags={"SAROPT_SOURCE": "a.tif", "SAROPT_PRODUCT": "class"})


def palette_map(folder: Path, band: str = "map") -> Layer:
    """Red and green; all other entries of the palette are blue."""
    colours = dict.fromkeys(range(256), (0, 0, 255, 255)) | {1: (255, 0, 0, 255), 5: (0, 255, 0, 255)}
    return written(folder, band, colours)


def written(
    folder: Path, grid: str, colours: dict[int, Any] | None = None, tags: dict[str, str] | None = None
) -> Layer:
    """`BLOCKS` without overviews."""
    keys = {"driver": "GTiff", "height": 512, "width": 512, "count": 1, "dtype": "uint8"}
    keys |= {"crs": PLACE.crs, "transform": PLACE.transform} if grid == "map" else {}
    with rasterio.open(folder / "b.tif", "w", **keys, photometric="palette" if colours else None) as file:
        file.write(BLOCKS[None])
        file.update_tags(**tags or {})
        if colours:
            file.write_colormap(1, colours)
    return only_layer(folder)


def only_layer(folder: Path) -> Layer:
    catalogue = Catalogue(folder, Limits())
    catalogue.scan({}, [])
    (layer,) = catalogue.layers.values()
    return layer


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)


def test_a_class_map_shows_its_classes_alone_at_every_zoom(tmp_path: Path) -> None:
    layer = class_map(tmp_path)
    others = Style((1,), (0.0,), (5.0,), least=1.5, most=4.5)
    for z in range(layer.info.minzoom, layer.info.maxzoom + 2):
        place = middle_tile(layer, z)
        assert opened(render.tile_png(layer, z, *place, Style((1,), (0.0,), (5.0,))))[..., 3].any()
        assert not opened(render.tile_png(layer, z, *place, others))[..., 3].any(), z
    assert not np.asarray(render.picture(layer, 100, others))[..., 3].any()


def test_a_palette_shows_its_colours_alone_at_every_zoom(tmp_path: Path) -> None:
    natural = Style((1, 2, 3), (0.0,), (255.0,))
    for band in ("map", "pixels"):
        layer = palette_map(tmp_path, band)
        assert layer.info.grid == band
        for z in range(layer.info.minzoom, layer.info.maxzoom + 2):
            shown = opened(render.tile_png(layer, z, *(middle_tile(layer, z) if band == "map" else (0, 0)), natural))
            shown = shown[shown[..., 3] > 0]
            assert len(shown)
            assert not shown[:, 2].any(), z


@pytest.mark.parametrize("make", [class_map, palette_map])
def test_overviews_hold_the_numbers_of_the_raster_alone(
    make: Callable[[Path], Layer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyramids, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(pyramids, "_COARSEST", 16)
    (tmp_path / "scenes").mkdir()
    layer = make(tmp_path / "scenes")
    made = Pyramids(tmp_path / "made", lambda: None)
    made.want(layer.id, layer.path, layer.info)
    made.stop()
    made.start()
    made._maker.join(30)
    with pyramids.open_for_display(layer.path, made.file(layer.id, layer.info)) as dataset:
        assert dataset.overviews(1)[-1] == 32
        assert set(np.unique(dataset.read(1, out_shape=(16, 16)))) <= {1, 5}


SIDE = 1024
HEAT = heat(np.linspace(0, ERROR_TOP, 512, dtype=np.float32)[None])[0].astype(int)
STYLE = {"band": 1, "low": 0, "high": ERROR_TOP}


@pytest.fixture(params=["map", "pixels"])
def smooth(request: pytest.FixtureRequest, folder: Path) -> tuple[str, np.ndarray]:
    """A translation in grey of a truth with much detail, which lacks a part; the true errors, NaN there."""
    rng, grey = np.random.default_rng(0), np.full((3, SIDE, SIDE), 128, np.uint8)
    truth = rng.integers(48, 209, (3, SIDE, SIDE)).astype(np.uint8)
    truth[:, :300] = 0
    place = {"georeference": PLACE} if request.param == "map" else {}
    names = {"band_names": ["B4", "B3", "B2"], **place}
    tags = {"SAROPT_SOURCE": "c.tif", "SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt"}
    write_array(folder / "c.tif", rng.integers(1, 255, (1, SIDE, SIDE)).astype(np.uint8), band_names=["VH"], **place)
    write_array(folder / "c_optical.tif", truth, nodata=0, **names)
    write_array(folder / "c_guess.tif", grey, tags=tags, **names)
    errors = np.abs(truth.astype(float) - grey).mean(axis=0) / 255
    errors[:300] = np.nan
    return request.param, errors


def shown_errors(png: bytes) -> np.ndarray:
    pixels = opened(png)
    shown = pixels[pixels[..., 3] > 0][:, :3]
    shown = shown[:: max(1, len(shown) // 3000)]
    places = ((shown[:, None] - HEAT) ** 2).sum(axis=-1).argmin(axis=1)
    return np.asarray(places / 511 * ERROR_TOP)


def check_means(viewer: TestClient, errors: np.ndarray, close: float) -> None:
    """The mean error is that of the pixels in all zooms, pictures and figures."""
    layer, mean = layer_of(viewer, "c.tif", "error"), np.nanmean(errors)
    path = f"/api/layers/{layer['id']}"
    left, bottom, right, top = layer["extent"]
    for z in range(layer["minzoom"], layer["maxzoom"] + 1):
        side = 2 * HALF_WORLD / 2**z
        x, y = (left + right) / 2 + HALF_WORLD, HALF_WORLD - (0.3 * top + 0.7 * bottom)
        place = (int(x / side), int(y / side)) if layer["grid"] == "map" else (0, (2**z - 1) * 3 // 4)
        shown = shown_errors(viewer.get(f"{path}/tiles/{z}/{place[0]}/{place[1]}", params=STYLE).content)
        assert shown.mean() == pytest.approx(mean, rel=close), z
    small = viewer.get(f"{path}/thumbnail")
    assert shown_errors(small.content).mean() == pytest.approx(mean, rel=close)
    detail = viewer.get(path).json()
    percentiles = dict(zip(detail["levels"], detail["percentiles"][0], strict=True))
    for level in (5, 50, 95):
        assert percentiles[level] == pytest.approx(np.nanpercentile(errors, level), rel=0.02)


def test_an_error_layer_shows_the_mean_of_the_errors_at_every_zoom(
    client: Client, smooth: tuple[str, np.ndarray]
) -> None:
    check_means(client(), smooth[1], 0.02)


def test_errors_of_large_rasters_are_samples_until_their_reduced_copy_is_made(
    client: Client, smooth: tuple[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyramids, "LARGE_PIXELS", 1000)
    orders: list[Any] = []
    monkeypatch.setattr(Pyramids, "_later", lambda self, *order: orders.append(order), raising=False)
    viewer = client()
    check_means(viewer, smooth[1], 0.1)
    layer = layer_of(viewer, "c.tif", "error")
    tile = f"/api/layers/{layer['id']}/tiles/{layer['minzoom']}/0/0?v={layer['version']}"
    assert "immutable" not in viewer.get(tile).headers.get("cache-control", "")
    (make,) = (make for made, make in orders if made.suffix == ".tif")
    make()
    check_means(viewer, smooth[1], 0.02)
    assert "immutable" in viewer.get(tile).headers["cache-control"]
