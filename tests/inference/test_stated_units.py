"""Names and tags that say what the pixels of a SAR raster are, and the bands that a user chooses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from saropt.cli import main
from saropt.domain import arrange_bands
from saropt.errors import InputError
from saropt.inference import Translator, default_model
from saropt.inference.requests import TranslateOptions
from saropt.scenes import write_array

DECIBELS = np.random.default_rng(0).normal([[[-11]], [[-17]]], 3, (2, 96, 96)).astype(np.float32)
POWER = 10 ** (DECIBELS / 10)


def _write(path: Path, values: np.ndarray, *names: str, **tags: str) -> Path:
    return write_array(path, values, band_names=names or None, tags=tags)


def _pixels(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read().astype(int)


@pytest.fixture(scope="module")
def world() -> Translator:
    return Translator.load("s1-world")


@pytest.fixture(scope="module")
def expected(world: Translator, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("expected")
    scene = _write(folder / "db.tif", DECIBELS, "VV", "VH")
    return _pixels(world.run(scene, folder / "o.tif", TranslateOptions(units="sigma0_db")).path)


@pytest.mark.parametrize(
    ("values", "names", "units"),
    [
        (POWER, ("Sigma0_VV", "Sigma0_VH"), "sigma0"),
        (POWER, ("Gamma0_VH", "Gamma0_VV"), "gamma0"),
        (DECIBELS, ("Sigma0_VV_db", "Sigma0_VH_db"), None),
        (DECIBELS, ("Gamma0_VV_dB", "Gamma0_VH_dB"), "gamma0_db"),
        (np.sqrt(POWER), ("Amplitude_VV", "Amplitude_VH"), "amplitude"),
    ],
)
def test_names_say_the_units(
    values: np.ndarray,
    names: tuple[str, str],
    units: str | None,
    world: Translator,
    expected: np.ndarray,
    tmp_path: Path,
) -> None:
    ordered = values[::-1] if names[0].endswith("VH") else values
    scene = _write(tmp_path / "a.tif", ordered, *names)
    if units != "amplitude":
        assert default_model([scene]) == "s1-world"
    result = world.run(scene, tmp_path / "o.tif", TranslateOptions())
    assert np.abs(_pixels(result.path) - expected).max() <= 1
    told = [line for line in result.warnings if "units are" in line]
    assert told == ([] if units is None else [f"{scene}: units are {units}, as its band names and values say"])


def test_tags_come_before_a_card_that_fits_as_well(tmp_path: Path) -> None:
    """Power is taken for amplitude by no translator where the tags say what it is."""
    losangeles = Translator.load("s1-losangeles")
    power = _write(tmp_path / "power.tif", POWER[1:], "VH", CALIBRATED_TO="sigma0")
    amplitude = _write(tmp_path / "amplitude.tif", np.sqrt(POWER[1:]), "VH")
    made = [
        _pixels(losangeles.translate(path, tmp_path / f"o-{path.name}", units=units))
        for path, units in ((power, None), (amplitude, "amplitude"))
    ]
    assert np.abs(made[0] - made[1]).max() <= 1


@pytest.mark.parametrize(
    ("values", "names", "words"),
    [
        (POWER, ("Beta0_VV", "Beta0_VH"), "its band names say beta0, which is no unit here"),
        (POWER * 1e5, ("Intensity_VV", "Intensity_VH"), "its band names say intensity, which is no unit here"),
        (DECIBELS, ("Sigma0_VV", "Sigma0_VH"), "are these decibels? (so its band names say)"),
    ],
)
def test_other_quantities_are_refused_in_one_line(
    values: np.ndarray, names: tuple[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = _write(tmp_path / "a.tif", values, *names)
    for model in ("s1-world", "s1-losangeles"):
        assert main(["translate", str(scene), str(tmp_path / "o.tif"), "--model", model]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line
        assert not (tmp_path / "o.tif").exists()


def test_bands_of_several_quantities_are_refused(world: Translator, tmp_path: Path) -> None:
    scene = _write(tmp_path / "a.tif", POWER, "Sigma0_VV", "Gamma0_VH")
    with pytest.raises(InputError, match="its band names say gamma0 and sigma0, which is no unit here"):
        world.run(scene, tmp_path / "o.tif", TranslateOptions())


def test_an_8_bit_picture_of_sigma0_is_a_picture(tmp_path: Path) -> None:
    grey = np.clip((DECIBELS[1:] + 30) * 8, 1, 255).astype(np.uint8)
    scene = _write(tmp_path / "a.tif", grey, "Sigma0_VH_db", CALIBRATED_TO="sigma0_db")
    Translator.load("s1-losangeles").translate(scene, tmp_path / "o.tif")


@pytest.mark.parametrize(
    ("names", "tags", "where"),
    [(("Gamma0_VV_db", "Gamma0_VH_db"), {}, "band names"), (("VV", "VH"), {"UNITS": "gamma0_db"}, "tags")],
)
def test_the_word_of_the_user_wins(
    names: tuple[str, str], tags: dict[str, str], where: str, world: Translator, expected: np.ndarray, tmp_path: Path
) -> None:
    scene = _write(tmp_path / "a.tif", DECIBELS, *names, **tags)
    result = world.run(scene, tmp_path / "o.tif", TranslateOptions(units="sigma0_db"))
    line = f"{scene}: its {where} say gamma0_db: taken as sigma0_db, as asked for"
    assert [one for one in result.warnings if "gamma0" in one] == [line]
    assert np.array_equal(_pixels(result.path), expected)


@pytest.mark.parametrize("bands", [("VH", "VV"), ("2", "1"), (2, 1), ("VV", "VH")])
def test_chosen_bands_are_matched_by_name(
    bands: tuple[str | int, ...], world: Translator, expected: np.ndarray, tmp_path: Path
) -> None:
    scene = _write(tmp_path / "a.tif", np.concatenate([DECIBELS, DECIBELS[:1] + 9]), "VV", "VH", "angle")
    result = world.run(scene, tmp_path / "o.tif", TranslateOptions(units="sigma0_db", bands=bands))
    assert np.array_equal(_pixels(result.path), expected)


def test_bands_without_names_are_taken_in_the_order_of_the_choice(
    world: Translator, expected: np.ndarray, tmp_path: Path
) -> None:
    scene = _write(tmp_path / "a.tif", DECIBELS[::-1])
    result = world.run(scene, tmp_path / "o.tif", TranslateOptions(units="sigma0_db", bands=(2, 1)))
    assert np.array_equal(_pixels(result.path), expected)
    picture = write_array(tmp_path / "grey.png", np.full((3, 64, 64), 90, np.uint8) + np.arange(64, dtype=np.uint8))
    Translator.load("s1-losangeles").translate(picture, tmp_path / "p.tif", bands=[1])


def test_another_polarisation_can_be_chosen_and_is_told(world: Translator, tmp_path: Path) -> None:
    scene = _write(tmp_path / "a.tif", DECIBELS, "HH", "HV")
    result = world.run(scene, tmp_path / "o.tif", TranslateOptions(units="sigma0_db", bands=("HH", "HV")))
    assert [line for line in result.warnings if "taken as" in line] == [
        f"{scene}: its band {name} is taken as {band}, as chosen" for name, band in (("HH", "VV"), ("HV", "VH"))
    ]


@pytest.mark.parametrize(
    ("bands", "words"), [(("B8", "VH"), "B8 is chosen as VV"), (("VH", "B8"), "VH is chosen as VV")]
)
def test_a_band_that_is_none_of_the_cards_is_refused(
    bands: tuple[str, str], words: str, world: Translator, tmp_path: Path
) -> None:
    scene = _write(tmp_path / "a.tif", np.concatenate([DECIBELS, DECIBELS[:1]]), "VV", "VH", "B8")
    with pytest.raises(InputError, match=f"its band {words}; the translator takes VV, VH"):
        world.run(scene, tmp_path / "o.tif", TranslateOptions(units="sigma0_db", bands=bands))


def test_false_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="its band B4 is chosen as B3"):
        arrange_bands(["B4", "B3", "B2"], ["B8", "B4", "B3"])


def test_names_of_a_data_array_say_the_units(world: Translator) -> None:
    xr = pytest.importorskip("xarray")
    arrays = [
        xr.DataArray(values, dims=("band", "y", "x"), coords={"band": names})
        for values, names in (
            (POWER, ["Sigma0_VV", "Sigma0_VH"]),
            (DECIBELS, ["VV", "VH"]),
            (POWER, ["Beta0_VV", "Beta0_VH"]),
        )
    ]
    named, plain = (world(one).values.astype(int) for one in arrays[:2])
    assert np.abs(named - plain).max() <= 1
    with pytest.raises(InputError, match="its band names say beta0, which is no unit here"):
        world(arrays[2])


def test_power_that_is_taken_for_amplitude_is_told(tmp_path: Path) -> None:
    scene, digital = _write(tmp_path / "p.tif", POWER[1:], "VH"), _write(tmp_path / "d.tif", 300 * POWER[1:], "VH")
    translator = Translator.load("s1-losangeles")
    for path, told in ((scene, 1), (digital, 0)):
        result = translator.run(path, tmp_path / f"o{told}.tif", TranslateOptions())
        assert sum("nothing states its units, and most values are below 1" in one for one in result.warnings) == told
    result = translator.run(scene, tmp_path / "o.tif", TranslateOptions(units="amplitude"))
    assert not any("nothing states" in one for one in result.warnings)


def test_an_earlier_image_of_unknown_units_is_refused_with_a_way_on(world: Translator, tmp_path: Path) -> None:
    scene = _write(tmp_path / "s.tif", DECIBELS, "VV", "VH")
    options = TranslateOptions(units="sigma0_db", reference_sar=_write(tmp_path / "old.tif", POWER, "VV", "VH"))
    translator = Translator.load("s1-reference")
    with pytest.raises(InputError, match=r"old.tif: nothing states its units.*\(its tag CALIBRATED_TO can say them\)"):
        translator.run(scene, tmp_path / "o.tif", options)
    stated = _write(tmp_path / "stated.tif", POWER, "VV", "VH", CALIBRATED_TO="sigma0")
    assert translator.run(scene, tmp_path / "o.tif", replace(options, reference_sar=stated)).path


def test_an_output_without_a_name_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    scene = _write(tmp_path / "s.tif", DECIBELS, "VV", "VH")
    for out in (".", "./", "/"):
        assert main(["translate", str(scene), out, "--units", "sigma0_db"]) == 2
        assert capsys.readouterr().err.splitlines()[-1].endswith("cannot write this kind of file; use .tif or .tiff")
