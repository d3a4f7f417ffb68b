"""Preparing, inspecting, cleaning and harmonising look at the place and the band names of each raster."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from roots.moved import OFF_GRID, move, rename
from saropt.curation.clean_splits import write_splits
from saropt.curation.cleaning import clean_root
from saropt.curation.distribution import distribution_of
from saropt.curation.filtering import write_pauli
from saropt.curation.harmonising import harmonise_root
from saropt.curation.inspection import inspect_root
from saropt.curation.sets import prepare
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root

UNITS = ["units=amplitude"]


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(3, 0, 0), size=64))


@pytest.mark.parametrize(("how", "said"), OFF_GRID.items())
def test_rasters_elsewhere_are_told(root: DataRoot, tmp_path: Path, how: str, said: str) -> None:
    move(root.raster("optical", "train_001"), how)
    _, facts = inspect_root(root.path)
    assert facts[1].facts["warning"].startswith("train_001.tif: not on the grid of the SAR raster: ")
    assert said in facts[1].facts["warning"]
    report = clean_root(root.path)
    grids = [finding for finding in report.findings if finding.kind == "grid"]
    assert [finding.name for finding in grids] == ["train_001"]
    assert said in grids[0].detail
    assert "train_001" not in write_splits(report, tmp_path / "new.csv")
    with pytest.raises(InputError, match=rf"optical/train_001\.tif: SAR and optical are not on one grid: .*{said}"):
        prepare("folder", root.path, tmp_path / "made", UNITS)
    assert not (tmp_path / "made").exists()


def test_labels_elsewhere_are_told(root: DataRoot) -> None:
    for name in ("train_001", "train_002"):
        move(root.raster("label", name), "shift")
    description, _ = inspect_root(root.path)
    expected = "label/train_001.tif: not on the grid of its images: 3.5 pixels apart on the ground (1 more as well)"
    assert description["warning"] == expected
    grids = {finding.name: finding.detail for finding in clean_root(root.path).findings if finding.kind == "grid"}
    assert grids["train_002"] == "SAR and class labels: 3.5 pixels apart on the ground"


@pytest.mark.parametrize("how", ["near", "same ground", "no CRS"])
def test_places_that_do_not_contradict_are_no_fault(root: DataRoot, tmp_path: Path, how: str) -> None:
    move(root.raster("optical", "train_001"), how)
    _, facts = inspect_root(root.path)
    assert "warning" not in facts[1].facts
    assert not clean_root(root.path).counts()["grid"]
    prepare("folder", root.path, tmp_path / "made", UNITS)


def test_bands_are_told_apart_by_name(root: DataRoot) -> None:
    before = inspect_root(root.path)[1], clean_root(root.path).measures, distribution_of(root.path).histograms
    rename(root.raster("optical", "train_001"), ["B2", "B3", "B4"], [2, 1, 0])
    after = inspect_root(root.path)[1], clean_root(root.path).measures, distribution_of(root.path).histograms
    assert [one.quantiles for one in after[0]] == [one.quantiles for one in before[0]]
    assert after[1] == before[1]
    for one, other in zip(after[2], before[2], strict=True):
        assert one.by_split["train"].tolist() == other.by_split["train"].tolist()


def test_other_names_are_refused(root: DataRoot, tmp_path: Path) -> None:
    rename(root.raster("sar", "train_001"), ["HH", "HV"], [0, 1])
    for look in (inspect_root, clean_root):
        with pytest.raises(InputError, match=r"sar/train_001\.tif: its bands are named HH, HV, dataset\.yaml says VV"):
            look(root.path)
    said = r"sar/train_001\.tif: its bands are named HH, HV, the sar of the data set says VV, VH"
    with pytest.raises(InputError, match=said):
        prepare("folder", root.path, tmp_path / "made", UNITS)


def test_dates_and_components_elsewhere_are_refused(root: DataRoot, tmp_path: Path) -> None:
    shutil.copytree(root.path / "optical", root.path / "optical_reference")
    move(root.path / "optical_reference" / "train_001.tif", "shift")
    with pytest.raises(
        InputError, match=r"optical_reference/train_001\.tif: optical and earlier optical .* 3\.5 pixels"
    ):
        harmonise_root(root.path, tmp_path / "harmonised")
    one, other = root.raster("sar", "train_000"), root.raster("sar", "train_001")
    with pytest.raises(InputError, match=r"train_001\.tif: train_000\.tif and train_001\.tif are not on one grid: "):
        write_pauli([one, other], tmp_path / "pauli.tif")
