"""The picture of several layers as they are shown: side by side, or cut where the dividers stand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from asking import ORDER, PLACE, layer_of, scene_named
from fastapi.testclient import TestClient
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform
from test_browser import address, browser, choose, drag_divider, visit  # noqa: F401  (fixtures)

from saropt.inference import NOTICE
from saropt.scenes import Georeference, write_array

TAGS = {"SAROPT_SOURCE": "flat.tif", "SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt"}
GREY, STRIP, GAP = 128, 25, 2


@pytest.fixture
def flat(folder: Path) -> Path:
    """SAR of 50 and 150 (few), a translation in grey."""
    sar = np.full((1, 400, 400), 50, np.uint8)
    sar[:, :4] = 150
    write_array(folder / "flat.tif", sar, band_names=["VH"], georeference=PLACE)
    guess = np.full((3, 400, 400), GREY, np.uint8)
    return write_array(folder / "guess.tif", guess, band_names=["B4", "B3", "B2"], georeference=PLACE, tags=TAGS)


def opened(content: bytes) -> tuple[np.ndarray, Any]:
    image = Image.open(io.BytesIO(content))
    return np.asarray(image.convert("RGB")).astype(int), image.info


def test_layers_side_by_side_and_cut(viewer: TestClient, flat: Path) -> None:
    viewer.post("/api/catalogue/scan", headers=ORDER)
    sar, guess = (layer_of(viewer, "flat.tif", kind) for kind in ("sar", "translation"))
    grey = {"bands": [1], "low": [0], "high": [200], "decibels": None, "least": None, "most": None}
    colour = {**grey, "bands": [1, 2, 3], "high": [255]}
    query: dict[str, Any] = {"other": [guess["id"]], "style": [json.dumps(grey), json.dumps(colour)]}
    path = f"/api/layers/{sar['id']}/beside"
    beside, info = opened(viewer.get(path, params=query).content)
    assert beside.shape == (400 + 2 * STRIP, 2 * 400 + GAP, 3)
    below = beside[STRIP + 20 : STRIP + 400]
    assert (below[:, :400] == round(50 / 200 * 255)).all()
    assert (below[:, 400 + GAP :] == GREY).all()
    assert beside[:STRIP, :400].max() > 200, "its name"
    assert beside[:STRIP, 400:].max() > 200, "its name"
    assert beside[STRIP + 400 :].max() > 200, "the notice"
    assert info["Notice"] == NOTICE

    cut, info = opened(viewer.get(path, params={**query, "cut": [0.25]}).content)
    assert cut.shape == (400 + 2 * STRIP, 400, 3)
    below = cut[STRIP + 20 : STRIP + 400]
    slant = 3  # of a meridian in this projection, and of the corners on the map
    assert (below[:, : 100 - GAP - slant] == round(50 / 200 * 255)).all()
    assert (below[:, 100 + slant :] == GREY).all()
    assert info["Notice"] == NOTICE

    gone, _ = opened(viewer.get(path, params={**query, "cut": [0]}).content)
    assert (gone[STRIP + 20 : STRIP + 400] == GREY).all()


PLACES = {
    "turned": Georeference(PLACE.crs, PLACE.transform @ Affine.rotation(30)),
    "upside-down": Georeference(PLACE.crs, PLACE.transform @ Affine.rotation(180)),
    "polar": Georeference(CRS.from_epsg(3413), from_origin(1_000_000, -1_600_000, 40, 40)),
    "across-180": Georeference(CRS.from_epsg(4326), from_origin(179.9, 10, 0.0005, 0.0005)),
}


@pytest.mark.parametrize("name", PLACES)
def test_pixels_lie_on_the_side_of_the_divider_where_the_map_has_them(
    viewer: TestClient, folder: Path, name: str
) -> None:
    """The divider is a line from north to south, which is slanted in the raster's own rows and columns."""
    place, side = PLACES[name], 400
    for file, value in ((f"{name}.tif", 50), (f"{name}_reference.tif", 150)):
        write_array(folder / file, np.full((1, side, side), value, np.uint8), band_names=["VH"], georeference=place)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    layers = scene_named(viewer, f"{name}.tif")["layers"]
    assert len(layers) == 2
    grey = json.dumps({"bands": [1], "low": [0], "high": [255], "decibels": None, "least": None, "most": None})
    query: dict[str, Any] = {"other": layers[1]["id"], "style": [grey, grey], "cut": 0.4}
    cut, _ = opened(viewer.get(f"/api/layers/{layers[0]['id']}/beside", params=query).content)
    shown = cut[STRIP : STRIP + side, :side, 0]

    columns, rows = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    assert place.transform is not None
    x, y = place.transform @ (columns.ravel(), rows.ravel())
    longitudes = np.array(transform(place.crs, "EPSG:4326", x, y)[0]).reshape(side, side) % 360
    west, _, east, _ = (edge / 20_037_508.342789244 * 180 for edge in layers[0]["extent"])
    share = (longitudes - west % 360) / (east - west)
    assert ((shown == 50) | (shown == 150))[np.abs(share - 0.4) > 0.02].mean() > 0.9, "but for names"
    for value, wrong in ((50, share > 0.42), (150, share < 0.38)):
        assert not (shown[wrong] == value).any()


def test_measurements_alone_carry_no_notice(viewer: TestClient) -> None:
    sar, truth = (layer_of(viewer, "here.tif", kind) for kind in ("sar", "optical"))
    styles = [json.dumps(viewer.get(f"/api/layers/{one['id']}").json()["style"]) for one in (sar, truth)]
    answer = viewer.get(f"/api/layers/{sar['id']}/beside", params={"other": truth["id"], "style": styles})
    assert "Notice" not in opened(answer.content)[1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"style": ["{}", "{}"]}, "a style is not as a layer's detail gives it"),
        ({"style": []}, "style: Field required"),
        ({"high": [1e40]}, "a style has bands from 1 on and finite limits"),
        ({"bands": [9]}, "one or three bands out of 1"),
        ({"bands": [1, 1]}, "one or three bands out of 1"),
        ({"cut": [0.2, 0.4]}, "one style for each layer; one cut for each other layer, from left to right"),
    ],
)
def test_what_does_not_fit_is_refused(viewer: TestClient, change: dict[str, Any], reason: str) -> None:
    sar, truth = (layer_of(viewer, "here.tif", kind) for kind in ("sar", "optical"))
    style = {"bands": [1], "low": [0], "high": [9], "decibels": None, "least": None, "most": None}
    changed = json.dumps({**style, **{key: value for key, value in change.items() if key in style}})
    query: dict[str, Any] = {"other": truth["id"], "style": [changed, json.dumps(style)]}
    query |= {key: value for key, value in change.items() if key not in style}
    answer = viewer.get(f"/api/layers/{sar['id']}/beside", params=query)
    assert (answer.status_code, answer.json()["detail"]) == (422, reason)
    plain = layer_of(viewer, "plain.png", "sar")["id"]
    answer = viewer.get(f"/api/layers/{sar['id']}/beside", params={"other": plain, "style": [json.dumps(style)] * 2})
    assert answer.json()["detail"] == "the layers lie on different grids"


def test_the_page_saves_what_it_shows(visit: Any, flat: Path) -> None:  # noqa: F811
    page = visit()
    page.click('[data-key="scan"]')
    page.locator('.scene[title="flat.tif"]', has_text="Translation").wait_for()
    choose(page, "flat.tif")
    save = page.get_by_label("Save these layers in one PNG")
    drag_divider(page, 0.5)
    with page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename == "comparison.png"
    half, info = opened(Path(download.value.path()).read_bytes())
    assert half.shape == (400 + 2 * STRIP, 400, 3)
    edge = int(np.argmax((half[STRIP + 200] == GREY).all(axis=1)))
    assert edge == pytest.approx(200, abs=4)
    assert info["Notice"] == NOTICE
    page.click('.tool[aria-pressed="false"]')
    with page.expect_download() as download:
        save.click()
    assert opened(Path(download.value.path()).read_bytes())[0].shape[1] == 2 * 400 + GAP


@pytest.mark.parametrize("shape", [(2000, 1), (4000, 20), (20, 4000)])
def test_scenes_of_few_columns_or_rows_are_saved_in_pictures_of_some_thousand_rows(
    viewer: TestClient, folder: Path, shape: tuple[int, int]
) -> None:
    write_array(folder / "flat.tif", np.full((1, *shape), 150, np.uint8), band_names=["VH"], georeference=PLACE)
    guess = np.full((3, *shape), GREY, np.uint8)
    write_array(folder / "guess.tif", guess, band_names=["B4", "B3", "B2"], georeference=PLACE, tags=TAGS)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    sar, guess_layer = (layer_of(viewer, "flat.tif", kind)["id"] for kind in ("sar", "translation"))
    style = {"bands": [1], "low": [0], "high": [255], "decibels": None, "least": None, "most": None}
    query: dict[str, Any] = {"other": [guess_layer], "style": [json.dumps(style)] * 2}
    for path, params in (
        (f"{sar}/beside", {**query, "side": 2048}),
        (f"{sar}/beside", {**query, "cut": [0.5]}),
        (f"{sar}/swipe/{guess_layer}", {"side": 1024}),
        (f"{guess_layer}/picture", {"side": 2048}),
    ):
        answer = viewer.get(f"/api/layers/{path}", params=params)
        assert answer.status_code == 200, path
        image, _ = opened(answer.content)
        assert image.shape[0] <= 4096 + 3 * STRIP, path
        if "cut" in params:
            assert image[image.shape[0] // 2].max() > 120, "the layers are in it"
            assert image[:STRIP, : image.shape[1] // 3].max() > 200, "the name of the left layer"
