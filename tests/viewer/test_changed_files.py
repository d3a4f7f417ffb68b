"""Rasters that change on the disk while they are shown, and warnings of the libraries that read them."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from asking import ORDER, PLACE, Client, layer_of, order_job, wait_for
from fastapi.testclient import TestClient
from PIL import Image
from rasterio.errors import NodataShadowWarning

from saropt.scenes import write_array
from saropt.viewer.catalogue import Catalogue, Result
from saropt.viewer.rasters import Limits


def written(path: Path, level: float, size: int = 64) -> None:
    values = np.random.default_rng(0).normal(level, 1, (1, size, size)).astype(np.float32)
    keys = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", **keys, crs=PLACE.crs, transform=PLACE.transform) as file:
        file.write(values)


def longer(path: Path) -> None:
    written(path, 30.0, 96)


def replaced_with_the_same_size_and_time(path: Path) -> None:
    before = path.stat()
    written(path.with_name("other.tif"), 30.0)
    os.utime(path.with_name("other.tif"), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.with_name("other.tif").stat().st_size == before.st_size
    path.with_name("other.tif").replace(path)


@pytest.mark.parametrize("change", [longer, replaced_with_the_same_size_and_time])
def test_figures_follow_the_file(change: Callable[[Path], None], client: Client, folder: Path) -> None:
    written(folder / "grown.tif", 10.0)
    viewer = client()
    layer = layer_of(viewer, "grown.tif", "sar")
    place = f"/api/layers/{layer['id']}"
    before = figures(viewer, place)
    time.sleep(0.05)  # the least step of the time that the system keeps
    change(folder / "grown.tif")
    after = figures(viewer, place)
    assert after["median"] - before["median"] == pytest.approx(20, abs=1)
    assert after["low"] - before["low"] == pytest.approx(20, abs=2)
    assert after["grey"] == pytest.approx(before["grey"], abs=25)  # of the new style
    assert after["version"] != before["version"] == layer["version"]


def figures(viewer: TestClient, place: str) -> dict[str, float]:
    histogram = viewer.get(f"{place}/histogram").json()
    thumbnail = np.asarray(Image.open(io.BytesIO(viewer.get(f"{place}/thumbnail").content)))
    detail = viewer.get(place).json()
    median = float(np.median(detail["percentiles"]))
    opaque = thumbnail[..., 0][thumbnail[..., -1] > 0]
    return {"median": median, "low": histogram["low"], "grey": opaque.mean(), "version": detail["version"]}


def test_nodata_beside_alpha_is_shown_without_a_warning_of_rasterio(
    client: Client, folder: Path, recwarn: pytest.WarningsRecorder
) -> None:
    keys = {"driver": "GTiff", "width": 32, "height": 32, "count": 4, "dtype": "uint8", "nodata": 0}
    place = {"crs": PLACE.crs, "transform": PLACE.transform}
    with rasterio.open(folder / "four.tif", "w", **keys, **place) as file:
        file.write(np.arange(4096, dtype=np.uint8).reshape(4, 32, 32))
        file.descriptions = ("B4", "B3", "B2", "B8")
    viewer = client()
    layer = next(
        one
        for scene in viewer.get("/api/catalogue").json()["scenes"]
        for one in scene["layers"]
        if one["name"] == "four.tif"
    )
    assert viewer.get(f"/api/layers/{layer['id']}/thumbnail").status_code == 200
    assert not [one for one in recwarn if issubclass(one.category, NodataShadowWarning)]


def test_a_translation_leaves_the_scene_whose_file_was_replaced(client: Client, folder: Path) -> None:
    """By another image on the same grid or on another; it comes back with the content that it was made of."""
    viewer, path = client(), folder / "here.tif"
    job = order_job(viewer, layer_of(viewer, "here.tif", "sar")["id"])
    wait_for(viewer, job["id"], "done")
    before = path.read_bytes()

    def kinds() -> dict[str, list[str]]:
        scenes = viewer.post("/api/catalogue/scan", headers=ORDER).json()["scenes"]
        return {scene["name"]: [layer["kind"] for layer in scene["layers"]] for scene in scenes}

    own = "here-s1-losangeles.tif"
    assert kinds()["here.tif"] == ["sar", "optical", "translation", "error"]
    for content, place in ((np.full((1, 160, 224), 7, np.uint8), PLACE), (np.full((1, 60, 80), 7, np.uint8), None)):
        write_array(path, content, band_names=["VH"], georeference=place, overwrite=True)
        found = kinds()
        assert found["here.tif"] == (["sar", "optical"] if place else ["sar"])
        assert found[own] == ["translation"]
        assert viewer.get(f"/api/layers/{job['id']}/file").status_code == 200
    path.write_bytes(before)
    assert kinds()["here.tif"] == ["sar", "optical", "translation", "error"]
    assert own not in kinds()


def test_products_of_a_run_stay_with_its_translation(folder: Path, simulated: tuple[np.ndarray, np.ndarray]) -> None:
    tags = {"SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt", "SAROPT_RUN": "1"}
    (folder.parent / "job").mkdir()
    image, product = folder.parent / "job" / "here-t.tif", folder.parent / "job" / "here-t_std.tif"
    write_array(image, simulated[1], georeference=PLACE, tags=tags)
    write_array(product, simulated[0], georeference=PLACE, tags={**tags, "SAROPT_PRODUCT": "deviation"})
    catalogue = Catalogue(folder, Limits())
    catalogue.scan({}, [])
    here = next(scene for scene in catalogue.scenes.values() if scene.name == "here.tif")
    for made_of, scene in ((catalogue.content(here.layers[0].path), here.id), ("another", "0b"), (None, here.id)):
        contents = {} if made_of is None else {here.id: made_of}
        results = [Result(key, "0b", here.id, path, contents) for key, path in (("0b", image), ("0c", product))]
        catalogue.scan({}, results)
        held = [layer.kind for layer in catalogue.scenes[scene].layers]
        assert (
            held[-3:] == ["translation", "product", "error"] if scene == here.id else held == ["translation", "product"]
        )
        assert ("0b" in catalogue.scenes) == (scene == "0b")
        assert "0c" not in catalogue.scenes
