"""Fetching from a STAC API on the loopback: the right pixels, and servers that are slow, fail or lie."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.warp import transform_bounds

import stac_server
from saropt.cli import main
from saropt.curation import fetching, stac
from saropt.curation.fetch_places import Place, fetch_places, read_places
from saropt.curation.fetching import Request, fetch
from saropt.curation.stac import pair_acquisitions, read_area, read_service
from saropt.errors import InputError
from saropt.files import Lock
from saropt.roots import DataRoot
from saropt.scenes import Scene
from stac_world import NORTH, SIDE, UTM, WEST, image, radar, two_dates

DATES = Request(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC), split="test")


def test_the_clearest_image_and_the_nearest_pass_on_one_grid(tmp_path, world, service, area):
    two_dates(world)
    calls = []
    path = fetch(area, DATES, tmp_path / "root", service, service, progress=lambda *a: calls.append(a))
    root = DataRoot.open(path)
    assert list(root.splits.items()) == [("20230511_test", "test")]
    assert (root.images["sar"].units, root.images["optical"].units, root.gsd_m) == (
        "gamma0_db",
        "reflectance x 10000",
        10.0,
    )
    with (
        Scene.open(root.raster("sar", "20230511_test")) as sar,
        Scene.open(root.raster("optical", "20230511_test")) as optical,
    ):
        assert sar.georeference == optical.georeference
        assert (sar.band_names, optical.band_names) == (["VV", "VH"], ["B4", "B3", "B2"])
        assert sar.acquired == datetime(2023, 5, 12, 10, tzinfo=UTC)
        assert optical.acquired == datetime(2023, 5, 11, 10, tzinfo=UTC)
        (power, seen), (colour, clear) = sar.read(), optical.read()
        col = round((sar.georeference.transform.c - WEST) / 10)
        row = round((NORTH - sar.georeference.transform.f) / 10)
    height, width = seen.shape
    part = np.s_[row : row + height, col : col + width]
    assert seen.all()
    arrays = world.arrays["rtc-12-400000"]
    np.testing.assert_allclose(power[0], 10 * np.log10(arrays["vv"][part]), atol=1e-3)
    arrays = world.arrays["s2-11-400000"]
    np.testing.assert_array_equal(clear, arrays["SCL"][part] != 9)
    np.testing.assert_array_equal(colour[1][clear], arrays["B03"][part][clear] - 1000)
    assert calls[-1][:2] == (2, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["files", "root"]
    described = yaml.safe_load((path / "dataset.yaml").read_text())
    assert described["fetched"]["optical"] == ["s2-11-400000"]
    assert "secret" not in (path / "dataset.yaml").read_text()
    body = world.server.bodies[0]
    assert body["collections"] == ["rtc"]
    assert body["datetime"] == "2023-05-01T00:00:00Z/2023-06-01T00:00:00Z"


def test_items_of_one_pass_are_joined_and_polygons_cut(tmp_path, world, service):
    half = SIDE // 2
    world.add("rtc", 12, radar(2, half), west=WEST, side=half)
    world.add("rtc", 12, radar(3, half), west=WEST + half * 10, side=half)
    world.add("s2", 11, image(4), cloud=3.0)
    corners = [(400_100, 3_779_600), (400_900, 3_779_600), (400_500, 3_779_900), (400_100, 3_779_600)]
    degrees = np.transpose(rasterio.warp.transform(UTM, "EPSG:4326", *zip(*corners, strict=True))).tolist()
    file = tmp_path / "area.geojson"
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [degrees]}}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [shape]}))
    area = read_area(str(file))
    root = DataRoot.open(fetch(area, DATES, tmp_path / "root", service, service))
    with Scene.open(root.raster("sar", "20230511_test")) as scene:
        valid = scene.read()[1]
    assert 0.35 < valid.mean() < 0.65
    assert not valid[0, 0]
    assert valid[valid.shape[0] // 2 + 5, valid.shape[1] // 2 - 8 : valid.shape[1] // 2 + 8].all()


def test_strips_and_several_pairs(tmp_path, world, service, area):
    two_dates(world)
    request = Request(DATES.start, DATES.end, pairs=3, max_cloud=50.0, max_days=14.0)
    root = DataRoot.open(fetch(area, request, tmp_path / "root", service, service))
    assert sorted(root.splits) == [f"202305{day}_{split}" for day in ("11", "25") for split in ("test", "train", "val")]


def test_earlier_pairs_become_references(tmp_path, world, service, area):
    two_dates(world)
    request = Request(DATES.start, DATES.end, pairs=3, max_cloud=50.0, max_days=14.0, split="test", references=2)
    root = DataRoot.open(fetch(area, request, tmp_path / "root", service, service))
    assert sorted(root.splits) == ["20230511_test", "20230525_test"]
    assert root.images["optical_reference"].optional
    for role in ("sar", "optical"):
        assert root.path_of(f"{role}_reference", "20230511_test") is None
        with Scene.open(root.raster(f"{role}_reference", "20230525_test")) as earlier:
            with Scene.open(root.raster(role, "20230511_test")) as first:
                assert np.array_equal(earlier.read_stored()[0], first.read_stored()[0], equal_nan=True)
            assert earlier.acquired.month == 5
            assert earlier.acquired.day <= 14


def test_slow_and_failing_servers_are_borne(tmp_path, world, service, area):
    two_dates(world)
    world.server.search_failures = 2
    world.server.faults["rtc-12-400000-vv.tif"] = stac_server.fails(2)
    world.server.faults["s2-11-400000-B03.tif"] = stac_server.slow(0.2)
    world.server.faults["s2-11-400000-SCL.tif"] = stac_server.fails(1, 429)
    root = DataRoot.open(fetch(area, DATES, tmp_path / "root", service, service))
    with Scene.open(root.raster("sar", "20230511_test")) as scene:
        assert scene.read()[1].all()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (stac_server.fails(1000), "answers 503"),
        (stac_server.fails(1000, 403), "answers 403"),
        (stac_server.no_ranges, "no range requests"),
        (stac_server.cut_short, "not sent whole"),
        (stac_server.garbage, "cannot be opened"),
    ],
)
def test_servers_that_lie_or_stay_broken_are_named_and_work_goes_on(
    tmp_path, world, service, area, fault, words, monkeypatch
):
    two_dates(world)
    world.server.faults["rtc-12-400000-vh.tif"] = fault
    with pytest.raises(InputError, match=words) as caught:
        fetch(area, DATES, tmp_path / "root", service, service)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "root").exists()
    world.server.faults.clear()
    world.server.items.clear()  # the plan is remembered: no second search
    DataRoot.open(fetch(area, DATES, tmp_path / "root", service, service))


def test_two_at_once(tmp_path, world, service, area):
    with (
        Lock(tmp_path / ".root.fetching.lock", "root", "is busy"),
        pytest.raises(InputError, match="root: is being fetched by another process"),
    ):
        fetch(area, DATES, tmp_path / "root", service, service)


def test_catalogues_that_lie_about_sizes(tmp_path, world, service, area):
    two_dates(world)
    world.add("rtc", 11, radar(9), size_off=7)
    with pytest.raises(InputError, match="the catalogue says"):
        fetch(area, DATES, tmp_path / "root", service, service)


def test_finished_rasters_and_windows_are_not_fetched_twice(tmp_path, world, service, area, monkeypatch):
    two_dates(world)
    monkeypatch.setattr(fetching, "TILE", 32)
    opened, calls = fetching.open_scene, []

    def interrupted(href, *rest, **how):
        calls.append(href)
        if len(calls) == 14:
            raise KeyboardInterrupt
        return opened(href, *rest, **how)

    monkeypatch.setattr(fetching, "open_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(area, DATES, tmp_path / "root", service, service)
    before = calls.copy()
    fetch(area, DATES, tmp_path / "root", service, service)
    assert len(before) == 4 * 2 + 4 + 2  # four windows of two SAR files, one of four optical ones, one broken off
    assert len(calls) - len(before) == 3 * 4
    assert not any("rtc" in href for href in calls[len(before) :])


def test_what_an_interrupt_after_a_raster_has_left_is_not_in_the_root(tmp_path, world, service, area, monkeypatch):
    def interrupted(folder):
        raise KeyboardInterrupt

    two_dates(world)
    with monkeypatch.context() as patched:
        patched.setattr("saropt.scenes.writing.sync_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(area, DATES, tmp_path / "root", service, service)
    assert list(tmp_path.glob(".root.fetching/*/.*.tif.part"))
    root = fetch(area, DATES, tmp_path / "root", service, service)
    assert not list(root.rglob(".*"))


def test_what_cannot_be_had(tmp_path, world, service, area):
    with pytest.raises(InputError, match="found 0 SAR and 0 optical"):
        fetch(area, DATES, tmp_path / "root", service, service)
    two_dates(world)
    few = Request(DATES.start, DATES.end, max_gigabytes=1e-6)
    with pytest.raises(InputError, match="GB are needed"):
        fetch(area, few, tmp_path / "root", service, service)
    with pytest.raises(InputError, match="other settings"):
        fetch(area, DATES, tmp_path / "root", service, service)
    with pytest.raises(InputError, match="no calibrated Sentinel-1"):
        fetch(area, DATES, tmp_path / "root", read_service("earth-search"), service)
    world.server.endless = True
    with pytest.raises(InputError, match="same page"):
        fetch(area, DATES, tmp_path / "other", service, service)
    world.server.items[0]["assets"]["vv"]["href"] = "s3://bucket/key"
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["files"]


def test_pairs_are_near_clear_and_covered():
    def made(day, cloud=float("nan"), cover=1.0):
        return stac.Acquisition(datetime(2023, 5, day, tzinfo=UTC), (), cover, cloud)

    sar = [made(1), made(6), made(20, cover=0.5)]
    optical = [made(2, 5.0), made(5, 0.0), made(21, 1.0), made(7, 30.0)]
    limits = {"max_cloud": 10.0, "max_days": 3.0, "min_cover": 0.9}
    pairs = pair_acquisitions(sar, optical, pairs=5, **limits)
    assert [(one.when.day, other.when.day) for one, other in pairs] == [(6, 5), (1, 2)]
    assert len(pair_acquisitions(sar, optical, pairs=1, **limits)) == 1


def test_the_command_line(tmp_path, world, service, area, capsys):
    two_dates(world)
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(service.model_dump()))
    bounds = ",".join(map(str, area.bounds))
    arguments = ["data", "fetch", str(tmp_path / "root"), "--dates", "2023-05-01/2023-05-31", "--service", str(file)]
    assert main([*arguments, "--area", bounds, "--split", "train"]) == 0
    assert list(DataRoot.open(tmp_path / "root").splits) == ["20230511_train"]
    capsys.readouterr()
    for extra, words in (
        (["--area", "1,2,3"], "neither west,south,east,north"),
        (["--area", "5,5,4,6"], "no box"),
        (["--area", bounds], "exists already"),
        (["--area", bounds, "--service", "nowhere"], "known service"),
        (["--area", bounds, "--places", "s1-world-large"], "needs --area and --dates, or --places alone"),
        ([], "needs --area and --dates, or --places alone"),
    ):
        assert main([*arguments, *extra]) == 2
        assert words in capsys.readouterr().err
    assert main(["data", "fetch", "x", "--area", bounds, "--dates", "2023-05-31/2023-05-01"]) == 2
    assert "ends before" in capsys.readouterr().err


def write_places(path, rows):
    path.write_text("\ufeffname,longitude,latitude,from,to,split\r\n" + "".join(f"{row}\r\n" for row in rows))
    return path


def test_many_places_become_one_root_and_failures_are_made_up_for(tmp_path, world, service, capsys):
    lon, lat = (transform_bounds(UTM, "EPSG:4326", WEST, NORTH - 960, WEST + 960, NORTH)[i] for i in (0, 3))
    two_dates(world)
    world.add("rtc", 24, radar(6))
    middle = transform_bounds(UTM, "EPSG:4326", *(WEST + 480, NORTH - 480) * 2)
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(service.model_dump()))
    when = "2023-05-01,2023-05-15"
    rows = [
        f"first,{middle[0]},{middle[1]},{when},train",
        f"elsewhere,{lon + 20},{lat},{when},train",
        f"second,{middle[0]},{middle[1]},{when},val",
        f"third,{middle[0] - 0.001},{middle[1]},2023-05-20,2023-05-31,test",
    ]
    listed = write_places(tmp_path / "places.csv", rows)
    arguments = ["data", "fetch", str(tmp_path / "world"), "--places", str(listed), "--service", str(file)]
    arguments += ["--side", "0.5"]
    broken = f"s2-25-{int(WEST)}-B04.tif"  # the optical image of the third place alone
    world.server.faults[broken] = lambda number, handler, content: handler.answer(404, b"") or True
    assert main(arguments) == 2
    assert "1 place failed" in capsys.readouterr().err
    assert not (tmp_path / "world").exists()
    world.server.faults.clear()
    assert main([*arguments, "--max-cloud", "50"]) == 2
    assert "is unfinished work with other settings" in capsys.readouterr().err
    before = sum(world.server.requests.values())
    assert main(arguments) == 0
    assert "1 of 4 places have no pair (elsewhere: no pair: found" in capsys.readouterr().out
    root = DataRoot.open(tmp_path / "world")
    assert root.splits == {"first-20230511_train": "train", "second-20230511_val": "val", "third-20230525_test": "test"}
    assert sum(world.server.requests.values()) - before < before, "what was there is not fetched again"
    assert not list(tmp_path.glob(".world*"))
    pytest.importorskip("torch")
    small = "{width: 4, encoder: [0, 1, 1], middle: 1, decoder: [1, 1, 1], unshuffle: 2}"
    settings = [f"arguments.network_arguments={small}", "arguments.loss.block=8", "data.crop=16", "data.batch_size=2"]
    settings += ["arguments.adversarial_start=1", "engine.precision=32-true", "engine.validate_every=0"]
    train = ["train", "compact", str(root.path), "--out", str(tmp_path / "run"), "--config", "s1-world-large"]
    assert main([*train, "--max-steps", "2", "--device", "cpu", *[x for one in settings for x in ("--set", one)]]) == 0
    assert (tmp_path / "run" / "translator-sar2opt.onnx").is_file() or (tmp_path / "run" / "translator.onnx").is_file()


def test_lists_of_places(tmp_path, capsys):
    world = read_places("s1-world-large")
    assert all(place.area(5.12).bounds[0] < place.longitude for place in world)
    assert {place.split for place in world} == {"train", "val", "test"}
    for row, words in (
        ("a,1,2,2023-05-01,2023-05-31,all", "is no place within the globe"),
        ("a,1,2,2023-06-01,2023-05-31,train", "line 2: is no place: .* ends before it begins"),
        ("a,1,200,2023-05-01,2023-05-31,train", "is no place within the globe"),
        ("a,one,2,2023-05-01,2023-05-31,train", "line 2: is no place"),
        ("../a,1,2,2023-05-01,2023-05-31,train", "is no name of a raster"),
        ("a,1,2", "line 2: is no place"),
        ("", "and at least one place"),
    ):
        with pytest.raises(InputError, match=words):
            read_places(str(write_places(tmp_path / "places.csv", [row])))
    again = ["a,1,2,2023-05-01,2023-05-31,train", "A,1,2,2023-05-01,2023-05-31,train"]
    with pytest.raises(InputError, match="has a twice"):
        read_places(str(write_places(tmp_path / "places.csv", again)))
    with pytest.raises(InputError, match="neither a list of places"):
        read_places("s2-world")
    with pytest.raises(InputError, match="too near to a pole"):
        Place("a", 179.999, 10, *[datetime(2023, 5, 1)] * 2, "train").area(5)


def test_three_places_that_fail_in_a_row_end_the_work(tmp_path, service, world):
    places = [Place(f"p{i}", 10.0 + i, 10.0, DATES.start, DATES.end, "train") for i in range(9)]
    world.server.search_failures = 10**6
    with pytest.raises(InputError, match="3 places failed"):
        fetch_places(places, DATES, tmp_path / "root", service, service)
