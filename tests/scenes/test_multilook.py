"""SAR on coarser grids is the mean power of the finer pixels, whatever scale it is stored in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from saropt.curation.sets import prepare
from saropt.inference import TranslateOptions, Translator
from saropt.radiometry import from_power
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Grid, Scene, Window, open_scene, write_array
from saropt.scenes.multilook import open_multilooked

UTM = CRS.from_epsg(32611)
POWER = np.random.default_rng(0).exponential(0.1, (2, 96, 128)).astype(np.float32)
"""One look: a mean of decibels is 2.5 dB lower than the mean power."""


def place(metres: float, turn: float = 0.0) -> Georeference:
    return Georeference(UTM, Affine(metres, 0, 5e5, 0, -metres, 4e6) @ Affine.rotation(turn))


def sar(path: Path, units: str, values: np.ndarray = POWER, metres: float = 5.0, **tags: str) -> Path:
    stored = from_power(values, units)
    return write_array(path, stored, band_names=["VV", "VH"], georeference=place(metres), tags=tags)


def block_means(power: np.ndarray, side: int) -> np.ndarray:
    """Naively, in double precision."""
    bands, height, width = power.shape
    out = np.empty((bands, height // side, width // side))
    for row in range(height // side):
        for col in range(width // side):
            cell = power[:, row * side : (row + 1) * side, col * side : (col + 1) * side]
            out[:, row, col] = cell.astype(np.float64).reshape(bands, -1).mean(axis=1)
    return out


@pytest.mark.parametrize("units", ["sigma0_db", "gamma0", "amplitude"])
@pytest.mark.parametrize("side", [2, 4])
def test_pixels_are_the_mean_power_in_any_scale(tmp_path, units, side):
    path = sar(tmp_path / "a.tif", units)
    grid = Grid(UTM, place(5.0 * side).transform, 96 // side, 128 // side)
    with open_multilooked(path, grid=grid, units=units) as scene:
        values, valid = scene.read()
        part, _ = scene.read(Window(3, 5, 7, 9))
        assert (scene.height, scene.width, scene.georeference) == (96 // side, 128 // side, place(5.0 * side))
    assert valid.all()
    np.testing.assert_allclose(values, from_power(block_means(POWER, side), units), rtol=1e-4, atol=1e-4)
    assert np.array_equal(part, values[:, 3:10, 5:14])


def test_invalid_fine_pixels_do_not_count(tmp_path):
    power = POWER.copy()
    power[:, ::2] = np.nan
    power[:, 40:48, 40:48] = np.nan
    path = sar(tmp_path / "a.tif", "sigma0", power)
    with open_multilooked(path, grid=Grid(UTM, place(20.0).transform, 24, 32), units="sigma0") as scene:
        values, valid = scene.read()
    assert np.argwhere(~valid).tolist() == [[10, 10], [10, 11], [11, 10], [11, 11]]
    assert (values[:, ~valid] == 0).all()
    expected = POWER[:, 1::2].reshape(2, 24, 2, 32, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(values[:, 20:], expected[:, 20:], rtol=1e-4)


def test_finer_grids_equal_sizes_and_unknown_units_are_left_to_gdal(tmp_path):
    path = sar(tmp_path / "a.tif", "sigma0_db")
    for metres, height, units in ((5.0, 96, "sigma0_db"), (2.5, 192, "sigma0_db"), (20.0, 24, None)):
        grid = Grid(UTM, place(metres).transform, height, height)
        with open_multilooked(path, grid=grid, units=units) as one, open_scene(path, grid=grid) as other:
            assert type(one) is Scene
            assert np.array_equal(one.read()[0], other.read()[0])


def test_tags_say_the_scale_and_turned_grids_lose_no_power(tmp_path):
    path = sar(tmp_path / "a.tif", "sigma0_db", CALIBRATED_TO="sigma0_db")
    grid = Grid(UTM, place(20.0, 30.0).transform @ Affine.translation(3, -3), 20, 20)
    with open_multilooked(path, grid=grid, units="sigma0") as scene:
        values, valid = scene.read()
    assert 200 < valid.sum() < 400
    assert 10 * np.log10(np.mean(10 ** (values[:, valid] / 10))) == pytest.approx(-10.0, abs=0.2)


def test_an_earlier_image_in_decibels_is_that_in_power(tmp_path):
    """Finer by four than the scene: the translation is the same in either scale."""
    translator = Translator.load("s1-reference")
    coarse = from_power(block_means(POWER, 4), "sigma0_db").astype(np.float32)
    scene = write_array(tmp_path / "s.tif", coarse, band_names=["VV", "VH"], georeference=place(20.0))
    made = []
    for units in ("sigma0", "sigma0_db"):
        old = sar(tmp_path / f"{units}.tif", units, CALIBRATED_TO=units)
        options = TranslateOptions(units="sigma0_db", reference_sar=old)
        with Scene.open(translator.run(scene, tmp_path / f"o_{units}.tif", options).path) as written:
            made.append(written.read()[0])
    assert np.abs(made[0] - made[1]).max() <= 1


def test_pairs_of_coarser_pixels_keep_the_power(tmp_path):
    path = sar(tmp_path / "sar.tif", "sigma0_db")
    optical = write_array(
        tmp_path / "optical.tif",
        np.full((3, 24, 32), 90, np.uint8),
        band_names=["B4", "B3", "B2"],
        georeference=place(20.0),
    )
    settings = [f"optical={optical}", "units=sigma0_db", "gsd_m=20", "train=1", "val=0", "gap=0"]
    root = DataRoot.open(prepare("pair", path, tmp_path / "root", settings))
    (name,) = root.names("train")
    with Scene.open(root.raster("sar", name)) as scene:
        values, valid = scene.read()
    mean = 10 * np.log10(np.mean(10 ** (values[:, valid].astype(np.float64) / 10)))
    assert mean == pytest.approx(10 * np.log10(POWER.mean()), abs=0.15)
