"""Translation jobs: what they bring, and that they outlive reloads, cancels, crashes and restarts."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from asking import ORDER, Client, layer_of, order_job, scene_named, wait_for
from fastapi.testclient import TestClient

from saropt import Translator
from saropt.errors import InputError
from saropt.scenes import Scene, write_array
from saropt.simulate import amplitude_q99, simulate_scene
from saropt.viewer import jobs
from saropt.viewer.jobs import MOST_ATTEMPTS
from saropt.viewer.rasters import Limits

SMALL_TILE = 48


@pytest.fixture
def slow_layer(folder: Path) -> Callable[[TestClient], str]:
    """Layer of a scene that takes seconds with tiles of SMALL_TILE."""
    write_array(folder / "slow.tif", amplitude_q99(simulate_scene(640, 1, looks=8).sigma0[1])[None], band_names=["VH"])

    def layer(viewer: TestClient) -> str:
        viewer.post("/api/catalogue/scan", headers=ORDER)
        return layer_of(viewer, "slow.tif", "sar")["id"]

    return layer


def begun(viewer: TestClient, job: str) -> None:
    deadline = time.monotonic() + 60
    while viewer.get(f"/api/jobs/{job}").json()["done"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_brings_what_the_command_line_writes(viewer: TestClient, folder: Path, tmp_path: Path) -> None:
    layer = layer_of(viewer, "here.tif", "sar")
    job = wait_for(viewer, order_job(viewer, layer["id"])["id"], "done")
    assert job["message"] == ""
    assert job["done"] == job["total"] > 0
    fetched = viewer.get(f"/api/layers/{job['result']}/file")
    Translator.load("s1-losangeles").translate(folder / "here.tif", tmp_path / "out.tif")
    assert fetched.content == (tmp_path / "out.tif").read_bytes()
    assert 'filename="here-s1-losangeles.tif"' in fetched.headers["content-disposition"]
    kinds = [one["kind"] for one in scene_named(viewer, "here.tif")["layers"]]
    assert kinds == ["sar", "optical", "translation", "error"]


def test_options_reach_the_translator(viewer: TestClient, folder: Path, tmp_path: Path) -> None:
    layer = layer_of(viewer, "root/sar/a.tif", "sar")
    options = {"bands": ["VH"], "units": "sigma0_db", "realism": 0.25, "tile": 96}
    job = wait_for(viewer, order_job(viewer, layer["id"], **options)["id"], "done")
    assert job["request"] == {**options, "direction": "sar2opt", "reliability": False, "companions": {}}
    expected = Translator.load("s1-losangeles", realism=0.25).translate(
        folder / "root" / "sar" / "a.tif", tmp_path / "out.tif", units="sigma0_db", tile=96
    )
    result = next((folder / ".saropt-viewer" / "jobs" / job["id"]).glob("*.tif"))
    with Scene.open(result) as got, Scene.open(expected) as wanted:
        assert np.array_equal(got.read()[0], wanted.read()[0])
        assert got.tags["SAROPT_REALISM"] == "0.25"
        assert "guess" in got.tags["SAROPT_NOTICE"]


def test_a_map_of_reliability_is_a_layer_and_warnings_are_the_message(viewer: TestClient) -> None:
    layer = layer_of(viewer, "root/sar/a.tif", "sar")
    job = wait_for(viewer, order_job(viewer, layer["id"], translator="s1-world", reliability=True)["id"], "done")
    products = [one["product"] for one in scene_named(viewer, "root/sar/a.tif")["layers"]]
    assert "reliability" in products
    assert "unlike the training data" in job["message"]


def test_a_failing_job_harms_nobody(viewer: TestClient, folder: Path) -> None:
    layer = layer_of(viewer, "here.tif", "sar")["id"]
    wrong_units = order_job(viewer, layer, units="sigma0_db")["id"]
    right = order_job(viewer, layer)["id"]
    failed = wait_for(viewer, wrong_units, "failed", "done")
    assert failed["state"] == "failed"
    assert "decibels" in failed["message"]
    assert "here.tif" not in failed["message"], "the page names it"
    assert str(folder) not in failed["message"]
    wait_for(viewer, right, "done")


def test_killed_worker_is_told(viewer: TestClient, slow_layer: Callable[[TestClient], str]) -> None:
    job = order_job(viewer, slow_layer(viewer), tile=SMALL_TILE)["id"]
    begun(viewer, job)
    running = viewer.app.state.viewer.jobs._process  # type: ignore[attr-defined]
    running[1].kill()
    assert "signal 9" in wait_for(viewer, job, "failed")["message"]


def test_cancel(viewer: TestClient, slow_layer: Callable[[TestClient], str], folder: Path) -> None:
    layer = slow_layer(viewer)
    running, waiting = order_job(viewer, layer, tile=SMALL_TILE)["id"], order_job(viewer, layer)["id"]
    begun(viewer, running)
    assert viewer.delete(f"/api/jobs/{running}", headers=ORDER).status_code == 409
    for job in (waiting, running):
        assert viewer.post(f"/api/jobs/{job}/cancel", headers=ORDER).json()["state"] == "cancelled"
    after = order_job(viewer, layer_of(viewer, "here.tif", "sar")["id"])["id"]
    wait_for(viewer, after, "done")
    places = {path.name for path in (folder / ".saropt-viewer" / "jobs").iterdir() if path.is_dir()}
    assert places == {after}
    assert viewer.post(f"/api/jobs/{after}/cancel", headers=ORDER).json()["state"] == "done"
    assert viewer.delete(f"/api/jobs/{running}", headers=ORDER).status_code == 204
    assert viewer.get(f"/api/jobs/{running}").status_code == 404
    assert viewer.delete(f"/api/jobs/{after}", headers=ORDER).status_code == 204
    assert viewer.get(f"/api/layers/{after}").status_code == 404


def test_what_a_job_reads_stays(viewer: TestClient, slow_layer: Callable[[TestClient], str], folder: Path) -> None:
    """An upload and a translation that are other inputs of a waiting job."""
    made = wait_for(viewer, order_job(viewer, layer_of(viewer, "here.tif", "sar")["id"])["id"], "done")
    content = (folder / "here_optical.tif").read_bytes()
    upload = viewer.post("/api/scenes?name=old.tif", content=content, headers=ORDER).json()
    slow = slow_layer(viewer)
    running = order_job(viewer, slow, tile=SMALL_TILE)["id"]
    companions = {"reference": upload["layers"][0]["id"], "keep_clear": made["result"]}
    waiting = order_job(viewer, slow, companions=companions)["id"]
    for place in (f"/api/scenes/{upload['id']}", f"/api/jobs/{made['id']}"):
        answer = viewer.delete(place, headers=ORDER)
        assert (answer.status_code, answer.json()["detail"]) == (409, "a job reads it: cancel that first")
    for job in (running, waiting):
        viewer.post(f"/api/jobs/{job}/cancel", headers=ORDER)
        wait_for(viewer, job, "cancelled")
    for place in (f"/api/scenes/{upload['id']}", f"/api/jobs/{made['id']}"):
        assert viewer.delete(place, headers=ORDER).status_code == 204


@pytest.mark.slow
def test_restart_goes_on_where_it_stopped(
    client: Client, slow_layer: Callable[[TestClient], str], folder: Path, tmp_path: Path
) -> None:
    first = client()
    job = order_job(first, slow_layer(first), tile=SMALL_TILE)["id"]
    waiting = order_job(first, layer_of(first, "here.tif", "sar")["id"])["id"]
    begun(first, job)
    time.sleep(2.5)  # the writer brings its pixels to the disk every two seconds
    first.__exit__(None, None, None)
    place = folder / ".saropt-viewer" / "jobs" / job
    assert not list(place.glob("slow*.tif"))
    assert list(place.glob(".slow*.part*"))
    second = client()
    done = wait_for(second, job, "done")
    assert done["request"]["tile"] == SMALL_TILE
    Translator.load("s1-losangeles").translate(folder / "slow.tif", tmp_path / "out.tif", tile=SMALL_TILE)
    assert second.get(f"/api/layers/{job}/file").content == (tmp_path / "out.tif").read_bytes()
    wait_for(second, waiting, "done")


def test_restart_after_the_server_was_killed(folder: Path, slow_layer: object) -> None:
    """The worker ends with its server, and the next server takes the job up again."""
    import httpx

    def start() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", "import sys; from saropt.cli import main; sys.exit(main())"]
        process = subprocess.Popen(
            [*command, "serve", str(folder), "--port", "0", "--threads", "1"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, process.stdout.readline().split()[0]

    server, address = start()
    try:
        with httpx.Client(base_url=address) as http:
            scenes = http.get("api/catalogue").json()["scenes"]
            layer = next(scene for scene in scenes if scene["name"] == "slow.tif")["layers"][0]["id"]
            order = {"layer": layer, "translator": "s1-losangeles", "tile": SMALL_TILE}
            job = http.post("api/jobs", json=order, headers=ORDER).json()["id"]
            while http.get(f"api/jobs/{job}").json()["done"] < 2:
                time.sleep(0.05)
        server.kill()
        server.wait()
        server, address = start()
        with httpx.Client(base_url=address) as http:
            deadline = time.monotonic() + 300
            while (state := http.get(f"api/jobs/{job}").json())["state"] != "done":
                assert state["state"] in ("queued", "running"), state
                assert time.monotonic() < deadline
                time.sleep(0.2)
    finally:
        server.kill()
        server.wait()


def test_a_job_that_ends_the_server_is_given_up(folder: Path, client: Client) -> None:
    viewer = client()
    layer = layer_of(viewer, "here.tif", "sar")["id"]
    viewer.__exit__(None, None, None)
    request = {"scene": layer, "layer": layer, "source": "here.tif", "translator": "s1-losangeles", "out": "x.tif"}
    request |= {"direction": "sar2opt", "bands": None, "units": None, "tile": None, "realism": None}
    with sqlite3.connect(folder / ".saropt-viewer" / "jobs" / "jobs.sqlite") as database:
        insert = "INSERT INTO jobs (id, request, state, attempts, created) VALUES (?, ?, 'running', ?, 1)"
        database.execute(insert, ("ab" * 8, json.dumps(request), MOST_ATTEMPTS))
        database.execute(insert, ("cd" * 8, json.dumps(request | {"layer": "0" * 16}), 0))
    again = client()
    assert "3 times" in wait_for(again, "ab" * 8, "failed")["message"]
    assert wait_for(again, "cd" * 8, "failed")["message"] == "here.tif is no longer there"


def test_a_full_disk_ends_one_job_and_not_the_runner(viewer: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = jobs.Jobs._write, []

    def full(self: jobs.Jobs, statement: str, *values: object) -> None:
        if statement.startswith("UPDATE") and len(calls) < 3:
            calls.append(statement)
            raise sqlite3.OperationalError("database or disk is full")
        write(self, statement, *values)

    monkeypatch.setattr(jobs, "_RETRY_S", 0.05)
    monkeypatch.setattr(jobs.Jobs, "_write", full)
    layer = layer_of(viewer, "here.tif", "sar")["id"]
    first, second = (order_job(viewer, layer)["id"] for _ in range(2))
    assert wait_for(viewer, first, "failed")["message"] == "internal error of the server"
    wait_for(viewer, second, "done")


def test_a_list_of_jobs_that_cannot_be_written_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: jobs.Jobs) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    (folder / "jobs.sqlite").write_bytes(b"list")
    monkeypatch.setattr(jobs.Jobs, "_begin", full)
    with pytest.raises(InputError, match=r"jobs\.sqlite: cannot be written: database or disk is full"):
        jobs.Jobs(folder, source=Path, translator=Path, finished=list)
    assert (folder / "jobs.sqlite").read_bytes() == b"list"


def test_two_users_at_once(viewer: TestClient) -> None:
    """Orders from two threads all end, each with its own result."""
    layers = [layer_of(viewer, name, "sar")["id"] for name in ("here.tif", "plain.png")]
    ended: list[dict] = []

    def user(layer: str) -> None:
        ended.extend(wait_for(viewer, order_job(viewer, layer)["id"], "done") for _ in range(2))

    users = [threading.Thread(target=user, args=(layer,)) for layer in layers]
    for one in users:
        one.start()
    for one in users:
        one.join()
    assert sorted(job["layer"] for job in ended) == sorted(layers * 2)
    assert len({job["result"] for job in ended}) == 4
    for job in ended:
        assert viewer.get(f"/api/layers/{job['result']}").json()["kind"] == "translation"


def test_orders_that_cannot_be_taken(client: Client) -> None:
    viewer = client(limits=Limits(jobs=1, quota_bytes=60_000))
    layer = layer_of(viewer, "here.tif", "sar")["id"]
    good = {"layer": layer, "translator": "s1-losangeles"}

    def status(**changes: object) -> int:
        return viewer.post("/api/jobs", json=good | changes, headers=ORDER).status_code

    assert status() == 413
    assert status(layer="0" * 16) == 404
    assert status(translator="nothing") == 404
    assert status(direction="opt2sar") == 422
    assert status(units="furlongs") == 422
    assert status(realism=2) == 422
    assert status(bands=[]) == 422
    assert status(out="/etc/passwd") == 422
    viewer.__exit__(None, None, None)
    crowded = client(limits=Limits(jobs=0))
    assert crowded.post("/api/jobs", json=good, headers=ORDER).status_code == 429


@pytest.mark.parametrize(
    ("chosen", "names", "expected"),
    [
        (["VV_filtered", None], ["VV", "VH", "VV_filtered"], ["VV_filtered", "VH"]),
        (
            [None, "VV_filtered"],
            ["VH", "Sigma0_VV_db", "VV_filtered"],
            "none or several bands are called VV",
        ),
        ([None, "x"], ["Sigma0_VV_db", "x"], ["Sigma0_VV_db", "x"]),
        (["x", None], ["VV", "x"], "none or several bands are called VH"),
        (["VV_filtered", None], ["VV", "VV_filtered"], ["VV_filtered", None]),
        (["VV", None, None], ["VV", "VH"], "bands: a name or null for each band"),
        ([None, None], ["VV", "VH"], None),
    ],
)
def test_bands_that_are_chosen_in_part(
    viewer: TestClient, folder: Path, chosen: list[str | None], names: list[str], expected: list[str] | str | None
) -> None:
    """A band that is not chosen is the one of its name."""
    pixels = np.random.default_rng(0).uniform(-20, -5, (len(names), 64, 64)).astype(np.float32)
    write_array(folder / "stack.tif", pixels, band_names=names)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    (layer,) = scene_named(viewer, "stack.tif")["layers"]
    order = {"layer": layer["id"], "translator": "s1-world", "units": "sigma0_db", "bands": chosen}
    answer = viewer.post("/api/jobs", json=order, headers=ORDER)
    if isinstance(expected, str):
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(expected)
    else:
        assert answer.status_code == 201, answer.text
        assert answer.json()["request"]["bands"] == expected
        viewer.post(f"/api/jobs/{answer.json()['id']}/cancel", headers=ORDER)


def test_events_of_a_worker() -> None:
    """A worker's standard output holds events alone, one JSON object a line."""
    command = [sys.executable, "-P", "-m", "saropt.viewer.worker"]
    request = {
        "scene": "a.tif",
        "translator": "nothing",
        "direction": None,
        "realism": None,
        "threads": 1,
        "companions": {},
        "out": "out.tif",
    }
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        (event,) = map(json.loads, worker.stdout)
    assert event["event"] == "failed"
    assert "neither a file nor a bundled translator" in event["reason"]
