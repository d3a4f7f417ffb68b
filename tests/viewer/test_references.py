"""A job with an earlier optical image: the layers reach the translator, and its map of origin is a layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from asking import ORDER, PLACE, layer_of, order_job, scene_named, wait_for
from fastapi.testclient import TestClient

from reference_files import BANDS, reference_translator
from saropt.scenes import Scene, write_array


def prepare(folder: Path, viewer: TestClient) -> np.ndarray:
    model = reference_translator(folder, fresh=True)
    model.rename(folder / "flood.onnx")
    rng = np.random.default_rng(0)
    old = rng.integers(20, 200, (3, 160, 224)).astype(np.uint8)
    decibels = rng.uniform(-20, -5, (1, 160, 224)).astype(np.float32)
    write_array(folder / "now.tif", decibels, band_names=["VH"], georeference=PLACE)
    write_array(folder / "before.tif", old, band_names=BANDS, georeference=PLACE)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    return old


def test_earlier_images_reach_the_translator(viewer: TestClient, folder: Path) -> None:
    old = prepare(folder, viewer)
    scene, before = layer_of(viewer, "now.tif", "sar")["id"], layer_of(viewer, "before.tif", "optical")["id"]
    ordered = order_job(viewer, scene, translator="flood.onnx", companions={"reference": before})
    job = wait_for(viewer, ordered["id"], "done", "failed")
    assert job["state"] == "done", job["message"]
    assert job["request"]["companions"] == {"reference": before}
    with Scene.open(next((folder / ".saropt-viewer" / "jobs" / job["id"]).glob("*flood.tif"))) as made:
        assert np.array_equal(made.read()[0], old)
    products = [layer for layer in scene_named(viewer, "now.tif")["layers"] if layer["kind"] == "product"]
    assert [layer["product"] for layer in products] == ["origin"]
    assert viewer.get(f"/api/layers/{products[0]['id']}").status_code == 200


def test_a_layer_that_is_not_there_is_refused(viewer: TestClient, folder: Path) -> None:
    prepare(folder, viewer)
    order = {"layer": layer_of(viewer, "now.tif", "sar")["id"], "translator": "flood.onnx"}
    answer = viewer.post("/api/jobs", json={**order, "companions": {"reference": "0" * 16}}, headers=ORDER)
    assert (answer.status_code, answer.json()["detail"]) == (404, "no such layer for reference")
    answer = viewer.post("/api/jobs", json={**order, "companions": {"dem": "0" * 16}}, headers=ORDER)
    assert answer.status_code == 422
