"""Scenes behind HTTP and in an S3 store on the loopback are those on the disk; secrets stay out of errors."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio

from saropt.errors import InputError
from saropt.scenes import (
    Georeference,
    Grid,
    Scene,
    SceneWriter,
    Window,
    is_remote,
    open_scene,
    remote,
    scene_name,
    write_array,
)


def load_server() -> ModuleType:
    place = Path(__file__).parents[1] / "stac_server.py"
    spec = importlib.util.spec_from_file_location("range_server", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["range_server"] = module
    spec.loader.exec_module(module)
    return module


faults = load_server()
CRS, AFFINE = rasterio.CRS.from_epsg(32633), rasterio.Affine(10, 0, 500000, 0, -10, 5000000)
UPDATE = {"IGNORE_COG_LAYOUT_BREAK": True}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(remote, "FIRST_DELAY_S", 0.01)
    values = np.random.default_rng(0).normal(-12, 3, (2, 1500, 1100)).astype(np.float32)
    write_array(tmp_path / "scene.tif", values, band_names=["VV", "VH"])
    server = faults.StacServer(tmp_path)
    yield server
    server.close()


def same(address: str, path: Path) -> None:
    with open_scene(address, ["VH"]) as far, Scene.open(path, ["VH"]) as near:
        assert far.is_remote
        assert (far.width, far.height, far.band_names, far.georeference) == (1100, 1500, ["VH"], near.georeference)
        window = Window(1000, 700, 300, 300)
        np.testing.assert_array_equal(far.read(window)[0], near.read(window)[0])
        np.testing.assert_array_equal(far.sample(10_000), near.sample(10_000))


def test_http(server: Any, tmp_path: Path) -> None:
    server.faults["scene.tif"] = faults.fails(2)
    same(f"{server.url}/scene.tif?sig=secret", tmp_path / "scene.tif")


@pytest.mark.parametrize("fault", [faults.get_alone, faults.small_letters])
def test_get_is_enough(server: Any, tmp_path: Path, fault: Any) -> None:
    server.faults["scene.tif"] = fault
    same(f"{server.url}/scene.tif?X-Amz-Signature=secret", tmp_path / "scene.tif")
    same(f"/vsicurl/{server.url}/scene.tif", tmp_path / "scene.tif")


def test_credentials_come_from_the_environment_and_from_netrc(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{server.url}/scene.tif"
    server.faults["scene.tif"] = faults.needs("me:secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(InputError, match="answers 401"):
        open_scene(address)
    with pytest.raises(InputError, match=r"GDAL_HTTP_USERPWD, ~/\.netrc") as caught:
        open_scene(address.replace("://", "://me:secret@"))
    assert "secret" not in str(caught.value)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    same(address, tmp_path / "scene.tif")
    (tmp_path / "netrc").unlink()
    monkeypatch.setenv("GDAL_HTTP_USERPWD", "me:secret")
    same(address, tmp_path / "scene.tif")


def test_a_mask_beside_the_scene_counts(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+", **UPDATE) as dataset:
        hidden = np.full((1500, 1100), 255, np.uint8)
        hidden[:, 1050:] = 0
        dataset.write_mask(hidden)
    assert (tmp_path / "scene.tif.msk").exists()
    with ZipFile(tmp_path / "s.zip", "w") as archive:
        for file in (path, tmp_path / "scene.tif.msk"):
            archive.write(file, file.name)
    places = (f"{server.url}/scene.tif?sig=secret", f"/vsizip/{tmp_path}/s.zip/scene.tif")
    for place in (path, *places):
        with open_scene(place) as scene:
            valid = scene.read()[1]
        assert valid[:, :1050].all()
        assert not valid[:, 1050:].any(), place


@pytest.mark.parametrize(
    ("fault", "words"),
    [("none", "1.0"), ("", "0.5"), ("text", "a.tif.msk) cannot be read"), ("busy", "a.tif.msk) cannot be read")],
)
def test_a_mask_beside_an_object(fault: str, words: str, tmp_path: Path) -> None:
    """In two processes: GDAL looks for a mask without letting other threads run, and so without this server."""
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=1, height=64, width=64, dtype="uint8") as dataset,
    ):
        dataset.write(np.full((1, 64, 64), 9, np.uint8))
        dataset.write_mask(np.repeat(np.array([[255, 0]], np.uint8), 32, axis=1) * np.ones((64, 1), np.uint8))
    content = b"text" if fault == "text" else (tmp_path / "a.tif.msk").read_bytes()
    objects = {"b/a.tif": (tmp_path / "a.tif").read_bytes()} | ({} if fault == "none" else {"b/a.tif.msk": content})
    (tmp_path / "objects").write_bytes(pickle.dumps(objects))
    server = f"""
import pickle, sys, object_store
store = object_store.ObjectStore()
store.objects = pickle.load(open({str(tmp_path / "objects")!r}, "rb"))
store.refuse = lambda method, path, query: 503 if {fault == "busy"} and path.endswith("msk") else None
print(store.endpoint, flush=True)
sys.stdin.read()
"""
    reader = """
from saropt.scenes import open_scene, remote
remote.TRIES = 1
with open_scene("s3://b/a.tif") as scene:
    print(scene.read()[1].mean())
"""
    place = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, "-c", server], env=place, **pipes) as store:
        assert store.stdout is not None
        settings = {"NO_SIGN_REQUEST": "YES", "S3_ENDPOINT": store.stdout.readline().strip()}
        settings |= {"HTTPS": "NO", "VIRTUAL_HOSTING": "FALSE"}
        environment = os.environ | {f"AWS_{key}": value for key, value in settings.items()}
        done = subprocess.run(
            [sys.executable, "-c", reader], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        store.communicate("")
    assert words in done.stdout + done.stderr


def test_nodata_of_one_band_on_another_grid(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "holes.tif"
    values = np.random.default_rng(0).normal(-12, 3, (2, 600, 500)).astype(np.float32)
    values[1, 100:200, 100:200] = -9999
    place = Georeference(CRS, AFFINE)
    write_array(path, values, band_names=["VV", "VH"], nodata=-9999, georeference=place)
    grid = Grid(CRS, AFFINE @ rasterio.Affine.translation(0.1, 0.1), 500, 400)
    with open_scene(f"{server.url}/holes.tif?sig=secret", grid=grid) as far, Scene.open(path, grid=grid) as near:
        (values, valid), (wanted, expected) = far.read(), near.read()
    assert not valid[102:198, 102:198].any()
    assert valid[202:].all()
    assert values.min() > -100
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(values, wanted)


def test_a_page_for_every_name_is_no_mask(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    for content in (path.read_bytes(), b"<html>not found</html>" * 20):
        (tmp_path / "scene.tif.msk").write_bytes(content)
        with open_scene(f"{server.url}/scene.tif") as far:
            assert far.read()[1].all()


def test_a_part_that_never_comes_is_told_with_its_reason(server: Any, tmp_path: Path) -> None:
    with open_scene(f"{server.url}/scene.tif?sig=secret") as far:
        server.faults["scene.tif"] = faults.fails(1000)
        with pytest.raises(InputError, match=r"scene\.tif: .* cannot be read: answers 503") as caught:
            far.read()
        assert "secret" not in str(caught.value)


def test_a_file_that_is_replaced_while_it_is_read(server: Any, tmp_path: Path) -> None:
    with open_scene(f"{server.url}/scene.tif") as far:
        (tmp_path / "scene.tif").write_bytes((tmp_path / "scene.tif").read_bytes() + b"more")
        with pytest.raises(InputError, match="was replaced while it was read"):
            far.read()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"ETag": "b"}, True),
        ({"ETag": "b", "Last-Modified": "Tue"}, True),
        ({"ETag": "b", "Last-Modified": "Mon"}, False),  # another copy of the file on another server
        ({}, False),
    ],
)
def test_a_file_of_the_same_size_that_is_replaced_while_it_is_read(
    other: dict[str, str], told: bool, server: Any, tmp_path: Path
) -> None:
    server.faults["scene.tif"] = faults.states({"ETag": "a", "Last-Modified": "Mon"})
    with open_scene(f"{server.url}/scene.tif") as far:
        server.faults["scene.tif"] = faults.states(other)
        if told:
            with pytest.raises(InputError, match="was replaced while it was read"):
                far.read()
        else:
            far.read()


@pytest.mark.parametrize(
    "layout", [{}, {"interleave": "band"}, {"tiled": True, "blockxsize": 64, "blockysize": 64}, {"blockysize": 256}]
)
def test_blocks_beyond_the_end_of_a_truncated_file(layout: dict[str, Any], server: Any, tmp_path: Path) -> None:
    path = tmp_path / "raw.tif"
    values = np.random.default_rng(1).normal(-12, 2, (2, 256, 256)).astype(np.float32)
    with rasterio.open(path, "w", "GTiff", 256, 256, 2, CRS, AFFINE, "float32", **layout) as made:
        made.write(values)
    with open_scene(f"{server.url}/raw.tif") as far:
        np.testing.assert_array_equal(far.read()[0], values)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    grid = Grid(CRS, rasterio.Affine(20, 0, 500000, 0, -20, 5000000), 128, 128)
    for onto in (None, grid):
        with (
            open_scene(f"{server.url}/raw.tif", grid=onto) as far,
            pytest.raises(InputError, match="cannot be read: the file is truncated: it ends at byte "),
        ):
            far.read()


@pytest.fixture
def store(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"NO_SIGN_REQUEST": "YES", "S3_ENDPOINT": server.url.removeprefix("http://")}
    settings |= {"HTTPS": "NO", "VIRTUAL_HOSTING": "FALSE"}
    for key, value in settings.items():
        monkeypatch.setenv(f"AWS_{key}", value)


def test_s3(store: None, tmp_path: Path) -> None:
    same("s3://bucket/folder/scene.tif", tmp_path / "scene.tif")
    with pytest.raises(InputError, match=r"s3://bucket/none\.tif: cannot be opened as a raster"):
        open_scene("s3://bucket/none.tif")


def test_archives(server: Any, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.write(tmp_path / "scene.tif", "in/scene.tif")
    same(f"/vsizip/{tmp_path}/s.zip/in/scene.tif", tmp_path / "scene.tif")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.fails(1000, 403), "answers 403"),
        (faults.no_ranges, "does not send parts of files"),
        (faults.garbage, "cannot be opened as a raster"),
        (None, "answers 404"),
    ],
)
def test_errors_hold_no_secret(fault: Any, words: str, server: Any) -> None:
    name = "scene.tif" if fault else "none.tif"
    server.faults[name] = fault
    with pytest.raises(InputError, match=words) as caught:
        open_scene(f"{server.url}/{name}?sig=secret")
    assert str(caught.value).startswith(f"{server.url}/{name}: ")
    assert "secret" not in str(caught.value)


def test_names() -> None:
    assert scene_name("https://host/a/b.tif?x=/c.tif") == "b.tif"
    assert scene_name("s3://bucket/a/b.tif") == "b.tif"
    assert scene_name("/vsizip/a.zip/b.tif") == "b.tif"
    assert scene_name("a/b?.tif") == "b?.tif"
    assert not is_remote("data/https/a.tif")


def test_outputs_are_local() -> None:
    for out in ("s3://bucket/a.tif", "https://host/a.tif", "/vsimem/a.tif"):
        with pytest.raises(InputError, match="outputs go to a local folder"):
            SceneWriter(out, width=8, height=8, band_names=["b"], dtype="uint8")
