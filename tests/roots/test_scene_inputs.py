"""Scene inputs of a data root: what splits.csv states, what rasters tell of, and what windows bring along."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from saropt.curation.joining import join_roots
from saropt.domain import encode_scene_inputs
from saropt.errors import InputError
from saropt.roots import DataRoot, WindowSampler, describe_images, draw_batch
from saropt.roots.description import write_description
from saropt.roots.scene_inputs import scene_inputs_of, stated_scene_inputs
from saropt.scenes import Georeference, Scene, read_scene_inputs, write_array

SPLITS = "name,split,month,latitude\na,train,7,\nb,train,,-33.5\nc,val,,\n"
DESCRIPTION = {
    "name": "seasons",
    "gsd_m": 10.0,
    "paired": True,
    "sar": {"bands": ["VV", "VH"], "units": "sigma0_db"},
    "optical": {"bands": ["B4", "B3", "B2"], "units": "reflectance x 10000"},
}
PLACE = Georeference(CRS.from_epsg(32633), Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_200_000.0))


@pytest.fixture
def root(tmp_path) -> DataRoot:
    """Three pairs; the rasters of a and b have a date, and that of b a place."""
    path, random = tmp_path / "seasons", np.random.default_rng(0)
    for role in ("sar", "optical"):
        (path / role).mkdir(parents=True)
    write_description(path, DESCRIPTION, [])
    (path / "splits.csv").write_text(SPLITS)
    for name in "abc":
        tags = {} if name == "c" else {"ACQUISITION_DATE": "2024-02-03"}
        place = PLACE if name == "b" else Georeference()
        sar = random.uniform(-20, -5, (2, 64, 64)).astype(np.float32)
        optical = random.integers(1, 3000, (3, 64, 64)).astype(np.uint16)
        write_array(path / "sar" / f"{name}.tif", sar, band_names=["VV", "VH"], tags=tags, georeference=place)
        write_array(path / "optical" / f"{name}.tif", optical, band_names=["B4", "B3", "B2"], georeference=place)
    return DataRoot.open(path)


def test_what_is_stated_comes_before_what_a_raster_tells_of(root):
    stated = stated_scene_inputs(root)
    assert stated == {"a": {"month": 7.0}, "b": {"latitude": -33.5}, "c": {}}
    found = {name: scene_inputs_of(root, "sar", name, stated) for name in "abc"}
    assert found == {"a": {"month": 7.0}, "b": {"month": 2.0, "latitude": -33.5}, "c": {}}


def test_a_raster_tells_of_its_latitude(root):
    with Scene.open(root.raster("sar", "b")) as scene:
        assert read_scene_inputs(scene)["latitude"] == pytest.approx(46.95, abs=0.02)


@pytest.mark.parametrize(
    ("column", "entry", "told"),
    [
        ("month", "13", "must be a whole number"),
        ("month", "May", "must be a number"),
        ("latitude", "95", "must be between -90 and 90 degrees"),
        ("incidence", "200", "must be between 0 and 90 degrees"),
        ("incidence", "nan", "must be between 0 and 90 degrees"),
    ],
)
def test_bad_entries_are_refused_where_the_root_is_opened(root, column, entry, told):
    (root.path / "splits.csv").write_text(f"name,split,{column}\na,train,{entry}\n")
    with pytest.raises(InputError, match=rf"splits.csv: a: {column} {entry} {told}"):
        DataRoot.open(root.path)


def test_windows_bring_those_of_their_raster_and_are_as_without(root):
    images = {role: describe_images(root, role) for role in ("sar", "optical")}
    names = ("month", "latitude")
    told = draw_batch(WindowSampler(root, "train", 32, images, scene_inputs=names), 16, [0])
    plain = draw_batch(WindowSampler(root, "train", 32, images), 16, [0])
    assert np.array_equal(told["sar"], plain["sar"])
    vectors = [encode_scene_inputs(names, {"month": 7.0}), encode_scene_inputs(names, {"month": 2, "latitude": -33.5})]
    assert {tuple(row) for row in told["scene_inputs"]} == {tuple(np.float32(vector)) for vector in vectors}
    (whole,) = {
        tuple(one["scene_inputs"]) for one in WindowSampler(root, "val", 32, images, scene_inputs=names).tiles(["sar"])
    }
    assert whole == (0.0,) * 5


def test_they_go_along_when_roots_are_joined(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for role in ("sar", "optical"):
        (other / role).symlink_to(root.path / role)
    write_description(other, {**DESCRIPTION, "name": "other"}, [("a", "train", "", 38.0)], ["month", "incidence"])
    joined = DataRoot.open(join_roots(tmp_path / "joined", [root.path, other]))
    stated = stated_scene_inputs(joined)
    assert stated == {
        "seasons-a": {"month": 7.0},
        "seasons-b": {"latitude": -33.5},
        "seasons-c": {},
        "other-a": {"incidence": 38.0},
    }
