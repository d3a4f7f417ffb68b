"""Every known set, from small files of its published form."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from rasterio import warp
from rasterio.crs import CRS

import sentinel2_files
from safe_files import write_safe
from saropt.curation.sets import SETS, prepare
from saropt.curation.sets.base import split_groups, strips
from saropt.curation.sets.whu_opt_sar import WhuOptions
from saropt.errors import InputError
from saropt.radiometry import pauli_power
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Grid, Scene, write_array
from saropt.sensors.grd_scene import GrdScene
from saropt.sensors.sentinel2 import open_sentinel2
from set_files import pictures, pixels, sen12ms, write_uavsar

UTM = CRS.from_epsg(32654)


def read(path):
    with Scene.open(path, palette="index") as scene:
        return scene.read()[0]


@pytest.fixture
def whu(tmp_path):
    source = tmp_path / "whu"
    for folder, count in (("optical", 4), ("sar", 1), ("lbl", 1)):
        (source / folder).mkdir(parents=True)
        for number in range(4):
            values = pixels(count, 70, 100, number)
            if folder == "lbl":
                values = values // 40 * 10
            write_array(source / folder / f"NH49E00{number}.tif", values)
    return source


def test_whu_tiles_are_cut_from_whole_images_of_one_split(tmp_path, whu):
    with pytest.raises(InputError, match=r"lacks 5 things.*partial=True takes what is there"):
        prepare("whu-opt-sar", whu, tmp_path / "out", ["tile=32"])
    listed = (tmp_path / "out.missing.txt").read_text()
    assert "100 complete pairs were published, 4 are here" in listed
    assert "NH49E003: 70x100 pixels instead of 3704x5556" in listed
    root = DataRoot.open(prepare("whu-opt-sar", whu, tmp_path / "out", ["tile=32"], partial=True))
    assert root.name == "whu-opt-sar"
    assert root.ignore_index == 0
    assert len(root.splits) == 4 * 2 * 3
    for number in range(4):
        tiles = [f"NH49E00{number}_{tile:03d}" for tile in range(6)]
        assert len({root.splits[tile] for tile in tiles}) == 1
        assert {root.scene_of(tile) for tile in tiles} == {f"group NH49E00{number}"}
    whole = read(whu / "optical" / "NH49E001.tif")
    np.testing.assert_array_equal(read(root.raster("optical", "NH49E001_004")), whole[:, 32:64, 32:64])
    labels = read(root.raster("label", "NH49E001_004"))
    assert set(np.unique(labels)) <= {0, *root.classes}
    assert "5 things" not in (tmp_path / "out" / "missing.txt").read_text()


@pytest.mark.parametrize("side", ["optical", "lbl"])
@pytest.mark.parametrize(
    "enlarge", [lambda v: np.pad(v, ((0, 0), (3, 0), (5, 0))), lambda v: v.repeat(2, 1).repeat(2, 2)]
)
def test_whu_tiles_of_images_of_two_sizes_are_refused(tmp_path, whu, side, enlarge):
    path = whu / side / "NH49E002.tif"
    with Scene.open(path, palette="index") as scene:
        values = scene.read_stored()[0].astype(np.uint8)
    write_array(path, enlarge(values), overwrite=True)
    with pytest.raises(InputError, match=r"NH49E002\.tif: SAR and [\w ]+ are not on one grid: 100x70 and") as told:
        prepare("whu-opt-sar", whu, tmp_path / "out", ["tile=32"], partial=True)
    assert told.value.source == str(path)


def test_whu_gives_294_tiles_an_image_and_the_papers_split(tmp_path):
    form = {"driver": "GTiff", "height": 3704, "width": 5556, "dtype": "uint8", "count": 1, "sparse_ok": True}
    for folder in ("optical", "sar", "lbl"):
        (tmp_path / folder).mkdir()
        for number in range(10):
            with rasterio.open(tmp_path / folder / f"N{number}.tif", "w", **form):
                pass
    plan = SETS["whu-opt-sar"].plan(tmp_path, WhuOptions())
    counts = {split: sum(entry.split == split for entry in plan.entries) for split in ("train", "val", "test")}
    assert counts == {"train": 7 * 294, "val": 2 * 294, "test": 294}
    assert plan.missing == ["100 complete pairs were published, 10 are here"]
    fewer = SETS["whu-opt-sar"].plan(tmp_path, WhuOptions(train_tiles=20))
    assert sum(entry.split == "train" for entry in fewer.entries) == 20


def test_shares_are_floors_and_small_sets_fill_every_split():
    drawn = list(split_groups([f"{n}" for n in range(7831)], 0.8, 0.1, 0).values())
    assert [drawn.count(split) for split in ("train", "val", "test")] == [6264, 783, 784]
    assert sorted(split_groups(["a", "b", "c"], 0.8, 0.1, 0).values()) == ["test", "train", "val"]
    assert split_groups(["a", "b"], 0.8, 0.2, 1) == split_groups(["b", "a"], 0.8, 0.2, 1)
    parts = strips(100, 40, 0.7, 0.15, gap=5)
    assert {split: (w.row, w.height, w.width) for split, w in parts.items()} == {
        "train": (0, 70, 40),
        "val": (75, 10, 40),
        "test": (90, 10, 40),
    }


@pytest.mark.parametrize("region", ["shandong", "korea"])
def test_ddhr(tmp_path, region):
    source = tmp_path / "ddhr" / region.capitalize()
    names = [f"t{n}" for n in range(10)]
    pictures(source / "SAR", names, 1)
    pictures(source / "Optical", names, 3)
    (source / "label").mkdir()
    for name in names:
        write_array(source / "label" / f"{name}.png", pixels(1, 32, 32) // 80)
    path = prepare("ddhr", tmp_path / "ddhr", tmp_path / "out", [f"region={region}"], partial=True)
    root = DataRoot.open(path)
    assert root.name == f"ddhr-{region}"
    assert sorted(root.splits.values()) == ["test", *["train"] * 8, "val"]
    assert root.classes == {0: "class 0", 1: "class 1", 2: "class 2"}
    assert ("7831" in (path / "missing.txt").read_text()) if region == "shandong" else not root.ignore_index


def test_sen12_scenes_stay_whole(tmp_path):
    for scene in range(1, 6):
        for kind, count in (("s1", 1), ("s2", 3)):
            names = [f"ROIs1158_spring_{kind}_{scene}_p{patch}" for patch in (30, 31)]
            pictures(tmp_path / "sen12" / "ROIs1158_spring" / f"{kind}_{scene}", names, count)
    (tmp_path / "sen12" / "ROIs1158_spring" / "s2_2" / "ROIs1158_spring_s2_2_p31.png").unlink()
    root = DataRoot.open(prepare("sen12", tmp_path / "sen12", tmp_path / "out", partial=True))
    assert len(root.splits) == 9
    missing = (tmp_path / "out" / "missing.txt").read_text()
    assert "ROIs1158_spring_2_p31: no s2 image" in missing
    assert "282384 pairs were published, 9 are here" in missing
    for scene in (1, 3, 4, 5):
        assert root.splits[f"ROIs1158_spring_{scene}_p30"] == root.splits[f"ROIs1158_spring_{scene}_p31"]
    assert set(root.splits.values()) == {"train", "val", "test"}
    assert root.scene_of("ROIs1158_spring_1_p30") == "group ROIs1158_spring_1" == root.scene_of("ROIs1158_spring_1_p31")
    original = tmp_path / "sen12/ROIs1158_spring/s1_1/ROIs1158_spring_s1_1_p30.png"
    assert root.raster("sar", "ROIs1158_spring_1_p30").read_bytes() == original.read_bytes()


def test_sen12ms_schemes(tmp_path):
    sen12ms(tmp_path / "src")
    for scheme, value, name in (("igbp", 12, "cropland"), ("lccs_lu", 35, "natural herbaceous and cropland mosaic")):
        out = prepare("sen12ms", tmp_path / "src", tmp_path / scheme, [f"scheme={scheme}"], partial=True)
        root = DataRoot.open(out)
        label = read(root.raster("label", "ROIs2017_winter_1_p7"))
        np.testing.assert_array_equal(label, value)
        assert root.classes[value] == name
        assert len(root.images["optical"].bands) == 13
        assert root.images["sar"].units == "sigma0_db"
        assert root.scene_of("ROIs2017_winter_1_p7") == "group ROIs2017_winter_1"
    season = tmp_path / "src" / "ROIs2017_winter"
    for kind in ("s1", "s2", "lc"):  # as the archives unpack: one folder a season and kind
        (tmp_path / "flat" / f"ROIs2017_winter_{kind}").mkdir(parents=True)
        for folder in season.glob(f"{kind}_*"):
            folder.rename(tmp_path / "flat" / f"ROIs2017_winter_{kind}" / folder.name)
    flat = DataRoot.open(prepare("sen12ms", tmp_path / "flat", tmp_path / "again", partial=True))
    assert list(flat.splits) == list(root.splits)
    with pytest.raises(InputError, match="scheme"):
        prepare("sen12ms", tmp_path / "src", tmp_path / "x", ["scheme=modis"])


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("LCCS_SH", "LCCS_LU", "LCCS_LC", "IGBP"), {"igbp": 30, "lccs_lu": 36, "lccs_lc": 35, "lccs_sh": 12}),
        (("LC_Prop3", "LC_Type1", "LC_Prop2", "LC_Prop1"), {"igbp": 36, "lccs_lu": 35}),
        (("Surface hydrology", "land use", "land cover", "igbp"), {"lccs_sh": 12, "lccs_lc": 35}),
    ],
)
def test_sen12ms_takes_the_land_cover_that_files_name(tmp_path, names, found):
    sen12ms(tmp_path / "src")
    for path in (tmp_path / "src").rglob("*_lc_*.tif"):
        with Scene.open(path) as scene:
            values = scene.read_stored()[0].astype(np.uint16)
        write_array(path, values, band_names=list(names), overwrite=True)
    for scheme, value in found.items():
        out = prepare("sen12ms", tmp_path / "src", tmp_path / scheme, [f"scheme={scheme}"], partial=True)
        np.testing.assert_array_equal(read(DataRoot.open(out).raster("label", "ROIs2017_winter_1_p7")), value)


def test_sen12ms_refuses_land_cover_that_names_no_such_scheme(tmp_path):
    sen12ms(tmp_path / "src")
    path = next((tmp_path / "src").rglob("*_lc_2*.tif"))
    write_array(path, np.full((4, 32, 32), 12, np.uint16), band_names=["LC_Prop1", "UMD", "LAI", "PFT"], overwrite=True)
    with pytest.raises(InputError, match="names its bands LC_Prop1, UMD, LAI, PFT: none of them is igbp"):
        prepare("sen12ms", tmp_path / "src", tmp_path / "out", partial=True)


def test_sen12ms_in_the_split_of_its_authors(tmp_path):
    sen12ms(tmp_path / "src", scenes=(1, 64, 69))
    out = prepare("sen12ms", tmp_path / "src", tmp_path / "out", ["split=published"], partial=True)
    of_scene = {name.removesuffix("_p7"): split for name, split in DataRoot.open(out).splits.items()}
    assert of_scene == {"ROIs2017_winter_1": "train", "ROIs2017_winter_64": "test", "ROIs2017_winter_69": "val"}
    with pytest.raises(InputError, match="the published split takes no train, val or seed"):
        prepare("sen12ms", tmp_path / "src", tmp_path / "x", ["split=published", "seed=1"], partial=True)


def test_sar2opt_keeps_the_published_test_and_splits_off_val(tmp_path):
    for part, count in (("train", 10), ("test", 4)):
        for side, bands in (("A", 3), ("B", 3)):
            pictures(tmp_path / "s" / f"{part}{side}", [f"{n}" for n in range(count)], bands)
    root = DataRoot.open(prepare("sar2opt", tmp_path / "s", tmp_path / "out", ["val=0.2"], partial=True))
    values = list(root.splits.values())
    assert [values.count(split) for split in ("train", "val", "test")] == [8, 2, 4]
    lines = (tmp_path / "out" / "missing.txt").read_text().splitlines()
    assert lines == [
        "1450 train pairs were published, 10 are here",
        "627 test pairs were published, 4 are here",
    ]


def test_qxs_splits_by_blocks_of_numbers(tmp_path):
    for folder, bands in (("sar_256_oc_0.2", 1), ("opt_256_oc_0.2", 3)):
        pictures(tmp_path / "q" / folder, [f"{n}" for n in range(1, 21)], bands)
    root = DataRoot.open(prepare("qxs-saropt", tmp_path / "q", tmp_path / "out", partial=True))
    assert [root.splits[f"{n}"] for n in range(1, 21)] == ["train"] * 16 + ["val"] * 2 + ["test"] * 2


def test_a_folder_of_pairs_with_groups_and_given_splits(tmp_path):
    names = [f"{scene}_{n}" for scene in "abcd" for n in range(3)]
    pictures(tmp_path / "f" / "S1", names, 1)
    pictures(tmp_path / "f" / "RGB", names, 3)
    root = DataRoot.open(prepare("folder", tmp_path / "f", tmp_path / "one", [r"group=(.+)_\d+", "gsd_m=3"]))
    assert root.gsd_m == 3
    for scene in "abcd":
        assert len({root.splits[f"{scene}_{n}"] for n in range(3)}) == 1
        assert {root.scene_of(f"{scene}_{n}") for n in range(3)} == {f"group {scene}"}
    alone = DataRoot.open(prepare("folder", tmp_path / "f", tmp_path / "alone", ["gsd_m=3"]))
    assert (alone.path / "splits.csv").read_text().startswith("name,split\n")
    full = tmp_path / "full.csv"
    full.write_text("name,split,group,month\n" + "".join(f"{name},test,{name[0]},7\n" for name in names))
    kept = prepare("folder", tmp_path / "f", tmp_path / "kept", [f"splits={full}", "gsd_m=3"])
    assert sorted((kept / "splits.csv").read_text().split()) == sorted(full.read_text().split())
    given = tmp_path / "given.csv"
    given.write_text("name,split\n" + "".join(f"{name},test\n" for name in names[:-1]))
    with pytest.raises(InputError, match="d_2: not in"):
        prepare("folder", tmp_path / "f", tmp_path / "two", [f"splits={given}"])
    more = tmp_path / "more.csv"
    more.write_text(full.read_text() + "e_0,test,e,7\ne_1,train,e,7\n")
    with pytest.raises(InputError, match=r"lacks 2 things \(e_0: in \S+more\.csv, but has no images; e_1: in"):
        prepare("folder", tmp_path / "f", tmp_path / "two", [f"splits={more}"])
    (tmp_path / "f" / "S1" / "d_2.png").unlink()
    with pytest.raises(InputError, match=r"lacks 1 thing \(d_2: no sar image\)"):
        prepare("folder", tmp_path / "f", tmp_path / "two", [f"splits={full}"])
    with pytest.raises(InputError, match="units"):
        prepare("folder", tmp_path / "f", tmp_path / "two", ["units=dB"])


def test_a_pair_of_scenes_lands_on_one_grid(tmp_path):
    sar = -pixels(1, 120, 100, dtype=np.float32) / 10
    write_array(tmp_path / "sar.tif", sar, georeference=Georeference(UTM, Affine(10, 0, 4e5, 0, -10, 39e5)))
    optical = np.repeat(np.repeat(pixels(3, 60, 50), 4, axis=1), 4, axis=2)
    place = Georeference(UTM, Affine(5, 0, 400_020, 0, -5, 3_899_980))
    write_array(tmp_path / "opt.tif", optical, georeference=place)
    options = [f"optical={tmp_path / 'opt.tif'}", "gap=4", "train=0.5", "val=0.25"]
    root = DataRoot.open(prepare("pair", tmp_path / "sar.tif", tmp_path / "out", options))
    assert list(root.splits) == ["sar_train", "sar_val", "sar_test"]
    with Scene.open(root.raster("sar", "sar_train")) as one, Scene.open(root.raster("optical", "sar_train")) as other:
        assert one.georeference == other.georeference
        values, valid = one.read()
        assert one.dtype == "float32"
    assert valid.all()
    assert root.gsd_m == 10.0
    np.testing.assert_allclose(values[0], sar[0, 2 : 2 + values.shape[1], 2 : 2 + values.shape[2]], atol=1e-5)
    with pytest.raises(InputError, match="needs an optical raster"):
        prepare("pair", tmp_path / "sar.tif", tmp_path / "x")


def test_a_pair_of_products_is_calibrated_on_one_grid(tmp_path, monkeypatch):
    """A Sentinel-1 product in radar geometry and a Sentinel-2 product, without a file between them."""
    (west,), (north,) = warp.transform("EPSG:4326", "EPSG:32611", [-118.0], [34.0])
    for name, value in {
        "CRS_33N": "EPSG:32611",
        "WEST": round(west, -1) - 300,
        "NORTH": round(north, -1) + 300,
    }.items():
        monkeypatch.setattr(sentinel2_files, name, value)
    (tmp_path / "s1").mkdir()
    radar, _ = write_safe(tmp_path / "s1")
    optical, _, _ = sentinel2_files.write_sentinel2(tmp_path)
    options = [f"optical={sentinel2_files.zipped(optical)}", "gsd_m=10", "gap=0", "train=1", "val=0", "sar_bands=[VH]"]
    root = DataRoot.open(prepare("pair", radar, tmp_path / "root", options))
    assert root.paired
    assert (root.images["sar"].bands, root.images["sar"].units) == (("VH",), "sigma0_db")
    assert root.images["optical"].units == "reflectance x 10000"
    (name,) = root.splits
    with Scene.open(root.raster("optical", name)) as scene, Scene.open(root.raster("sar", name)) as other:
        assert scene.georeference == other.georeference
        values, valid = scene.read()
        grid = Grid(scene.georeference.crs, scene.georeference.transform, scene.height, scene.width)
        decibels, seen = other.read()
    with open_sentinel2(optical, grid=grid, resampling="cubic") as scene:
        assert np.array_equal(values[:, valid], scene.read()[0][:, valid])
    with GrdScene(radar, ["VH"], grid=grid) as scene:
        wanted, known = scene.read()
    assert seen.any()
    assert np.array_equal(seen, known)
    np.testing.assert_allclose(decibels[:, seen], wanted[:, seen], atol=1e-5)
    with pytest.raises(InputError, match=r"optical_units: .* is read as reflectance x 10000"):
        prepare("pair", radar, tmp_path / "x", [*options, "optical_units=uint8"])


@pytest.mark.parametrize("gsd", [6, 10])
def test_uavsar_ground_projected(tmp_path, gsd):
    annotation, files = write_uavsar(tmp_path)
    path = prepare("uavsar", annotation, tmp_path / "out", [f"gsd_m={gsd}", "train=1.0", "val=0.0"])
    root = DataRoot.open(path)
    assert not root.paired
    assert root.gsd_m == gsd
    with Scene.open(root.raster("sar", "line_train")) as scene:
        values, valid = scene.read()
        assert scene.band_names == ["HH-VV", "HV", "HH+VV"]
        assert scene.georeference.crs == UTM
    assert 0.7 < valid.mean() < 0.95
    expected = pauli_power({k: v[:, 5:] for k, v in files.items()}).mean(axis=(1, 2))
    np.testing.assert_allclose(values[:, valid].mean(axis=1), expected, rtol=0.05)
    (tmp_path / "line_L090HVHV_CX_01.grd").write_bytes(b"short")
    with pytest.raises(InputError, match=r"has 5 bytes; line\.ann says 60x50"):
        prepare("uavsar", annotation, tmp_path / "x")


@pytest.mark.parametrize("gsd", [6, 10])
def test_uavsar_of_one_polarisation_needs_its_own_file_alone(tmp_path, gsd):
    annotation, files = write_uavsar(tmp_path)
    for path in tmp_path.glob("*.grd"):
        if "VVVV" not in path.name:
            path.unlink()
    options = [f"gsd_m={gsd}", "bands=VV", f"name=uavsar-{gsd}m", "train=1.0", "val=0.0"]
    root = DataRoot.open(prepare("uavsar", annotation, tmp_path / "out", options))
    assert (root.name, root.gsd_m, root.images["sar"].bands) == (f"uavsar-{gsd}m", gsd, ("VV",))
    with Scene.open(root.raster("sar", "line_train")) as scene:
        values, valid = scene.read()
    assert values[:, valid].mean() == pytest.approx(files["VVVV"][:, 5:].mean(), rel=0.05)
    with pytest.raises(InputError, match="lacks HHHH"):
        prepare("uavsar", annotation, tmp_path / "x", ["bands=HH"])


def test_uavsar_multilooked(tmp_path):
    annotation, files = write_uavsar(tmp_path, product="mlc")
    path = prepare("uavsar", annotation, tmp_path / "out", ["product=mlc", "gsd_m=10", "train=1.0", "val=0", "gap=0"])
    values = read(DataRoot.open(path).raster("sar", "line_train"))
    power = pauli_power(files)
    power[:, :, :5] = np.nan
    expected = power.reshape(3, 60, 25, 2).mean(axis=3)  # 10 m over 7.2 m and 5 m: one row, two columns
    np.testing.assert_allclose(values[:, :, 3:], expected[:, :, 3:], rtol=1e-5)


def test_gaofen3_calibrates_by_its_annotation(tmp_path):
    folder = tmp_path / "GF3_X_L2"
    folder.mkdir()
    numbers = pixels(1, 60, 40, dtype=np.uint16)
    place = Georeference(UTM, Affine(5, 0, 4e5, 0, -5, 39e5))
    write_array(folder / "GF3_X_HH_L2.tiff", numbers, georeference=place)
    (folder / "GF3_X.meta.xml").write_text(
        "<product><imageinfo><QualifyValue><HH>1200.5</HH><VV>NULL</VV></QualifyValue></imageinfo>"
        "<processinfo><CalibrationConst><HH>31.5</HH></CalibrationConst></processinfo></product>"
    )
    root = DataRoot.open(prepare("gaofen3", folder, tmp_path / "out", ["train=1.0", "val=0.0"]))
    expected = 20 * np.log10(numbers[0] * 1200.5 / 65535) - 31.5
    np.testing.assert_allclose(read(root.raster("sar", "GF3_X_HH_L2_train"))[0], expected, atol=1e-4)
    assert (root.gsd_m, root.images["sar"].bands, root.images["sar"].units) == (5.0, ("HH",), "sigma0_db")
    complex_folder = tmp_path / "GF3_X_L1A"
    complex_folder.mkdir()
    iq = np.random.default_rng(0).integers(-500, 500, (2, 30, 20)).astype(np.int16)
    iq[:, 0, 0] = 0
    write_array(complex_folder / "GF3_X_HH_L1A.tiff", iq)
    (complex_folder / "a.meta.xml").write_text((folder / "GF3_X.meta.xml").read_text())
    out = prepare("gaofen3", complex_folder, tmp_path / "slc", ["train=1.0", "val=0.0", "gsd_m=1"])
    with Scene.open(DataRoot.open(out).raster("sar", "GF3_X_HH_L1A_train")) as scene:
        values, valid = scene.read()
    power = (iq.astype(float) ** 2).sum(axis=0) * (1200.5 / 32767) ** 2
    assert not valid[0, 0]
    np.testing.assert_allclose(values[0][valid], (10 * np.log10(power[valid]) - 31.5), atol=1e-4)


def test_terrasar_x_uses_the_incidence_of_its_corners(tmp_path):
    folder = tmp_path / "TSX"
    (folder / "IMAGEDATA").mkdir(parents=True)
    numbers = pixels(1, 40, 60, dtype=np.uint16)
    place = Georeference(UTM, Affine(2, 0, 4e5, 0, -2, 39e5))
    write_array(folder / "IMAGEDATA" / "IMAGE_HH_SRA_spot.tif", numbers, georeference=place)
    corners = "".join(
        f"<sceneCornerCoord><refRow>{r}</refRow><refColumn>{c}</refColumn>"
        f"<incidenceAngle>{30 + c / 60}</incidenceAngle></sceneCornerCoord>"
        for r in (0, 40)
        for c in (0, 60)
    )
    (folder / "TSX1_SAR__MGD.xml").write_text(
        f"<level1Product><productInfo><sceneInfo><sceneCenterCoord><incidenceAngle>30.5</incidenceAngle>"
        f"</sceneCenterCoord>{corners}</sceneInfo></productInfo><calibration><calibrationConstant>"
        "<polLayer>HH</polLayer><calFactor>1.5e-05</calFactor></calibrationConstant></calibration></level1Product>"
    )
    root = DataRoot.open(prepare("terrasar-x", folder, tmp_path / "out", ["train=1.0", "val=0.0"]))
    theta = np.deg2rad(30 + (np.arange(60) + 0.5) / 60)
    expected = 10 * np.log10(1.5e-5 * numbers[0].astype(float) ** 2 * np.sin(theta))
    np.testing.assert_allclose(read(root.raster("sar", "IMAGE_HH_SRA_spot_train"))[0], expected, atol=1e-4)


def test_sen12jhl_merges_classes_on_each_patch_and_drops_incomplete_ones(tmp_path):
    def place(scene):
        return Georeference(UTM, Affine(10, 0, 400_000 + 2000 * scene, 0, -10, 3_900_000))

    sen12ms(tmp_path / "src", scenes=(1, 2, 3, 4), place=place)
    tiles = tmp_path / "hrlulc"
    tiles.mkdir()
    # 139.9 to 140 E, 35.2 to 35.3 N around the patches; scene 4 lies half outside the labels
    step = 1 / 12000
    west, north = rasterio.warp.transform(UTM, "EPSG:4326", [401_500], [3_900_200])
    land = np.full((1, 700, 1000), 3, np.uint8)
    land[:, :, 330:] = 8
    east = rasterio.warp.transform(UTM, "EPSG:4326", [408_150], [3_900_000])[0][0]
    land[:, :, int((east - west[0]) / step) :] = 0
    corner = Georeference(CRS.from_epsg(4326), Affine(step, 0, west[0], 0, -step, north[0]))
    write_array(tiles / f"LC_N{int(north[0])}E{int(west[0])}.tif", land, georeference=corner)
    options = [f"hrlulc={tiles}", "window=32"]
    root = DataRoot.open(prepare("sen12jhl", tmp_path / "src", tmp_path / "out", options))
    assert set(root.splits) == {f"ROIs2017_winter_{scene}_p7" for scene in (1, 2, 3)}
    assert set(root.splits.values()) == {"train", "val", "test"}
    assert root.classes == {
        1: "water",
        2: "built-up and bare",
        3: "cropland and grassland",
        4: "forest",
    }
    values = [set(np.unique(read(root.raster("label", f"ROIs2017_winter_{n}_p7")))) for n in (1, 2, 3)]
    assert values[0] == {3}
    assert values[2] == {4}
    merge = tmp_path / "merge.yaml"
    merge.write_text("1: [low, [3, 4]]\n2: [trees, [4, 8]]\n")
    with pytest.raises(InputError, match="maps 4 twice"):
        prepare("sen12jhl", tmp_path / "src", tmp_path / "x", [*options, f"merge={merge}"])
    with pytest.raises(InputError, match="Field required"):
        prepare("sen12jhl", tmp_path / "src", tmp_path / "x")


def test_every_set_says_what_it_is():
    assert set(SETS) == {
        *("whu-opt-sar", "ddhr", "sen12", "sen12ms", "sar2opt", "qxs-saropt", "uavsar", "gaofen3", "terrasar-x"),
        *("folder", "pair", "sen12jhl"),
    }
    for _, entry in SETS.items():
        assert entry.title
        assert entry.layout
        assert all(field.description for field in entry.options.model_fields.values())


MODULE = """
from saropt.curation.sets import Entry, Options, Plan, Source, register_set

@register_set("my-set", title="one picture", layout="a.png", options=Options)
def plan(source, options):
    description = {"name": "mine", "gsd_m": 10, "paired": False, "sar": {"bands": ["VH"], "units": "uint8"}}
    return Plan(description, [Entry("a", "train", {"sar": Source((source / "a.png",))})])
"""


def test_a_new_set_is_one_file(tmp_path):
    """A module that an entry point names; nothing else of saropt changes."""
    package = tmp_path / "package"
    (package / "my_set-1.0.dist-info").mkdir(parents=True)
    (package / "my_set-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: my-set\nVersion: 1.0\n")
    (package / "my_set-1.0.dist-info" / "entry_points.txt").write_text("[saropt.sets]\nmine = my_set_module\n")
    (package / "my_set_module.py").write_text(MODULE)
    (tmp_path / "src").mkdir()
    write_array(tmp_path / "src" / "a.png", np.ones((1, 8, 8), np.uint8))
    script = "import sys; from saropt.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), *sys.path])}

    def run(*arguments):
        command = [sys.executable, "-c", script, "data", "prepare", *map(str, arguments)]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert "one picture" in run()
    run("my-set", tmp_path / "src", tmp_path / "out")
    assert list(DataRoot.open(tmp_path / "out").rasters("sar")) == ["a"]


def test_descriptions_are_plain_yaml(tmp_path, whu):
    path = prepare("whu-opt-sar", whu, tmp_path / "out", ["tile=0"], partial=True)
    described = yaml.safe_load((path / "dataset.yaml").read_text())
    assert described["prepared"]["options"]["tile"] == 0
    assert (path / "sar" / "NH49E000.tif").read_bytes() == (whu / "sar" / "NH49E000.tif").read_bytes()


def test_real_pictures_and_a_real_pair(tmp_path, shared_data):
    pictures_root = shared_data / "sen12-mixed"
    root = DataRoot.open(
        prepare("folder", pictures_root, tmp_path / "a", [r"group=(fall\d+)_.*", "train=0.5", "val=0", "gsd_m=10"])
    )
    assert len(root.splits) == 60
    assert len({split for name, split in root.splits.items() if name.startswith("fall2_")}) == 1
    losangeles = DataRoot.open(shared_data / "s1s2-losangeles")
    options = [f"optical={losangeles.raster('optical', '048')}", "units=amplitude", "gsd_m=20"]
    root = DataRoot.open(prepare("pair", losangeles.raster("sar", "048"), tmp_path / "b", options))
    with Scene.open(root.raster("sar", "048_train")) as one, Scene.open(root.raster("optical", "048_train")) as other:
        assert (one.height, one.width) == (other.height, other.width)
        assert one.read()[1][1:, 1:].all()  # a tenth of the first row and column lies under the rasters
        with Scene.open(losangeles.raster("sar", "048")) as source:
            power = np.square(source.read()[0][0]).reshape(512, 2, 512, 2).mean(axis=(1, 3))
        amplitude = np.sqrt(power)[: one.height, : one.width]
        assert one.read()[0][:, 1:, 1:].mean() == pytest.approx(amplitude.mean(), rel=0.005)
