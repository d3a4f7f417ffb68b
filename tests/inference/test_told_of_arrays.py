"""Calls that take arrays warn of what the command line tells of a scene of the same values."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from saropt.errors import SceneWarning
from saropt.inference import Translator

FILL, UNLIKE = "25.00% of the pixels that it calls valid are fill", "the scene is unlike the training data"


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load("s1-world", threads=1)


def decibels(seed: int = 0, size: int = 128) -> np.ndarray:
    """VV and VH as over land."""
    rng = np.random.default_rng(seed)
    ground = 3 * np.sin(np.arange(size)[None] / 19) * np.ones((size, 1))
    speckle = 10 * np.log10(rng.gamma(12, 1 / 12, (2, size, size)))
    return (np.array([-10.0, -17.0])[:, None, None] + ground + speckle).astype(np.float32)


def filled(seed: int = 0) -> np.ndarray:
    values = decibels(seed)
    values[:, :32] = -9999
    return values


def told(call, *args, **options) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **options)
    found = [one for one in caught if issubclass(one.category, SceneWarning)]
    assert {one.filename for one in found} <= {__file__}
    return [str(one.message) for one in found]


def test_an_undeclared_fill_value_is_told(translator: Translator) -> None:
    assert told(translator, decibels()) == []
    for call in (translator, translator.translate_array):
        assert len([line for line in told(call, filled()) if FILL in line]) == 1


def test_swapped_bands_are_told(translator: Translator) -> None:
    assert [line for line in told(translator, decibels()[::-1]) if line.startswith(UNLIKE)]


def test_a_call_tells_each_line_once(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len([line for line in told(translator, np.stack([filled()] * 3)) if FILL in line]) == 1
    monkeypatch.setattr("saropt.inference.told._MOST", 2)
    lines = told(translator, np.stack([decibels()[::-1] + rise for rise in range(5)]))
    assert len(lines) == 3
    assert lines[-1] == "3 more warnings"


def test_an_array_with_coordinates_tells_it_once(translator: Translator) -> None:
    xr = pytest.importorskip("xarray", reason="xarray is not installed")
    days = xr.DataArray(np.stack([filled()] * 2), dims=("time", "band", "y", "x"), coords={"band": ["VV", "VH"]})
    assert len([line for line in told(translator, days) if FILL in line]) == 1
    assert not [line for line in told(translator, days) if "names" in line]
    nameless = told(translator, days.drop_vars("band"))
    assert "array: its bands have no names: taken as VV, VH, in this order" in nameless


def test_a_retired_translator_is_told() -> None:
    retired = Translator.load("sen12-vv", threads=1)
    values = np.random.default_rng(0).integers(1, 255, (1, 64, 64)).astype(np.uint8)
    assert any("s1-world takes its place" in line for line in told(retired, values))


def test_missing_earlier_images_are_told_as_of_a_file() -> None:
    reference = Translator.load("s1-reference", threads=1)
    for values in (decibels(), np.stack([decibels()] * 2)):
        lines = told(reference, values)
        assert len([line for line in lines if line.startswith("no earlier optical image was given")]) == 1
        assert len([line for line in lines if line.startswith("no earlier SAR image was given")]) == 1
