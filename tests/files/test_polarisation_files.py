"""Which paths stand for the files of a product with one for each polarisation."""

from __future__ import annotations

from pathlib import Path

import pytest

from saropt.files.polarisation_files import joined, other_polarisation, polarisation_files


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("p_VH.tif", "p_VV.tif", "p_dem.tif"), ["p_VV.tif", "p_VH.tif"]),
        (("p_vv.tiff",), ["p_vv.tiff"]),
        (("p_VV.tif", "q_VH.tif"), []),
        (("p_VV.tif", "p_VV.tiff"), []),
        (("VV.tif", "VH.tif"), []),
        (("p_dem.tif",), []),
        ((), []),
    ],
)
def test_a_folder_is_a_product_by_its_name_and_holds_nothing_else(
    names: tuple[str, ...], found: list[str], tmp_path: Path
) -> None:
    assert [file.name for file in polarisation_files(touched(tmp_path / "p", *names))] == found


def test_the_other_polarisation_is_another(tmp_path: Path) -> None:
    touched(tmp_path, "p_VV.tif", "p_VH.tif")
    assert other_polarisation(tmp_path / "p_VV.tif", "VV") is None
    assert other_polarisation(tmp_path / "p_VV.tif", "VH") == ("p_VH.tif", "p_VV+VH.tif")


def test_a_file_of_the_joined_name_is_a_file(tmp_path: Path) -> None:
    touched(tmp_path, "p_VV.tif", "p_VH.tif")
    assert len(polarisation_files(tmp_path / "p_VV+VH.tif")) == 2
    touched(tmp_path, "p_VV+VH.tif")
    assert polarisation_files(tmp_path / "p_VV+VH.tif") == []
    assert other_polarisation(tmp_path / "p_VV.tif", "VH") is None


@pytest.mark.parametrize(
    ("names", "scenes"),
    [
        (("p_VH.tif", "p_VV.tif"), ["p_VV+VH.tif"]),
        (("p_HH.tif", "p_HV.tif", "p_VH.tif", "p_VV.tif"), ["p_VV+VH+HH+HV.tif"]),
        (("p_VH.tif", "p_VV.tiff"), ["p_VH.tif", "p_VV.tiff"]),
        (("p-VH.tif", "p_VV.tif"), ["p-VH.tif", "p_VV.tif"]),
        (("p.tif", "p_VH.tif", "p_VV.tif"), ["p.tif", "p_VV+VH.tif"]),
        (("p_VH.png", "p_VV.png"), ["p_VH.png", "p_VV.png"]),
        (("p_VV.tif", "q_VH.tif"), ["p_VV.tif", "q_VH.tif"]),
    ],
)
def test_polarisations_of_one_product_and_nothing_else_are_joined(
    names: tuple[str, ...], scenes: list[str], tmp_path: Path
) -> None:
    touched(tmp_path, *names)
    assert joined(str(tmp_path / name) for name in names) == [str(tmp_path / name) for name in scenes]
