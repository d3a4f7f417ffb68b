"""Truth, labels and predictions are compared where they lie, and by the names and units that each file states."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rasterio

from roots.moved import OFF_GRID, move, rename
from saropt.errors import InputError
from saropt.evaluation.by_class import Labels
from saropt.evaluation.score import score
from saropt.evaluation.tiles import open_rasters
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene, Window, write_array

SCALED = "reflectance x 10000"


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(1, 0, 2), size=64))


@pytest.fixture
def predictions(root: DataRoot, tmp_path: Path) -> Path:
    return shutil.copytree(root.path / "optical", tmp_path / "predictions")


def scored(root: DataRoot, predictions: Path) -> dict[str, float]:
    found = score(predictions, root.path, root.path / "splits.csv", predictions.with_suffix(".json"), overwrite=True)
    return found["figures"]


@pytest.mark.parametrize(("how", "said"), OFF_GRID.items())
def test_rasters_elsewhere_are_refused(root: DataRoot, how: str, said: str) -> None:
    move(root.raster("optical", "test_000"), how)
    with (
        pytest.raises(InputError, match=rf"optical/test_000\.tif: SAR and optical are not on one grid: .*{said}"),
        open_rasters(root, "test_000", ["sar", "optical"]),
    ):
        pass


def test_labels_elsewhere_are_refused(root: DataRoot) -> None:
    move(root.raster("label", "test_000"), "shift")
    with (
        open_rasters(root, "test_000", ["sar"]) as rasters,
        pytest.raises(InputError, match=r"label/test_000\.tif: SAR and class labels are not on one grid: 3\.5 pixels"),
    ):
        Labels(root).check(rasters)


def test_bands_are_read_by_name(root: DataRoot) -> None:
    path, window = root.raster("optical", "test_000"), Window(0, 0, 64, 64)
    with open_rasters(root, "test_000", ["optical"]) as rasters:
        before = rasters.read(window).images["optical"].values
    rename(path, ["B2", "B4", "B3"], [2, 0, 1])
    with open_rasters(root, "test_000", ["optical"]) as rasters:
        np.testing.assert_array_equal(rasters.read(window).images["optical"].values, before)
        with ExitStack() as stack:
            np.testing.assert_array_equal(rasters.source("optical", [2], stack).read(window)[0], before[[2]])
    rename(path, ["B8", "B11", "B12"], [0, 1, 2])
    with (
        pytest.raises(InputError, match=r"test_000\.tif: its bands are named B8, B11, B12, dataset\.yaml says B4"),
        open_rasters(root, "test_000", ["optical"]),
    ):
        pass


@pytest.mark.parametrize(("how", "said"), OFF_GRID.items())
def test_predictions_elsewhere_are_refused(root: DataRoot, predictions: Path, how: str, said: str) -> None:
    move(predictions / "test_001.tif", how)
    said = rf"predictions/test_001\.tif: prediction and true image are not on one grid: .*{said}"
    with pytest.raises(InputError, match=said):
        scored(root, predictions)


@pytest.mark.parametrize("how", ["near", "same ground", "no CRS"])
def test_predictions_whose_place_does_not_contradict_are_scored(root: DataRoot, predictions: Path, how: str) -> None:
    move(predictions / "test_001.tif", how)
    assert scored(root, predictions)["mae"] == 0.0


def in_reflectance(root: DataRoot, folder: Path) -> None:
    """Make the optical rasters of a folder reflectances times 10,000."""
    for path in folder.glob("*.tif"):
        with Scene.open(path) as scene:
            values, place, names = scene.read()[0], scene.georeference, scene.band_names
        write_array(path, (values * 20 + 1).astype(np.uint16), band_names=names, georeference=place, overwrite=True)
    text = (root.path / "dataset.yaml").read_text().replace("units: uint8", f"units: {SCALED}")
    (root.path / "dataset.yaml").write_text(text)


def test_the_units_of_each_prediction_are_checked(root: DataRoot, predictions: Path) -> None:
    in_reflectance(root, root.path / "optical")
    in_reflectance(root, predictions)
    assert SCALED in DataRoot.open(root.path).image("optical").units
    path = predictions / "test_001.tif"
    with Scene.open(path) as scene:
        values, place = scene.read()[0], scene.georeference
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.scales = [1e-4] * 3
    assert scored(root, predictions)["mae"] == pytest.approx(0.0, abs=1e-6)
    write_array(path, (values / 1e4).astype(np.float32), georeference=place, overwrite=True)
    with pytest.raises(InputError, match=r"predictions/test_001\.tif: the true images are in reflectance x 10000"):
        scored(root, predictions)
