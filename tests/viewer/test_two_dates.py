"""Images of two dates that a person brings along: each is sent, gets its part, and reaches the translator."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import ORDER, PLACE, layer_of, order_job, wait_for
from fastapi.testclient import TestClient
from rasterio.transform import from_origin
from test_browser import LONG_MS, address, browser, sync_api, visit  # noqa: F401  (fixtures)

from reference_files import BANDS, reference_translator
from saropt.scenes import Georeference, Scene, write_array


@pytest.fixture
def brought(tmp_path: Path, folder: Path) -> dict[str, Path]:
    """A translator that copies the earlier image, in the folder; SAR of two dates and an earlier image, elsewhere."""
    reference_translator(folder, fresh=True).rename(folder / "flood.onnx")
    rng = np.random.default_rng(0)
    files = {}
    for name, date in (("radar_a", "2026-03-01"), ("radar_b", "2026-05-01")):
        pixels = rng.uniform(-20, -5, (1, 96, 96)).astype(np.float32)
        tags = {"ACQUISITION_DATE": date}
        files[name] = write_array(tmp_path / f"{name}.tif", pixels, band_names=["VH"], georeference=PLACE, tags=tags)
    old = rng.integers(20, 200, (3, 96, 96)).astype(np.uint8)
    tags = {"ACQUISITION_DATE": "2026-02-20"}
    files["image"] = write_array(tmp_path / "image.tif", old, band_names=BANDS, georeference=PLACE, tags=tags)
    return files


def is_copy(made: Path, of: Path) -> bool:
    with Scene.open(made) as one, Scene.open(of) as other:
        return bool(np.array_equal(one.read()[0], other.read()[0]))


def test_uploads_are_references_of_a_job(viewer: TestClient, brought: dict[str, Path], folder: Path) -> None:
    layers = {}
    for name, path in brought.items():
        answer = viewer.post(f"/api/scenes?name={path.name}", content=path.read_bytes(), headers=ORDER)
        layers[name] = answer.json()["layers"][0]
    assert [layers[name]["acquired"] for name in brought] == ["2026-03-01", "2026-05-01", "2026-02-20"]
    companions = {"reference_sar": layers["radar_a"]["id"], "reference": layers["image"]["id"]}
    ordered = order_job(viewer, layers["radar_b"]["id"], translator="flood.onnx", companions=companions)
    job = wait_for(viewer, ordered["id"], "done", "failed")
    assert job["state"] == "done", job["message"]
    made = next((folder / ".saropt-viewer" / "jobs" / job["id"]).glob("*flood.tif"))
    assert is_copy(made, brought["image"])
    with Scene.open(made) as scene:
        assert scene.tags["SAROPT_OPTICAL_REFERENCE"] == "image.tif"
        assert scene.tags["SAROPT_SAR_REFERENCE"] == "radar_a.tif"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("far.tif", "far.tif: shares no ground with radar_b.tif"),
        ("radar_b.tif", "scenes/radar_b.tif: shares no ground with SCENE/radar_b.tif"),
    ],
)
def test_messages_name_the_file_at_fault_without_other_folders(
    viewer: TestClient, brought: dict[str, Path], folder: Path, name: str, expected: str
) -> None:
    far = Georeference(PLACE.crs, from_origin(600_000, 3_780_000, 10, 10))
    pixels = np.full((3, 96, 96), 90, np.uint8)
    write_array(folder / name, pixels, band_names=BANDS, georeference=far)
    sent = viewer.post("/api/scenes?name=radar_b.tif", content=brought["radar_b"].read_bytes(), headers=ORDER)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    companions = {"reference": layer_of(viewer, name, "optical")["id"]}
    ordered = order_job(viewer, sent.json()["layers"][0]["id"], translator="flood.onnx", companions=companions)
    message = wait_for(viewer, ordered["id"], "done", "failed")["message"]
    assert message == expected.replace("SCENE", sent.json()["id"])


DROP = """(files) => {
    const dropped = new DataTransfer()
    for (const [name, content] of files)
        dropped.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name))
    document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}))
}"""


def drop(page: Any, *files: Path) -> None:
    page.evaluate(DROP, [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files])


def expect_parts(page: Any, *expected: str) -> None:
    """Wait until the form shows these parts of the added files, in their order."""
    fields = page.locator("#panel-translate label.added")
    sync_api.expect(fields).to_have_count(len(expected))
    for index, part in enumerate(expected):
        sync_api.expect(fields.nth(index).locator("select")).to_have_value(part)


def test_dropped_images_get_their_parts(visit: Any, brought: dict[str, Path], folder: Path) -> None:  # noqa: F811
    page = visit()
    page.click("#tab-translate")
    drop(page, *brought.values())
    added = page.locator("#panel-translate label.added")
    sync_api.expect(added.locator("span")).to_have_text(["radar_a.tif", "radar_b.tif", "image.tif"])
    expect_parts(page, "reference_sar", "input", "reference")
    sync_api.expect(page.locator("#panel-translate select >> nth=4")).to_have_value(re.compile(r"flood\.onnx"))

    added.nth(0).locator("select").select_option("input")
    expect_parts(page, "input", "", "reference")
    added.nth(1).locator("select").select_option("reference_sar")
    added.nth(1).locator("select").select_option("input")
    added.nth(0).locator("select").select_option("reference_sar")
    expect_parts(page, "reference_sar", "input", "reference")
    page.click('[data-key="start"]')
    page.wait_for_selector('.job[data-state="done"]', timeout=LONG_MS)
    (made,) = (folder / ".saropt-viewer" / "jobs").glob("*/radar_b-flood.tif")
    assert is_copy(made, brought["image"])


def test_what_is_no_raster_is_told_in_one_line(browser: Any, address: str, tmp_path: Path) -> None:  # noqa: F811
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(address)
    page.wait_for_selector(".sidebar:not([inert])")
    page.click("#tab-translate")
    (tmp_path / "notes.tif").write_text("no raster")
    drop(page, tmp_path / "notes.tif")
    page.wait_for_selector(".messages [role=alert] p")
    assert page.inner_text(".messages [role=alert] span") == "notes.tif: is neither a GeoTIFF nor a PNG"
    assert page.locator("#panel-translate label.added").count() == 0
    page.context.close()
