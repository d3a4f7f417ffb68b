"""Bands of a data root that rasters name themselves are found by name."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from roots.moved import rename, write_again
from saropt.domain import described_bands
from saropt.errors import InputError
from saropt.roots import DataRoot, LabelledSampler, WindowSampler, describe_images, draw_batch, draw_labelled_batch
from saropt.roots.opening import open_described
from saropt.roots.recipes import band_indices
from saropt.roots.root import ImageSpec
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene, write_array

ROLES = ("sar", "optical")


@pytest.fixture
def root(tmp_path):
    return DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(2, 0, 0), size=64))


def drawn(root, bands=None):
    inputs = {role: describe_images(root, role, bands if role == "sar" else None) for role in ROLES}
    batch = draw_batch(WindowSampler(root, "train", 32, inputs), 6, [1])
    images, _ = draw_labelled_batch(LabelledSampler(root, "train", 32, describe_images(root, "optical")), 6, [1])
    return [*batch.values(), images]


@pytest.mark.parametrize("bands", [None, ["VH"]])
def test_another_stored_order_gives_the_same_windows(root, bands):
    before = drawn(root, bands)
    rename(root.raster("sar", "train_001"), ["VH", "VV"], [1, 0])
    rename(root.raster("optical", "train_001"), ["blue", "green", "red"], [2, 1, 0])
    for one, other in zip(drawn(root, bands), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_further_bands_are_left_out(root):
    before, path = drawn(root), root.raster("sar", "train_001")
    with Scene.open(path) as scene:
        values = scene.read()[0]
    write_again(path, np.concatenate([np.full_like(values[:1], 35.0), values]), ["angle", "VV", "VH"])
    for one, other in zip(drawn(root), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_names_are_refused(root):
    rename(root.raster("sar", "train_001"), ["HH", "HV"], [0, 1])
    with pytest.raises(InputError, match=r"sar/train_001\.tif: its bands are named HH, HV, dataset\.yaml says VV, VH"):
        drawn(root)


@pytest.mark.parametrize("names", [["", ""], ["band_1", "band_2"], ["unknown", "other"], ["VV", ""]])
def test_names_that_say_nothing_leave_the_stored_order(root, names):
    before = drawn(root)
    rename(root.raster("sar", "train_001"), names, [0, 1])
    for one, other in zip(drawn(root), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_colours_of_a_picture_are_no_names(tmp_path):
    """GDAL marks three bands of 8 bits as red, green and blue whatever they are."""
    values = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    for name in ("a.png", "a.tif"):
        with rasterio.open(
            tmp_path / name, "w", driver="PNG" if name == "a.png" else "GTiff", count=3, height=8, width=8,
            dtype="uint8", **({} if name == "a.png" else {"photometric": "rgb"}),
        ) as dataset:  # fmt: skip
            dataset.write(values)
        with open_described(tmp_path / name, ImageSpec(("B2", "B3", "B4"), "uint8")) as scene:
            assert scene.band_names[0] == "red"
            assert scene.read()[0][:, 0, 0].tolist() == [0, 1, 2]


def test_numbers_of_bands(tmp_path):
    path = write_array(tmp_path / "a.tif", np.ones((3, 8, 8), np.float32))
    with pytest.raises(InputError, match=r"a\.tif: has 3 bands, dataset\.yaml says VV, VH"):
        open_described(path, ImageSpec(("VV", "VH"), "sigma0"))
    assert described_bands(["VV before", "VV after"], ["VV one", "VV two"]) == [0, 1]
    with pytest.raises(ValueError, match="has 1 band"):
        described_bands(["VV", "VH"], ["VV"])


def test_a_description_by_place_passes_over_the_names(tmp_path):
    pixels = np.arange(2, dtype=np.float32)[:, None, None] + np.ones((2, 8, 8), np.float32)
    path = write_array(tmp_path / "a.tif", pixels, band_names=["VV", "VH"])
    for by_place, first in ((False, 2), (True, 1)):
        with open_described(path, ImageSpec(("VH", "VV"), "sigma0", by_place=by_place), [1]) as scene:
            assert (scene.read()[0] == first).all()


def test_a_band_is_chosen_by_the_name_that_says_nothing_more(root, monkeypatch):
    monkeypatch.setattr(DataRoot, "image", lambda self, role: ImageSpec(("red", "green", "green_i"), "uint8"))
    assert band_indices(root, "optical", ["B4", "B3"]) == (1, 2)
