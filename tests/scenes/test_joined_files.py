"""A product with one file for each polarisation is read as one scene."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from saropt.cli import main
from saropt.domain.stated_units import stated_units
from saropt.errors import InputError
from saropt.scenes import Grid, Scene, open_scene
from saropt.sensors.product_names import digest_product

HYP3 = "S1A_IW_20230610T050000_DVP_RTC10_G_gpuned_1A2B"


def write_part(
    path: Path,
    seed: int,
    *,
    nodata: float | None = None,
    mask: bool = False,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    **form: object,
) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).gamma(2.0, 0.1, (1, 70, 90)).astype(np.float32)
    pixels[:, 10 * seed : 10 * seed + 5] = 0.0
    how = {"width": 90, "height": 70, "count": 1, "dtype": "float32", "crs": "EPSG:32633", "driver": "GTiff"} | form
    with rasterio.open(path, "w", transform=from_origin(5e5, 5e6, 10, 10), nodata=nodata, **how) as dataset:
        dataset.write(pixels[:, : dataset.height].astype(dataset.dtypes[0]))
        dataset.update_tags(NOTE=f"number {seed}", PLACE="here", **(tags or {}))
        dataset.descriptions = [description]
        if mask:
            dataset.write_mask(pixels[0] > 0)
    return path


def stacked(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    parts, masks = [], []
    for file in files:
        with rasterio.open(file) as dataset:
            parts.append(dataset.read(1))
            masks.append(dataset.read_masks(1) > 0)
    return np.stack(parts), np.logical_and(*masks)


@pytest.mark.parametrize("how", [{"nodata": 0.0}, {"mask": True}, {}])
def test_pixels_and_masks_are_those_of_the_files(how: dict[str, bool], tmp_path: Path) -> None:
    files = [write_part(tmp_path / HYP3 / f"{HYP3}_{name}.tif", seed, **how) for seed, name in ((1, "VV"), (3, "VH"))]
    values, valid = stacked(files)
    assert how == {} or 0.0 < valid.mean() < 1.0
    for path in (tmp_path / HYP3, tmp_path / HYP3 / f"{HYP3}_VV+VH.tif"):
        with open_scene(path) as scene:
            read, known = scene.read()
            assert scene.band_names == ["VV", "VH"]
            assert scene.tags["PLACE"] == "here"
            assert "NOTE" not in scene.tags
        np.testing.assert_array_equal(known, valid)
        np.testing.assert_array_equal(read, np.where(valid, values, 0))
        with open_scene(path, ["VH"]) as alone, open_scene(files[1]) as file:
            for one, other in zip(alone.read(), file.read(), strict=True):
                np.testing.assert_array_equal(one, other)


def test_on_another_grid_each_band_keeps_its_own_mask(tmp_path: Path) -> None:
    files = [write_part(tmp_path / f"p_{name}.tif", seed, mask=True) for seed, name in ((1, "VV"), (3, "VH"))]
    values, valid = stacked(files)
    grid = Grid(rasterio.CRS.from_epsg(32633), from_origin(5e5 + 100, 5e6 - 50, 10, 10), 60, 80)
    with open_scene(tmp_path / "p_VV+VH.tif", grid=grid, resampling="nearest") as scene:
        read, known = scene.read()
    np.testing.assert_array_equal(known, valid[5:65, 10:90])
    np.testing.assert_array_equal(read, np.where(known, values[:, 5:65, 10:90], 0))


def test_a_product_states_units_and_date_in_its_name_and_is_another_when_a_file_changes(tmp_path: Path) -> None:
    for seed, name in ((1, "VV"), (3, "VH")):
        write_part(tmp_path / HYP3 / f"{HYP3}_{name}.tif", seed)
    with open_scene(tmp_path / HYP3) as scene:
        before = scene.identity()
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2023-06-10T05:00:00+00:00"
        assert scene.tags["PRODUCT_NAME_UNITS"] == "gamma0"
    write_part(tmp_path / HYP3 / f"{HYP3}_VH.tif", 4)
    with open_scene(tmp_path / HYP3) as scene:
        assert scene.identity() != before
    with open_scene(write_part(tmp_path / f"{HYP3}_dem.tif", 1)) as dem:
        assert "PRODUCT_NAME_UNITS" not in dem.tags


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"height": 60}, "p_VH.tif: has another grid than p_VV.tif: give each file by itself"),
        ({"crs": "EPSG:32634"}, "has another grid than"),
        ({"dtype": "uint16"}, "has another type of numbers than"),
        ({"tags": {"CALIBRATED_TO": "sigma0"}}, "has another statement of its units than"),
        ({"tags": {"ACQUISITION_DATE": "2023-06-11"}}, "has another date than"),
        ({"description": "Sigma0_VV_db"}, "its band is called Sigma0_VV_db: name the file by that polarisation"),
    ],
)
def test_files_that_do_not_fit_are_refused(form: dict[str, Any], reason: str, tmp_path: Path) -> None:
    write_part(tmp_path / "p_VV.tif", 1, tags={"ACQUISITION_DATE": "2023-06-10", "CALIBRATED_TO": "sigma0_db"})
    write_part(tmp_path / "p_VH.tif", 2, **form)
    with pytest.raises(InputError, match=reason):
        Scene.open(tmp_path / "p_VV+VH.tif")


@pytest.mark.parametrize(
    ("described", "names"),
    [(("Gamma0_VV_db", "Gamma0_VH_db"), ["Gamma0_VV_db", "Gamma0_VH_db"]), (("gamma0", None), ["gamma0 VV", "VH"])],
)
def test_bands_keep_the_names_that_files_state(described: tuple[str, str], names: list[str], tmp_path: Path) -> None:
    for name, description in zip(("VV", "VH"), described, strict=True):
        write_part(tmp_path / f"p_{name}.tif", 1, description=description)
    with open_scene(tmp_path / "p_VV+VH.tif") as scene:
        assert scene.band_names == names
        stated = stated_units(scene.tags, scene.band_names)
        assert stated is not None
        assert stated.quantity.startswith("gamma0")


def test_a_product_is_another_with_another_mask_or_name(tmp_path: Path) -> None:
    def identity(folder: Path) -> str:
        with open_scene(folder) as scene:
            return scene.identity()

    product = tmp_path / HYP3
    files = [write_part(product / f"{HYP3}_{name}.tif", seed) for seed, name in ((1, "VV"), (3, "VH"))]
    before = identity(product), digest_product(product)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(files[1], "r+") as dataset:
        dataset.write_mask(np.zeros((70, 90), np.uint8))
    assert Path(f"{files[1]}.msk").is_file()
    after = identity(product), digest_product(product)
    assert before[0] != after[0]
    assert before[1] != after[1]
    renamed = HYP3.replace("gpuned", "gduned")
    product.rename(tmp_path / renamed)
    for path in (tmp_path / renamed).iterdir():
        path.rename(path.with_name(path.name.replace(HYP3, renamed)))
    assert identity(tmp_path / renamed) != after[0]


@pytest.mark.parametrize("given", [".", "../{0}", "sub/.."])
def test_a_product_is_known_by_its_own_name(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_part(tmp_path / HYP3 / f"{HYP3}_VV.tif", 1)
    (tmp_path / HYP3 / "sub").mkdir()
    monkeypatch.chdir(tmp_path / HYP3)
    with open_scene(given.format(HYP3)) as scene:
        assert scene.tags["PRODUCT_NAME_UNITS"] == "gamma0"


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    write_part(tmp_path / HYP3 / f"{HYP3}_VV.tif", 1)
    archive = shutil.make_archive(str(tmp_path / HYP3), "zip", tmp_path, HYP3)
    with pytest.raises(InputError, match="is an archive: unpack it and name the folder"):
        Scene.open(archive)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_part(tmp_path / "p_VV.tif", 1)
    with pytest.raises(InputError, match=r"p_VH.tif: no such file"):
        Scene.open(tmp_path / "p_VV+VH.tif")


def test_inspect_shows_a_product_with_its_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in ((1, "VV"), (3, "VH")):
        write_part(tmp_path / HYP3 / f"{HYP3}_{name}.tif", seed, nodata=0.0)
    assert main(["data", "inspect", str(tmp_path / HYP3), "--html", str(tmp_path / "page.html")]) == 0
    said = capsys.readouterr().out
    assert "units stated    gamma0, by its file names" in said
    assert "VV, VH" in said
    assert (tmp_path / "page.html").is_file()
