"""The base map: places that an atlas knows lie where they are, in the file and on the page."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform
from test_browser import address, browser, choose, settle, visit  # noqa: F401  (fixtures)

from saropt.scenes import Georeference, write_array

CAPE_OF_GOOD_HOPE = (18.474, -34.357)
SKAGEN = (10.600, 57.740)
POINT_CONCEPTION = (-120.472, 34.449)
WHERE_ITALY_AUSTRIA_AND_SWITZERLAND_MEET = (10.470, 46.855)
PADDING = 8


def points(lines: list[list[int]]) -> Iterator[tuple[float, float]]:
    for steps in lines:
        yield from (tuple(point) for point in np.cumsum(np.reshape(steps, (-1, 2)), axis=0) / 1000)  # type: ignore[misc]


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    across = (one[0] - other[0]) * math.cos(math.radians(one[1]))
    return 111.2 * math.hypot(across, one[1] - other[1])


def test_capes_borders_and_cities_are_where_they_are(viewer: TestClient) -> None:
    base = viewer.get("/api/base-map").json()
    for cape in (CAPE_OF_GOOD_HOPE, SKAGEN, POINT_CONCEPTION):
        assert min(kilometres(cape, point) for point in points(base["coasts"])) < 3
    meeting = WHERE_ITALY_AUSTRIA_AND_SWITZERLAND_MEET
    assert min(kilometres(meeting, point) for point in points(base["borders"])) < 3
    cities = {name: (x, y) for name, x, y in base["places"]}
    assert kilometres(cities["São Paulo"], (-46.634, -23.550)) < 5
    assert kilometres(cities["Paris"], (2.349, 48.857)) < 5
    assert kilometres(cities["Paarl"], (18.96, -33.73)) < 5
    assert len(base["places"]) == 7342
    assert list(cities).index("Paris") < list(cities).index("Vaduz")
    for lines in (base["coasts"], base["borders"]):
        jumps = [abs(np.diff(np.array(list(points([line])))[:, 0])).max() for line in lines]
        assert max(jumps) < 180, "a line across the map"


@pytest.fixture
def cape(folder: Path) -> Path:
    """A UTM scene of 40 km around the cape, valid in one corner alone, so that the base is seen."""
    (x,), (y,) = transform("EPSG:4326", "EPSG:32734", *([value] for value in CAPE_OF_GOOD_HOPE))
    pixels = np.zeros((1, 400, 400), np.uint8)
    pixels[:, :9, :9] = np.arange(1, 82, dtype=np.uint8).reshape(9, 9)
    place = Georeference(CRS.from_epsg(32734), from_origin(x - 20_000, y + 20_000, 100, 100))
    return write_array(folder / "cape.tif", pixels, band_names=["VH"], georeference=place, nodata=0)


def drawn_at(page: Any, layer: dict[str, Any], place: tuple[float, float], kilometres_around: float) -> bool:
    """Whether a line of the base is drawn near a place, on the map as it is when the whole scene is shown."""
    shot = np.asarray(Image.open(io.BytesIO(page.locator(".map").screenshot())).convert("RGB")).astype(int)
    height, width = shot.shape[:2]
    left, bottom, right, top = layer["extent"]
    metres = max((right - left) / (width - 2 * PADDING), (top - bottom) / (height - 2 * PADDING))
    (x,), (y,) = transform("EPSG:4326", "EPSG:3857", *([value] for value in place))
    column = width / 2 + (x - (left + right) / 2) / metres
    row = height / 2 - (y - (bottom + top) / 2) / metres
    around = kilometres_around * 1000 / math.cos(math.radians(place[1])) / metres
    rows, columns = np.indices(shot.shape[:2])
    near = np.hypot(rows - row, columns - column) <= around
    background = np.median(shot.reshape(-1, 3), axis=0)
    return bool((np.abs(shot[near] - background).max(axis=1) > 20).any())


def test_the_coast_is_drawn_at_its_pixels(visit: Any, cape: Path) -> None:  # noqa: F811
    page = visit()
    page.click('[data-key="scan"]')
    page.wait_for_selector('.scene[title="cape.tif"]')
    choose(page, "cape.tif")
    page.wait_for_selector('[aria-label^="Coasts"][aria-pressed="true"]')
    settle(page)
    catalogue = page.evaluate("fetch('api/catalogue').then((answer) => answer.json())")
    layer = next(scene for scene in catalogue["scenes"] if scene["name"] == "cape.tif")["layers"][0]
    base = page.evaluate("fetch('api/base-map').then((answer) => answer.json())")
    vertex = min(points(base["coasts"]), key=lambda point: kilometres(point, CAPE_OF_GOOD_HOPE))
    at_sea = (18.35, -34.42)
    assert drawn_at(page, layer, CAPE_OF_GOOD_HOPE, 3)
    assert drawn_at(page, layer, vertex, 0.2)
    assert not drawn_at(page, layer, at_sea, 5)
    page.get_by_label("Coasts, borders and places").click()
    settle(page)
    assert not drawn_at(page, layer, vertex, 3)
    page.reload()
    page.wait_for_selector(".sidebar:not([inert])")
    settle(page)
    assert page.get_by_label("Coasts, borders and places").get_attribute("aria-pressed") == "false"
    assert not drawn_at(page, layer, vertex, 3)


def test_more_places_are_named_the_nearer_one_comes(visit: Any, cape: Path) -> None:  # noqa: F811
    """Cape Town also from afar; Bredasdorp, which is less important, only from near."""
    page = visit()
    page.add_init_script(
        "const fill = CanvasRenderingContext2D.prototype.fillText; window.named = [];"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...rest)"
        " { window.named.push(text); return fill.call(this, text, ...rest); };"
    )
    page.reload()
    page.wait_for_selector(".sidebar:not([inert])")
    page.click('[data-key="scan"]')
    page.wait_for_selector('.scene[title="cape.tif"]')
    choose(page, "cape.tif")
    named = []
    for _ in range(8):
        page.evaluate("window.named = []")
        page.get_by_label("Zoom out").click()
        page.wait_for_timeout(400)
        settle(page)
        named.append(set(page.evaluate("window.named")))
    assert "Bredasdorp" in named[2]
    assert "Cape Town" in named[2] & named[-1]
    assert "Bredasdorp" not in named[-1]


def test_a_scene_without_a_place_has_no_base(visit: Any) -> None:  # noqa: F811
    page = visit()
    choose(page, "plain.png")
    assert not page.get_by_label("Coasts, borders and places").is_visible()
    assert page.locator(".base").count() == 0
