"""Band names: synonyms, choice by name, refusals."""

from __future__ import annotations

import pytest

from saropt.domain import arrange_bands, canonical_band, match_bands, replaced_bands, rgb_bands

RGBN = ["B4", "B3", "B2", "B8"]
LANDSAT_7 = [f"SR_B{number}" for number in (1, 2, 3, 4, 5, 7)]


@pytest.mark.parametrize(
    ("names", "canonical"),
    [
        (("B02", "B2", "b02", "B02_10m", "blue", "Blue", "B", "B2 (blue)", "S2 B02"), "B2"),
        (("B04", "B4", "red", "R", "B04_10m"), "B4"),
        (("B8A", "B08A", "nir08", "B8A_20m"), "B8A"),
        (("B8", "B08", "nir", "B08_10m"), "B8"),
        (("B11", "swir16", "B11_20m"), "B11"),
        (("VV", "vv", "Sigma0_VV_db", "sigma0-VV", "VV_dB", "Gamma0 VV", "VV amplitude"), "VV"),
        (("VH", "sigma0_VH"), "VH"),
        (("HH-VV", "hh-vv"), "HH-VV"),
        (("HH+VV",), "HH+VV"),
        (("SAR",), "SAR"),
        (("band_1",), "BAND_1"),
        (("red edge 1",), "RED EDGE 1"),
        (("VV over VH",), "VV OVER VH"),
    ],
)
def test_synonyms_have_one_name(names, canonical):
    assert {canonical_band(name) for name in names} == {canonical}


@pytest.mark.parametrize(
    ("wanted", "names", "places"),
    [
        (["VH"], ["VV", "VH"], [1]),
        (["VV", "VH"], ["Sigma0_VH_db", "Sigma0_VV_db"], [1, 0]),
        (["R", "G", "B"], ["B02", "B03", "B04", "B08"], [2, 1, 0]),
        (["B4", "B3", "B2"], ["band_1", "band_2", "band_3"], [0, 1, 2]),
        (["VH"], ["amplitude"], [0]),
        (["SAR"], ["VV"], [0]),
        (["VV"], ["VV date 1", "vv"], [1]),
        (RGBN, ["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"], [5, 3, 1, 7]),
        (RGBN, ["red", "green", "blue", "nir08"], [0, 1, 2, 3]),
        (RGBN, ["coastal", "blue", "green", "red", "nir08", "swir16", "swir22"], [3, 2, 1, 4]),
        (RGBN, ["red", "green", "blue", "nir", "nir08"], [0, 1, 2, 3]),
        (RGBN, ["SR_B4", "SR_B3", "SR_B2", "SR_B5"], [0, 1, 2, 3]),
        (RGBN, [f"SR_B{number}" for number in range(1, 8)], [3, 2, 1, 4]),
        (RGBN, LANDSAT_7, [2, 1, 0, 3]),
        (["B11", "B12"], [*LANDSAT_7, "ST_B6"], [4, 5]),
        (["B5"], ["B4", "B5", "B6"], [1]),
    ],
)
def test_bands_are_found_by_name_and_else_in_stored_order(wanted, names, places):
    assert match_bands(wanted, names) == places


@pytest.mark.parametrize(
    ("wanted", "names", "message"),
    [
        (["VH"], ["VV"], "holds VV, not VH"),
        (["VH"], ["Gamma0_VV_db"], "holds VV, not VH"),
        (["B4", "B3", "B2"], ["B12", "B8", "B4"], "holds B12, B8, B4, not B4, B3, B2"),
        (["VV"], ["a", "b"], r"has 2 bands \(a, b\), not VV"),
        (["VV", "VH"], ["VV", "band_2"], "holds VV, BAND_2, not VV, VH"),
        (["VV"], ["VV 2020", "VV 2021"], r"has 2 bands \(VV 2020, VV 2021\), not VV"),
        (["B4"], ["VV"], "holds VV, not B4"),
        (RGBN, ["B4", "B3", "B2", "B8A"], "holds B4, B3, B2, B8A, not B4, B3, B2, B8"),
        (RGBN, ["B4", "B3", "B2", "nir08"], "holds B4, B3, B2, B8A, not"),
        (RGBN, ["red", "green", "blue", "rededge1", "nir08"], "has 5 bands"),
        (RGBN, ["SR_B1", "SR_B2", "SR_B3", "SR_B4"], "holds SR_B1, SR_B2, SR_B3, SR_B4, not"),
        (["B4", "B3", "B2"], ["SR_B1", "SR_B2", "SR_B3"], "holds SR_B1, SR_B2, SR_B3, not"),
        (["B4", "B3", "B2"], LANDSAT_7[:-1], "has 5 bands"),
        (RGBN, ["red", "green_i", "green_ii", "blue", "nir"], "has 5 bands"),
    ],
)
def test_names_that_contradict_are_refused(wanted, names, message):
    with pytest.raises(ValueError, match=message):
        match_bands(wanted, names)


def test_bands_that_may_be_of_any_landsat_are_taken_as_they_are_chosen():
    chosen = ["SR_B3", "SR_B2", "SR_B1"]
    assert arrange_bands(["B4", "B3", "B2"], chosen) == [0, 1, 2]
    assert replaced_bands(["B4", "B3", "B2"], chosen) == [("SR_B3", "B4"), ("SR_B2", "B3"), ("SR_B1", "B2")]
    with pytest.raises(ValueError, match="its band SR_B1 is chosen as VV"):
        arrange_bands(["VV", "VH"], ["SR_B1", "VH"])


def test_colours_to_show():
    assert rgb_bands(["nir", "R", "G", "B"]) == (1, 2, 3)
    assert rgb_bands(["blue", "green_i", "green", "red"]) == (3, 2, 0)
    assert rgb_bands(["B2 day 1", "B3 day 1", "B4 day 1", "B2 day 2", "B3 day 2", "B4 day 2"]) == (2, 1, 0)
    assert rgb_bands(LANDSAT_7) == (2, 1, 0)
    assert rgb_bands(LANDSAT_7[:-1]) == (0, 0, 0)
    assert rgb_bands(["a", "b", "c"]) == (0, 1, 2)
    assert rgb_bands(["a", "b", "c", "d"]) == (0, 0, 0)
