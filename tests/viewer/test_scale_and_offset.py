"""Rasters that state a scale and an offset: pictures, figures and pixels are of number * scale + offset."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from asking import PLACE, layer_of, scene_named
from fastapi.testclient import TestClient
from PIL import Image

from saropt.scenes import write_array
from saropt.viewer import pyramids, render
from saropt.viewer.blind import Study, crops
from saropt.viewer.catalogue import Catalogue, Layer
from saropt.viewer.pyramids import Pyramids
from saropt.viewer.rasters import Limits
from saropt.viewer.statistics import Statistics
from saropt.viewer.styles import default_style, unit_texts

FORMS = {"int16": (0.01, 0.0, -32768), "uint8": (0.2, -40.0, 0)}
STEP = {"int16": 1, "uint8": 8}
"""How far grey values may differ because the numbers are rounded."""


def scaled(path: Path, values: np.ndarray, dtype: str, tags: dict[str, str] | None = None, **how: object) -> Path:
    """The numbers, stored in this type with its scale, offset and nodata value."""
    scale, offset, nodata = FORMS[dtype]
    stored = np.where(np.isnan(values), nodata, np.rint((values - offset) / scale)).astype(dtype)
    return stating(write_array(path, stored, nodata=nodata, tags=tags or {}, **how), scale, offset)  # type: ignore[arg-type]


def stating(path: Path, scale: float, offset: float) -> Path:
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.scales, dataset.offsets = (scale,) * dataset.count, (offset,) * dataset.count
    return path


def decibels(side: int = 96) -> np.ndarray:
    values = np.random.default_rng(0).normal(-12, 3, (2, side, side)).clip(-35, 5).astype(np.float32)
    values[:, :5] = np.nan
    return values


def layers_of(folder: Path) -> dict[str, Layer]:
    catalogue = Catalogue(folder, Limits())
    catalogue.scan({}, [])
    return {layer.name: layer for layer in catalogue.layers.values()}


def pixels(picture: bytes | Image.Image) -> np.ndarray:
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
    return np.asarray(image.convert("RGBA")).astype(int)


def tile(layer: Layer, zooms_out: int) -> Callable[[Layer], bytes]:
    """The tile over the middle of a raster, some zooms below full resolution."""
    west, south, east, north = layer.info.extent
    zoom = layer.info.maxzoom - zooms_out
    side = 2 * 20_037_508.342789244 / 2**zoom
    x, y = ((west + east) / 2 + side * 2 ** (zoom - 1)) // side, (side * 2 ** (zoom - 1) - (south + north) / 2) // side
    return lambda one: render.tile_png(one, zoom, int(x), int(y), default_style(one, Statistics()(one)))


@pytest.mark.parametrize("dtype", FORMS)
def test_everything_shown_is_of_the_scaled_numbers(tmp_path: Path, dtype: str) -> None:
    tags, names = {"CALIBRATED_TO": "sigma0_db"}, ["VV", "VH"]
    plain = write_array(
        tmp_path / "plain.tif", decibels(), band_names=names, georeference=PLACE, nodata=float("nan"), tags=tags
    )
    scaled(tmp_path / "scaled.tif", decibels(), dtype, tags, band_names=names, georeference=PLACE)
    layers = layers_of(tmp_path)
    one, true = layers["scaled.tif"], layers[plain.name]
    statistics, scale = Statistics(), FORMS[dtype][0]
    assert statistics(one) == pytest.approx(statistics(true), abs=scale)
    assert statistics.fitting_units(one) == statistics.fitting_units(true)
    assert statistics.histogram(one, 1, None).low == pytest.approx(statistics.histogram(true, 1, None).low, abs=scale)
    assert unit_texts(one) == ["dB", "dB"]
    west, south, east, north = true.info.bounds or ()
    place = (west + east) / 2, (south + north) / 2
    found, wanted = render.read_point(one, *place), render.read_point(true, *place)
    assert found is not None
    assert wanted is not None
    assert found.values == pytest.approx(wanted.values, abs=scale)
    shown = [
        tile(true, 0),
        tile(true, 5),
        lambda layer: render.thumbnail_png(layer, default_style(layer, statistics(layer))),
        lambda layer: render.picture(layer, 96, default_style(layer, statistics(layer))),
    ]
    for picture in shown:
        ours, theirs = pixels(picture(one)), pixels(picture(true))
        assert theirs[..., 3].any()
        assert np.array_equal(ours[..., 3], theirs[..., 3])
        seen = theirs[..., 3] > 0
        assert np.abs(ours - theirs)[seen].max() <= STEP[dtype]


def test_a_limit_that_a_user_states_is_of_the_scaled_numbers(tmp_path: Path) -> None:
    scaled(tmp_path / "scaled.tif", decibels(), "int16", georeference=PLACE)
    (layer,) = layers_of(tmp_path).values()
    style = replace(default_style(layer, Statistics()(layer)), least=-12.0)
    shown = pixels(render.picture(layer, 96, style))[5:, :, 3] > 0
    assert np.array_equal(shown, np.rint(decibels()[0, 5:] / 0.01) * 0.01 >= np.float32(-12.0))


def test_a_copy_made_for_display_is_scaled_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramids, "LARGE_PIXELS", 1)
    (tmp_path / "scenes").mkdir()
    path = scaled(tmp_path / "scenes" / "a.tif", decibels(1200), "int16")
    (layer,) = layers_of(tmp_path / "scenes").values()
    kept = Pyramids(tmp_path / "kept", lambda: None)
    copy = kept.folder / "a.vrt"
    pyramids._make(path, copy, layer.info)
    style = default_style(layer, Statistics()(layer))
    ours, theirs = (pixels(render.picture(one, 1200, style)) for one in (replace(layer, display=copy), layer))
    assert np.array_equal(ours, theirs)
    assert theirs[..., 0].std() > 50


def test_8_bit_reflectance_with_a_scale_is_no_picture(viewer: TestClient, folder: Path) -> None:
    """It is stretched as other numbers are, and has no error layer of 8 bits."""
    values = np.random.default_rng(0).integers(1, 100, (3, 64, 64), dtype=np.uint8)
    bands = {"band_names": ["B4", "B3", "B2"], "georeference": PLACE}
    tags = {"SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt", "SAROPT_SOURCE": "s.tif"}
    write_array(folder / "s.tif", values[:1], band_names=["VV"], georeference=PLACE)
    write_array(folder / "t.tif", values, tags=tags, **bands)  # type: ignore[arg-type]
    optical = write_array(folder / "s_optical.tif", values, tags={"UNITS": "reflectance x 10000"}, **bands)  # type: ignore[arg-type]
    stating(optical, 0.004, -0.02)
    viewer.post("/api/catalogue/scan", headers={"X-Saropt": "1"})
    assert [layer["kind"] for layer in scene_named(viewer, "s.tif")["layers"]] == ["sar", "optical", "translation"]
    layer = layer_of(viewer, "s.tif", "optical")
    assert layer["band_units"] == ["reflectance"] * 3
    style = viewer.get(f"/api/layers/{layer['id']}").json()["style"]
    assert max(style["high"]) < 0.4


@pytest.mark.parametrize("kind", ["palette", "class"])
def test_palettes_and_classes_stay_as_stored(tmp_path: Path, kind: str) -> None:
    values = np.tile(np.arange(1, 5, dtype=np.uint8), (1, 32, 8))
    tags = {"SAROPT_PRODUCT": "class"} if kind == "class" else {}
    for name in ("plain.tif", "scaled.tif"):
        with rasterio.open(tmp_path / name, "w", "GTiff", 32, 32, 1, dtype="uint8") as dataset:
            dataset.write(values)
            dataset.update_tags(**tags)
            if kind == "palette":
                dataset.write_colormap(1, {index: (40 * index, 9, 200, 255) for index in range(5)})
            if name == "scaled.tif":
                dataset.scales, dataset.offsets = (0.01,), (-3.0,)
    layers, statistics = layers_of(tmp_path), Statistics()
    one, true = layers["scaled.tif"], layers["plain.tif"]
    assert np.array_equal(statistics(one), statistics(true))
    assert render.read_point(one, 3, 3) == render.read_point(true, 3, 3)
    style = default_style(one, statistics(one))
    assert np.array_equal(pixels(render.picture(one, 32, style)), pixels(render.picture(true, 32, style)))


def test_blind_studies_compare_scaled_numbers(tmp_path: Path) -> None:
    """A translation in decibels against a truth that stores decibels times 100."""
    for name in ("truth", "guess"):
        (tmp_path / name).mkdir()
    scaled(tmp_path / "truth" / "a.tif", decibels()[:1], "int16")
    write_array(tmp_path / "guess" / "a.tif", decibels()[:1], nodata=float("nan"))
    (tmp_path / "study.yaml").write_text(
        '{name: s, side: 32, trials: 2, truth: truth, translations: {m: guess}, question: "Which?"}'
    )
    study = Study(tmp_path / "study.yaml", tmp_path)
    truth, guess = crops(study.trials[0], 32)
    assert np.abs(truth.astype(int) - guess).max() <= 1
