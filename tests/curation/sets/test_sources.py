"""What sets do with files that are damaged, in another order, or not all alike."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from affine import Affine
from rasterio.crs import CRS

from saropt.cli import main
from saropt.curation.sets import prepare
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Scene, write_array
from set_files import pictures, pixels, sen12ms, write_uavsar

UTM = CRS.from_epsg(32654)
PLACE = Georeference(UTM, Affine(5, 0, 4e5, 0, -5, 39e5))
WHOLE = ["train=1", "val=0", "gap=0"]


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def numbers_of(power, factor):
    """Digital numbers of a power, with a margin of zeros that is not declared, as geocoded products have it."""
    numbers = np.clip(np.rint(np.sqrt(power / factor)), 1, 65535).astype(np.uint16)
    numbers[:, :81] = 0
    return numbers[None]


@pytest.fixture
def speckled():
    """Single-look power of -10 dB."""
    return np.random.default_rng(0).exponential(0.1, (240, 320))


def check_level(path, gsd):
    """A root's power has the mean of the product's, also beside the margin."""
    root = DataRoot.open(path)
    assert root.gsd_m == gsd
    (name,) = root.splits
    with Scene.open(root.raster("sar", name)) as scene:
        decibels, valid = scene.read()
    power = np.where(valid, 10 ** (decibels[0] / 10), np.nan)
    assert 0.6 < valid.mean() < 0.8
    assert 10 * np.log10(np.nanmean(power)) == pytest.approx(-10, abs=0.1)
    first = np.flatnonzero(valid.any(axis=0))[0]
    assert 10 * np.log10(np.nanmean(power[:, first])) == pytest.approx(-10, abs=1)


@pytest.mark.parametrize("gsd", [20, 6])
def test_gaofen3_is_brought_to_another_grid_by_its_power(tmp_path, speckled, gsd):
    (tmp_path / "GF3").mkdir()
    numbers = numbers_of(speckled, (5000 / 65535) ** 2 / 100)
    for polarisation in ("HH", "HV"):
        write_array(tmp_path / "GF3" / f"GF3_{polarisation}_L2.tiff", numbers, georeference=PLACE)
    (tmp_path / "GF3" / "GF3.meta.xml").write_text(
        "<product><QualifyValue><HH>5000</HH><HV>5000</HV></QualifyValue>"
        "<CalibrationConst><HH>20</HH><HV>20</HV></CalibrationConst></product>"
    )
    check_level(prepare("gaofen3", tmp_path / "GF3", tmp_path / "out", [*WHOLE, f"gsd_m={gsd}"]), gsd)


def test_terrasar_x_is_paired_by_its_power(tmp_path, speckled):
    images = tmp_path / "TSX" / "IMAGEDATA"
    images.mkdir(parents=True)
    write_array(images / "IMAGE_HH_SRA.tif", numbers_of(speckled, 0.5e-5), georeference=PLACE)
    (tmp_path / "TSX" / "TSX1_SAR__EEC.xml").write_text(
        "<level1Product><sceneCenterCoord><incidenceAngle>30</incidenceAngle></sceneCenterCoord><calibration>"
        "<calibrationConstant><polLayer>HH</polLayer><calFactor>1e-5</calFactor></calibrationConstant></calibration>"
        "</level1Product>"
    )
    coarse = Georeference(UTM, Affine(10, 0, 4e5, 0, -10, 39e5))
    optical = write_array(tmp_path / "optical.tif", pixels(3, 120, 160), georeference=coarse)
    check_level(prepare("terrasar-x", tmp_path / "TSX", tmp_path / "out", [*WHOLE, f"optical={optical}"]), 10)


def test_fill_of_the_optical_raster_has_no_part_in_a_uavsar_pair(tmp_path):
    annotation, _ = write_uavsar(tmp_path)
    step = 5.5556e-5
    optical = np.random.default_rng(0).integers(2000, 2050, (3, 60, 50)).astype(np.uint16)
    optical[:, :, :20] = 0
    for name, north in (("here", 35.0), ("nowhere", 95.0)):
        place = Georeference(CRS.from_epsg(4326), Affine(step, 0, 139.0, 0, -step, north))
        write_array(tmp_path / f"{name}.tif", optical, georeference=place, band_names=["B4", "B3", "B2"])
    options = [*WHOLE, "bands=HH", "optical_units=reflectance x 10000"]
    out = prepare("uavsar", annotation, tmp_path / "out", [*options, f"optical={tmp_path / 'here.tif'}"])
    with Scene.open(DataRoot.open(out).raster("optical", "line_train")) as scene:
        values, valid = scene.read()
    assert 0.4 < valid.mean() < 0.7
    assert values[:, valid].min() >= 1990
    with pytest.raises(InputError, match=r"nowhere\.tif: lies nowhere on Earth"):
        prepare("uavsar", annotation, tmp_path / "x", [*options, f"optical={tmp_path / 'nowhere.tif'}"])


@pytest.mark.parametrize(("asked", "sides"), [("6", (7.2, 5.0)), ("25", (21.6, 25.0)), ("null", (7.2, 5.0))])
def test_the_pixels_of_multilooked_uavsar_are_those_written(tmp_path, asked, sides):
    annotation, _ = write_uavsar(tmp_path, product="mlc")
    out = prepare("uavsar", annotation, tmp_path / "out", [*WHOLE, "product=mlc", "bands=HH", f"gsd_m={asked}"])
    assert yaml.safe_load((out / "dataset.yaml").read_text())["pixel_m"] == pytest.approx(sides)
    assert DataRoot.open(out).gsd_m == pytest.approx(np.sqrt(sides[0] * sides[1]), abs=1e-3)


def place_of_scene(scene):
    return Georeference(UTM, Affine(10, 0, 400_000 + 2000 * scene, 0, -10, 3_900_000))


@pytest.fixture
def japan(tmp_path):
    """A function that writes three patches of SEN12MS under one tile of labels, and then runs the set on them."""
    sen12ms(tmp_path / "src", place=place_of_scene)
    (tmp_path / "tiles").mkdir()
    corner = Georeference(CRS.from_epsg(4326), Affine(1e-3, 0, 139, 0, -1e-3, 36))
    write_array(tmp_path / "tiles" / "LC_N35E139.tif", np.full((1, 1000, 1000), 3, np.uint8), georeference=corner)

    def run(**how):
        return prepare(
            "sen12jhl", tmp_path / "src", tmp_path / "out", [f"hrlulc={tmp_path / 'tiles'}", "window=32"], **how
        )

    return run


def patch(folder, kind, scene=1):
    return folder / "src" / "ROIs2017_winter" / f"{kind}_{scene}" / f"ROIs2017_winter_{kind}_{scene}_p7.tif"


@pytest.mark.parametrize("kind", ["s1", "s2"])
def test_bands_of_windows_go_by_the_names_that_files_state(tmp_path, japan, kind):
    path = patch(tmp_path, kind)
    with Scene.open(path) as scene:
        values = scene.read()[0]
    published = DataRoot.open(japan())
    side = "sar" if kind == "s1" else "optical"
    with Scene.open(published.raster(side, "ROIs2017_winter_1_p7")) as scene:
        assert np.array_equal(scene.read()[0], values)  # without names: as published
    shutil.rmtree(tmp_path / "out")
    names = published.images[side].bands[::-1]
    write_array(path, values, band_names=list(names), georeference=place_of_scene(1), overwrite=True)
    with Scene.open(DataRoot.open(japan()).raster(side, "ROIs2017_winter_1_p7")) as scene:
        assert scene.band_names == list(names[::-1])
        assert np.array_equal(scene.read()[0], values[::-1])


@pytest.mark.parametrize(
    ("kind", "shape", "words"),
    [
        ("s2", (13, 16, 16), "SAR and optical are not on one grid: 32x32 and 16x16 pixels"),
        ("s2", (12, 32, 32), "has 12 bands, the optical of the data set says B1, B2"),
        ("s1", (1, 32, 32), "has 1 band, the sar of the data set says VV, VH"),
    ],
)
def test_a_patch_of_another_form_is_named(tmp_path, japan, kind, shape, words):
    path = patch(tmp_path, kind, 2)
    values = np.full(shape, -9 if kind == "s1" else 500, np.float32 if kind == "s1" else np.uint16)
    write_array(path, values, georeference=place_of_scene(2), overwrite=True)
    with pytest.raises(InputError, match=words) as told:
        japan()
    assert told.value.source == str(path)


def test_a_patch_that_is_cut_off_is_left_out_of_the_windows(tmp_path, japan):
    halve(patch(tmp_path, "s2", 3))
    with pytest.raises(InputError, match=r"lacks 1 thing .*s2_3_p7\.tif: .* truncated or damaged"):
        japan()
    out = japan(partial=True)
    assert set(DataRoot.open(out).splits) == {"ROIs2017_winter_1_p7", "ROIs2017_winter_2_p7"}
    assert "s2_3_p7.tif: " in (out / "missing.txt").read_text()


def test_labels_of_japan_that_no_class_can_have(tmp_path, japan):
    tile = tmp_path / "tiles" / "LC_N35E139.tif"
    with Scene.open(tile) as scene:
        place = scene.georeference
    labels = np.full((1, 1000, 1000), 3, np.float32)
    write_array(tile, labels + 0.7, georeference=place, overwrite=True)
    with pytest.raises(InputError, match=r"LC_N35E139\.tif: holds fractions"):
        japan()
    write_array(tile, labels + 256, georeference=place, overwrite=True)
    with pytest.raises(InputError, match="no complete patch"):
        japan()


@pytest.mark.parametrize(("dtype", "value"), [("uint16", 268), ("float32", 12.7)])
def test_a_land_cover_that_no_label_can_hold_is_refused(tmp_path, capsys, dtype, value):
    sen12ms(tmp_path / "src")
    labels = np.full((4, 32, 32), 12, dtype)
    write_array(patch(tmp_path, "lc", 2), labels, overwrite=True)
    arguments = ["data", "prepare", "sen12ms", str(tmp_path / "src")]
    assert main([*arguments, str(tmp_path / "whole"), "--partial"]) == 0
    assert "missing.txt lists 1 thing of the set that could not be taken" in capsys.readouterr().err
    labels[:, 5, 5] = value
    write_array(patch(tmp_path, "lc", 2), labels, overwrite=True)
    assert main([*arguments, str(tmp_path / "out"), "--partial"]) == 2
    told = capsys.readouterr().err
    assert f"lc_2_p7.tif: holds {value}, but uint8 has whole numbers from 0 to 255" in told
    assert told.count("\n") == 1


@pytest.fixture(params=[".png", ".tif"])
def pairs(tmp_path, request):
    for side, bands in (("sar", 1), ("optical", 3)):
        (tmp_path / "src" / side).mkdir(parents=True)
        for number in range(6):
            write_array(tmp_path / "src" / side / f"{number}{request.param}", pixels(bands, 64, 64, number))
    return tmp_path / "src", request.param


@pytest.mark.parametrize("spoil", [halve, lambda path: path.write_text("no raster")])
@pytest.mark.parametrize("number", [0, 4])
def test_a_file_that_is_cut_off_is_never_copied(tmp_path, pairs, number, spoil):
    source, suffix = pairs
    spoil(source / "optical" / f"{number}{suffix}")
    with pytest.raises(InputError, match=rf"optical/{number}\{suffix}: .*(truncated or damaged|not a raster)"):
        prepare("folder", source, tmp_path / "out", ["gsd_m=10"])
    assert not (tmp_path / "out").exists()
    root = DataRoot.open(prepare("folder", source, tmp_path / "out", ["gsd_m=10"], partial=True))
    assert set(root.splits) == set("012345") - {str(number)}
    assert sorted(path.stem for path in (tmp_path / "out").glob("*/*")) == sorted(list(root.splits) * 2)
    told = (tmp_path / "out" / "missing.txt").read_text()
    assert told.startswith(f"{number}: {source / 'optical' / str(number)}{suffix}: ")
    assert told.count("\n") == 1


def test_what_can_be_read_but_does_not_fit_is_refused_with_partial_too(tmp_path, pairs):
    source, suffix = pairs
    write_array(source / "optical" / f"4{suffix}", pixels(3, 32, 32), overwrite=True)
    with pytest.raises(InputError, match="not on one grid"):
        prepare("folder", source, tmp_path / "out", ["gsd_m=10"], partial=True)


def test_nothing_that_can_be_read_is_no_root(tmp_path, pairs):
    source, suffix = pairs
    for number in range(6):
        halve(source / "sar" / f"{number}{suffix}")
    with pytest.raises(InputError, match=r"truncated or damaged|not a raster"):
        prepare("folder", source, tmp_path / "out", ["gsd_m=10"], partial=True)
    assert not (tmp_path / "out").exists()


def test_all_labels_are_looked_at_for_classes(tmp_path):
    names = [f"{number:03d}" for number in range(203)]
    pictures(tmp_path / "xian" / "sar", names, 1, size=8)
    pictures(tmp_path / "xian" / "optical", names, 3, size=8)
    (tmp_path / "xian" / "label").mkdir()
    for number, name in enumerate(names):
        value = 7 if number > 200 else number % 3
        write_array(tmp_path / "xian" / "label" / f"{name}.png", np.full((1, 8, 8), value, np.uint8))
    root = DataRoot.open(prepare("ddhr", tmp_path, tmp_path / "out", ["region=xian"]))
    assert list(root.classes) == [0, 1, 2, 7]


@pytest.mark.parametrize("name", ["shandong", "DDHR-Shandong_v2", "dongying"])
def test_a_region_of_ddhr_that_the_name_of_the_folder_contradicts_is_refused(tmp_path, name):
    source = tmp_path / name
    pictures(source / "sar", ["a", "b"], 1)
    pictures(source / "optical", ["a", "b"], 3)
    told = f"{name}: is a folder of shandong by its name, but region is xian$"
    with pytest.raises(InputError, match=told):
        prepare("ddhr", source, tmp_path / "out", ["region=xian"], partial=True)
    assert not (tmp_path / "out").exists()
    assert DataRoot.open(prepare("ddhr", source, tmp_path / "out", partial=True)).name == "ddhr-shandong"


def test_a_folder_of_ddhr_of_any_other_name_is_of_the_region_given(tmp_path):
    source = tmp_path / "xiangyang"
    pictures(source / "SAR", ["a", "b"], 1)
    pictures(source / "optical", ["a", "b"], 3)
    for region in ("korea", "xian"):
        path = prepare("ddhr", source, tmp_path / region, [f"region={region}"], partial=True)
        assert DataRoot.open(path).name == f"ddhr-{region}"


def decibels(folder, stated):
    """Pairs whose SAR rasters state units, or None."""
    for number, units in enumerate(stated):
        values = np.random.default_rng(number).normal(-10, 2, (1, 64, 64)).astype(np.float32)
        for side in ("sar", "optical"):
            (folder / side).mkdir(parents=True, exist_ok=True)
        tags = {"UNITS": units} if units else {}
        write_array(folder / "sar" / f"a{number}.tif", values, band_names=["VV"], tags=tags)
        write_array(folder / "optical" / f"a{number}.tif", pixels(3, 64, 64, number))
    return folder


def test_images_of_a_folder_that_state_different_units_are_refused(tmp_path, capsys):
    source = decibels(tmp_path / "src", [None, *["sigma0_db"] * 4, "gamma0_db"])
    arguments = ["data", "prepare", "folder", str(source), str(tmp_path / "out"), "--set", "gsd_m=10"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "sar/a5.tif: states gamma0_db, but a1.tif states sigma0_db (--set units=UNITS" in told
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["src"]
    assert main([*arguments, "--set", "units=sigma0_db"]) == 0
    assert "sar/a5: its tags say gamma0_db, dataset.yaml says sigma0_db" in capsys.readouterr().err


def test_a_folder_is_in_the_units_that_some_of_its_images_state(tmp_path):
    source = decibels(tmp_path / "src", [None, None, None, "gamma0_db", "gamma0_db"])
    assert DataRoot.open(prepare("folder", source, tmp_path / "out", ["gsd_m=10"])).images["sar"].units == "gamma0_db"


def test_tiles_of_whu_go_by_names_and_need_the_bands_of_the_set(tmp_path):
    source, names = tmp_path / "whu", ["nir", "red", "green", "blue"]
    for folder, count in (("optical", 4), ("sar", 1), ("lbl", 1)):
        (source / folder).mkdir(parents=True)
        for number in range(3):
            stated = {"band_names": names} if folder == "optical" else {}
            write_array(source / folder / f"N{number}.tif", pixels(count, 32, 32, number), **stated)
    root = DataRoot.open(prepare("whu-opt-sar", source, tmp_path / "out", ["tile=16"], partial=True))
    with Scene.open(root.raster("optical", "N1_000")) as scene:
        values, _ = scene.read()
    assert np.array_equal(values, pixels(4, 32, 32, 1)[[1, 2, 3, 0], :16, :16])
    write_array(source / "sar" / "N2.tif", pixels(2, 32, 32), overwrite=True)
    with pytest.raises(InputError, match=r"sar/N2\.tif: has 2 bands, 1 expected: SAR"):
        prepare("whu-opt-sar", source, tmp_path / "x", ["tile=16"], partial=True)
    (source / "optical" / "N0.tif").write_text("no raster")
    (source / "sar" / "N2.tif").write_text("no raster")
    root = DataRoot.open(prepare("whu-opt-sar", source, tmp_path / "y", ["tile=0"], partial=True))
    assert list(root.splits) == ["N1"]
    assert len(root.images["optical"].bands) == 4


def placed(folder: Path, sides: list[float | None], epsg: int = 32633) -> Path:
    for number, side in enumerate(sides):
        place = (
            Georeference() if side is None else Georeference(CRS.from_epsg(epsg), Affine(side, 0, 5e5, 0, -side, 5e6))
        )
        for role, bands in (("sar", 1), ("optical", 3)):
            (folder / role).mkdir(parents=True, exist_ok=True)
            write_array(folder / role / f"a{number}.tif", pixels(bands, 32, 32, number), georeference=place)
    return folder


@pytest.mark.parametrize(("epsg", "gsd_m"), [(32633, 2.5), (3857, 1.89)])
def test_the_pixels_of_a_folder_are_as_large_as_its_images_say(tmp_path, epsg, gsd_m):
    source = placed(tmp_path / "src", [None, *[2.5] * 3], epsg)
    assert DataRoot.open(prepare("folder", source, tmp_path / "out")).gsd_m == gsd_m


def test_a_folder_without_a_size_of_pixels_gets_10_m_and_a_line(tmp_path, capsys):
    source, out = placed(tmp_path / "none", [None] * 4), tmp_path / "out"
    assert main(["data", "prepare", "folder", str(source), str(out)]) == 0
    assert "no image says the size of its pixels: 10 m is taken; gsd_m=METRES states it" in capsys.readouterr().err
    assert DataRoot.open(out).gsd_m == 10.0
    assert main(["data", "prepare", "folder", str(source), str(tmp_path / "stated"), "--set", "gsd_m=2"]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_with_two_sizes_of_pixels_is_refused(tmp_path, capsys):
    source = placed(tmp_path / "two", [1.0, 1.0, 3.0, 1.0])
    assert main(["data", "prepare", "folder", str(source), str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "a2.tif: has pixels of 3 m, but a0.tif of 1 m: bring them to one size, or set gsd_m" in told
    assert told.count("\n") == 1


def test_pixels_of_another_size_than_the_root_says_are_told(tmp_path, capsys):
    source, root = placed(tmp_path / "src", [1.0] * 4), tmp_path / "out"
    said = "its pixels are 1 m wide, dataset.yaml says 10 m"
    assert main(["data", "prepare", "folder", str(source), str(root), "--set", "gsd_m=10"]) == 0
    assert f"sar/a0: {said}" in capsys.readouterr().err
    assert main(["data", "inspect", str(root)]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(("options", "gsd_m"), [([], 1.89), (["gsd_m=5"], 3.78)])
def test_the_pixels_of_a_pair_in_web_mercator_are_as_large_as_on_the_ground(tmp_path, options, gsd_m):
    source = placed(tmp_path / "src", [2.5], 3857)
    options = [*options, "units=amplitude", "gap=0", "train=1", "val=0", f"optical={source / 'optical' / 'a0.tif'}"]
    root = DataRoot.open(prepare("pair", source / "sar" / "a0.tif", tmp_path / "out", options))
    assert root.gsd_m == pytest.approx(gsd_m, abs=0.01)
