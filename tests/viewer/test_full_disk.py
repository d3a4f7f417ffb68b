"""A server that cannot write says so in one line, as it does of all that it refuses."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from asking import ORDER, layer_of
from fastapi.testclient import TestClient

from saropt.scenes import write_array
from saropt.viewer.blind import Study
from saropt.viewer.blind_app import create_blind_app


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files of at most so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_upload_without_room(viewer: TestClient, folder: Path) -> None:
    content = (folder / "here_optical.tif").read_bytes()
    with room_for(len(content) // 2):
        answer = viewer.post("/api/scenes?name=big.tif", content=content, headers=ORDER)
    assert (answer.status_code, answer.json()) == (507, {"detail": "big.tif: cannot be written: File too large"})
    assert not list((folder / ".saropt-viewer" / "uploads").iterdir())
    assert viewer.post("/api/scenes?name=big.tif", content=content, headers=ORDER).status_code == 201


def test_a_job_without_room(viewer: TestClient) -> None:
    order = {"layer": layer_of(viewer, "here.tif", "sar")["id"], "translator": "s1-losangeles"}
    with room_for(100):
        answer = viewer.post("/api/jobs", json=order, headers=ORDER)
    assert answer.status_code == 507
    assert answer.json()["detail"].startswith("cannot be written: ")
    assert viewer.get("/api/jobs").json() == []


def test_an_answer_without_room(tmp_path: Path) -> None:
    for name in ("truth", "guess"):
        (tmp_path / name).mkdir()
        pixels = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)
        write_array(tmp_path / name / "a.tif", pixels)
    study = tmp_path / "study.yaml"
    study.write_text('{name: s, side: 32, trials: 2, truth: truth, translations: {m: guess}, question: "Which?"}')
    with Study(study, tmp_path) as opened, TestClient(create_blind_app(opened), "http://localhost") as client:
        trial = "/api/participants/p1/trials/0"
        assert client.get(trial).status_code == 200
        with room_for(10):
            answer = client.post(trial, json={"real": "left", "second": "left"}, headers=ORDER)
        assert (answer.status_code, answer.json()) == (507, {"detail": "cannot be written: File too large"})
        assert client.post(trial, json={"real": "left", "second": "left"}, headers=ORDER).json()["done"] == 1


def test_other_failures_of_the_system_stay_failures(viewer: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("saropt.viewer.state.Viewer.used_bytes", broken)
    with pytest.raises(FileNotFoundError):
        viewer.get("/api/info")
