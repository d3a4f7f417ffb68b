"""Fetched images show what their root says: values, empty images, passes of one day, settings of the service."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml

import stac_server
from saropt.cli import main
from saropt.curation import stac
from saropt.curation.fetch_places import Place, fetch_places
from saropt.curation.fetching import Request, fetch
from saropt.curation.stac import acquisitions, read_service
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import Scene
from stac_world import box, image, radar, two_dates

REQUEST = Request(datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC), split="test")


def with_sar(service, **changes):
    return service.model_copy(update={"sar": service.sar.model_copy(update=changes)})


def cloudy(seed):
    layers = image(seed)
    layers["SCL"][:] = 9
    return layers


def read(root, role, name):
    with Scene.open(DataRoot.open(root).raster(role, name)) as scene:
        return scene.read()


@pytest.mark.parametrize(("units", "fill"), [("gamma0", 0.0), ("gamma0", -0.5), ("gamma0_db", 0.0), ("amplitude", 0.0)])
def test_fill_that_sar_does_not_declare_is_nodata_and_told(tmp_path, world, service, area, units, fill):
    layers = radar(1)
    if units == "gamma0_db":
        layers = {key: 10 * np.log10(values) for key, values in layers.items()}
    for values in layers.values():
        values[:, :50] = fill
    world.add("rtc", 12, layers)
    world.add("s2", 11, image(4), cloud=3.0)
    lines = []
    own = with_sar(service, units=units)
    root = fetch(area, REQUEST, tmp_path / "root", own, own, tell=lines.append)
    values, valid = read(root, "sar", "20230511_test")
    assert 0.3 < valid.mean() < 0.6
    assert values[:, valid].min() > (-25 if units != "amplitude" else 0)
    assert not valid[:, :25].any()
    assert len(lines) == 1
    assert lines[0].startswith("root: the SAR image of 2023-05-12 shows ")


def test_amplitude_stays_amplitude(tmp_path, world, service, area):
    world.add("rtc", 12, {key: values * 1000 for key, values in radar(1).items()})
    world.add("s2", 11, image(4), cloud=3.0)
    own = with_sar(service, units="amplitude")
    root = fetch(area, REQUEST, tmp_path / "root", own, own)
    assert DataRoot.open(root).images["sar"].units == "amplitude"
    values, valid = read(root, "sar", "20230511_test")
    assert 10 <= values[:, valid].min() <= values[:, valid].max() <= 300
    with pytest.raises(InputError, match=r"collection rtc: units are declared as gamma0 but .* digital numbers"):
        fetch(area, REQUEST, tmp_path / "other", service, service)
    assert not (tmp_path / "other").exists()
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(with_sar(service, units="complex").model_dump()))
    with pytest.raises(InputError, match="complex pixels cannot be brought onto a grid"):
        read_service(str(file))


def test_scale_and_offset_of_an_asset_are_applied_once(tmp_path, world, service, area):
    world.add("rtc", 12, radar(1))
    item = world.add("s2", 11, image(4), cloud=3.0, platform="sentinel-2a")
    bands = [item["assets"][key] for key in ("B04", "B03", "B02")]
    bands[0].update({"raster:scale": 1e-4, "raster:offset": -0.1})
    bands[1]["bands"] = [{"raster:scale": 1e-4, "raster:offset": -0.1}]
    bands[2]["raster:bands"] = [{"scale": 1e-4, "offset": 0}]
    values, valid = read(fetch(area, REQUEST, tmp_path / "root", service, service), "optical", "20230511_test")
    stored = [world.arrays["s2-11-400000"][key] for key in ("B04", "B03", "B02")]
    for band, layer, offset in zip(values, stored, (1000, 1000, 0), strict=True):
        assert set(band[valid]) <= set(layer.ravel().astype(float) - offset)


def test_pairs_of_one_day_have_names_of_their_own(tmp_path, world, service, area):
    for number, hour in ((1, 5), (2, 17)):
        later = {"datetime": f"2023-05-10T{hour:02d}:00:00Z"}
        world.add("rtc", 10, radar(number), identifier=f"pass{number}", **later)
        later = {"datetime": f"2023-05-11T10:{20 * number}:00Z", "platform": f"S2{'AB'[number - 1]}"}
        world.add("s2", 11, image(3 + number), cloud=number, identifier=f"image{number}", **later)
    request = dataclasses.replace(REQUEST, pairs=2, references=1)
    root = fetch(area, request, tmp_path / "root", service, service)
    names = ["20230511_2_test", "20230511_test"]
    assert sorted(DataRoot.open(root).splits) == names
    used = {}
    for role in ("sar", "optical"):
        found = []
        for name in names:
            with Scene.open(DataRoot.open(root).raster(role, name)) as scene:
                found.append(scene.tags[f"{role.upper()}_PRODUCT"])
        used[role] = sorted(found)
    fetched = yaml.safe_load((root / "dataset.yaml").read_text())["fetched"]
    assert (
        used == {role: fetched[role] for role in used} == {"sar": ["pass1", "pass2"], "optical": ["image1", "image2"]}
    )
    assert not (root / "optical_reference").exists()  # no earlier day


@pytest.mark.parametrize(
    "changes", [{"units": "sigma0"}, {"assets": {"VV": "vh", "VH": "vv"}}, {"name": "rtc2"}, {"mask": "x"}]
)
def test_work_that_other_settings_of_the_service_began_is_refused(tmp_path, world, service, area, changes):
    two_dates(world)
    world.server.faults["s2-11-400000-B02.tif"] = stac_server.fails(1000, 403)
    places = [Place("a", -118.08, 34.155, REQUEST.start, REQUEST.end, "train")]
    places = [dataclasses.replace(places[0], longitude=sum(area.bounds[::2]) / 2, latitude=sum(area.bounds[1::2]) / 2)]
    with pytest.raises(InputError, match="403"):
        fetch(area, REQUEST, tmp_path / "root", service, service)
    with pytest.raises(InputError, match="403"):
        fetch_places(places, REQUEST, tmp_path / "world", service, service, side_km=0.5)
    world.server.faults.clear()
    side = "optical" if "mask" in changes else "sar"
    other = service.model_copy(update={side: getattr(service, side).model_copy(update=changes)})
    with pytest.raises(InputError, match="is unfinished work with other settings: remove it"):
        fetch(area, REQUEST, tmp_path / "root", other, other)
    with pytest.raises(InputError, match="is unfinished work with other settings: remove it"):
        fetch_places(places, REQUEST, tmp_path / "world", other, other, side_km=0.5)
    renewed = service.model_copy(update={"token": f"{world.server.url}/files/token"})
    fetch(area, REQUEST, tmp_path / "root", renewed, renewed)


def test_an_image_without_a_clear_pixel_gives_way_to_the_next_date(tmp_path, world, service, area):
    world.add("rtc", 12, radar(1))
    world.add("rtc", 14, radar(2))
    world.add("s2", 11, cloudy(4), cloud=1.0)
    world.add("s2", 13, image(5), cloud=2.0)
    world.add("s2", 15, image(6), cloud=3.0)
    request, lines = dataclasses.replace(REQUEST, pairs=2), []
    root = fetch(area, request, tmp_path / "root", service, service, tell=lines.append)
    assert sorted(DataRoot.open(root).splits) == ["20230513_test", "20230515_test"]
    assert len(list(root.glob("*/*.tif"))) == 4
    assert lines == ["root: not used, because they show almost nothing (cloud or no data): optical of 2023-05-11"]
    fetched = yaml.safe_load((root / "dataset.yaml").read_text())["fetched"]
    assert fetched["optical"] == ["s2-13-400000", "s2-15-400000"]


def test_a_strip_without_a_valid_pixel_is_told(tmp_path, world, service, area):
    world.add("rtc", 12, radar(1))
    layers = image(4)
    layers["SCL"][:, 55:] = 9
    world.add("s2", 11, layers, cloud=1.0)
    request, lines = dataclasses.replace(REQUEST, split="strips"), []
    fetch(area, request, tmp_path / "root", service, service, tell=lines.append)
    assert lines[-1] == "root: the optical image of 2023-05-11 has no valid pixel in 20230511_val, 20230511_test"


def test_images_that_show_nothing_are_no_pair(tmp_path, world, service, area, capsys):
    world.add("rtc", 12, radar(1))
    world.add("s2", 11, cloudy(4), cloud=1.0)
    world.add("s2", 13, cloudy(5), cloud=1.0)
    file = tmp_path / "service.yaml"
    file.write_text(yaml.safe_dump(service.model_dump()))
    arguments = ["data", "fetch", str(tmp_path / "root"), "--dates", "2023-05-01/2023-05-31", "--service", str(file)]
    arguments += ["--area", ",".join(map(str, area.bounds)), "--split", "train"]
    assert main(arguments) == 2
    words = "show almost nothing of it (cloud or no data): optical of 2023-05-11, 2023-05-13"
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "service.yaml"]


def test_a_replaced_pair_is_not_chosen_again_after_a_break(tmp_path, world, service, area):
    world.add("rtc", 12, radar(1))
    world.add("s2", 11, cloudy(4), cloud=1.0)
    world.add("s2", 13, image(5), cloud=2.0)
    world.server.faults["s2-13-400000-B02.tif"] = stac_server.fails(1000, 403)
    with pytest.raises(InputError, match="403"):
        fetch(area, REQUEST, tmp_path / "root", service, service)
    world.server.faults.clear()
    before = world.server.requests["s2-11-400000-B02.tif"]
    root = fetch(area, REQUEST, tmp_path / "root", service, service)
    assert list(DataRoot.open(root).splits) == ["20230513_test"]
    assert world.server.requests["s2-11-400000-B02.tif"] == before


def item(name, hour, geometry=None, **properties):
    when = f"2023-05-10T{hour:02d}:00:00Z"
    properties = {"datetime": when, "platform": "s", **{key.replace("__", ":"): v for key, v in properties.items()}}
    return {"id": name, "properties": properties, "geometry": geometry or box(10, 40, 12, 42), "assets": {}}


def test_passes_of_one_day_are_not_joined():
    area = stac.Area((10.5, 40.5, 11.5, 41.5))
    states = [item("a", 5, sat__orbit_state="descending"), item("b", 5, sat__orbit_state="ascending")]
    assert len(acquisitions(states, area)) == 2
    assert [one.when.hour for one in acquisitions([item("a", 5), item("b", 17)], area)] == [5, 17]
    assert len(acquisitions([item("a", 5), item("b", 5)], area)) == 1


def test_a_pass_across_midnight_is_one():
    area = stac.Area((10.5, 40.5, 11.5, 41.5))
    slices = [item("a", 23, box(10, 40, 11, 42)), item("b", 0, box(11, 40, 12, 42)), item("c", 23)]
    for one, when in zip(slices, ("10T23:59:50", "11T00:00:15", "11T23:59:50"), strict=True):
        one["properties"]["datetime"] = f"2023-05-{when}Z"
    joined, next_day = acquisitions(slices, area)
    assert ([one["id"] for one in joined.items], joined.cover) == (["a", "b"], pytest.approx(1.0))
    assert [one["id"] for one in next_day.items] == ["c"]


@pytest.mark.parametrize(
    ("geometry", "covered"),
    [
        (box(179.5, 44, -179.5, 46), (True, True, False)),
        (box(-179.5, 44, 179.5, 46), (True, True, False)),
        ({"type": "MultiPolygon", "coordinates": [box(179.5, 44, -179.5, 46)["coordinates"]]}, (True, True, False)),
        (box(-180, 44, 180, 46), (True, True, True)),
        (box(14, 44, 16, 46), (False, False, True)),
    ],
)
def test_footprints_across_180_degrees(geometry, covered):
    places = [stac.Area((west, 44.5, west + 0.2, 44.7)) for west in (179.6, -179.8, 15.0)]
    found = [acquisitions([item("a", 5, json.loads(json.dumps(geometry)))], place)[0].cover for place in places]
    assert found == [float(one) for one in covered]
