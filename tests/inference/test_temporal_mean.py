"""Several dates of the earlier SAR image: their mean in power, on any grid, with their gaps and bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform

from reference_files import reference_translator
from saropt.artifacts import ImageCard
from saropt.errors import InputError, OptionError
from saropt.inference import TranslateOptions, Translator
from saropt.inference.temporal_mean import TemporalMean
from saropt.radiometry import DbClip, EightBit
from saropt.scenes import Georeference, Grid, Window, open_scene, write_array
from translator_fixtures import GEOREFERENCE

Factory = Callable[..., Path]
SIDE, NODATA = 96, -9999.0
RANGES = {"sigma0_db": (-25.0, -5.0), "sigma0": (0.003, 0.3), "amplitude": (0.05, 0.6), "uint8": (3, 250)}


def card(bands: Sequence[str] = ("VV", "VH"), units: str = "sigma0_db") -> ImageCard:
    recipe = EightBit() if units == "uint8" else DbClip()
    sar = {"units": units, "dtype": "uint8" if units == "uint8" else "float32", "recipe": recipe.to_dict()}
    return ImageCard(role="sar_reference", bands=tuple(bands), optional=True, partial=True, **sar)


def write_date(path: Path, values: np.ndarray, bands: Sequence[str], gap: np.ndarray | None = None, **options) -> Path:
    if gap is not None:
        values = np.where(gap, values.dtype.type(options["nodata"]), values)
    return write_array(path, values, band_names=list(bands), **options)


def mean_of(paths: Sequence[Path], image: ImageCard, units: str | None = None) -> tuple[np.ndarray, np.ndarray, list]:
    with ExitStack() as stack:
        dates = [stack.enter_context(open_scene(path)) for path in paths]
        mean = TemporalMean(dates, image, units)
        return *mean.read(), mean.notes


def read(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def naive(values: np.ndarray, there: np.ndarray, units: str) -> np.ndarray:
    """Mean over dates (D, C, H, W), pixel by pixel in float64; NaN where no date is there."""
    double = values.astype(np.float64)
    power = {"sigma0_db": 10.0 ** (double / 10.0), "amplitude": double**2}.get(units, double)
    mean = np.full(values.shape[1:], np.nan)
    for place in np.ndindex(*values.shape[1:]):
        known = [float(power[(date, *place)]) for date in range(len(values)) if there[(date, *place)]]
        if known:
            mean[place] = sum(known) / len(known)
    return {"sigma0_db": 10.0 * np.log10(mean), "amplitude": np.sqrt(mean)}.get(units, mean)


@pytest.mark.parametrize("units", RANGES)
def test_it_is_the_mean_of_power_per_pixel_and_band(units: str, tmp_path: Path) -> None:
    """Three dates with gaps; the first has VV alone, the last VH before VV."""
    rng = np.random.default_rng(0)
    dtype, nodata = ("uint8", 0) if units == "uint8" else ("float32", NODATA)
    values = rng.uniform(*RANGES[units], (3, 2, 24, 20)).astype(dtype)
    gaps = rng.random((3, 24, 20)) < 0.4
    there = np.repeat(~gaps[:, None], 2, axis=1)
    there[0, 1] = False
    paths = []
    for number, bands in enumerate((["VV"], ["VV", "VH"], ["VH", "VV"])):
        own = values[number][[("VV", "VH").index(band) for band in bands]]
        paths.append(write_date(tmp_path / f"{number}.tif", own, bands, gaps[number], nodata=nodata))
    made, valid, _ = mean_of(paths, card(units=units))
    expected = naive(values, there, units)
    assert np.array_equal(valid, np.isfinite(expected).all(axis=0))
    assert 0.3 < valid.mean() < 0.95
    assert np.allclose(made[:, valid], expected[:, valid], rtol=2e-6, atol=2e-5)
    assert (made[:, ~valid] == 0).all()


def test_it_is_no_mean_of_decibels(tmp_path: Path) -> None:
    paths = [write_date(tmp_path / f"{v}.tif", np.full((1, 8, 8), -v, np.float32), ["VV"]) for v in (10, 20)]
    made, _, _ = mean_of(paths, card())
    assert made == pytest.approx(10 * np.log10(0.055), abs=1e-4)


def test_tagged_units_of_each_date_are_used(tmp_path: Path) -> None:
    """One date in decibels, one in power that its tags tell of."""
    decibels = np.full((1, 8, 8), -10, np.float32)
    power = np.full((1, 8, 8), 0.3, np.float32)
    paths = [
        write_date(tmp_path / "a.tif", decibels, ["VV"]),
        write_date(tmp_path / "b.tif", power, ["VV"], tags={"CALIBRATED_TO": "sigma0"}),
    ]
    made, _, notes = mean_of(paths, card())
    assert made == pytest.approx(10 * np.log10(0.2), abs=1e-4)
    assert notes == [f"{paths[1]}: units are sigma0, as its tags and values say"]


def test_a_band_that_some_dates_lack_is_told_where_none_has_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(-14, 2, (2, 2, 64, 64)).astype(np.float32)
    gap = np.zeros((64, 64), bool)
    gap[:, :16] = True
    one = write_date(tmp_path / "vv.tif", values[0, :1], ["VV"])
    whole = write_date(tmp_path / "whole.tif", values[1], ["VV", "VH"])
    part = write_date(tmp_path / "part.tif", values[1], ["VV", "VH"], gap, nodata=NODATA)
    for other, notes in (
        (whole, []),
        (
            part,
            [
                "25.0% of the ground that the earlier SAR images cover lacks VV and VH of any date together: "
                "it counts as not covered"
            ],
        ),
    ):
        _, valid, told = mean_of([one, other], card())
        assert np.array_equal(valid, ~gap if notes else np.ones_like(gap))
        assert told == notes
    made, valid, told = mean_of([one, one.rename(tmp_path / "also.tif")][1:], card())
    assert (made.shape[0], valid.all(), told) == (1, True, [])


@pytest.mark.parametrize(
    ("other", "tags", "message"),
    [
        (np.full((1, 8, 8), 0.3, np.float32), {}, "b.tif: nothing states its units, and sigma0_db does not fit"),
        (np.full((1, 8, 9), -9, np.float32), {}, "b.tif: is 8x9 pixels, .*a.tif 8x8"),
        (np.full((1, 8, 8), np.nan, np.float32), {}, "b.tif: holds no valid pixel"),
        (
            np.full((1, 8, 8), 0.3, np.float32),
            {"CALIBRATED_TO": "gamma0"},
            "b.tif: holds gamma0, .*a.tif sigma0_db: they differ by the incidence angle",
        ),
    ],
)
def test_the_date_that_is_wrong_is_named(other: np.ndarray, tags: dict, message: str, tmp_path: Path) -> None:
    one = write_date(tmp_path / "a.tif", np.full((1, 8, 8), -10, np.float32), ["VV"])
    two = write_date(tmp_path / "b.tif", other, ["VV"], tags=tags)
    with pytest.raises(InputError, match=message):
        mean_of([one, two], card())


def test_values_that_have_no_mean_are_refused(tmp_path: Path) -> None:
    spread = np.linspace(3, 200, 64).reshape(1, 8, 8)
    paths = {
        "byte": write_date(tmp_path / "byte.tif", spread.astype(np.uint8), ["VV"]),
        "float": write_date(tmp_path / "float.tif", spread.astype(np.float32) / 100, ["VV"]),
        "complex": write_date(tmp_path / "complex.tif", (spread / 100).astype(np.complex64), ["VV"]),
        "stretch": write_date(
            tmp_path / "db.tif", -spread.astype(np.float32) / 10, ["VV"], tags={"UNITS": "sigma0_db"}
        ),
    }
    eight = EightBit().to_dict()
    amplitude = card().model_copy(update={"units": "amplitude", "recipe": eight})
    with pytest.raises(InputError, match=r"byte.tif: holds uint8, .*float.tif float32: they differ in scale"):
        mean_of([paths["float"], paths["byte"]], card(units="amplitude").model_copy(update={"recipe": eight}))
    with pytest.raises(InputError, match=r"complex.tif: holds complex, which has no mean over dates in complex"):
        mean_of([paths["complex"], paths["complex"]], amplitude, "complex")
    with pytest.raises(InputError, match=r"db.tif: holds sigma0_db, which has no mean over dates in uint8"):
        mean_of([paths["byte"], paths["stretch"]], card(units="uint8"))


@pytest.fixture
def dates(make_scene: Factory, tmp_path: Path) -> list[Path]:
    """Three dates of a scene of 300x260 pixels: on its grid, in degrees, and moved by half of the scene."""
    height, width = 300, 260
    rng = np.random.default_rng(5)

    def write(name: str, place: Georeference, day: str) -> Path:
        values = rng.normal(-13, 3, (1, height, width)).astype(np.float32)
        gap = rng.random((height, width)) < 0.02
        tags = {"ACQUISITION_DATE": day} if day else {}
        path = tmp_path / f"{name}.tif"
        return write_date(path, values, ["VH"], gap, nodata=NODATA, georeference=place, tags=tags)

    west, north = 400_000.0, 3_800_000.0
    longitudes, latitudes = transform("EPSG:32611", "EPSG:4326", [west, west + 10 * width], [north, north])
    step = (longitudes[1] - longitudes[0]) / width
    degrees = Georeference(CRS.from_epsg(4326), from_origin(longitudes[0], latitudes[0], step, step))
    moved = Georeference(GEOREFERENCE.crs, GEOREFERENCE.transform @ Affine.translation(width / 2, 0))
    make_scene(height, width, name="now.tif")
    return [
        write("same", GEOREFERENCE, "2020-10-01"),
        write("degrees", degrees, ""),
        write("moved", moved, "2020-10-25"),
    ]


def test_any_tile_gives_the_same_pixels(dates: list[Path], tmp_path: Path) -> None:
    translator = Translator.load(reference_translator(tmp_path, fresh=False))
    made = []
    for tile in (64, 256, 2048):
        options = TranslateOptions(reference_sar=dates, tile=tile)
        made.append(read(translator.run(tmp_path / "now.tif", tmp_path / f"{tile}.tif", options).path))
    assert np.array_equal(made[0], made[2])
    assert np.array_equal(made[1], made[2])
    assert made[0].std() > 5


def test_windows_of_the_mean_are_parts_of_the_whole(dates: list[Path]) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(open_scene(path)) for path in dates]
        mean = TemporalMean(opened, card(["VH"]))
        values, valid = mean.read()
        for window in (Window(0, 0, 60, 70), Window(130, 90, 100, 170)):
            part = np.s_[..., window.row : window.row + window.height, window.col : window.col + window.width]
            assert np.array_equal(mean.read(window)[0], values[part])
            assert np.array_equal(mean.read(window)[1], valid[part])
        outside = mean.read_padded(Window(-5, -5, 20, 20))[0]
        assert np.array_equal(outside[:, 5:, 5:], values[:, :15, :15])
        assert np.array_equal(outside[:, 0, 5:], values[:, 5, :15])


def test_the_network_sees_the_mean_of_what_is_there(dates: list[Path], tmp_path: Path) -> None:
    """The run of three dates is that of one file that holds their mean, and a list of one is that one."""
    translator = Translator.load(reference_translator(tmp_path, fresh=False))
    several = translator.run(tmp_path / "now.tif", tmp_path / "out.tif", TranslateOptions(reference_sar=dates))
    with open_scene(tmp_path / "now.tif") as scene, ExitStack() as stack:
        grid = Grid(scene.georeference.crs, scene.georeference.transform, scene.height, scene.width)
        warped = [stack.enter_context(open_scene(path, grid=grid, power="sigma0_db")) for path in dates]
        values, valid = zip(*(date.read() for date in warped), strict=True)
        expected = naive(np.stack(values), np.stack(valid)[:, None], "sigma0_db").astype(np.float32)
    assert np.isfinite(expected).mean() > 0.98
    one = write_array(tmp_path / "mean.tif", expected, band_names=["VH"], nodata=np.nan, georeference=GEOREFERENCE)
    for number, given in enumerate((one, [one])):
        made = translator.run(tmp_path / "now.tif", tmp_path / f"{number}.tif", TranslateOptions(reference_sar=given))
        assert np.abs(read(made.path).astype(int) - read(several.path)).max() <= 1
    first = translator.run(tmp_path / "now.tif", tmp_path / "first.tif", TranslateOptions(reference_sar=dates[0]))
    assert np.abs(read(first.path).astype(int) - read(several.path)).max() > 5
    with rasterio.open(several.path) as out:
        tags = out.tags()
    assert tags["SAROPT_SAR_REFERENCE"] == "same.tif, degrees.tif, moved.tif"
    assert tags["SAROPT_SAR_REFERENCE_DATE"] == "2020-10-01, unknown, 2020-10-25"
    assert [line.split()[1:3] for line in several.warnings if "covers" in line] == [["covers", "49.0%"]]


def test_another_list_is_other_work(dates: list[Path], tmp_path: Path) -> None:
    translator = Translator.load(reference_translator(tmp_path, fresh=False))
    scene, out = tmp_path / "now.tif", tmp_path / "out.tif"
    translator.run(scene, out, TranslateOptions(reference_sar=dates))
    assert translator.look(scene, out, TranslateOptions(reference_sar=dates)).is_complete
    for other in (dates[:2], dates[0], None):
        assert not translator.look(scene, out, TranslateOptions(reference_sar=other)).is_complete
    before = out.read_bytes()
    with pytest.raises(InputError, match="is an input, which the output would replace"):
        translator.run(scene, dates[1], TranslateOptions(reference_sar=dates, overwrite=True))
    assert out.read_bytes() == before


def test_lists_of_none_and_of_one_raster_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.touch()
    (tmp_path / "link.tif").symlink_to(path)
    with pytest.raises(OptionError, match="reference_sar: names no raster"):
        TranslateOptions(reference_sar=[])
    for other in (path, str(path), tmp_path / "link.tif"):
        with pytest.raises(OptionError, match="is given twice: a date counts once"):
            TranslateOptions(reference_sar=[path, other])
    assert TranslateOptions(reference_sar=[path]) == TranslateOptions(reference_sar=path)


def test_fill_of_one_date_does_not_count(tmp_path: Path) -> None:
    """Zeros in power are no measurement, though the file does not say so."""
    power = np.full((2, 1, 64, 64), [[[[0.1]]], [[[0.3]]]], np.float32)
    power[0, 0, :, :32] = 0
    paths = [write_date(tmp_path / f"{number}.tif", power[number], ["VV"]) for number in (0, 1)]
    made, valid, notes = mean_of(paths, card(units="sigma0"))
    assert valid.all()
    assert made[0, 0, [0, 63]] == pytest.approx([0.3, 0.2])
    assert [line.split(": ")[0] for line in notes] == [str(paths[0])]


def test_earlier_images_have_the_units_of_their_tags(make_scene: Factory, tmp_path: Path) -> None:
    translator = Translator.load(reference_translator(tmp_path, fresh=False))
    scene = make_scene(96, 80)
    with open_scene(scene) as opened:
        power = 10 ** (opened.read()[0] / 10)
    options = {"band_names": ["VH"], "georeference": GEOREFERENCE}
    told = write_array(tmp_path / "told.tif", power, tags={"CALIBRATED_TO": "sigma0"}, **options)
    result = translator.run(scene, tmp_path / "a.tif", TranslateOptions(reference_sar=told))
    same = translator.run(scene, tmp_path / "b.tif", TranslateOptions(reference_sar=scene))
    line = f"{told}: units are sigma0, as its tags and values say"
    assert line in result.warnings
    other = make_scene(96, 80, 20, "other.tif")
    several = translator.run(scene, tmp_path / "c.tif", TranslateOptions(reference_sar=[told, other]))
    assert line in several.warnings
    assert np.abs(read(result.path).astype(int) - read(same.path)).max() <= 1
