"""Which rasters make a scene, and which are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from asking import PLACE
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from saropt.scenes import Georeference, write_array
from saropt.viewer.catalogue import Catalogue
from saropt.viewer.rasters import Limits

GUESS = {"SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt", "SAROPT_SOURCE": "here.tif"}
GREY = np.full((1, 32, 48), 7, np.uint8)


def scanned(folder: Path, limits: Limits | None = None) -> Catalogue:
    catalogue = Catalogue(folder, limits or Limits())
    catalogue.scan({}, [])
    return catalogue


def kinds(catalogue: Catalogue) -> dict[str, list[str]]:
    return {scene.name: [layer.kind for layer in scene.layers] for scene in catalogue.scenes.values()}


def test_scenes_and_their_companions(folder: Path, simulated: tuple[np.ndarray, np.ndarray]) -> None:
    _, optical = simulated
    names = {"band_names": ["B4", "B3", "B2"], "georeference": PLACE}
    write_array(folder / "guess.tif", optical, tags={**GUESS, "SAROPT_PRODUCT": "image", "SAROPT_RUN": "1"}, **names)  # type: ignore[arg-type]
    deviation = {**GUESS, "SAROPT_PRODUCT": "deviation", "SAROPT_RUN": "1"}
    write_array(folder / "any_name.tif", optical[:1].astype(np.float32), georeference=PLACE, tags=deviation)
    catalogue = scanned(folder)
    assert kinds(catalogue) == {
        "here.tif": ["sar", "optical", "translation", "product", "error"],
        "plain.png": ["sar"],
        "root/sar/a.tif": ["sar", "optical"],
    }
    (guess,) = (layer for layer in catalogue.layers.values() if layer.name == "guess.tif")
    parents = [layer.parent for layer in catalogue.scenes[catalogue.scene_of(guess).id].layers]
    assert parents == [None, None, None, guess.id, guess.id]
    units = {layer.name: layer.units for layer in catalogue.layers.values()}
    assert units["root/sar/a.tif"] == "sigma0_db"
    assert units["root/optical/a.tif"] == units["guess.tif"] == "uint8"
    assert units["here.tif"] is None
    assert catalogue.refused == []


def test_dates_of_tags_and_names(tmp_path: Path) -> None:
    """Tags come before names; the date that a program stores for the file is none of the scene."""
    write_array(tmp_path / "S1A_IW_20201107T135241_VV.tif", GREY)
    write_array(tmp_path / "20190101.tif", GREY, tags={"ACQUISITION_DATE": "2020-05-06"})
    write_array(tmp_path / "undated.tif", GREY, tags={"TIFFTAG_DATETIME": "2024:01:01 10:00:00"})
    dates = {layer.name: layer.info.acquired for layer in scanned(tmp_path).layers.values()}
    assert dates == {
        "S1A_IW_20201107T135241_VV.tif": "2020-11-07T13:52:41Z",
        "20190101.tif": "2020-05-06",
        "undated.tif": None,
    }


def test_truth_beside_sar_is_its_reference(tmp_path: Path) -> None:
    for name in ("sar", "truth", "TRUTH2"):
        write_array(tmp_path / f"{name}.tif", GREY)
    assert kinds(scanned(tmp_path)) == {"sar.tif": ["sar", "optical"], "TRUTH2.tif": ["sar"]}


def test_another_grid_is_another_scene(folder: Path) -> None:
    moved = Georeference(CRS.from_epsg(32611), from_origin(380_005, 3_780_000, 10, 10))
    (folder / "here_optical.tif").unlink()
    write_array(folder / "here_optical.tif", np.zeros((3, 160, 224), np.uint8), georeference=moved)
    assert kinds(scanned(folder))["here.tif"] == ["sar"]
    assert kinds(scanned(folder))["here_optical.tif"] == ["optical"]


def test_what_is_left_out(folder: Path, tmp_path: Path) -> None:
    write_array(tmp_path / "secret.tif", GREY)
    (folder / "link.tif").symlink_to(tmp_path / "secret.tif")
    (folder / ".hidden").mkdir()
    write_array(folder / ".hidden" / "a.tif", GREY)
    (folder / "text.tif").write_text("not a raster")
    (folder / "points.tif").write_text(
        f'<VRTDataset rasterXSize="48" rasterYSize="32"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{tmp_path / 'secret.tif'}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (folder / "cut.tif").write_bytes((folder / "here.tif").read_bytes()[:60])
    write_array(folder / "wide.tif", np.zeros((1, 300, 300), np.uint8))
    write_array(folder / "many.tif", np.zeros((5, 8, 8), np.uint8))
    catalogue = scanned(folder, Limits(pixels=60_000, bands=4))
    assert set(kinds(catalogue)) == {"here.tif", "plain.png", "root/sar/a.tif"}
    reasons = {refused.name: refused.reason for refused in catalogue.refused}
    assert set(reasons) == {"text.tif", "points.tif", "cut.tif", "wide.tif", "many.tif"}
    assert "neither" in reasons["points.tif"]
    assert "300x300 pixels" in reasons["wide.tif"]
    assert not any(str(tmp_path) in reason for reason in reasons.values())


def test_blocks_that_unpack_into_much_memory(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "strip.tif", "w", driver="GTiff", width=2000, height=2000, count=1, dtype="uint8", blockysize=2000,
        compress="deflate",
    ) as dataset:  # fmt: skip
        dataset.write(np.zeros((1, 2000, 2000), np.uint8))
    assert (tmp_path / "strip.tif").stat().st_size < 20_000
    (refused,) = scanned(tmp_path, Limits(block_bytes=1 << 20)).refused
    assert "blocks of 2000x2000" in refused.reason
    assert scanned(tmp_path).refused == []


def test_overviews_and_masks_that_unpack_into_much_memory(tmp_path: Path) -> None:
    form = {"driver": "GTiff", "width": 512, "height": 512, "count": 1, "dtype": "uint8", "tiled": True}
    form |= {"blockxsize": 64, "blockysize": 64}
    with rasterio.open(tmp_path / "overview.tif", "w", **form) as dataset:
        dataset.write(np.zeros((1, 512, 512), np.uint8))
    with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=256), rasterio.open(tmp_path / "overview.tif", "r+") as dataset:
        dataset.build_overviews([2])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(tmp_path / "mask.tif", "w", **form) as dataset:
        dataset.write(np.zeros((1, 512, 512), np.uint8))
        dataset.write_mask(np.eye(512, dtype=np.uint8) * 255)
    assert scanned(tmp_path).refused == []
    reasons = {refused.name: refused.reason for refused in scanned(tmp_path, Limits(block_bytes=60_000)).refused}
    assert "blocks of 256x256" in reasons["overview.tif"]
    assert "internal mask" in reasons["mask.tif"]


def test_place_on_the_map(tmp_path: Path) -> None:
    write_array(tmp_path / "utm.tif", GREY, georeference=PLACE)
    corners = [(0.0, 0.0, 10.0, 46.0), (0.0, 48.0, 10.4, 46.1), (32.0, 0.0, 10.1, 45.8), (32.0, 48.0, 10.5, 45.9)]
    gcps = tuple(GroundControlPoint(row, col, x, y) for row, col, x, y in corners)
    write_array(tmp_path / "radar.tif", GREY, georeference=Georeference(gcps=gcps, gcp_crs=CRS.from_epsg(4326)))
    write_array(
        tmp_path / "world.tif",
        np.zeros((1, 90, 180), np.uint8),
        georeference=Georeference(CRS.from_epsg(4326), from_origin(-180, 90, 2, 2)),
    )
    write_array(tmp_path / "none.tif", GREY)
    infos = {layer.name: layer.info for layer in scanned(tmp_path).layers.values()}
    expected = transform_bounds("EPSG:32611", "EPSG:4326", 380_000, 3_780_000 - 320, 380_480, 3_780_000)
    assert np.allclose(infos["utm.tif"].bounds, expected, atol=1e-6)
    assert (infos["utm.tif"].crs, infos["utm.tif"].pixel_m) == ("EPSG:32611", pytest.approx(10, rel=1e-3))
    assert infos["radar.tif"].grid == "map"
    assert np.allclose(infos["radar.tif"].bounds, (10, 45.8, 10.5, 46.1), atol=0.1)
    assert np.allclose(np.abs(infos["world.tif"].extent), 20_037_508, rtol=1e-2)
    assert (infos["none.tif"].grid, infos["none.tif"].extent) == ("pixels", (0, 0, 48, 32))


def test_reports(folder: Path) -> None:
    (folder / "quality").mkdir()
    (folder / "quality" / "report.html").write_text("<p>x</p>")
    (folder / "quality" / "report.json").write_text('{"data": {"name": "s1"}, "split": "test", "n": 96}')
    (report,) = scanned(folder).reports.values()
    assert report.name == "quality: s1, test, N = 96"


def test_products_belong_to_the_image_of_their_run(folder: Path, simulated: tuple[np.ndarray, np.ndarray]) -> None:
    """By tags, whatever the files are called: two runs over one source, and a product from before there were names."""
    _, optical = simulated
    for run in ("1", "2"):
        tags = {**GUESS, "SAROPT_RUN": run}
        write_array(folder / f"z{run}.tif", optical, georeference=PLACE, tags={**tags, "SAROPT_PRODUCT": "image"})
        write_array(folder / f"a{run}.tif", optical[:1], georeference=PLACE, tags={**tags, "SAROPT_PRODUCT": "origin"})
    old = {**GUESS, "SAROPT_CONTENT": "standard deviation of 4 samples"}
    write_array(folder / "old.tif", optical[:1].astype(np.float32), georeference=PLACE, tags=old)
    catalogue = scanned(folder)
    layers = {layer.name: layer for layer in catalogue.layers.values()}
    assert [layers[name].product for name in ("a1.tif", "a2.tif", "old.tif", "z1.tif")] == [
        "origin",
        "origin",
        "deviation",
        None,
    ]
    scene = next(scene for scene in catalogue.scenes.values() if scene.name == "here.tif")
    assert {layer.name for layer in scene.layers} >= {"z1.tif", "z2.tif", "a1.tif", "a2.tif", "old.tif"}
    assert layers["a1.tif"].guess
