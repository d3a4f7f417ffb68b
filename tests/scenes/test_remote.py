"""Scenes behind HTTP and in an S3 store on the loopback are those on the disk; secrets stay out of errors."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from saropt.errors import InputError
from saropt.scenes import Scene, SceneWriter, Window, is_remote, open_scene, remote, scene_name, write_array


def load_server() -> ModuleType:
    place = Path(__file__).parents[1] / "curation" / "stac_server.py"
    spec = importlib.util.spec_from_file_location("range_server", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["range_server"] = module
    spec.loader.exec_module(module)
    return module


faults = load_server()


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


def test_s3(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"NO_SIGN_REQUEST": "YES", "S3_ENDPOINT": server.url.removeprefix("http://")}
    settings |= {"HTTPS": "NO", "VIRTUAL_HOSTING": "FALSE"}
    for key, value in settings.items():
        monkeypatch.setenv(f"AWS_{key}", value)
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
