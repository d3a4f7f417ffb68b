"""The colour picture of dual-polarised SAR: fixed ranges, the same for rasters, units and products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin

from safe_files import write_safe
from saropt.cli import main
from saropt.curation.composite import write_composite
from saropt.errors import InputError
from saropt.scenes import Georeference, Scene, write_array
from saropt.sensors.sentinel1 import calibrate

UTM = Georeference(CRS.from_epsg(32611), from_origin(400_000, 3_800_000, 10, 10))


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with Scene.open(path) as scene:
        return scene.read()


@pytest.fixture
def decibels() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.normal(-10, 5, (70, 90)), rng.normal(-17, 5, (70, 90))]).astype(np.float32)


def by_hand(co: float, cross: float) -> list[int]:
    channels = ((co, -20.0, 0.0), (cross, -26.0, -5.0), (co - cross, 4.0, 16.0))
    return [round(1 + 254 * min(max((value - low) / (high - low), 0.0), 1.0)) for value, low, high in channels]


def test_every_pixel_by_hand(decibels: np.ndarray, tmp_path: Path) -> None:
    decibels[:, :5] = np.nan
    path = write_array(tmp_path / "sar.tif", decibels, band_names=["VV", "VH"], georeference=UTM)
    values, valid = read(write_composite(path, tmp_path / "out.tif"))
    assert (valid == np.isfinite(decibels[0])).all()
    for row in range(0, 70, 9):
        for col in range(0, 90, 7):
            if valid[row, col]:
                assert values[:, row, col] == pytest.approx(by_hand(*map(float, decibels[:, row, col])), abs=1)
    with Scene.open(tmp_path / "out.tif") as scene:
        assert scene.is_rgb
        assert scene.band_names == ["VV", "VH", "VV/VH"]
        assert scene.georeference.transform == UTM.transform


def test_units_and_the_order_of_bands_do_not_matter(decibels: np.ndarray, tmp_path: Path) -> None:
    first = write_array(tmp_path / "db.tif", decibels, band_names=["VV", "VH"])
    power = (10.0 ** (decibels[::-1] / 10.0)).astype(np.float32)
    second = write_array(tmp_path / "power.tif", power, band_names=["VH", "VV"])
    one = read(write_composite(first, tmp_path / "one.tif"))[0]
    two = read(write_composite(second, tmp_path / "two.tif", "sigma0"))[0]
    np.testing.assert_allclose(one, two, atol=1)


@pytest.mark.parametrize("units", ["sigma0_db", "sigma0"])
def test_fill_and_impossible_values_have_no_colour(decibels: np.ndarray, tmp_path: Path, units: str) -> None:
    values = decibels if units == "sigma0_db" else (10.0 ** (decibels / 10.0)).astype(np.float32)
    values[:, :, :20] = 0
    values[1, 3, 50] = 1e7
    path = write_array(tmp_path / "sar.tif", values, band_names=["VV", "VH"])
    told: list[str] = []
    valid = read(write_composite(path, tmp_path / "out.tif", units, tell=told.append))[1]
    expected = np.ones((70, 90), bool)
    expected[:, :20] = expected[3, 50] = False
    assert (valid == expected).all()
    (line,) = told
    assert line.endswith(f"impossible values in {units}: made nodata")


def test_a_product_is_calibrated_on_the_way(tmp_path: Path) -> None:
    safe, _ = write_safe(tmp_path)
    first = calibrate(safe, tmp_path / "calibrated.tif")
    assert main(["data", "composite", str(first), str(tmp_path / "two.tif")]) == 0
    assert main(["data", "composite", str(safe), str(tmp_path / "one.tif")]) == 0
    np.testing.assert_array_equal(read(tmp_path / "one.tif")[0], read(tmp_path / "two.tif")[0])


def test_bad_input(decibels: np.ndarray, tmp_path: Path) -> None:
    alone = write_array(tmp_path / "alone.tif", decibels[:1], band_names=["VV"])
    with pytest.raises(InputError, match="VV and VH, or HH and HV, are needed"):
        write_composite(alone, tmp_path / "out.tif")
    both = write_array(tmp_path / "both.tif", decibels, band_names=["HH", "HV"])
    with pytest.raises(InputError, match="units"):
        write_composite(both, tmp_path / "out.tif", "sigma0")
    with pytest.raises(InputError, match="is an input"):
        write_composite(both, both, overwrite=True)
    write_composite(both, tmp_path / "out.tif")
    with pytest.raises(InputError, match="exists already"):
        write_composite(both, tmp_path / "out.tif")


def test_units_come_from_the_names_of_bands(tmp_path):
    power = np.full((2, 64, 64), [[[0.2]], [[0.03]]], np.float32)
    named = write_array(tmp_path / "a.tif", power, band_names=["Sigma0_VV", "Sigma0_VH"])
    plain = write_array(tmp_path / "b.tif", power, band_names=["VV", "VH"])
    one, other = write_composite(named, tmp_path / "one.tif"), write_composite(plain, tmp_path / "two.tif", "sigma0")
    assert (read(one)[0] == read(other)[0]).all()
