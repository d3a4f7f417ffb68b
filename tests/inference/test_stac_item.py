"""STAC items beside outputs: valid, at the right place, with what made them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform

from reference_files import BANDS, reference_translator
from saropt.cli import main
from saropt.errors import InputError, OptionError
from saropt.inference import TranslateOptions, Translator
from saropt.inference.stac_item import footprint
from saropt.scenes import Georeference, write_array

UTM = Georeference(CRS.from_epsg(32611), from_origin(400_000, 3_800_000, 10, 10))
DATE = {"ACQUISITION_DATE": "2020-11-07T13:52:41Z"}


@pytest.fixture
def dated(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 255, (1, 60, 80)).astype(np.uint8)
    return write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], georeference=UTM, tags=DATE)


def test_an_item_is_valid_and_says_where_from(dated: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "optical.tif"
    assert main(["translate", str(dated), str(out), "--stac"]) == 0
    item = pystac.Item.from_file(str(out.with_suffix(".json")))
    item.stac_extensions, extensions = [], item.stac_extensions  # their schemas are not on this machine
    item.validate()
    assert sorted(url.split("/")[3] for url in extensions) == ["processing", "projection"]
    assert item.id == "optical"
    assert item.datetime is not None
    assert item.datetime.isoformat() == "2020-11-07T13:52:41+00:00"
    facts = item.properties
    assert facts["proj:code"] == "EPSG:32611"
    assert facts["proj:shape"] == [60, 80]
    assert facts["proj:transform"] == [10, 0, 400_000, 0, -10, 3_800_000]
    assert facts["processing:software"] == {"saropt": facts["processing:version"]}
    assert facts["saropt:translator"] == "s1-losangeles"
    (origin,) = item.get_links("derived_from")
    assert (out.parent / origin.href).resolve() == dated
    asset = item.assets["image"]
    assert (asset.href, asset.roles) == ("optical.tif", ["data"])
    assert [band["name"] for band in asset.extra_fields["bands"]] == ["B4", "B3", "B2"]


def test_an_item_tells_what_the_tags_of_the_image_tell(dated: Path, tmp_path: Path) -> None:
    with rasterio.open(dated, "r+", IGNORE_COG_LAYOUT_BREAK=True) as scene:
        scene.update_tags(SAROPT_OF_ANOTHER_RUN="not this run's")
    out = tmp_path / "optical.tif"
    today = np.full((3, 60, 80), 90, np.uint8)
    today[:, :30] = 0
    clear = {"ACQUISITION_DATE": "2020-11-06"}
    names = ["B4", "B3", "B2"]
    kept = write_array(tmp_path / "today.tif", today, band_names=names, georeference=UTM, tags=clear, nodata=0)
    assert main(["translate", str(dated), str(out), "--stac", "--keep-clear", str(kept)]) == 0
    facts = json.loads(out.with_suffix(".json").read_text())["properties"]
    own = {key for key in facts if key.startswith("saropt:")}
    assert facts["saropt:keep_clear"] == "today.tif"
    assert facts["saropt:keep_clear_date"] == "2020-11-06"
    assert {"saropt:run", "saropt:work", "saropt:of_another_run"}.isdisjoint(own)


@pytest.mark.parametrize(
    ("stated", "utc"),
    [("2023-05-31T23:59:59+05:00", "2023-05-31T18:59:59Z"), ("2023-05-31T23:30:00-08:00", "2023-06-01T07:30:00Z")],
)
def test_an_item_has_the_time_in_utc(stated: str, utc: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 60, 80)).astype(np.uint8)
    tags = {"ACQUISITION_DATE": stated}
    scene = write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], georeference=UTM, tags=tags)
    assert main(["translate", str(scene), str(tmp_path / "optical.tif"), "--stac"]) == 0
    assert json.loads((tmp_path / "optical.json").read_text())["properties"]["datetime"] == utc


def test_a_date_without_a_time_stays_a_day(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 60, 80)).astype(np.uint8)
    tags = {"ACQUISITION_DATE": "05.11.2024"}
    scene = write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], georeference=UTM, tags=tags)
    assert main(["translate", str(scene), str(tmp_path / "optical.tif"), "--stac"]) == 0
    with rasterio.open(tmp_path / "optical.tif") as dataset:
        assert dataset.tags()["ACQUISITION_DATE"] == "2024-11-05"
    found = json.loads((tmp_path / "optical.json").read_text())["properties"]
    assert found["datetime"] is None
    assert (found["start_datetime"], found["end_datetime"]) == ("2024-11-05T00:00:00Z", "2024-11-05T23:59:59Z")


@pytest.mark.parametrize(
    ("stated", "kept", "first", "last"),
    [
        ("2023-05-31/2023-06-02", "2023-05-31/2023-06-02", "2023-05-31T00:00:00Z", "2023-06-02T23:59:59Z"),
        ("20230531T220000 / 20230531T230000Z", None, "2023-05-31T22:00:00Z", "2023-05-31T23:00:00Z"),
        ("2023-05-31T23:00:00-08:00/2023-06-02", None, "2023-06-01T07:00:00Z", "2023-06-02T23:59:59Z"),
        ("2023-05-31/2023-05-31", "2023-05-31", "2023-05-31T00:00:00Z", "2023-05-31T23:59:59Z"),
        ("2023-13-31/2023-06-02", "2023-06-02", "2023-06-02T00:00:00Z", "2023-06-02T23:59:59Z"),
        ("2023-05-31/2023-05-01", "2023-05-31", "2023-05-31T00:00:00Z", "2023-05-31T23:59:59Z"),
    ],
)
def test_an_interval_stays_one(stated: str, kept: str | None, first: str, last: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 60, 80)).astype(np.uint8)
    tags = {"ACQUISITION_DATE": stated}
    scene = write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], georeference=UTM, tags=tags)
    assert main(["translate", str(scene), str(tmp_path / "optical.tif"), "--stac"]) == 0
    with rasterio.open(tmp_path / "optical.tif") as dataset:
        assert kept in (None, dataset.tags()["ACQUISITION_DATE"])
    found = json.loads((tmp_path / "optical.json").read_text())["properties"]
    assert (found["datetime"], found["start_datetime"], found["end_datetime"]) == (None, first, last)


def test_the_date_of_the_file_is_none_of_the_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 60, 80)).astype(np.uint8)
    tags = {"TIFFTAG_DATETIME": "2024:11:05 09:12:00"}
    scene = write_array(tmp_path / "scene.tif", pixels, band_names=["VH"], georeference=UTM, tags=tags)
    command = ["translate", str(scene), str(tmp_path / "optical.tif")]
    assert main([*command, "--stac"]) == 2
    assert "has no date, which a STAC item needs" in capsys.readouterr().err
    assert main(command) == 0
    with rasterio.open(tmp_path / "optical.tif") as dataset:
        assert "ACQUISITION_DATE" not in dataset.tags()


@pytest.mark.parametrize("stated", ["02/11/2023", "summer"])
def test_a_date_that_cannot_be_read_is_quoted(stated: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tags = {"ACQUISITION_DATE": stated}
    scene = write_array(tmp_path / "scene.tif", np.ones((1, 8, 8), np.uint8), tags=tags)
    assert main(["translate", str(scene), str(tmp_path / "optical.tif"), "--stac"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"no date, which a STAC item needs: ACQUISITION_DATE is '{stated}', which cannot be read in one way" in line
    assert not (tmp_path / "optical.tif").exists()
    assert main(["data", "inspect", str(scene)]) == 0
    assert f"ACQUISITION_DATE is '{stated}', which" in " ".join(capsys.readouterr().out.split())


def test_the_outline_is_that_of_the_raster() -> None:
    geometry, box = footprint(UTM, 60, 80)
    assert geometry is not None
    assert box is not None
    xs, ys = zip(*((400_000 + 10 * c, 3_800_000 - 10 * r) for c in (0, 80) for r in (0, 60)), strict=True)
    longitudes, latitudes = transform(UTM.crs, "EPSG:4326", xs, ys)
    assert np.allclose(box, [min(longitudes), min(latitudes), max(longitudes), max(latitudes)], atol=1e-6)
    (ring,) = geometry["coordinates"]
    corners = {(round(x, 6), round(y, 6)) for x, y in zip(longitudes, latitudes, strict=True)}
    assert corners <= {(round(x, 6), round(y, 6)) for x, y in ring}
    assert ring[0] == ring[-1]
    area = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise(ring)) / 2
    assert area > 0  # counter-clockwise


def test_an_outline_across_180_degrees_is_cut() -> None:
    zone = Georeference(CRS.from_epsg(32601), from_origin(100_000, 1_000_000, 1000, 1000))
    degrees = Affine(0.01, 0, 179.0, 0, -0.01, 9)
    points = [(row, col, *(degrees @ (col, row))) for row in (0, 50, 100) for col in (0, 150, 300)]
    by_points = [GroundControlPoint(row, col, x - 360.0 * (x > 180.0), y) for row, col, x, y in points]
    for where in (
        zone,
        Georeference(CRS.from_epsg(4326), degrees),
        Georeference(gcps=tuple(by_points), gcp_crs=CRS.from_epsg(4326)),
    ):
        geometry, box = footprint(where, 100, 300)
        assert geometry is not None
        assert box is not None
        assert geometry["type"] == "MultiPolygon"
        assert box[0] > 0 > box[2]
        for (ring,) in geometry["coordinates"]:
            longitudes = [x for x, _ in ring]
            assert min(longitudes) >= -180
            assert max(longitudes) <= 180
            assert max(longitudes) - min(longitudes) < 10


@pytest.mark.parametrize("west", [190.0, -170.0, -530.0])
def test_longitudes_by_whole_turns_are_the_same_place(west: float) -> None:
    where = Georeference(CRS.from_epsg(4326), from_origin(west, 10, 1e-3, 1e-3))
    geometry, box = footprint(where, 20, 30)
    assert geometry is not None
    assert box == [-170.0, 9.98, -169.97, 10.0]
    assert geometry["type"] == "Polygon"


@pytest.mark.parametrize("west", [0.0, -180.0, -180.05])
def test_the_whole_globe_has_the_whole_box(west: float) -> None:
    geometry, box = footprint(Georeference(CRS.from_epsg(4326), from_origin(west, 80, 0.1, 0.1)), 1600, 3601)
    assert geometry is not None
    assert box == [-180.0, -80.0, 180.0, 80.0]


@pytest.mark.parametrize(("code", "pole"), [(3413, 90.0), (3031, -90.0)])
def test_a_raster_around_a_pole_holds_it(code: int, pole: float) -> None:
    geometry, box = footprint(Georeference(CRS.from_epsg(code), from_origin(-1000, 1200, 10, 10)), 256, 256)
    assert geometry is not None
    assert box is not None
    assert box[:3:2] == [-180.0, 180.0]
    assert pole in (box[1], box[3])
    (ring,) = geometry["coordinates"]
    assert ring[0] == ring[-1]
    assert [180.0, pole] in ring
    assert sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) > 0, "counter-clockwise"
    assert min(abs(latitude) for _, latitude in ring) > 89.9


def test_the_outline_of_a_raster_with_south_up_is_counter_clockwise() -> None:
    geometry, _ = footprint(Georeference(CRS.from_epsg(32611), Affine(10, 0, 4e5, 0, 10, 3.8e6)), 60, 80)
    assert geometry is not None
    (ring,) = geometry["coordinates"]
    assert sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) > 0


def test_control_points_give_an_outline() -> None:
    points = tuple(
        GroundControlPoint(row=r, col=c, x=12 + 0.01 * c, y=42 - 0.01 * r) for r in (0, 50, 100) for c in (0, 50, 100)
    )
    geometry, box = footprint(Georeference(gcps=points, gcp_crs=CRS.from_epsg(4326)), 100, 100)
    assert geometry is not None
    assert box is not None
    assert np.allclose(box, [12, 41, 13, 42], atol=1e-4)
    assert footprint(Georeference(), 10, 10) == (None, None)


def test_what_has_no_date_is_refused_before_it_is_translated(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, 60, 80)).astype(np.uint8)
    scene = write_array(tmp_path / "scene.tif", pixels, band_names=["VH"])
    translator = Translator.load("s1-losangeles")
    with pytest.raises(InputError, match="has no date, which a STAC item needs"):
        translator.translate(scene, tmp_path / "out.tif", stac=True)
    with pytest.raises(OptionError, match="beside local outputs only"):
        translator.translate(scene, "s3://bucket/out.tif", stac=True)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_an_item_is_replaced_only_with_overwrite(dated: Path, tmp_path: Path) -> None:
    translator = Translator.load("s1-losangeles")
    (tmp_path / "out.json").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        translator.translate(dated, tmp_path / "out.tif", stac=True)
    assert not (tmp_path / "out.tif").exists()
    translator.translate(dated, tmp_path / "out.tif", stac=True, overwrite=True)
    assert json.loads((tmp_path / "out.json").read_text())["id"] == "out"


def test_every_product_is_an_asset_and_every_input_a_link(dated: Path, tmp_path: Path) -> None:
    decibels = np.random.default_rng(0).normal(-15, 3, (1, 60, 80)).astype(np.float32)
    scene = write_array(tmp_path / "now.tif", decibels, band_names=["VH"], georeference=UTM, tags=DATE)
    colours = np.random.default_rng(1).integers(30, 220, (3, 60, 80)).astype(np.uint8)
    earlier = write_array(tmp_path / "earlier.tif", colours, band_names=BANDS, georeference=UTM)
    translator = Translator.load(reference_translator(tmp_path, fresh=True))
    translator.translate(scene, tmp_path / "out.tif", reference=earlier, stac=True)
    item = json.loads((tmp_path / "out.json").read_text())
    assert {name: asset["href"] for name, asset in item["assets"].items()} == {
        "image": "out.tif",
        "origin": "out_origin.tif",
    }
    assert [link["href"] for link in item["links"]] == ["now.tif", "earlier.tif"]


def test_items_are_derived_from_each_file_of_a_product(tmp_path: Path) -> None:
    product = tmp_path / "p"
    product.mkdir()
    for name in ("VV", "VH"):
        (product / f"p_{name}.tif").touch()
    options = TranslateOptions(reference_sar=product / "p_VV+VH.tif", reference="https://example.com/old.tif")
    files = [str(product / f"p_{name}.tif") for name in ("VV", "VH")]
    assert options.sources_of(product) == [*files, "https://example.com/old.tif"]
