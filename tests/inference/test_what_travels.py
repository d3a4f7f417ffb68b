"""What an output takes from its input: its place on the ground and the facts that stay true."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from saropt.curation.composite import write_composite
from saropt.curation.filtering import filter_scene
from saropt.inference import TranslateOptions, Translator
from saropt.matching import Sift, match_scenes, register
from saropt.scenes import Scene, mosaic

COEFFICIENTS = " ".join(["1e-3"] * 20)
RPC = {
    **dict.fromkeys(("LINE_OFF", "SAMP_OFF", "LINE_SCALE", "SAMP_SCALE", "HEIGHT_OFF", "HEIGHT_SCALE"), "100"),
    **{"LAT_OFF": "12.5", "LONG_OFF": "3.25", "LAT_SCALE": ".5", "LONG_SCALE": ".5"},
    **{f"{name}_COEFF": COEFFICIENTS for name in ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN")},
}
TAGS = {"PRODUCT_ID": "p7", "CALIBRATED_TO": "sigma0_db", "STATISTICS_MEAN": "7", "BAND_UNITS": "dB", "NODATA": "5"}


@pytest.fixture
def scene(tmp_path):
    rng = np.random.default_rng(0)
    rows = np.arange(160)[:, None] * np.ones((1, 160))
    shape = -14 + 4 * np.sin(rows / 9) * np.cos(rows.T / 7)
    values = np.stack([shape + 6, shape]) + 10 * np.log10(rng.gamma(20, 1 / 20, (2, 160, 160)))
    form = {"driver": "GTiff", "count": 2, "height": 160, "width": 160, "dtype": "float32"}
    with rasterio.open(tmp_path / "a.tif", "w", **form) as dataset:
        dataset.write(values.astype(np.float32))
        dataset.descriptions = ("VV", "VH")
        dataset.update_tags(**TAGS)
        dataset.update_tags(ns="RPC", **RPC)
    return tmp_path / "a.tif"


def _translated(scene, out):
    translator = Translator.load("s1-losangeles", threads=1)
    return translator.run(scene, out, TranslateOptions(units="sigma0_db", bands=("VH",))).path


def _registered(scene, out):
    return register(match_scenes(scene, scene, Sift()), out)


@pytest.mark.parametrize(
    ("make", "same_units"),
    [
        (_translated, False),
        (lambda scene, out: filter_scene(scene, out, units="sigma0_db", name="lee", looks=4.0), True),
        (lambda scene, out: write_composite(scene, out, units="sigma0_db"), False),
        (_registered, True),
    ],
    ids=["translate", "filter", "composite", "register"],
)
def test_coefficients_travel_and_statistics_do_not(tmp_path, scene, make, same_units):
    make(scene, tmp_path / "o.tif")
    with rasterio.open(scene) as given, rasterio.open(tmp_path / "o.tif") as made:
        assert made.rpcs is not None
        assert made.rpcs == given.rpcs
        tags = made.tags()
    assert tags["PRODUCT_ID"] == "p7"
    assert not {"STATISTICS_MEAN", "NODATA"} & set(tags)
    assert ("CALIBRATED_TO" in tags, "BAND_UNITS" in tags) == (same_units, same_units)


def test_coefficients_beside_the_file(tmp_path, scene):
    with rasterio.open(scene) as given, rasterio.open(tmp_path / "b.tif", "w", **given.profile, RPB="YES") as made:
        made.write(given.read())
        made.descriptions = given.descriptions
        made.update_tags(ns="RPC", **RPC)
        line = given.rpcs.line_num_coeff, given.rpcs.lat_off
    assert (tmp_path / "b.RPB").exists()
    filter_scene(tmp_path / "b.tif", tmp_path / "o.tif", units="sigma0_db", name="lee", looks=4.0)
    with rasterio.open(tmp_path / "o.tif") as made:
        assert (made.rpcs.line_num_coeff, made.rpcs.lat_off) == line


def test_a_mosaic_applies_scale_and_offset(tmp_path):
    for number in range(2):
        form = {"driver": "GTiff", "count": 1, "height": 8, "width": 8, "dtype": "uint16", "nodata": 0}
        place = {"crs": "EPSG:32633", "transform": from_origin(500000 + 80 * number, 4000000, 10, 10)}
        with rasterio.open(tmp_path / f"{number}.tif", "w", **form, **place) as dataset:
            dataset.write(np.r_[[0] * 8, [2000] * 56].reshape(1, 8, 8).astype(np.uint16))
            dataset.scales, dataset.offsets = (1e-4,), (-0.1,)
    with Scene.open(mosaic([tmp_path / "0.tif", tmp_path / "1.tif"], tmp_path / "o.tif")) as made:
        values, valid = made.read()
        assert made.scaling is None
    np.testing.assert_allclose(values[0, 1:], 0.1, rtol=1e-6)
    assert not valid[0].any()
    assert valid[1:].all()
