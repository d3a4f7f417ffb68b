"""The API over HTTP: what it shows, takes, and refuses."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from asking import ORDER, PLACE, Client, layer_of, scene_named
from fastapi.testclient import TestClient
from PIL import Image

from saropt.inference import NOTICE, card_of, find_translator
from saropt.scenes import Scene, write_array
from saropt.viewer.rasters import Limits
from saropt.viewer.state import Viewer


def upload(viewer: TestClient, content: bytes, name: str = "mine.tif") -> object:
    return viewer.post("/api/scenes", params={"name": name}, content=content, headers=ORDER)


def test_page_and_its_files_come_from_the_package(viewer: TestClient) -> None:
    page = viewer.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for name in ("viewer.js", "viewer.css"):
        assert f"./{name}" in page.text
        assert viewer.get(f"/{name}").status_code == 200
    assert "https://" not in page.text
    assert viewer.get("/nothing").status_code == 404
    assert viewer.get("/api/nothing").status_code == 404


def test_layer_point_and_picture(viewer: TestClient, folder: Path) -> None:
    layer = layer_of(viewer, "root/sar/a.tif", "sar")
    detail = viewer.get(f"/api/layers/{layer['id']}").json()
    assert detail["units"] == "sigma0_db"
    assert detail["style"]["bands"] == [1]
    assert len(detail["percentiles"][0]) == len(detail["levels"])
    west, south, east, north = layer["bounds"]
    point = viewer.get(f"/api/layers/{layer['id']}/point", params={"x": (west + east) / 2, "y": (south + north) / 2})
    with Scene.open(folder / "root" / "sar" / "a.tif") as scene:
        values = scene.read()[0]
    read = point.json()
    assert read["values"] == [pytest.approx(float(values[0, read["row"], read["column"]]))]
    assert (read["units"], read["crs"], read["decibels"]) == ("sigma0_db", "EPSG:32611", None)
    assert viewer.get(f"/api/layers/{layer['id']}/point", params={"x": 0, "y": 0}).status_code == 404
    picture = viewer.get(f"/api/layers/{layer['id']}/picture", params={"side": 64})
    assert Image.open(io.BytesIO(picture.content)).size == (64, 46)
    assert picture.headers["content-disposition"] == 'attachment; filename="a.png"'


def test_swipe_of_two_layers(viewer: TestClient, folder: Path, simulated: tuple[np.ndarray, np.ndarray]) -> None:
    """The divider begins at the right, reaches the left; names, notice and scale bar stand unchanged in every frame."""
    tags = {"SAROPT_SOURCE": "here.tif", "SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt"}
    write_array(folder / "guess.tif", np.full_like(simulated[1], 128), georeference=PLACE, tags=tags)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    sar, guess, truth = (layer_of(viewer, "here.tif", kind) for kind in ("sar", "translation", "optical"))
    swipe = Image.open(io.BytesIO(viewer.get(f"/api/layers/{sar['id']}/swipe/{guess['id']}").content))
    frames = []
    for number in range(swipe.n_frames):
        swipe.seek(number)
        frames.append(np.asarray(swipe.convert("RGB")).astype(int))
    top, bottom = 25, 25 + 2 * 160  # enlarged to make room for the notice
    half = len(frames) // 2
    assert np.abs(frames[half][top:bottom, 4:] - 128).max() <= 2
    assert np.ptp(frames[0][top:bottom, :-4], axis=2).max() <= 2
    assert np.std(frames[0][top:bottom, :-4]) > 20
    names, foot = ([frame[rows] for frame in frames] for rows in (slice(top), slice(bottom, None)))
    for strips in (names, foot):
        assert all(np.array_equal(strip, strips[0]) for strip in strips)
    assert min(side.max() for side in np.array_split(names[0], 2, axis=1)) > 200, "the name of each side"
    assert foot[0][:, :200].max() > 200, "the notice"
    bar = np.flatnonzero((foot[0][:, 395:].min(axis=2) > 200).any(axis=0))
    assert np.ptp(bar) == pytest.approx(200 / 5, abs=2), "200 m in pixels of 5 m"
    assert NOTICE.encode() in swipe.info["comment"]
    measured = viewer.get(f"/api/layers/{sar['id']}/swipe/{truth['id']}").content
    assert "comment" not in Image.open(io.BytesIO(measured)).info
    other = layer_of(viewer, "plain.png", "sar")["id"]
    refused = viewer.get(f"/api/layers/{sar['id']}/swipe/{other}")
    assert (refused.status_code, refused.json()["detail"]) == (422, "the layers lie on different grids")


def test_units_that_fit(viewer: TestClient, folder: Path) -> None:
    """Values in decibels fit decibels alone; tags and names that say so are told."""
    decibels = np.random.default_rng(0).normal(-14, 4, (1, 64, 64)).astype(np.float32)
    write_array(folder / "tagged.tif", decibels, band_names=["VH"], tags={"UNITS": "sigma0_db"})
    write_array(folder / "bare.tif", decibels, band_names=["VH"])
    write_array(folder / "named.tif", decibels, band_names=["Gamma0_VH_db"])
    viewer.post("/api/catalogue/scan", headers=ORDER)
    details = [
        viewer.get(f"/api/layers/{layer_of(viewer, name, kind)['id']}").json()
        for name, kind in (
            ("tagged.tif", "sar"),
            ("bare.tif", "sar"),
            ("named.tif", "sar"),
            ("root/sar/a.tif", "sar"),
            ("here.tif", "optical"),
        )
    ]
    assert [one["fitting_units"] for one in details] == [["sigma0_db", "gamma0_db"]] * 4 + [[]]
    assert [one["stated_units"] for one in details] == ["sigma0_db", None, "gamma0_db", "sigma0_db", None]


def test_histogram_and_thresholds(viewer: TestClient) -> None:
    layer = layer_of(viewer, "here.tif", "sar")
    place = f"/api/layers/{layer['id']}"
    whole, decibels = (viewer.get(f"{place}/histogram", params=p).json() for p in ({}, {"decibels": "amplitude"}))
    assert whole["high"] <= 255
    assert decibels["high"] == pytest.approx(20 * np.log10(whole["high"]), abs=3)
    assert viewer.get(f"{place}/histogram", params={"band": 2}).json() == {"detail": "one band out of 1"}
    opaque = viewer.get(f"{place}/picture", params={"side": 224})
    cut = viewer.get(f"{place}/picture", params={"side": 224, "least": 60, "most": 90})
    share = [(np.asarray(Image.open(io.BytesIO(one.content)))[..., -1] > 0).mean() for one in (opaque, cut)]
    assert 0 < share[1] < share[0] == 1
    colour = layer_of(viewer, "here.tif", "optical")
    refused = viewer.get(f"/api/layers/{colour['id']}/picture", params={"least": 60})
    assert (refused.status_code, refused.json()["detail"]) == (422, "least and most go with one band")


def test_styles_of_tiles(viewer: TestClient) -> None:
    layer = layer_of(viewer, "plain.png", "sar")
    tile = f"/api/layers/{layer['id']}/tiles/0/0/0"
    kept = viewer.get(tile, params={"low": 0, "high": 255, "band": 1, "v": layer["version"]})
    assert "immutable" in kept.headers["cache-control"]
    assert viewer.get(tile, params={"v": "old"}).headers["cache-control"] == "no-store"
    for wrong in (
        {"low": 0},
        {"band": 2, "low": 0, "high": 1},
        {"band": [1, 1], "low": 0, "high": 1},
        {"low": [0, 0, 0], "high": [1, 1, 1]},
        {"low": "nan", "high": 1},
        {"band": 0, "low": 0, "high": 1},
        {"decibels": "furlongs", "low": 0, "high": 1},
    ):
        assert viewer.get(tile, params=wrong).status_code == 422, wrong
    for path in ("27/0/0", "0/-1/0", "0/0/x"):
        assert viewer.get(f"/api/layers/{layer['id']}/tiles/{path}").status_code == 422
    assert viewer.get("/api/layers/0123456789abcdef/tiles/0/0/0").status_code == 404


def test_translators_show_their_cards(viewer: TestClient, folder: Path) -> None:
    (folder / "broken.onnx").write_bytes(b"nothing")
    shown = {one["name"]: one for one in viewer.get("/api/translators").json()}
    assert "broken.onnx" not in shown
    card = card_of(find_translator("s1-losangeles"))
    assert shown["s1-losangeles"]["card"]["notes"] == card.notes
    assert shown["s1-losangeles"]["directions"] == ["sar2opt"]


def test_uploads_are_kept(client: Client, folder: Path) -> None:
    content = (folder / "here.tif").read_bytes()
    first = client()
    added = upload(first, content, "Ärger/../my scene.TIF").json()
    assert added["name"] == "my_scene.TIF"
    assert added["layers"][0]["kind"] == "sar"
    first.__exit__(None, None, None)
    again = client()
    assert scene_named(again, "my_scene.TIF")["id"] == added["id"]
    stored = folder / ".saropt-viewer" / "uploads" / added["id"] / "my_scene.TIF"
    assert stored.read_bytes() == content
    assert again.delete(f"/api/scenes/{added['id']}", headers=ORDER).status_code == 204
    assert not stored.exists()
    assert again.delete(f"/api/scenes/{added['id']}", headers=ORDER).status_code == 404
    folder_scene = scene_named(again, "here.tif")["id"]
    assert again.delete(f"/api/scenes/{folder_scene}", headers=ORDER).status_code == 409
    assert (folder / "here.tif").exists()


def test_a_scene_that_is_removed_while_it_is_uploaded(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, scan = client(), Viewer.scan

    def removed_first(self: Viewer) -> None:
        shutil.rmtree(next((folder / ".saropt-viewer" / "uploads").iterdir()))
        scan(self)

    monkeypatch.setattr(Viewer, "scan", removed_first)
    answer = upload(viewer, (folder / "here.tif").read_bytes())
    assert answer.status_code == 409
    assert "removed while it was uploaded" in answer.json()["detail"]


def test_uploads_are_checked(client: Client, folder: Path, tmp_path: Path) -> None:
    viewer = client(limits=Limits(upload_bytes=80_000, quota_bytes=200_000, pixels=40_000, block_bytes=1 << 20))
    good = (folder / "here.tif").read_bytes()
    assert len(good) < 80_000
    write_array(tmp_path / "bomb.tif", np.zeros((1, 2000, 2000), np.uint8))
    write_array(tmp_path / "bomb.png", np.zeros((1, 2000, 2000), np.uint8))
    write_array(tmp_path / "empty.tif", np.full((1, 64, 64), np.nan, np.float32))
    bombs = [(tmp_path / name).read_bytes() for name in ("bomb.tif", "bomb.png")]
    assert max(map(len, bombs)) < 80_000
    zipped = b"PK\x03\x04" + bytes(100)
    vrt = b'<VRTDataset rasterXSize="8" rasterYSize="8"></VRTDataset>'
    cut = good[: len(good) // 2]
    for content, status, words in (
        (b"", 422, "neither"),
        (b"hello", 422, "neither"),
        (zipped, 422, "neither"),
        (vrt, 422, "neither"),
        (b"II*\0" + bytes(60), 422, "truncated"),
        (cut, 422, "truncated"),
        (bombs[0], 422, "2000x2000"),
        (bombs[1], 422, "2000x2000"),
        ((tmp_path / "empty.tif").read_bytes(), 422, "no valid pixel"),
        (good + bytes(80_000), 413, "larger"),
    ):
        answer = upload(viewer, content)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
        assert str(folder) not in answer.text
    assert list((folder / ".saropt-viewer" / "uploads").iterdir()) == []
    sent = [upload(viewer, good).status_code for _ in range(6)]
    assert sent[0] == 201
    assert sent[-1] == 413


def test_scan_finds_new_files(viewer: TestClient, folder: Path) -> None:
    write_array(folder / "later.tif", np.full((1, 40, 40), 9, np.uint8))
    names = {scene["name"] for scene in viewer.post("/api/catalogue/scan", headers=ORDER).json()["scenes"]}
    assert "later.tif" in names


def test_a_file_that_breaks_while_it_is_shown(viewer: TestClient, folder: Path) -> None:
    layer = layer_of(viewer, "here.tif", "sar")
    (folder / "here.tif").write_bytes(b"II*\0")
    answer = viewer.get(f"/api/layers/{layer['id']}/tiles/14/0/0")
    assert answer.status_code == 422
    assert str(folder) not in answer.text
    (folder / "here.tif").unlink()
    assert viewer.get(f"/api/layers/{layer['id']}").status_code == 422


def test_guesses_say_so(viewer: TestClient, folder: Path) -> None:
    tags = {"SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt", "SAROPT_SOURCE": "plain.png"}
    write_array(folder / "guess.tif", np.full((3, 160, 224), 99, np.uint8), tags=tags)
    viewer.post("/api/catalogue/scan", headers=ORDER)
    layers = {layer["kind"]: layer for layer in scene_named(viewer, "plain.png")["layers"]}
    assert layers["translation"]["notice"] == NOTICE
    assert layers["sar"]["notice"] is None
    assert viewer.get(f"/api/layers/{layers['translation']['id']}/file").content == (folder / "guess.tif").read_bytes()
    assert viewer.get(f"/api/layers/{layers['sar']['id']}/file").status_code == 404
