"""Sentinel-2 products of several granules: one scene where they share a zone, one granule by its path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from saropt.errors import InputError
from saropt.inference import TranslateOptions, Translator
from saropt.scenes import Georeference, Grid, Scene, Window, write_array
from saropt.sensors.product_names import digest_product, sentinel2_product
from saropt.sensors.sentinel2 import open_cloud_mask, open_sentinel2
from sentinel2_files import (
    CRS_33N,
    NORTH,
    WEST,
    add_cloud_polygons,
    cloud_gml,
    write_several_granules,
    zipped,
)

H, W = 250, 330
PLACES = {"T33TUG": (0, 40), "T33TUH": (120, 0), "T33TVG": (180, 110)}
SIDE = 140


@pytest.fixture
def truth() -> np.ndarray:
    """The ground that the tiles share; they leave corners of it out."""
    return np.random.default_rng(8).integers(300, 5000, (H, W))


def tiles_of(truth: np.ndarray) -> dict[str, tuple[int, int, np.ndarray]]:
    """Tiles that agree where they overlap; the first lacks the east of its ground, where its orbit ends."""
    tiles = {n: (c, r, truth[r : r + SIDE, c : c + SIDE].copy()) for n, (c, r) in PLACES.items()}
    tiles["T33TUG"][2][:, 125:] = 0
    return tiles


def mosaic(truth: np.ndarray) -> np.ndarray:
    """Naively: pixel by pixel, the first tile that has one there."""
    made = np.zeros((H, W), int)
    for row in range(H):
        for col in range(W):
            for first_col, first_row, values in tiles_of(truth).values():
                y, x = row - first_row, col - first_col
                if made[row, col] == 0 and 0 <= y < SIDE and 0 <= x < SIDE:
                    made[row, col] = values[y, x]
    return made[:, : 180 + SIDE]


def granule(tile: str) -> str:
    return f"S2A_OPER_MSI_L1C_TL_SGS__20160929T154211_A006640_{tile}_N02.04"


@pytest.fixture
def safe(tmp_path: Path, truth: np.ndarray) -> Path:
    return write_several_granules(tmp_path, tiles_of(truth))


def test_granules_of_one_zone_are_one_scene(safe, truth):
    expected = mosaic(truth)
    assert (expected == 0).any()
    metadata = next(safe.glob("*.xml"))
    for place in (safe, zipped(safe), metadata, safe / "manifest.safe"):
        with open_sentinel2(place) as scene:
            assert (scene.height, scene.width) == expected.shape
            assert scene.georeference == Georeference(CRS_33N, from_origin(WEST, NORTH, 10, 10))
            values, valid = scene.read()
            part, _ = scene.read(Window(90, 100, 70, 130))
            assert scene.acquired.isoformat().startswith("2016-09-29T10:20:22")
            assert scene.tags["S2_PRODUCT"] == safe.stem
        assert np.array_equal(valid, expected > 0)
        for band, added in zip(values, (2, 1, 0, 3), strict=True):  # B4, B3, B2, B8
            assert np.array_equal(band, np.where(valid, expected + added, 0))
        assert np.array_equal(part, values[:, 90:160, 100:230])


def test_user_products_of_sen2cor_before_december_2016(tmp_path, truth):
    safe = write_several_granules(tmp_path, tiles_of(truth), level="2A")
    assert safe.name.startswith("S2A_USER_PRD_MSIL2A_PDMC_")
    expected = mosaic(truth)
    metadata = next(safe.glob("*.xml"))
    assert metadata.name.startswith("S2A_USER_MTD_SAFL2A_PDMC_")
    for place in (safe, zipped(safe), metadata, safe / "manifest.safe"):
        assert sentinel2_product(place) is not None
        with open_sentinel2(place, ["B2"]) as scene:
            values, valid = scene.read()
            assert scene.acquired.isoformat().startswith("2016-09-29T10:20:22")
        assert np.array_equal(values[0], expected)
        assert np.array_equal(valid, expected > 0)
    with open_cloud_mask(safe, grid=Grid(CRS_33N, from_origin(WEST, NORTH, 10, 10), *expected.shape)) as clouds:
        hidden = clouds.read()[0][0] > 0
    by_hand = np.zeros(expected.shape, bool)
    for col, row in reversed(PLACES.values()):
        by_hand[row : row + SIDE, col : col + SIDE] = False
        by_hand[row : row + 20, col : col + 20] = True
    assert np.array_equal(hidden, by_hand)


def test_of_tiles_that_differ_the_first_counts(tmp_path):
    """By the names of the granules."""
    tiles = {"T33TUH": (20, 0, np.full((60, 60), 900)), "T33TUG": (0, 0, np.full((60, 60), 400))}
    tiles["T33TUG"][2][:10] = 0
    with open_sentinel2(write_several_granules(tmp_path, tiles), ["B2"]) as scene:
        values = scene.read()[0][0]
    assert (values[10:, :60] == 400).all()
    assert (values[:10, 20:] == 900).all()
    assert (values[:, 60:80] == 900).all()


@pytest.mark.parametrize("packed", [False, True])
def test_a_path_chooses_a_granule(tmp_path, truth, packed):
    safe = write_several_granules(tmp_path, tiles_of(truth), zones=2)
    root = zipped(safe) if packed else safe
    with pytest.raises(InputError) as caught:
        open_sentinel2(root)
    told = str(caught.value)
    first = root / "GRANULE" / granule("T33TUG")
    zones = "(EPSG:32633: T33TUG, T33TUH; EPSG:32632: T33TVG)"
    assert told == f"{root}: has granules in several UTM zones {zones}: give one of them, such as {first}"
    assert "\n" not in told
    for tile, (_, _, values) in tiles_of(truth).items():
        place = root / "GRANULE" / granule(tile)
        assert sentinel2_product(place) == place
        with open_sentinel2(place, ["B2"]) as scene:
            assert np.array_equal(scene.read()[0][0], values)
            assert scene.tags["S2_PRODUCT"] == safe.stem
            assert scene.identity() == digest_product(place)
    assert len({digest_product(root / "GRANULE" / granule(tile)) for tile in PLACES}) == 3


def test_what_is_no_granule_is_one_line(safe, tmp_path):
    archive = zipped(safe)
    with pytest.raises(InputError, match="is no granule of the product, which has S2A_OPER"):
        open_sentinel2(archive / "GRANULE" / "T33TXX")
    with pytest.raises(InputError, match="no such file or folder"):
        open_sentinel2(tmp_path / "S2A_OPER_PRD_MSIL1C_X.SAFE" / "GRANULE" / "T33TXX")
    next(safe.glob(f"GRANULE/{granule('T33TUH')}/IMG_DATA/*_B08.jp2")).unlink()
    with pytest.raises(InputError, match=f"holds 0 files IMG_DATA/\\*_B08.jp2 in its granule {granule('T33TUH')}"):
        open_sentinel2(safe)
    assert sentinel2_product(tmp_path / "GRANULE" / "scene.tif") is None


def test_tiles_between_the_pixels_of_others_are_one_line(tmp_path):
    tiles = {"T33TUG": (0, 0, np.full((60, 60), 400)), "T33TUH": (20.5, 0, np.full((60, 60), 400))}
    with pytest.raises(InputError, match="its images are not on one map grid"):
        open_sentinel2(write_several_granules(tmp_path, tiles))


def with_clouds(safe: Path, tiles: list[str]) -> Path:
    for tile in tiles:
        col, row = PLACES[tile]
        x, y = 10 * (col + 20), 10 * (row + 30)
        box = [(x, y), (x + 300, y), (x + 300, y + 400), (x, y + 400)]
        name = f"S2A_OPER_MSK_CLOUDS_SGS__20160929T154211_A006640_{tile}_B00_MSIL1C.gml"
        add_cloud_polygons(safe, cloud_gml([("OPAQUE", [box])]), granule(tile), name)
    return safe


def cloudy() -> np.ndarray:
    made = np.zeros((H, 180 + SIDE), bool)
    for col, row in PLACES.values():
        made[row + 30 : row + 70, col + 20 : col + 50] = True
    return made


def test_clouds_are_those_of_all_granules(safe):
    with_clouds(safe, list(PLACES))
    for place in (safe, zipped(safe)):
        with open_cloud_mask(place) as clouds:
            assert np.array_equal(clouds.read()[0][0] != 0, cloudy())
    with open_cloud_mask(safe / "GRANULE" / granule("T33TUH")) as clouds:
        alone = clouds.read()[0][0] != 0
    assert alone.shape == (SIDE, SIDE)
    assert alone.sum() == alone[30:70, 20:50].sum() == 1200


def test_clouds_of_some_granules_only_are_refused(safe):
    with_clouds(safe, ["T33TUG", "T33TVG"])
    with pytest.raises(InputError, match="has no cloud mask of T33TUH, but of its other granules"):
        open_cloud_mask(safe)


def test_a_product_of_several_granules_is_an_earlier_image(safe, tmp_path):
    with_clouds(safe, list(PLACES))
    rng = np.random.default_rng(5)
    decibels = np.kron(rng.normal(-12, 3, (2, 24, 32)), np.ones((8, 8))) - [[[0]], [[6]]]
    place = Georeference(CRS_33N, from_origin(WEST, NORTH, 10, 10))
    bands = ["VV", "VH"]
    radar = write_array(tmp_path / "s1.tif", decibels.astype(np.float32), band_names=bands, georeference=place)
    translator = Translator.load("s1-reference")
    result = translator.run(radar, tmp_path / "out.tif", TranslateOptions(reference=safe))
    alone = translator.translate(radar, tmp_path / "alone.tif")
    with Scene.open(result.products["origin"]) as origin:
        shares = origin.read()[0][0]
    assert (shares[cloudy()[:192, :256]] == 100).all()
    assert any("polygons of the cloud mask; shadows are not) are masked" in text for text in result.warnings)
    with Scene.open(result.path) as made, Scene.open(alone) as without:
        assert made.tags["SAROPT_OPTICAL_REFERENCE_DATE"].startswith("2016-09-29")
        differs = (made.read()[0] != without.read()[0]).any(axis=0)
    assert differs[~cloudy()[:192, :256]].mean() > 0.9


def test_granules_are_put_on_any_grid(safe, truth):
    expected = mosaic(truth)
    grid = Grid(CRS_33N, from_origin(WEST + 1000, NORTH - 500, 10, 10), 120, 150)
    with open_sentinel2(safe, ["B2"], grid=grid, resampling="nearest") as scene:
        values, valid = scene.read()
    assert np.array_equal(np.where(valid, values[0], 0), expected[50:170, 100:250])
