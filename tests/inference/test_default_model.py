"""Which bundled translator runs where none is named."""

import numpy as np
import pytest

from saropt.cli import main
from saropt.inference import default_model, translate
from saropt.scenes import open_scene, write_array

rng = np.random.default_rng(0)
DECIBELS = rng.normal(-14, 3, (2, 96, 96)).astype(np.float32)


def scene(folder, name="a.tif", bands=("VV", "VH"), tags=None, values=None):
    values = DECIBELS[: len(bands)] if values is None else values
    return write_array(folder / name, values, band_names=list(bands), tags=tags or {})


@pytest.mark.parametrize("units", ["sigma0_db", "gamma0_db", "sigma0", "gamma0"])
@pytest.mark.parametrize("bands", [("VV", "VH"), ("VV",), ("Sigma0_VV_db",)])
def test_calibrated_scenes_with_named_bands_get_the_translator_of_the_world(tmp_path, units, bands):
    assert default_model([scene(tmp_path, bands=bands)], units=units) == "s1-world"


def test_units_in_the_tags_count(tmp_path):
    assert default_model([scene(tmp_path, tags={"CALIBRATED_TO": "sigma0_db"})]) == "s1-world"
    assert default_model([scene(tmp_path, "b.tif")]) == "s1-losangeles"


@pytest.mark.parametrize(
    ("bands", "units"),
    [(("VV", "VH"), "amplitude"), (("VH",), "sigma0_db"), (("band_1",), "sigma0_db"), (("HH",), "sigma0_db")],
)
def test_others_get_that_of_one_band(tmp_path, bands, units):
    assert default_model([scene(tmp_path, bands=bands)], units=units) == "s1-losangeles"


def test_the_chosen_bands_decide(tmp_path):
    path = scene(tmp_path, bands=("VV", "angle"))
    assert default_model([path], units="sigma0_db", bands=["VV"]) == "s1-world"
    assert default_model([path], units="sigma0_db", bands=[2]) == "s1-losangeles"


def test_the_first_readable_scene_decides(tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0nothing")
    assert default_model([broken, tmp_path / "none.tif", scene(tmp_path)], units="sigma0_db") == "s1-world"
    assert default_model([broken]) == "s1-losangeles"


def test_earlier_images_and_the_other_direction(tmp_path):
    path = scene(tmp_path)
    assert default_model([path], units="sigma0_db", reference=True) == "s1-reference"
    assert default_model([path], to="sar", reference=True) == "losangeles-s1"


def test_translate_without_a_model(tmp_path):
    path = scene(tmp_path)
    translate(path, tmp_path / "out.tif", units="sigma0_db")
    with open_scene(tmp_path / "out.tif") as made:
        assert made.band_names == ["B4", "B3", "B2", "B8"]
        assert made.tags["SAROPT_TRANSLATOR"] == "s1-world"
        truth, _ = made.read()
    translate(path, tmp_path / "next.tif", units="sigma0_db", reference=tmp_path / "out.tif")
    with open_scene(tmp_path / "next.tif") as made:
        assert made.tags["SAROPT_TRANSLATOR"] == "s1-reference"
        assert made.read()[0].shape == truth.shape


def test_the_command_line_does_the_same(tmp_path, capsys):
    path, units = str(scene(tmp_path)), ["--units", "sigma0_db"]
    assert main(["translate", path, str(tmp_path / "out.tif"), *units]) == 0
    assert "with s1-world" in capsys.readouterr().out
    assert main(["translate", path, str(tmp_path / "b.tif"), *units, "--reference", str(tmp_path / "out.tif")]) == 0
    assert "with s1-reference" in capsys.readouterr().out


def test_a_table_with_earlier_images(tmp_path, capsys):
    scene(tmp_path)
    translate(tmp_path / "a.tif", tmp_path / "old.tif", units="sigma0_db")
    (tmp_path / "scenes.csv").write_text("scene,reference\na.tif,old.tif\n")
    assert main(["translate", str(tmp_path / "scenes.csv"), str(tmp_path / "out"), "--units", "sigma0_db"]) == 0
    assert "with s1-reference" in capsys.readouterr().out


def test_bands_without_names_are_told(tmp_path):
    from saropt import Translator

    path = scene(tmp_path, bands=("band_1", "band_2"))
    translator = Translator.load("s1-world")
    told = translator.run(path, tmp_path / "out.tif").warnings
    assert any("no names: taken as VV, VH, in this order" in line for line in told)
    told = translator.run(scene(tmp_path, "named.tif"), tmp_path / "named-out.tif").warnings
    assert not any("no names" in line for line in told)
