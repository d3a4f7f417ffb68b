"""What is shown of a raster with fewer pixels than it has: classes stay classes, and errors the size they have."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from asking import ORDER, PLACE, Client, layer_of
from fastapi.testclient import TestClient
from PIL import Image
from rasterio.enums import Resampling
from test_far_tiles import middle_tile

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
    colours = {entry: (0, 0, 255, 255) for entry in range(256)} | {1: (255, 0, 0, 255), 5: (0, 255, 0, 255)}
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
