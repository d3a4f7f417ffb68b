"""SAR is brought to other grids by its power, whatever scale it is stored in: a mean of decibels is too low."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from saropt.curation.sets import prepare
from saropt.inference import TranslateOptions, Translator
from saropt.radiometry import from_power, to_power
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Grid, Scene, Window, open_scene, write_array

UTM = CRS.from_epsg(32611)
POWER = np.random.default_rng(0).exponential(0.1, (2, 96, 128)).astype(np.float32)
"""One look: a mean of decibels is 2.5 dB lower than the mean power."""


def place(metres: float, turn: float = 0.0) -> Georeference:
    return Georeference(UTM, Affine(metres, 0, 5e5, 0, -metres, 4e6) @ Affine.rotation(turn))


def sar(path: Path, units: str, values: np.ndarray = POWER, metres: float = 5.0, **tags: str) -> Path:
    stored = from_power(values, units)
    return write_array(path, stored, band_names=["VV", "VH"], georeference=place(metres), tags=tags)


def mean_db(values: np.ndarray, valid: np.ndarray, units: str = "sigma0_db") -> float:
    return float(10 * np.log10(to_power(values[:, valid], units).mean(dtype=np.float64)))


GRIDS = {
    "coarser": Grid(UTM, place(20.0).transform, 24, 32),
    "a little coarser": Grid(UTM, place(6.5).transform, 70, 90),
    "half a pixel aside": Grid(UTM, place(5.0).transform @ Affine.translation(0.5, 0.5), 90, 120),
    "turned": Grid(UTM, place(20.0, 30.0).transform @ Affine.translation(3, -3), 20, 20),
    "in degrees": Grid(CRS.from_epsg(4326), Affine(2e-4, 0, -116.999, 0, -2e-4, 36.144), 18, 28),
}


@pytest.mark.parametrize("units", ["sigma0_db", "amplitude"])
@pytest.mark.parametrize("name", GRIDS)
def test_it_is_what_power_becomes_on_that_grid(tmp_path, units, name):
    path, plain = sar(tmp_path / "a.tif", units), sar(tmp_path / "p.tif", "sigma0")
    with open_scene(path, grid=GRIDS[name], power=units) as scene, open_scene(plain, grid=GRIDS[name]) as other:
        (values, valid), (expected, known) = scene.read(), other.read()
        part, _ = scene.read(Window(3, 5, 7, 9))
    assert valid.mean() > 0.4
    assert np.array_equal(valid, known)
    np.testing.assert_allclose(to_power(values, units)[:, valid], expected[:, valid], rtol=1e-4)
    assert np.array_equal(part, values[:, 3:10, 5:14])
    assert (values[:, ~valid] == 0).all()


def test_the_mean_power_stays(tmp_path):
    """Beside the naive mean of blocks in double precision."""
    path = sar(tmp_path / "a.tif", "sigma0_db")
    with open_scene(path, grid=GRIDS["coarser"], power="sigma0_db") as scene:
        values, valid = scene.read()
    truth = 10 * np.log10(POWER.astype(np.float64).mean())
    assert mean_db(values, valid) == pytest.approx(truth, abs=0.1)
    with open_scene(path, grid=GRIDS["coarser"]) as scene:
        assert mean_db(*scene.read()) < truth - 1.5


def test_scale_offset_and_nodata_of_integers(tmp_path):
    decibels = np.round(100 * from_power(POWER, "sigma0_db")).clip(-6000, 3000).astype(np.int16)
    decibels[1, 40:48, 40:48] = -32768
    form = {"width": 128, "height": 96, "count": 2, "dtype": "int16", "nodata": -32768}
    with rasterio.open(tmp_path / "a.tif", "w", crs=UTM, transform=place(5.0).transform, **form) as raster:
        raster.write(decibels)
        raster.scales, raster.descriptions = (0.01, 0.01), ("VV", "VH")
    with open_scene(tmp_path / "a.tif", grid=GRIDS["coarser"], power="sigma0_db") as scene:
        values, valid = scene.read()
    assert np.argwhere(~valid).tolist() == [[10, 10], [10, 11], [11, 10], [11, 11]]
    assert mean_db(values, valid) == pytest.approx(-10.0, abs=0.2)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_several_bands_of_more_than_a_block(tmp_path, interleave):
    power = np.random.default_rng(1).exponential(0.1, (2, 700, 900)).astype(np.float32)
    form = {"width": 900, "height": 700, "count": 2, "dtype": "float32", "interleave": interleave}
    with rasterio.open(tmp_path / "a.tif", "w", crs=UTM, transform=place(5.0).transform, **form) as raster:
        raster.write(from_power(power, "sigma0_db"))
    with open_scene(tmp_path / "a.tif", grid=Grid(UTM, place(10.0).transform, 350, 450), power="sigma0_db") as scene:
        values, valid = scene.read()
    assert valid.all()
    truth = power.reshape(2, 350, 2, 450, 2).mean(axis=(2, 4))
    assert np.corrcoef(to_power(values, "sigma0_db").ravel(), truth.ravel())[0, 1] > 0.9
    assert values.min() > -60


@pytest.mark.parametrize("fill", [-np.inf, -9999.0, np.nan])
def test_numbers_that_are_no_decibels_have_no_part(tmp_path, fill):
    decibels = from_power(np.full_like(POWER, 0.1), "sigma0_db")
    decibels[1, 30:, 40:] = fill
    path = write_array(tmp_path / "a.tif", decibels, band_names=["VV", "VH"], georeference=place(5.0))
    with open_scene(path, grid=GRIDS["coarser"], power="sigma0_db") as scene:
        values, valid = scene.read()
    assert valid[:7].all()
    assert valid[:, :10].all()
    assert not valid[8:, 10:].any()
    np.testing.assert_allclose(values[:, valid], -10.0, atol=0.01)


def test_the_type_of_the_file_stays(tmp_path):
    digital = np.rint(1000 * from_power(POWER, "amplitude")).astype(np.uint16)
    path = write_array(tmp_path / "a.tif", digital, band_names=["VV", "VH"], georeference=place(5.0))
    with open_scene(path, grid=GRIDS["coarser"], power="amplitude") as scene:
        assert scene.dtype == "uint16"
        assert mean_db(*scene.read(), "amplitude") == pytest.approx(50.0, abs=0.1)


def test_control_points_too(tmp_path):
    corners = ((0, 0), (0, 128), (96, 0), (96, 128))
    points = [GroundControlPoint(row, col, *(place(5.0).transform @ (col, row))) for row, col in corners]
    form = {"width": 128, "height": 96, "count": 1, "dtype": "float32"}
    with rasterio.open(tmp_path / "a.tif", "w", gcps=points, crs=UTM, **form) as raster:
        raster.write(from_power(POWER[:1], "sigma0_db"))
    with open_scene(tmp_path / "a.tif", grid=GRIDS["coarser"], power="sigma0_db") as scene:
        assert mean_db(*scene.read()) == pytest.approx(-10.0, abs=0.2)


@pytest.mark.parametrize("power", ["sigma0", "complex", "uint8", None])
def test_other_scales_are_resampled_as_they_are(tmp_path, power):
    path = sar(tmp_path / "a.tif", "sigma0_db")
    with open_scene(path, grid=GRIDS["turned"], power=power) as one, open_scene(path, grid=GRIDS["turned"]) as other:
        assert np.array_equal(one.read()[0], other.read()[0])


def test_complex_pixels_have_no_power_here(tmp_path):
    path = write_array(tmp_path / "a.tif", POWER.astype(np.complex64), georeference=place(5.0))
    with open_scene(path, grid=GRIDS["coarser"], power="sigma0_db") as scene:
        assert scene.dtype == "complex64"


def test_an_earlier_image_in_decibels_is_that_in_power(tmp_path):
    translator = Translator.load("s1-reference")
    coarse = POWER.reshape(2, 24, 4, 32, 4).mean(axis=(2, 4))
    stored = from_power(coarse, "sigma0_db")
    scene = write_array(tmp_path / "s.tif", stored, band_names=["VV", "VH"], georeference=place(20.0))
    made = []
    for units, tags in (("sigma0", {"CALIBRATED_TO": "sigma0"}), ("sigma0_db", {})):
        options = TranslateOptions(units="sigma0_db", reference_sar=sar(tmp_path / f"{units}.tif", units, **tags))
        with Scene.open(translator.run(scene, tmp_path / f"o_{units}.tif", options).path) as written:
            made.append(written.read()[0])
    assert np.abs(made[0] - made[1]).max() <= 1


@pytest.mark.parametrize("units", ["sigma0_db", "amplitude"])
def test_pairs_of_coarser_pixels_keep_the_power(tmp_path, units):
    path = sar(tmp_path / "sar.tif", units)
    picture = np.full((3, 24, 32), 90, np.uint8)
    optical = write_array(tmp_path / "o.tif", picture, band_names=["B4", "B3", "B2"], georeference=place(20.0))
    settings = [f"optical={optical}", f"units={units}", "gsd_m=20", "train=1", "val=0", "gap=0"]
    root = DataRoot.open(prepare("pair", path, tmp_path / "root", settings))
    (name,) = root.names("train")
    with Scene.open(root.raster("sar", name)) as scene:
        assert mean_db(*scene.read(), units) == pytest.approx(10 * np.log10(POWER.mean()), abs=0.15)


@pytest.mark.parametrize("name", ["a little coarser", "half a pixel aside", "turned", "in degrees"])
@pytest.mark.parametrize("units", ["sigma0", "amplitude"])
def test_zeros_that_are_fill_have_no_part(tmp_path, units, name):
    power = np.full_like(POWER, 0.1)
    power[1, 30:60, 40:] = 0
    with open_scene(sar(tmp_path / "a.tif", units, power), grid=GRIDS[name], power=units) as scene:
        values, valid = scene.read()
    with open_scene(sar(tmp_path / "b.tif", units), grid=GRIDS[name], power=units) as scene:
        everywhere = scene.read()[1]
    assert 0.3 < valid.sum() / everywhere.sum() < 0.95
    np.testing.assert_allclose(to_power(values, units)[:, valid], 0.1, rtol=1e-4)


def test_dark_pixels_of_eight_bits_are_no_fill(tmp_path):
    dark = np.full((1, 96, 128), 40, np.uint8)
    dark[:, 30:60, 40:80] = 0
    path = write_array(tmp_path / "a.tif", dark, band_names=["VV"], georeference=place(5.0))
    with open_scene(path, grid=GRIDS["coarser"], power="amplitude") as scene:
        values, valid = scene.read()
    assert valid.all()
    assert values.min() == 0


@pytest.mark.parametrize(("power", "scale"), [(None, 1.0), (None, 0.5), ("sigma0_db", 1.0)])
def test_a_number_that_is_given_as_nodata_has_no_part(tmp_path, power, scale):
    stored = np.full((1, 96, 128), -12, np.float32)
    stored[:, 30:60, 40:] = 7
    form = {"width": 128, "height": 96, "count": 1, "dtype": "float32"}
    with rasterio.open(tmp_path / "a.tif", "w", crs=UTM, transform=place(5.0).transform, **form) as raster:
        raster.write(stored)
        raster.scales = (scale,)
    with open_scene(tmp_path / "a.tif", grid=GRIDS["half a pixel aside"], nodata=7, power=power) as scene:
        values, valid = scene.read()
    assert 0.5 < valid.mean() < 0.9
    np.testing.assert_allclose(values[:, valid], -12 * scale, rtol=1e-4)
