"""Rasters of one name lie on one grid: of one size, and at one place on the ground where both state theirs."""

from __future__ import annotations

import os
import time

import pytest
from affine import Affine
from rasterio.crs import CRS

from roots.moved import OFF_GRID, move
from saropt.errors import InputError
from saropt.roots import DataRoot, LabelledSampler, WindowSampler, describe_images
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Georeference
from saropt.scenes.georeference import pixels_apart


@pytest.fixture
def root(tmp_path):
    return DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(1, 0, 0), size=64))


def windows(root):
    inputs = {role: describe_images(root, role) for role in ("sar", "optical")}
    return WindowSampler(root, "train", 32, inputs, labels=True)


@pytest.mark.parametrize(("how", "said"), OFF_GRID.items())
def test_pairs_elsewhere_are_refused(root, how, said):
    move(root.raster("optical", "train_000"), how)
    with pytest.raises(InputError, match=rf"optical/train_000\.tif: SAR and optical are not on one grid: .*{said}"):
        windows(root)


def test_labels_elsewhere_are_refused(root):
    move(root.raster("label", "train_000"), "shift")
    said = r"label/train_000\.tif: SAR and class labels are not on one grid: 3\.5 pixels apart"
    with pytest.raises(InputError, match=said):
        windows(root)
    with pytest.raises(InputError, match=said):
        LabelledSampler(root, "train", 32, describe_images(root, "sar"))


@pytest.mark.parametrize("how", ["near", "same ground", "no CRS"])
def test_what_does_not_contradict_is_taken(root, how):
    move(root.raster("optical", "train_000"), how)
    windows(root)


def test_all_rasters_may_be_stored_south_up(root):
    for role in ("sar", "optical", "label"):
        move(root.raster(role, "train_000"), "south-up")
    windows(root)


def test_the_index_keeps_the_place(root):
    """A second start opens no raster, and still sees that one was moved."""
    move(root.raster("optical", "train_000"), "zone")
    then = time.time() - 60
    for path in root.path.rglob("*.tif"):
        os.utime(path, (then, then))
    for _ in range(2):
        with pytest.raises(InputError, match="in EPSG:32611 and EPSG:32612"):
            windows(root)


def test_places_are_compared_across_180_degrees():
    west, east = (Georeference(CRS.from_epsg(4326), Affine(0.01, 0, x, 0, -0.01, 10.0)) for x in (-180.2, 179.8))
    assert pixels_apart(west, east, 40, 40) == pytest.approx(0.0, abs=1e-6)


def test_a_place_outside_the_other_crs_is_far():
    polar = Georeference(CRS.from_epsg(3031), Affine(10, 0, 0, 0, -10, 0))
    mercator = Georeference(CRS.from_epsg(3857), Affine(10, 0, 0, 0, -10, 0))
    assert pixels_apart(mercator, polar, 64, 64) > 1e5
