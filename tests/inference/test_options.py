"""Options of a run that are of another type than they must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saropt.errors import OptionError
from saropt.inference import LoadOptions, TranslateOptions, Translator
from saropt.scenes import Scene, write_array


@pytest.mark.parametrize("name", ["nodata", "pixel", "month", "latitude", "incidence", "tile", "samples", "seed"])
def test_a_text_is_no_number(name: str) -> None:
    with pytest.raises(OptionError, match=rf"^{name}='7': must be a number$"):
        TranslateOptions(**{name: "7"})
    assert getattr(TranslateOptions(**{name: np.float32(7)}), name) == 7


@pytest.mark.parametrize("name", ["realism", "speckle", "steps"])
def test_a_text_is_no_number_of_a_translator(name: str) -> None:
    with pytest.raises(OptionError, match=rf"^{name}='1': must be a number$"):
        LoadOptions(**{name: "1"})


@pytest.mark.parametrize(("bands", "shown"), [("VH", "'VH'"), ("12", "'12'"), (1, "1")])
def test_one_band_is_no_list_of_bands(bands: object, shown: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=rf"^bands={shown}: must be a list, as \[{shown}\]$"):
        TranslateOptions(bands=bands)
    with pytest.raises(OptionError, match=r"must be a list"):
        Translator.load("s1-losangeles").translate(tmp_path / "a.tif", tmp_path / "b.tif", bands=bands)
    with pytest.raises(OptionError, match=rf"^bands={shown}: must be a list, as \[{shown}\]$"):
        Translator.load("s1-losangeles").translate_array(np.ones((2, 64, 64), np.uint8), bands=bands)
    assert TranslateOptions(bands=["VH", 1]).bands == ("VH", 1)


def test_a_scene_takes_a_list_of_bands(tmp_path: Path) -> None:
    path = write_array(tmp_path / "a.tif", np.ones((2, 8, 8), np.uint8), band_names=["VV", "VH"])
    with pytest.raises(OptionError, match=r"^bands='VH': must be a list, as \['VH'\]$"):
        Scene.open(path, "VH")
