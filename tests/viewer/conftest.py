"""A small folder of scenes and a client of the viewer on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from saropt.scenes import write_array
from saropt.simulate import amplitude_q99, simulate_scene
from saropt.viewer.app import create_app
from saropt.viewer.rasters import Limits
from saropt.viewer.state import Viewer

sys.path.insert(0, str(Path(__file__).parent))
from asking import PLACE, Client


@pytest.fixture(scope="session")
def simulated() -> tuple[np.ndarray, np.ndarray]:
    """SAR (1, 160, 224) and optical (3, 160, 224) of one place, 8 bits."""
    scene = simulate_scene((160, 224), 3, looks=8)
    return amplitude_q99(scene.sigma0[1])[None], np.rint(scene.optical * 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path, simulated: tuple[np.ndarray, np.ndarray]) -> Path:
    """plain.png without georeference; here.tif with here_optical.tif; a data root of one pair in dB."""
    sar, optical = simulated
    path = tmp_path / "scenes"
    for side in ("sar", "optical"):
        (path / "root" / side).mkdir(parents=True)
    write_array(path / "plain.png", sar)
    write_array(path / "here.tif", sar, band_names=["VH"], georeference=PLACE)
    optical_bands = {"band_names": ["B4", "B3", "B2"], "georeference": PLACE, "photometric": "rgb"}
    write_array(path / "here_optical.tif", optical, **optical_bands)  # type: ignore[arg-type]
    decibels = (20 * np.log10(np.maximum(sar, 1) / 255) - 5).astype(np.float32)
    decibels[..., :8] = np.nan
    write_array(path / "root" / "sar" / "a.tif", decibels, band_names=["VH"], georeference=PLACE, nodata=float("nan"))
    write_array(path / "root" / "optical" / "a.tif", optical, **optical_bands)  # type: ignore[arg-type]
    (path / "root" / "dataset.yaml").write_text(
        "name: r\ngsd_m: 10\nsar: {bands: [VH], units: sigma0_db}\noptical: {bands: [B4, B3, B2], units: uint8}\n"
    )
    return path


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    """Factory of running viewers on `folder`; all are closed at the end."""
    running: list[TestClient] = []

    def start(token: str | None = None, limits: Limits | None = None, host: str = "127.0.0.1:8000") -> TestClient:
        app = create_app(Viewer(folder, limits=limits, threads=1), token)
        one = TestClient(app, base_url=f"http://{host}")
        one.__enter__()
        running.append(one)
        return one

    yield start
    for one in running:
        one.__exit__(None, None, None)


@pytest.fixture
def viewer(client: Client) -> TestClient:
    """A running viewer."""
    return client()
