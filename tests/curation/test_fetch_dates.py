"""Times of a fetch: offsets from UTC, times of day, earlier images, searches that are not read to their end."""

from __future__ import annotations

import copy
import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest
import yaml

from saropt.cli import main
from saropt.curation import stac
from saropt.curation.fetch_places import read_places
from saropt.curation.fetching import Request, fetch
from saropt.curation.periods import period_of
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import Scene
from stac_world import image, radar

REQUEST = Request(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC), split="test")
PERIODS = {
    ("2023-05-01", "2023-05-31"): ("2023-05-01T00:00", "2023-06-01T00:00"),
    ("2023-05-11", "2023-05-11"): ("2023-05-11T00:00", "2023-05-12T00:00"),
    ("2023-05-11T12:00", "2023-05-11"): ("2023-05-11T12:00", "2023-05-12T00:00"),
    ("2023-05-11T08:00Z", "2023-05-12T12:00Z"): ("2023-05-11T08:00", "2023-05-12T12:00"),
    ("2023-05-11T11:00+09:00", "2023-05-12T09:30-08:00"): ("2023-05-11T02:00", "2023-05-12T17:30"),
    ("2023-05-11T10:00Z", "2023-05-11T10:00Z"): ("2023-05-11T10:00", "2023-05-11T10:00"),
    ("2023-05-11T00:00", "2023-05-12T00:00"): ("2023-05-11T00:00", "2023-05-12T00:00"),
    ("2023-W18-3", "2023W184"): ("2023-05-03T00:00", "2023-05-05T00:00"),
    ("2023-05-11", "9999-12-31"): ("2023-05-11T00:00", "9999-12-31T23:59:59.999999"),
}
WRONG = {
    ("2023-05-31", "2023-05-01"): "ends before it begins",
    ("2023-06-01", "2023-05-31"): "ends before it begins",
    ("2023-05-11T10:00+09:00", "2023-05-11T00:30Z"): "ends before it begins",
    ("2023-W18", "2023-W18"): "'2023-W18' is neither a day nor a time",
    ("2023-05-01", "2023W18"): "'2023W18' is neither a day nor a time",
    ("2023-W18T10:00", "2023-05-11"): "'2023-W18T10:00' is neither a day nor a time",
    ("2023-05-11", ".."): "'..' is neither a day nor a time",
    ("2023-05-11", ""): "'' is neither a day nor a time",
    ("0001-01-01T00:00+09:00", "2023-05-11"): "is neither a day nor a time",
}


def pair(world):
    world.add("rtc", 12, radar(2))
    world.add("s2", 11, image(4), cloud=3.0)


def arguments(tmp_path, service, area, dates):
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(service.model_dump()))
    bounds = ",".join(map(str, area.bounds))
    where = ["--area", bounds, "--dates", dates, "--service", str(file), "--split", "train"]
    return ["data", "fetch", str(tmp_path / "root"), *where]


@pytest.mark.parametrize(("texts", "expected"), PERIODS.items())
def test_days_are_whole_and_times_are_kept(tmp_path, texts, expected):
    moments = tuple(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in expected)
    assert period_of(*texts) == moments
    listed = tmp_path / "places.csv"
    listed.write_text(f"name,longitude,latitude,from,to,split\na,1,2,{','.join(texts)},train\n")
    (place,) = read_places(str(listed))
    assert (place.start, place.end) == moments


@pytest.mark.parametrize(("texts", "words"), WRONG.items())
def test_what_is_no_period_is_refused_in_one_line(tmp_path, capsys, texts, words):
    where = ["data", "fetch", str(tmp_path / "root"), "--area", "1,2,3,4", "--dates", "/".join(texts)]
    assert main(where) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    listed = tmp_path / "places.csv"
    listed.write_text(f"name,longitude,latitude,from,to,split\na,1,2,{','.join(texts)},train\n")
    with pytest.raises(InputError, match=f"line 2: is no place: .*{words}"):
        read_places(str(listed))


@pytest.mark.parametrize(
    ("dates", "code"),
    [
        ("2023-05-11T09:00-08:00/2023-05-12T20:00-08:00", 2),
        ("2023-05-11T11:00+09:00/2023-05-12T20:00+09:00", 0),
        ("2023-05-11/2023-05-12T09:00", 2),
    ],
)
def test_images_of_the_times_that_are_asked_for(tmp_path, world, service, area, dates, code, capsys):
    """Both images are of 10:00 UTC."""
    pair(world)
    assert main(arguments(tmp_path, service, area, dates)) == code
    assert ("1 SAR and 0 optical dates" in capsys.readouterr().err) == (dates.endswith("-08:00"))


def test_times_of_a_request_are_brought_to_utc(world, service, area):
    pair(world)
    for zone in (timezone(timedelta(hours=9)), None):
        start = datetime(2023, 5, 11, 9 if zone else 0, tzinfo=zone)
        found = stac.search(service, service.optical, area, start, start + timedelta(hours=11))
        assert len(found) == 1
        assert world.server.bodies[-1]["datetime"] == "2023-05-11T00:00:00Z/2023-05-11T11:00:00Z"


def test_an_earlier_sar_image_is_of_an_earlier_pass(tmp_path, world, service, area):
    world.add("rtc", 3, radar(1))
    world.add("rtc", 7, radar(2))
    world.add("rtc", 21, radar(3))
    for day, cloud in ((2, 3.0), (4, 1.0), (20, 2.0)):
        world.add("s2", day, image(day), cloud=cloud)
    request = dataclasses.replace(REQUEST, pairs=3, references=2)
    root = DataRoot.open(fetch(area, request, tmp_path / "root", service, service))
    assert sorted(root.splits) == ["20230502_test", "20230504_test", "20230520_test", "20230520_test_2"]
    with_earlier = []
    for name in sorted(root.splits):
        path = root.path_of("sar_reference", name)
        if path is None:
            continue
        with_earlier.append(name)
        with Scene.open(path) as earlier, Scene.open(root.raster("sar", name)) as today:
            assert earlier.acquired < today.acquired
        assert root.path_of("optical_reference", name) is not None
    assert with_earlier == ["20230520_test", "20230520_test_2"]


def many(world):
    """A clear image behind many cloudy ones."""
    world.server.page = 10
    world.add("rtc", 12, radar(2))
    clear = world.add("s2", 11, image(4), cloud=0.0)
    world.server.items.pop()
    near = world.add("s2", 14, image(5), cloud=8.0)
    for number in range(30):
        cloudy = copy.deepcopy(near)
        cloudy["id"] = f"cloudy-{number}"
        cloudy["properties"] |= {
            "eo:cloud_cover": 95.0,
            "datetime": f"2023-05-{15 + number % 10}T{number % 24:02d}:00:00Z",
        }
        world.server.items.append(cloudy)
    world.server.items.append(clear)


def test_a_search_that_is_not_read_to_the_end_is_told(tmp_path, world, service, area, monkeypatch):
    many(world)
    monkeypatch.setattr(stac, "MOST_ITEMS", 20)
    lines = []
    root = fetch(area, REQUEST, tmp_path / "root", service, service, tell=lines.append)
    assert list(DataRoot.open(root).splits) == ["20230514_test"]
    words = "those that were looked at are of 2023-05-14 to 2023-05-24, and others may be clearer or nearer in time"
    assert lines == [f"root: s2 has more than 20 items in these dates; {words}: narrow the dates"]


def test_it_is_told_in_the_error_where_there_is_no_pair(tmp_path, world, service, area, monkeypatch, capsys):
    many(world)
    monkeypatch.setattr(stac, "MOST_ITEMS", 20)
    dates = "2023-05-01/2023-05-31"
    assert main([*arguments(tmp_path, service, area, dates), "--max-cloud", "5"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "no pair: found 1 SAR and" in told
    assert "s2 has more than 20 items" in told


@pytest.mark.parametrize("most", [30, 31, 32, 2000])
def test_a_search_that_is_read_to_the_end_says_nothing(tmp_path, world, service, area, monkeypatch, most):
    many(world)
    monkeypatch.setattr(stac, "MOST_ITEMS", most)
    lines = []
    fetch(area, REQUEST, tmp_path / "root", service, service, tell=lines.append)
    assert bool(lines) == (most == 30)
