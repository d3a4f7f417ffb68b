"""Scenes that are unlike the training data: distances by their definition, and what a run says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from saropt.artifacts import ImageCard, read_card
from saropt.inference import ArraySource, TranslateOptions, Translator
from saropt.inference.familiarity import (
    QUANTILES,
    describe_scene,
    lacks_as_in_training,
    other_pixel_size,
    other_scene_inputs,
    summarise,
    unlike_training,
)
from saropt.inference.reader import TileReader
from saropt.scenes import Georeference, Window, write_array

RECIPE = {"kind": "db_clip", "low": -30.0, "high": 0.0}
IMAGE = ImageCard(role="sar", bands=("VV", "VH"), units="sigma0_db", dtype="float32", recipe=RECIPE, partial=True)


def reader(mean: float, deviation: float = 2.0, seed: int = 0, bands: int = 2) -> TileReader:
    values = np.random.default_rng(seed).normal(mean, deviation, (bands, 64, 64)).astype(np.float32)
    places = {} if bands == 2 else {"sar": [0]}
    return TileReader((IMAGE,), {"sar": ArraySource(values)}, places=places)


@pytest.fixture
def seen():
    random = np.random.default_rng(0)
    return summarise([describe_scene(reader(random.uniform(-16, -10), seed=n)) for n in range(30)], IMAGE)


def test_features_by_numpy():
    given = reader(-15.0)
    window = given.spread_windows(16)
    expected = []
    for band in range(2):
        values = window[:, band]
        expected += [np.quantile(values, q) for q in QUANTILES.values()]
        expected.append(math.log10(np.abs(values[..., 1:] - values[..., :-1]).mean()))
    np.testing.assert_allclose(describe_scene(given), expected, rtol=1e-5)


def test_features_are_of_the_first_input_and_no_other_is_read():
    class Counted(ArraySource):
        windows = 0

        def read(self, window=None):
            self.windows += window is not None
            return super().read(window)

    values = np.random.default_rng(0).normal(-12, 2, (2, 64, 64)).astype(np.float32)
    card = ImageCard(role="optical_reference", bands=("R",), units="uint8", dtype="uint8", recipe={"kind": "eight_bit"})
    earlier = Counted(np.full((1, 64, 64), 90, np.uint8))
    given = TileReader((IMAGE, card), {"sar": ArraySource(values), "optical_reference": earlier})
    looked_at = earlier.windows
    alone = TileReader((IMAGE,), {"sar": ArraySource(values)})
    np.testing.assert_array_equal(describe_scene(given), describe_scene(alone))
    assert earlier.windows == looked_at


def test_a_scene_like_the_others_is_passed_and_a_darker_one_is_told(seen):
    assert unlike_training(reader(-13.0, seed=99), seen) is None
    told = unlike_training(reader(-24.0, seed=99), seen)
    assert told is not None
    assert "unlike the training data" in told
    value = float(told.split(" is -")[1].split(",")[0])
    assert 15.0 < value < 30.0  # in decibels, not in network values


def test_the_threshold_leaves_one_scene_in_twenty_outside(seen):
    scenes, spread = np.array(seen.scenes), np.array(seen.spread)
    nearest = []
    for number, scene in enumerate(scenes):
        others = [other for place, other in enumerate(scenes) if place != number]
        nearest.append(min(math.sqrt(np.mean(((scene - other) / spread) ** 2)) for other in others))
    assert seen.threshold == pytest.approx(np.quantile(nearest, 0.95), rel=1e-3)


def test_a_missing_band_is_not_compared(seen):
    assert unlike_training(reader(-13.0, seed=7, bands=1), seen) is None
    assert "VV" in unlike_training(reader(-24.0, seed=7, bands=1), seen)


def test_a_scene_like_one_that_lacked_a_band_is_left_without_it():
    """Bright scenes were seen with both bands, dark ones with VV alone; the other band is made for the bright one."""
    rng = np.random.default_rng(0)

    def pixels(level: float, bands: int = 1) -> np.ndarray:
        return rng.normal(level, 1.5, (bands, 64, 64)).astype(np.float32)

    image = IMAGE.model_copy(update={"band_difference": 0.4})
    bright = [describe_scene(TileReader((image,), {"sar": ArraySource(pixels(-8, 2))})) for _ in range(12)]
    dark = [
        describe_scene(TileReader((image,), {"sar": ArraySource(pixels(-18))}, places={"sar": [0]})) for _ in range(4)
    ]
    assert all(np.isnan(features[6:]).all() for features in dark)
    seen = summarise([*bright, *dark], image)
    translator = Translator.load("s1-world")
    translator.inputs = (image,)
    translator.seen = seen
    for level, lacking in ((-8.5, False), (-17.5, True)):
        source = ArraySource(pixels(level))
        reader = translator.read(source, places={"sar": [0]})
        assert lacks_as_in_training(reader, seen) == lacking
        assert reader.notes == ([] if lacking else ["array: VH is missing or not chosen: it is estimated from VV"])
        network = reader(Window(0, 0, 32, 32))[0]
        first = np.clip(source.values[0, :32, :32] / 15.0 + 1.0, -1.0, 1.0)
        other = np.full_like(first, -1.0) if lacking else np.clip(first - 0.4, -1.0, 1.0)
        np.testing.assert_allclose(network[:2], np.stack([first, other]), atol=1e-5)
    both = translator.read(ArraySource(pixels(-17.5, 2)))
    assert not lacks_as_in_training(both, seen)


def test_few_scenes_tell_nothing():
    assert summarise([describe_scene(reader(-15.0, seed=n)) for n in range(9)], IMAGE) is None


def test_a_run_warns_and_its_tags_say_so(make_translator, make_scene, tmp_path):
    path = make_translator()
    translator = Translator.load(path)
    image = translator.inputs[0]
    random = np.random.default_rng(0)

    def dark(seed: int) -> np.ndarray:
        values = random.normal(-28.0, 0.5, (1, 64, 64)).astype(np.float32)
        return describe_scene(TileReader((image,), {"sar": ArraySource(values)}))

    translator.seen = summarise([dark(seed) for seed in range(12)], image)
    made = translator.run(make_scene(64, 64), tmp_path / "out.tif")
    assert "unlike the training data" in made.warnings[0]
    with rasterio.open(made.path) as file:
        assert file.tags()["SAROPT_WARNING"] == made.warnings[0]
    assert read_card(path).training.seen is None


@pytest.mark.parametrize(("width", "told"), [(1, True), (30, True), (64, False)])
def test_a_run_tells_of_a_scene_narrower_than_its_context(make_scene, tmp_path, width, told):
    translator = Translator.load("s1-losangeles", threads=1)
    made = translator.run(make_scene(100, width), tmp_path / "out.tif", TranslateOptions(units="sigma0_db"))
    words = f"the scene is 100x{width} pixels, the network looks at 324x324 for each"
    assert any(words in line for line in made.warnings) == told
    with rasterio.open(made.path) as file:
        assert (words in file.tags().get("SAROPT_WARNING", "")) == told


def points(step: float) -> tuple[GroundControlPoint, ...]:
    return tuple(GroundControlPoint(r, c, 10 + c * step, -r * step) for r in (0, 90) for c in (0, 90))


UTM, DEGREES, MERCATOR, FEET = (CRS.from_epsg(number) for number in (32633, 4326, 3857, 2229))
TURNED = Affine.translation(5e5, 4e6) @ Affine.rotation(30) @ Affine.scale(20, -20)
PLACES = {
    "10 m": (Georeference(UTM, Affine(10, 0, 5e5, 0, -10, 4e6)), None),
    "1 m": (Georeference(UTM, Affine(1, 0, 5e5, 0, -1, 4e6)), 1.0),
    "turned": (Georeference(UTM, TURNED), 20.0),
    "degrees at 60 north": (Georeference(DEGREES, Affine(8.98e-5, 0, 10, 0, -8.98e-5, 60)), None),
    "degrees across 180": (Georeference(DEGREES, Affine(9e-5, 0, 179.9955, 0, -9e-5, 0)), None),
    "stretched by Mercator": (Georeference(MERCATOR, Affine(20, 0, 1e6, 0, -20, 8_399_737)), None),
    "the north pole": (Georeference(CRS.from_epsg(3413), Affine(10, 0, -500, 0, -10, 500)), None),
    "feet": (Georeference(FEET, Affine(3.28, 0, 6.4e6, 0, -3.28, 1.8e6)), 1.0),
    "points, 10 m": (Georeference(gcps=points(9e-5), gcp_crs=DEGREES), None),
    "points, 40 m": (Georeference(gcps=points(36e-5), gcp_crs=DEGREES), 40.0),
    "beyond the globe": (Georeference(UTM, Affine(10, 0, 1e30, 0, -10, 4e6)), None),
    "nowhere": (Georeference(), None),
}


@pytest.mark.parametrize("name", PLACES)
def test_pixels_of_another_size(name):
    place, pixel = PLACES[name]
    told = other_pixel_size(place, 100, 100, 10.0)
    if pixel is None:
        assert told is None
    else:
        assert told is not None
        assert float(told.split("pixels of ")[1].split(" m")[0]) == pytest.approx(pixel, rel=0.01)


def test_a_run_tells_the_size_of_pixels(tmp_path):
    values = np.random.default_rng(0).normal(-12, 3, (1, 64, 64)).astype(np.float32)
    for pixel, told in ((10.0, False), (1.0, True)):
        place = Georeference(UTM, Affine(pixel, 0, 5e5, 0, -pixel, 4e6))
        scene = write_array(tmp_path / f"{pixel}.tif", values, band_names=["VH"], georeference=place)
        made = Translator.load("s1-world", threads=1)
        result = made.translate(scene, tmp_path / f"{pixel}_out.tif", units="sigma0_db")
        with rasterio.open(result) as file:
            assert ("pixels of 1 m" in file.tags().get("SAROPT_WARNING", "")) == told


def test_a_place_that_gdal_gives_as_infinite_has_no_pixel_size(monkeypatch):
    import rasterio.warp

    monkeypatch.setattr(rasterio.warp, "transform", lambda *_: ([math.inf] * 3, [math.inf] * 3))
    assert other_pixel_size(PLACES["beyond the globe"][0], 100, 100, 10.0) is None


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, None),
        ({"month": 6, "latitude": 50.0, "incidence": 36.0}, None),
        ({"month": 12}, None),  # one month from January, around the turn of the year
        ({"month": 4}, "its month is 4, the nearest there 6 (2 months away)"),
        ({"month": 7, "latitude": -46.0}, "its latitude is -46, the nearest there 45 (91 degrees away)"),
        (
            {"month": 9, "latitude": 39.9},
            "its month is 9, the nearest there 7 (2 months away); "
            "its latitude is 39.9, the nearest there 45 (5.1 degrees away)",
        ),
        ({"latitude": 56, "incidence": 24.5}, "its incidence is 24.5, the nearest there 35 (10.5 degrees away)"),
    ],
)
def test_months_latitudes_and_incidence_angles_far_from_the_training_are_told(known, told):
    seen = {"month": (1.0, 6.0, 7.0), "latitude": (45.0, 52.0), "incidence": (35.0, 40.0)}
    found = other_scene_inputs(known, seen)
    assert found == (None if told is None else f"the scene is unlike the training data: {told}")
    assert other_scene_inputs(known, {}) is None


def test_a_southern_month_is_compared_by_its_season():
    line = other_scene_inputs({"month": 10, "latitude": -46.0}, {"month": (7.0,)})
    assert line is not None
    assert line.endswith("its month is 10, in the north 4, the nearest there 7 (3 months away)")
    assert other_scene_inputs({"month": 1, "latitude": -46.0}, {"month": (7.0,)}) is None
