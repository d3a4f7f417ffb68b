"""Objects of a store as outputs: whole or not at all, never at the cost of what was there."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saropt.addresses import is_store
from saropt.errors import InputError
from saropt.scenes import open_scene, remote, write_array
from saropt.scenes.objects import check_object, object_exists, staging_file, upload

TIF = (".tif", ".tiff")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_DELAY_S", 0.01)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(-12, 3, (2, 1300, 1100)).astype(np.float32)
    values[:, :9] = np.nan
    write_array(tmp_path / "scene.tif", values, band_names=["VV", "VH"], nodata=np.nan)
    return tmp_path / "scene.tif"


def test_what_is_an_object() -> None:
    for place in ("s3://b/a.tif", "gs://b/f/", "az://c/a.tif", "/vsis3/b/a.tif", "/vsigs/b", "/vsiaz/c/a"):
        assert is_store(place)
    for place in ("https://h/a.tif", "/vsimem/a.tif", "/vsizip/s3/a.tif", "s3/a.tif", Path("s3:/b/a.tif")):
        assert not is_store(place)
    for address in ("s3://bucket", "s3://bucket/", "s3://bucket/f/", "s3:///a.tif", "s3://bucket/a.tif?x=y.tif"):
        with pytest.raises(InputError, match="is no object of a bucket"):
            check_object(address, suffixes=TIF, overwrite=True)


def test_existing_objects_are_found_and_refused(object_store: Any, scene: Path) -> None:
    object_store.objects |= {"bucket/f/a.tif": scene.read_bytes(), "bucket/f/text.tif": b"text"}
    assert not check_object("s3://bucket/f/new.tif", suffixes=TIF, overwrite=False)
    assert not object_exists("s3://bucket/f")
    for name in ("a.tif", "text.tif"):
        with pytest.raises(InputError, match=rf"s3://bucket/f/{name}: exists already.*overwrite=True"):
            check_object(f"s3://bucket/f/{name}", suffixes=TIF, overwrite=False)
        assert check_object(f"/vsis3/bucket/f/{name}", suffixes=TIF, overwrite=True)
    with pytest.raises(InputError, match=r"cannot write this kind of file; use \.tif or \.tiff"):
        check_object("s3://bucket/f/a.png", suffixes=TIF, overwrite=True)


@pytest.mark.parametrize("code", [403, 500])
def test_a_store_that_does_not_tell(code: int, object_store: Any) -> None:
    object_store.refuse = lambda method, key, query: code
    with pytest.raises(InputError, match=r"s3://bucket/a\.tif: cannot be looked for: refused"):
        object_exists("s3://bucket/a.tif")


def test_a_store_out_of_reach(object_store: Any, scene: Path) -> None:
    object_store.close()
    object_store.server.socket.close()
    with pytest.raises(InputError, match=r"s3://bucket/a\.tif: cannot be looked for"):
        object_exists("s3://bucket/a.tif")
    with pytest.raises(InputError, match=r"s3://bucket/a\.tif: cannot be uploaded"):
        upload(scene, "s3://bucket/a.tif", replace=False)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("chunk_mb", [50, 5])
def test_upload(replace: bool, chunk_mb: int, object_store: Any, scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one request or, above 5 MB, in several parts that become one object in the last request."""
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", str(chunk_mb))
    if replace:
        object_store.objects["bucket/f/a.tif"] = b"old"
    failures = iter([503])
    object_store.refuse = lambda method, key, query: next(failures, None) if method == "PUT" else None
    upload(scene, "s3://bucket/f/a.tif", replace=replace)
    assert object_store.objects == {"bucket/f/a.tif": scene.read_bytes()}
    assert object_store.parts == {}
    assert ("POST" in {method for method, *_ in object_store.requests}) == (chunk_mb == 5)
    with open_scene("s3://bucket/f/a.tif") as far:
        assert far.band_names == ["VV", "VH"]


@pytest.mark.parametrize("chunk_mb", [50, 5])
@pytest.mark.parametrize("failing", ["upload", "copy"])
def test_a_failed_upload_leaves_what_was_there(
    failing: str, chunk_mb: int, object_store: Any, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSIS3_CHUNK_SIZE", str(chunk_mb))
    object_store.objects["bucket/a.tif"] = b"old"
    name = {"upload": "bucket/.a.tif.part", "copy": "bucket/a.tif"}[failing]
    object_store.refuse = lambda method, key, query: 403 if method == "PUT" and key == name else None
    with pytest.raises(InputError, match=r"s3://bucket/a\.tif: cannot be uploaded: ") as caught:
        upload(scene, "s3://bucket/a.tif", replace=True)
    assert "\n" not in str(caught.value)
    assert object_store.objects == {"bucket/a.tif": b"old"}
    object_store.refuse = lambda method, key, query: 403 if method == "PUT" else None
    with pytest.raises(InputError, match="cannot be uploaded"):
        upload(scene, "s3://bucket/new.tif", replace=False)
    assert object_store.objects == {"bucket/a.tif": b"old"}


@pytest.mark.parametrize("replace", [False, True])
def test_a_store_that_lies_is_found_out(replace: bool, object_store: Any, scene: Path, tmp_path: Path) -> None:
    """It says yes to what it does not keep."""
    object_store.refuse = lambda method, key, query: 200 if method == "PUT" else None
    if replace:
        values = np.zeros((2, 1300, 1100), np.float32)
        write_array(tmp_path / "other.tif", values, band_names=["VV", "VH"], nodata=np.nan)
        object_store.objects["bucket/a.tif"] = (tmp_path / "other.tif").read_bytes()
    with pytest.raises(InputError, match="cannot be uploaded"):
        upload(scene, "s3://bucket/a.tif", replace=replace)


def test_staging_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = staging_file("s3://bucket/a/out.tif", tmp_path)
    assert first.parent == tmp_path
    assert first.name.endswith("-out.tif")
    assert first == staging_file("/vsis3/bucket/a/out.tif", tmp_path)
    assert first != staging_file("s3://bucket/b/out.tif", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = staging_file("s3://bucket/out.tif", None).parent
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"is not this user's own folder.*staging="):
        staging_file("s3://bucket/out.tif", None)
