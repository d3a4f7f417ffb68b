"""What a fetch takes for clear ground, for a band of an asset, for the area, and for one scene."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from affine import Affine

from saropt.curation.fetch_places import Place, fetch_places
from saropt.curation.fetching import Request, fetch
from saropt.curation.stac import read_area
from saropt.errors import InputError, OptionError
from saropt.roots import DataRoot
from saropt.roots.splits import split_rows
from saropt.scenes import Scene, write_array
from saropt.scenes.georeference import Georeference
from stac_world import NORTH, SIDE, UTM, WEST, box, image, radar, transform_bounds, two_dates

REQUEST = Request(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC), min_cover=0.5, split="test")
BASELINE = {"s2:processing_baseline": "05.09"}


@pytest.mark.parametrize(("pixel_m", "west"), [(10.0, WEST), (7.0, WEST), (25.0, WEST), (60.0, WEST), (10.0, WEST + 5)])
def test_no_cloud_has_a_part_in_a_clear_pixel(tmp_path, world, service, area, pixel_m, west):
    clouds = np.kron(np.random.default_rng(0).random((SIDE // 8, SIDE // 8)) < 0.1, np.ones((8, 8), bool))
    layers = {key: np.where(clouds, 11000, 2000).astype(np.uint16) for key in ("B04", "B03", "B02")}
    world.add("rtc", 12, radar(1), west=west)
    world.add("s2", 11, {**layers, "SCL": np.where(clouds, 9, 4).astype(np.uint8)}, west=west, cloud=3.0, **BASELINE)
    request = dataclasses.replace(REQUEST, pixel_m=pixel_m)
    root = DataRoot.open(fetch(area, request, tmp_path / "root", service, service))
    with Scene.open(root.raster("optical", "20230511_test")) as scene:
        values, valid = scene.read()
    assert np.unique(values[:, valid]).tolist() == [1000]
    assert valid.mean() > (0.2 if pixel_m == 60.0 else 0.6)


@pytest.mark.parametrize("names", [["VV", "VH"], ["Gamma0_VH", "Gamma0_VV"], None, ["VV"]])
def test_a_band_of_an_asset_is_found_by_name_or_refused(tmp_path, world, service, area, names):
    levels = {"VV": 0.1, "VH": 0.01}
    bands = [levels.get(name[-2:], 0.1) for name in names or levels]
    pixels = np.stack([np.full((SIDE, SIDE), level, np.float32) for level in bands])
    place = Georeference(UTM, Affine(10, 0, WEST, 0, -10, NORTH))
    path = write_array(world.folder / "both.tif", pixels, georeference=place, band_names=names)
    item = world.add("rtc", 12, {})
    item["assets"] = {"data": {"href": f"{world.server.url}/files/both.tif", "file:size": path.stat().st_size}}
    world.add("s2", 11, image(4), cloud=3.0, **BASELINE)
    own = service.model_copy(update={"sar": service.sar.model_copy(update={"assets": {"VV": "data", "VH": "data"}})})
    if names is None or len(names) == 1:
        found = r"2 bands \(band_1, band_2\), and none is VV" if names is None else r"1 band \(VV\), and none is VH"
        with pytest.raises(InputError, match=f"asset data has {found} by its name"):
            fetch(area, REQUEST, tmp_path / "root", own, own)
        return
    root = DataRoot.open(fetch(area, REQUEST, tmp_path / "root", own, own))
    with Scene.open(root.raster("sar", "20230511_test")) as scene:
        assert scene.band_names == ["VV", "VH"]
        assert np.median(scene.read()[0], axis=(1, 2)).round(3).tolist() == [-10, -20]


def weekly(world, count):
    for week in range(count):
        world.add("rtc", 3 + 7 * week, radar(week))
        world.add("s2", 2 + 7 * week, image(week), cloud=1.0 + week, **BASELINE)


def test_all_dates_of_a_place_are_one_group(tmp_path, world, service, area):
    weekly(world, 3)
    lines = []
    request = dataclasses.replace(REQUEST, pairs=3, references=2)
    root = fetch(area, request, tmp_path / "root", service, service, tell=lines.append)
    rows = list(split_rows(root / "splits.csv"))
    assert [row["name"] for row in rows] == [f"202305{end}" for end in ("02_test", "09_test", "16_test", "16_test_2")]
    assert {row["group"] for row in rows} == {"test"}
    assert lines == ["root: 2 of 3 rasters have fewer than 2 earlier pairs"]
    strips = fetch(area, dataclasses.replace(REQUEST, split="strips"), tmp_path / "strips", service, service)
    assert [row["group"] for row in split_rows(strips / "splits.csv")] == ["train", "val", "test"]


@pytest.mark.parametrize("pairs", [1, 2])
def test_earlier_images_need_earlier_pairs(pairs):
    with pytest.raises(OptionError, match="needs pairs of 3 or more"):
        dataclasses.replace(REQUEST, pairs=pairs, references=2)


def test_an_area_is_one_feature(tmp_path):
    boxes = [box(10, 50, 10.1, 50.1), box(10.3, 50, 10.4, 50.1)]
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in boxes]
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(InputError, match="it holds 2 features: join them to one MultiPolygon"):
        read_area(str(path))
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features[:1]}))
    assert read_area(str(path)).bounds == (10, 50, 10.1, 50.1)


def test_items_without_an_asset_give_way_to_others(tmp_path, world, service, area):
    two_dates(world)
    world.add("rtc", 13, radar(7))
    for item in world.server.items:
        if item["id"].startswith("rtc-12"):
            item["assets"].pop("vh")
    lines = []
    root = DataRoot.open(fetch(area, REQUEST, tmp_path / "root", service, service, tell=lines.append))
    with Scene.open(root.raster("sar", "20230511_test")) as scene:
        assert scene.acquired.day == 13
    assert lines[0] == f"root: 1 item of rtc not used: rtc-12-{int(WEST)} has no asset vh"


def test_one_place_alone_and_places_that_share_ground(tmp_path, world, service):
    weekly(world, 1)
    lon, lat = transform_bounds(UTM, "EPSG:4326", *(WEST + 480, NORTH - 480) * 2)[:2]
    when = REQUEST.start, REQUEST.end
    places = [Place("here", lon, lat, *when, "train"), Place("there", lon + 5, lat, *when, "test")]
    lines = []
    root, empty = fetch_places(places, REQUEST, tmp_path / "one", service, service, side_km=0.5, tell=lines.append)
    assert list(empty) == ["there"]
    assert DataRoot.open(root).splits == {"here-20230502_train": "train"}
    assert DataRoot.open(root).name == "one"
    assert lines == []
    places[1] = dataclasses.replace(places[1], longitude=lon + 0.001)
    fetch_places(places, REQUEST, tmp_path / "two", service, service, side_km=0.5, tell=lines.append)
    assert lines == ["1 pair of places of different splits share ground: here and there"]
    assert {row["group"] for row in split_rows(tmp_path / "two" / "splits.csv")} == {"here/train", "there/test"}
