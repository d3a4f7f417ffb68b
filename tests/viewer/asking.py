"""What the viewer's tests ask of a running viewer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient
from rasterio.crs import CRS
from rasterio.transform import from_origin

from saropt.scenes import Georeference

Client = Callable[..., TestClient]
ORDER = {"X-Saropt": "1"}
PLACE = Georeference(CRS.from_epsg(32611), from_origin(380_000, 3_780_000, 10, 10))


def scene_named(viewer: TestClient, name: str) -> dict[str, Any]:
    scenes = viewer.get("/api/catalogue").json()["scenes"]
    return next(scene for scene in scenes if scene["name"] == name)


def layer_of(viewer: TestClient, name: str, kind: str) -> dict[str, Any]:
    return next(layer for layer in scene_named(viewer, name)["layers"] if layer["kind"] == kind)


def order_job(viewer: TestClient, layer: str, **options: object) -> dict[str, Any]:
    answer = viewer.post("/api/jobs", json={"layer": layer, "translator": "s1-losangeles", **options}, headers=ORDER)
    assert answer.status_code == 201, answer.text
    return answer.json()


def wait_for(viewer: TestClient, job: str, *states: str, seconds: float = 300) -> dict[str, Any]:
    """The job once it is in one of the states."""
    deadline = time.monotonic() + seconds
    while (state := viewer.get(f"/api/jobs/{job}").json())["state"] not in states:
        assert time.monotonic() < deadline, state
        time.sleep(0.1)
    return state
