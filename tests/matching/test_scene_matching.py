"""Whole scenes: known warps are found, tie points say where, and A is registered."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from affine import Affine
from rasterio import warp
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from scipy import ndimage

from saropt.errors import InputError, OptionError
from saropt.inference import Translator
from saropt.matching import RiftLike, Sift, match_scenes, match_translated, register, unknown_units, write_tie_points
from saropt.matching import scene_matching as module
from saropt.matching.frame import open_frame
from saropt.matching.geometry import fit_transform, transformed
from saropt.scenes import Georeference, Scene, write_array
from sentinel2_files import CRS_33N, NORTH, SIDE, WEST, write_sentinel2, zipped

from .conftest import UTM, at, make_texture

KNOWN = np.array([[1.015, 0.02, -6.3], [-0.025, 0.99, 8.6], [0, 0, 1]])
"""Pixels of the frame (corner convention), from A to B."""


def warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """B, where B at matrix(p) is A at p."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    middles = np.linalg.inv(half) @ matrix @ half
    return cv2.warpPerspective(image, middles, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def save(path: Path, image: np.ndarray, place: Georeference | None = None) -> Path:
    return write_array(path, np.rint(1 + 254 * np.clip(image, 0, 1)).astype(np.uint8)[None], georeference=place)


def corner_error(matrix: np.ndarray, known: np.ndarray, size: int) -> float:
    corners = np.array([[0.0, 0], [size, 0], [0, size], [size, size]])
    return float(np.abs(transformed(matrix, corners) - transformed(known, corners)).max())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Georeferenced A and B; B shows the ground bent by KNOWN."""
    folder, image = tmp_path_factory.mktemp("pair"), make_texture(420)
    return save(folder / "a.tif", image, at(5e5, 4e6)), save(folder / "b.tif", warped(image, KNOWN), at(5e5, 4e6))


@pytest.mark.parametrize("matcher", [Sift(), RiftLike(48)], ids=["sift", "rift"])
def test_a_known_warp(matcher, pair: tuple[Path, Path]) -> None:
    found = match_scenes(*pair, matcher)
    assert corner_error(found.matrix, KNOWN, 420) < 0.5
    assert found.rmse < 1.5
    assert found.log_false_alarms < -20
    assert np.linalg.norm(transformed(KNOWN, found.a_points) - found.b_points, axis=1).max() < 3.5
    assert found.ground is not None
    assert np.allclose(found.ground, found.b_points * (10, -10) + (5e5, 4e6))
    shift = transformed(KNOWN, found.middle[None])[0] - found.middle
    assert found.shift == pytest.approx(tuple(shift), abs=0.5)


@pytest.mark.parametrize("name", ["155", "208"])
def test_a_known_warp_of_a_real_image(name: str, shared_data: Path, tmp_path: Path) -> None:
    with Scene.open(shared_data / "s1s2-losangeles" / "optical" / f"{name}.tif") as scene:
        image = scene.read()[0].mean(0)[200:700, 300:800] / 255.0
    a, b = save(tmp_path / "a.tif", image, at(0, 0)), save(tmp_path / "b.tif", warped(image, KNOWN), at(0, 0))
    for matcher in (Sift(), RiftLike()):
        assert corner_error(match_scenes(a, b, matcher).matrix, KNOWN, 500) < 0.5


def test_a_real_sar_optical_pair(shared_data: Path) -> None:
    root = shared_data / "s1s2-losangeles"
    found = match_scenes(root / "sar" / "155.tif", root / "optical" / "155.tif", RiftLike())
    assert found.log_false_alarms < -20
    assert corner_error(found.matrix, np.eye(3), 1024) < 15
    with pytest.raises(InputError, match="no more than chance would give"):
        match_scenes(root / "sar" / "155.tif", root / "optical" / "155.tif", Sift())


def test_tiles_make_no_difference_to_where(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE", 150)
    monkeypatch.setattr(module, "KEYPOINTS_PER_TILE", 150)
    steps: list[tuple[int, int]] = []
    found = match_scenes(*pair, RiftLike(48), progress=lambda done, total, what: steps.append((done, total)))
    assert corner_error(found.matrix, KNOWN, 420) < 0.5
    assert steps == [(done, 9) for done in range(1, 10)]
    assert max(found.keypoints) < 9 * 4 * 150


def test_without_a_place_on_the_ground(tmp_path: Path, texture: np.ndarray) -> None:
    """B is a shifted part of A, far outside any search radius; more than one tile of A."""
    a, b = save(tmp_path / "a.png", texture), save(tmp_path / "b.png", texture[130:400, 110:380])
    found = match_scenes(a, b, Sift(), "translation")
    assert found.matrix == pytest.approx(np.array([[1, 0, -110], [0, 1, -130], [0, 0, 1]]), abs=0.3)
    assert found.grid is None
    assert found.ground is None
    assert found.shift is None
    with pytest.raises(InputError, match=r"needs a place on the ground.*write \.csv or \.json"):
        write_tie_points(tmp_path / "ties.geojson", found)
    out = register(found, tmp_path / "out.tif")
    with Scene.open(out) as made, Scene.open(b) as wanted:
        values, valid = made.read()
        assert np.abs(values - wanted.read()[0])[:, valid].mean() < 6
        assert valid.mean() > 0.98


@pytest.mark.parametrize("b_crs", ["EPSG:32660", "EPSG:4326"])
@pytest.mark.parametrize("by", ["transform", "control points", "control points within 180"])
def test_pixels_of_a_scene_across_180_degrees(tmp_path: Path, b_crs: str, by: str) -> None:
    degrees, step = CRS.from_epsg(4326), 1e-4
    affine = Affine(step, 0, 179.9936, 0, -step, 20.0)
    place = Georeference(degrees, affine)
    if by != "transform":
        turn = 360.0 if by.endswith("180") else 0.0
        corners = [(row, col, *(affine @ (col, row))) for row in (0, 64, 128) for col in (0, 64, 128)]
        points = [GroundControlPoint(row, col, x - turn * (x > 180.0), y) for row, col, x, y in corners]
        place = Georeference(gcps=tuple(points), gcp_crs=degrees)
    a = save(tmp_path / "a.tif", np.full((128, 128), 0.5), place)
    found = np.array([[20.5, 30.5], [64.5, 64.5], [110.5, 90.5]])
    x, y = np.array([affine @ (float(column), float(row)) for column, row in found]).T
    grid = Affine(step, 0, -180.0064, 0, -step, 20.0)
    if b_crs == "EPSG:4326":
        ground = x - 360.0, y
    else:
        ground = warp.transform("EPSG:4326", b_crs, x, y)
        grid = Affine(10, 0, round(ground[0][1]) - 640, 0, -10, round(ground[1][1]) + 640)
    b = save(tmp_path / "b.tif", np.full((128, 128), 0.5), Georeference(CRS.from_string(b_crs), grid))
    with open_frame(a, b) as frame:
        assert frame.grid is not None
        inverse = ~frame.grid.transform
        points_of_frame = np.array([inverse @ place for place in zip(*ground, strict=True)])
        assert frame.a_pixels(points_of_frame) == pytest.approx(found, abs=0.01)
        assert frame.a.read()[1][20:100, 20:100].all()


def test_other_grid_and_coarser_pixels(tmp_path: Path, texture: np.ndarray) -> None:
    """A has pixels of 20 m and another CRS' origin; B, at 10 m, covers a part of it and lies 40 m off."""
    coarse = texture.reshape(210, 2, 210, 2).mean((1, 3))
    a = save(tmp_path / "a.tif", coarse, at(5e5, 4e6, 20.0))
    b = save(tmp_path / "b.tif", texture[60:400, 40:400], at(5e5 + 400 + 40, 4e6 - 600, 10.0))
    found = match_scenes(a, b, Sift(), "translation")
    assert found.grid is not None
    assert found.grid.transform.a == pytest.approx(20.0)
    assert found.shift == pytest.approx((2.0, 0.0), abs=0.2)
    assert np.allclose(found.a_points * 2 - (40, 60), found.b_points, atol=3.5)
    with Scene.open(register(found, tmp_path / "out.tif")) as made, Scene.open(b) as wanted:
        assert (made.width, made.height) == (wanted.width, wanted.height)
        assert made.georeference.transform == wanted.georeference.transform
        values, valid = made.read()
        error = np.abs(values - wanted.read()[0])[:, valid].mean()
    assert error < 12


@pytest.mark.parametrize("kind", ["affine", "homography"])
def test_registration(kind: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    found = match_scenes(*pair, RiftLike(48), kind)
    seen: list[int] = []
    out = register(found, tmp_path / "out.tif", progress=lambda done, total, what: seen.append(done))
    with Scene.open(out) as made, Scene.open(pair[1]) as wanted, Scene.open(pair[0]) as before:
        values, valid = made.read()
        truth = wanted.read()[0]
        assert made.nodata == 0
        assert made.dtype == "uint8"
        assert made.tags["SAROPT_REGISTERED_TO"] == "b.tif"
        inner = valid[40:-40, 40:-40]
        assert inner.all()
        error = np.abs(values - truth)[:, 40:-40, 40:-40].mean()
        assert error < 0.25 * np.abs(before.read()[0] - truth)[:, 40:-40, 40:-40].mean()
    assert seen == [1]
    with pytest.raises(InputError, match="exists already"):
        register(found, out)


def test_tie_point_files(pair: tuple[Path, Path], tmp_path: Path) -> None:
    found = match_scenes(*pair, Sift())
    for suffix in (".csv", ".json", ".geojson"):
        write_tie_points(tmp_path / f"ties{suffix}", found)
    rows = list(csv.DictReader((tmp_path / "ties.csv").read_text().splitlines()))
    whole = json.loads((tmp_path / "ties.json").read_text())
    features = json.loads((tmp_path / "ties.geojson").read_text())["features"]
    assert len(rows) == len(whole["points"]) == len(features) == whole["inliers"] == len(found.residuals)
    assert [float(value) for value in rows[3].values()] == list(whole["points"][3].values())
    assert np.allclose(whole["transform"]["matrix"], found.matrix)
    assert whole["frame"]["crs"] == "EPSG:32630"
    longitude, latitude = features[0]["geometry"]["coordinates"]
    assert -3.1 < longitude < -2.9
    assert 36.0 < latitude < 36.2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ties.csv", "ties.geojson", "ties.json"]


def test_tie_points_as_control_points(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A, put on the ground by its control points alone, lies where B's pixels say."""
    found = match_scenes(*pair, Sift())
    assert found.ground is not None
    tied = write_tie_points(tmp_path / "ties.tif", found)
    with Scene.open(tied) as made, Scene.open(pair[0]) as before, Scene.open(pair[1]) as wanted:
        assert np.array_equal(made.read_stored()[0], before.read_stored()[0])
        place, target = made.georeference, wanted.georeference
        assert place.gcp_crs == target.crs
        assert [(one.col, one.row) for one in place.gcps] == [tuple(point) for point in found.a_points.tolist()]
        for one, b_point in zip(place.gcps, found.b_points.tolist(), strict=True):
            assert (one.x, one.y) == pytest.approx(target.transform @ tuple(b_point))
    lines = write_tie_points(tmp_path / "ties.points", found).read_text().splitlines()
    assert lines[1].split(",")[:4] == ["mapX", "mapY", "sourceX", "sourceY"]
    (x, y), (column, row) = found.ground[0].tolist(), found.a_points[0].tolist()
    assert [float(part) for part in lines[2].split(",")[:4]] == [x, y, column, -row]
    assert len(lines) == 2 + len(found.residuals)


def bad(folder: Path, kind: str) -> tuple[Path, Path]:
    texture = make_texture(200)
    good = save(folder / "good.tif", texture, at(5e5, 4e6))
    made = {
        "flat": lambda: save(folder / "bad.tif", np.full((200, 200), 0.5), at(5e5, 4e6)),
        "nothing": lambda: write_array(
            folder / "bad.tif", np.zeros((1, 200, 200), np.uint8), nodata=0, georeference=at(5e5, 4e6)
        ),
        "elsewhere": lambda: save(folder / "bad.tif", texture, at(7e5, 4e6)),
        "other": lambda: save(folder / "bad.tif", make_texture(200, 5), at(5e5, 4e6)),
        "tiny": lambda: save(folder / "bad.tif", texture[:5, :5], at(5e5, 4e6)),
    }[kind]()
    return good, made


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("flat", "bad.tif: has no keypoints"),
        ("nothing", "bad.tif: holds no valid pixel"),
        ("elsewhere", "shares no ground with"),
        ("other", "no more than chance would give"),
        ("tiny", "has no keypoints"),
    ],
)
def test_unusable_scenes(kind: str, words: str, tmp_path: Path) -> None:
    good, made = bad(tmp_path, kind)
    with pytest.raises(InputError, match=words):
        match_scenes(good, made, RiftLike(48))


def test_a_rotated_grid(tmp_path: Path, texture: np.ndarray) -> None:
    """A's grid is turned by 30 degrees: warping to B's grid undoes it, and the pixels of A are found again."""
    turned = Affine.translation(5e5, 4e6) @ Affine.rotation(30) @ Affine(10, 0, 0, 0, -10, 0)
    a = save(tmp_path / "a.tif", texture, Georeference(UTM, turned))
    x, y = turned @ (210, 210)
    grid = Affine(10, 0, x - 1300, 0, -10, y + 1300)
    rows, columns = np.mgrid[:260, :260] + 0.5
    u, v = _apply(~turned @ grid, columns, rows)
    image = cv2.remap(texture, (u - 0.5).astype(np.float32), (v - 0.5).astype(np.float32), cv2.INTER_CUBIC)
    b = save(tmp_path / "b.tif", image, Georeference(UTM, grid))
    found = match_scenes(a, b, Sift())
    assert corner_error(found.matrix, np.eye(3), 260) < 0.5
    u, v = _apply(~turned @ grid, *found.b_points.T)
    assert np.abs(found.a_points - np.column_stack([u, v])).max() < 3.5


def _apply(affine: Affine, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f


def test_sentinel2_products_are_matched_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    ground = np.clip(3000 + 9000 * ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2.0), 300, 9000).astype(int)
    safe, _, _ = write_sentinel2(tmp_path, reflectance=dict.fromkeys(("B02", "B03", "B04", "B08"), ground))
    place = Georeference(CRS_33N, Affine(10, 0, WEST, 0, -10, NORTH))
    rolled = np.roll(ground, (3, 5), (0, 1)).astype(np.uint16)
    moved = write_array(tmp_path / "moved.tif", rolled[None], georeference=place)
    match = match_scenes(zipped(safe), moved, Sift())
    assert np.abs(match.matrix[:2, 2] - (5, 3)).max() < 0.2
    with Scene.open(register(match, tmp_path / "registered.tif")) as scene:
        assert scene.band_names == ["B4", "B3", "B2", "B8"]


def test_a_finer_scene_is_averaged_alike_where_its_grid_is_turned(tmp_path: Path):
    fine = np.random.default_rng(0).normal(100, 30, (1, 256, 256)).astype(np.float32)
    place = Affine(10, 0, 5e5, 0, -10, 4e6)
    quarter = Affine.translation(256, 0) @ Affine(0, -1, 0, 1, 0, 0)
    coarse = write_array(
        tmp_path / "coarse.tif", fine[:, ::4, ::4], georeference=Georeference(CRS_33N, place @ Affine.scale(4))
    )
    upright = write_array(tmp_path / "upright.tif", fine, georeference=Georeference(CRS_33N, place))
    turned = write_array(
        tmp_path / "turned.tif", np.rot90(fine, 1, (1, 2)).copy(), georeference=Georeference(CRS_33N, place @ quarter)
    )
    with open_frame(coarse, upright) as one, open_frame(coarse, turned) as other:
        np.testing.assert_allclose(np.rot90(one.b.read()[0][0]), other.b.read()[0][0], atol=1e-3)


@pytest.mark.parametrize("search", [3, 5, 40])
def test_a_search_that_is_too_narrow_is_named(search: int, tmp_path: Path, texture: np.ndarray) -> None:
    """The true shift is 7 pixels, in the last pair 43, of which a usual search is told nothing."""
    shift = 7 if search < 10 else 43
    a = save(tmp_path / "a.tif", texture[:300, shift : shift + 300], at(5e5, 4e6))
    b = save(tmp_path / "b.tif", texture[:300, :300], at(5e5, 4e6))
    with pytest.raises(InputError, match="no more than chance would give") as caught:
        match_scenes(a, b, Sift(), "translation", search)
    assert caught.value.command_line_text().endswith("(--search looks further away)") == (search < 10)
    assert f"within {search} pixels agree" in str(caught.value)
    assert match_scenes(a, b, Sift(), "translation", 64).shift == pytest.approx((shift, 0), abs=0.2)


def test_a_search_that_is_too_narrow_is_named_after_a_translation(tmp_path: Path, texture: np.ndarray) -> None:
    class Copies:
        def run(self, scene: Path, out: Path, *_: object) -> None:
            shutil.copyfile(scene, out)

    a = save(tmp_path / "a.tif", texture[:300, 7:307], at(5e5, 4e6))
    b = save(tmp_path / "b.tif", texture[:300, :300], at(5e5, 4e6))
    with pytest.raises(InputError, match="after translation, cannot be matched") as caught:
        match_translated(a, b, Sift(), cast(Translator, Copies()), kind="translation", search=3)
    assert caught.value.command_line_text().startswith(f"{a}: ")
    assert caught.value.command_line_text().endswith("(--search looks further away)")


def test_an_agreement_at_the_border_of_the_search_names_it() -> None:
    points = np.random.default_rng(0).uniform(0, 300, (50, 2))
    for shift, named in ((40.0, True), (5.0, False)):
        fit = fit_transform(points, points + np.array([shift, 0]), "translation")
        assert fit is not None
        few = dataclasses.replace(fit, inliers=np.arange(50) < 10)
        assert module._may_lie_further(few, points, 42) == named
        assert module._may_lie_further(fit, points, 42)


@pytest.mark.parametrize("pixel", [10.0, 5.0])
@pytest.mark.parametrize(
    ("tags", "names", "scale", "asked"),
    [
        ({"UNITS": "sigma0_db"}, ["VV"], "decibels", None),
        ({}, ["VV"], "decibels", None),
        ({}, ["band_1"], "decibels", "sigma0_db"),
        ({}, ["VV"], "amplitude", "amplitude"),
    ],
)
def test_registered_sar_keeps_its_mean_power(
    tmp_path: Path, pair: tuple[Path, Path], tags: dict, names: list[str], scale: str, asked: str | None, pixel: float
) -> None:
    """Of one look, whose mean in decibels is 2.5 dB too low."""
    side = round(4200 / pixel)
    power = 0.05 * np.random.default_rng(0).gamma(1, 1, (1, side, side))
    stored = 10 * np.log10(power) if scale == "decibels" else np.sqrt(power)
    place = at(5e5, 4e6, pixel)
    a = write_array(tmp_path / "a.tif", stored.astype(np.float32), band_names=names, georeference=place, tags=tags)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    found = dataclasses.replace(match_scenes(*pair, Sift()), a=a, b=pair[1], matrix=half)
    with Scene.open(register(found, tmp_path / "out.tif", units=asked)) as made:
        values, valid = made.read()
    moved = values[:, valid].astype(float)
    moved = 10 ** (moved / 10) if scale == "decibels" else moved**2
    assert moved.mean() == pytest.approx(0.05, rel=0.02)


def test_units_that_cannot_be_told_get_a_line_and_wrong_ones_are_refused(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    power = np.random.default_rng(0).gamma(1, 0.05, (1, 420, 420)).astype(np.float32)
    a = write_array(tmp_path / "a.tif", power, band_names=["VV"], georeference=at(5e5, 4e6))
    assert unknown_units(a) == f"{a}: its SAR units are unknown: resampled as plain numbers; state them with --units"
    assert unknown_units(pair[0]) is None
    found = dataclasses.replace(match_scenes(*pair, Sift()), a=a)
    with pytest.raises(InputError, match=r"a\.tif.*"):
        register(found, tmp_path / "out.tif", units="sigma0_db")
    with pytest.raises(OptionError, match="must be one of"):
        register(found, tmp_path / "out.tif", units="bogus")
    assert not (tmp_path / "out.tif").exists()


def test_a_search_without_places_is_refused(tmp_path: Path, texture: np.ndarray) -> None:
    a, b = save(tmp_path / "a.png", texture), save(tmp_path / "b.png", texture)
    with pytest.raises(OptionError, match="is for scenes that are both georeferenced"):
        match_scenes(a, b, Sift(), search=8)


def test_scenes_that_change_while_they_are_read(tmp_path: Path) -> None:
    texture = make_texture(300)[None].astype(np.float32)
    a, b = (write_array(tmp_path / f"{name}.tif", texture, georeference=at(5e5, 4e6)) for name in "ab")

    def change(path: Path) -> None:
        write_array(path, texture + 1, georeference=at(5e5, 4e6), overwrite=True)

    with pytest.raises(InputError, match=r"b\.tif: has changed while it was read"):
        match_scenes(a, b, Sift(), progress=lambda *_: change(b))
    found = match_scenes(a, b, Sift())
    with pytest.raises(InputError, match=r"a\.tif: has changed while it was read"):
        register(found, tmp_path / "out.tif", progress=lambda *_: change(a))
    assert not list(tmp_path.glob("*out*"))
