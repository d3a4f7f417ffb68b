"""What is added to Sentinel-2 values: by what assets state, then the baseline, then the name; else refused."""

import pytest

from saropt.curation.fetch_scaling import scaling_of
from saropt.curation.stac import _is_item
from saropt.errors import InputError

NAME = "S2B_MSIL2A_20230501T101559_N{}_R065_T32TQM_20230501T140000"


def item(day="2023-05-01", bands=None, name="S2B_32TQM_20230501_0_L2A", **properties):
    properties = {"datetime": f"{day}T10:00:00Z", **{key.replace("__", ":"): v for key, v in properties.items()}}
    assets = {} if bands is None else {"red": {"raster:bands": bands}, "aot": {"raster:bands": [{"scale": 0.001}]}}
    return {"id": name, "collection": "sentinel-2-l2a", "properties": properties, "assets": assets}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (item(bands=[{"scale": 1e-4, "offset": -0.1}]), -1000),
        (item(bands=[{"scale": 1e-4, "offset": 0}], s2__processing_baseline="05.09"), 0),
        (item(bands=[{"scale": 1e-3, "offset": 0}], s2__processing_baseline="05.09"), -1000),
        (item(bands=[{"scale": "x", "offset": None}], s2__processing_baseline="05.09"), -1000),
        (item(bands={"scale": 1}, processing__baseline="04.00"), -1000),
        (item(s2__processing_baseline="03.01"), 0),
        (item(s2__processing_baseline="05.09", earthsearch__boa_offset_applied=True), 0),
        (item(name=NAME.format("0509")), -1000),
        (item(name=NAME.format("0301")), 0),
        (item(s2__product_uri=NAME.format("0400") + ".SAFE"), -1000),
        (item(day="2021-05-01"), 0),
        (item(processing__version="05.00"), -1000),
        (item(processing__version="02.14"), 0),
    ],
)
def test_offsets(given, expected):
    assert scaling_of(given, "red") == (1.0, expected)


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        ({"raster:scale": 1e-4, "raster:offset": -0.1}, (1, -1000)),
        ({"raster:scale": 1e-4, "raster:offset": 0}, (1, 0)),
        ({"raster:offset": -0.1}, (1, -1000)),
        ({"raster:offset": -1000}, (1, -1000)),
        ({"bands": [{"name": "B04", "raster:scale": 1e-4, "raster:offset": -0.1}]}, (1, -1000)),
        ({"raster:scale": 1e-4, "bands": [{"raster:offset": -0.1}]}, (1, -1000)),
        ({"raster:scale": 1e-4, "raster:offset": -0.1, "raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, (1, -1000)),
        ({"raster:scale": 2.75e-5, "raster:offset": -0.2}, (pytest.approx(0.275), -2000)),
        ({"raster:scale": float("nan"), "raster:offset": -0.1}, (1, 0)),
        ({"bands": [None, {"name": "B04"}]}, (1, 0)),
    ],
)
def test_what_an_asset_states_in_each_version_of_stac(asset, expected):
    given = item(s2__processing_baseline="03.00")
    given["assets"] = {"red": asset, "nir": {}}
    assert scaling_of(given, "red") == expected
    assert scaling_of(given, "nir") == (1, expected[1] if expected[0] == 1 else 0)


@pytest.mark.parametrize("baseline", [None, "nan", "inf", "new", "", [], "1e999"])
def test_an_item_that_does_not_tell_is_refused_from_the_day_on(baseline):
    stated = {} if baseline is None else {"s2__processing_baseline": baseline}
    with pytest.raises(InputError, match="does not tell its processing baseline"):
        scaling_of(item(**stated), "red")
    with pytest.raises(InputError):
        scaling_of(item(day="2022-01-25", **stated), "red")
    assert scaling_of(item(day="2022-01-24", **stated), "red") == (1.0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"properties": None},
        {"properties": []},
        {"geometry": None},
        {"geometry": {"type": "Point", "coordinates": [1, 2]}},
        {"geometry": {"type": "Polygon"}},
        {"assets": []},
        {"assets": {"red": "http://host/a.tif"}},
        {"properties": {"eo:cloud_cover": "few"}},
        {"properties": {"eo:cloud_cover": True}},
    ],
)
def test_shapes_of_items(change):
    whole = {"id": "a", "properties": {}, "geometry": {"type": "Polygon", "coordinates": []}, "assets": {}}
    assert _is_item(whole)
    assert not _is_item(whole | change)
    assert not _is_item({key: value for key, value in whole.items() if key != "id"})
