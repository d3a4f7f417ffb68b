"""A product with one file for each polarisation is one scene in the viewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from asking import ORDER, PLACE, Client, layer_of, order_job, scene_named, wait_for

from saropt.cli import main
from saropt.scenes import open_scene, write_array

PRODUCT = "S1A_IW_20230610T050000_DVP_RTC10_G_gpuned_1A2B"


@pytest.fixture
def product(folder: Path) -> Path:
    """VV, VH, terrain and mask in a folder of the product's name."""
    path, rng = folder / PRODUCT, np.random.default_rng(0)
    path.mkdir()
    for name, level in (("VV", 0.1), ("VH", 0.02), ("dem", 300.0), ("ls_map", 1.0)):
        values = level * rng.gamma(5.0, 0.2, (1, 160, 224)).astype(np.float32)
        write_array(path / f"{PRODUCT}_{name}.tif", values, georeference=PLACE, nodata=0)
    return path


def test_a_product_is_shown_translated_and_found_again(
    product: Path, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    viewer = client()
    name = f"{PRODUCT}/{PRODUCT}_VV+VH.tif"
    names = [scene["name"] for scene in viewer.get("/api/catalogue").json()["scenes"]]
    assert [one for one in names if PRODUCT in one] == [name]
    layer = layer_of(viewer, name, "sar")
    assert (layer["bands"], layer["acquired"][:10]) == (["VV", "VH"], "2023-06-10")
    job = wait_for(viewer, order_job(viewer, layer["id"], translator="s1-world")["id"], "done", "failed")
    assert job["state"] == "done"
    assert main(["translate", str(product), str(product.parent / "by_hand.tif")]) == 0
    assert main(["translate", str(product / f"{PRODUCT}_VV+VH.tif"), str(product / "beside.tif")]) == 0
    capsys.readouterr()
    with open_scene(product / "beside.tif") as made, open_scene(product.parent / "by_hand.tif") as other:
        np.testing.assert_array_equal(made.read()[0], other.read()[0])
    viewer.post("/api/catalogue/scan", headers=ORDER)
    kinds = [one["kind"] for one in scene_named(viewer, name)["layers"]]
    assert kinds == ["sar", *["translation"] * 3]


def test_polarisations_of_a_data_root_stay_apart(folder: Path, client: Client) -> None:
    for name in ("b_VV", "b_VH"):
        write_array(folder / "root" / "sar" / f"{name}.tif", np.full((1, 16, 16), -9, np.float32))
    names = {scene["name"] for scene in client().get("/api/catalogue").json()["scenes"]}
    assert {"root/sar/b_VV.tif", "root/sar/b_VH.tif"} <= names
