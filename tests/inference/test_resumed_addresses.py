"""Resuming asks whether what lies behind an address is what it was, not whether the address is."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from companion_files import write_optical
from saropt.inference import TranslateOptions
from stac_server import StacServer


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    server = StacServer(tmp_path / "served")
    yield server
    server.close()


def test_an_earlier_image_that_changed_behind_its_address(fresh, scene, colours, server, tmp_path):
    write_optical(server.folder / "old.tif", colours)
    out = fresh.run(scene, tmp_path / "out.tif", TranslateOptions(reference=f"{server.url}/old.tif?sig=one")).path
    again = TranslateOptions(reference=f"{server.url}/old.tif?sig=two")
    assert fresh.look(scene, out, again).is_complete
    write_optical(server.folder / "old.tif", np.roll(colours, 20, axis=1), overwrite=True)
    assert not fresh.look(scene, out, again).is_complete


@pytest.mark.parametrize("change", ["place", "date"])
def test_a_scene_that_changed_behind_its_address(fresh, scene, server, tmp_path, change):
    path = server.folder / "scene.tif"
    path.write_bytes(scene.read_bytes())
    out = fresh.run(f"{server.url}/scene.tif?sig=one", tmp_path / "out.tif").path
    address = f"{server.url}/scene.tif?sig=two"
    assert fresh.look(address, out, TranslateOptions()).is_complete
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK=True) as dataset:
        if change == "place":
            dataset.transform = dataset.transform @ rasterio.Affine.translation(10, 0)
        else:
            dataset.update_tags(ACQUISITION_DATE="2024-01-01")
    assert not fresh.look(address, out, TranslateOptions()).is_complete
