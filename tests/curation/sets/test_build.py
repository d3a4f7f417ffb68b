"""Roots appear whole or not at all, and interrupted work goes on."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from saropt.cli import main
from saropt.curation.joining import join_roots
from saropt.curation.sets import prepare
from saropt.curation.sets import rasters as module
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.scenes import Georeference, Scene, write_array


@pytest.fixture
def source(tmp_path):
    for side, bands in (("sar", 1), ("optical", 3)):
        (tmp_path / "src" / side).mkdir(parents=True)
        for number in range(6):
            values = np.random.default_rng(number).integers(0, 255, (bands, 24, 24)).astype(np.uint8)
            write_array(tmp_path / "src" / side / f"{number}.png", values)
    return tmp_path / "src"


def test_an_interrupt_leaves_no_root_and_the_same_call_goes_on(tmp_path, source, monkeypatch):
    def stop(done, total, name):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("folder", source, tmp_path / "out", ["gsd_m=10"], progress=stop)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="other settings"):
        prepare("folder", source, tmp_path / "out", ["gsd_m=10", "seed=3"])
    written = []
    copy = module.shutil.copyfile
    monkeypatch.setattr(module.shutil, "copyfile", lambda a, b: (written.append(a.name), copy(a, b)))
    calls = []
    prepare("folder", source, tmp_path / "out", ["gsd_m=10"], progress=lambda *a: calls.append(a))
    assert sorted(written) == sorted(["3.png", "4.png", "5.png"] * 2)
    assert calls[-1][:2] == (6, 6)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["dataset.yaml", "optical", "sar", "splits.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "src"]
    assert len(DataRoot.open(tmp_path / "out").splits) == 6


def test_a_damaged_file_is_named(tmp_path, source):
    (source / "sar" / "4.png").write_text("no picture")
    with pytest.raises(InputError, match=r"4\.png: is not a raster"):
        prepare("folder", source, tmp_path / "out", ["gsd_m=10"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["whu", "SRC", "OUT"], "unknown set"),
        (["folder", "absent", "OUT"], "no such file or folder"),
        (["folder", "SRC", "SRC"], "exists already"),
        (["folder", "SRC", "absent/OUT"], "does not exist"),
        (["folder", "SRC", "OUT", "--set", "x"], "not key=value"),
        (["folder", "SRC", "OUT", "--set", "colour=red"], "folder takes seed"),
        (["folder", "SRC", "OUT", "--set", "train=0.9", "--set", "val=0.2"], "more than 1"),
        (["qxs-saropt", "SRC", "OUT"], "no folder named sar_256_oc_0.2"),
        (["sen12", "SRC", "OUT"], "no patches named like"),
    ],
)
def test_what_cannot_be_prepared_is_one_line(tmp_path, source, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    real = [{"SRC": "src", "OUT": "out"}.get(argument, argument) for argument in arguments]
    assert main(["data", "prepare", *real]) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["src"]


def test_the_command_line_lists_sets_and_their_options(tmp_path, source, capsys):
    assert main(["data", "prepare"]) == 0
    assert "whu-opt-sar" in capsys.readouterr().out
    assert main(["data", "prepare", "sen12jhl"]) == 0
    assert "needed" in capsys.readouterr().out
    assert main(["data", "prepare", "folder", str(source), str(tmp_path / "out"), "--set", "gsd_m=2.5"]) == 0
    assert DataRoot.open(tmp_path / "out").gsd_m == 2.5


def test_empty_splits_are_told_and_wrong_units_refused(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for side in ("sar", "optical"):
        (tmp_path / "src" / side).mkdir(parents=True)
    for name in ("a", "b"):
        write_array(tmp_path / "src" / "sar" / f"{name}.tif", rng.random((1, 64, 64)).astype(np.float32) * 0.2)
        write_array(tmp_path / "src" / "optical" / f"{name}.tif", rng.integers(1, 255, (3, 64, 64)).astype(np.uint8))
    given = ["data", "prepare", "folder", str(tmp_path / "src"), str(tmp_path / "out"), "--set", "gsd_m=10"]
    given += ["--set", "train=1.0", "--set", "val=0.0", "--set"]
    for units, words in (
        ("units=sigma0_db", "sar/a.tif: sar: units are declared as sigma0_db but"),
        ("units=sigma0", ""),
    ):
        code = main([*given, units])
        out, err = capsys.readouterr()
        assert (code, words in err) == (2 if words else 0, True)
        assert (tmp_path / "out").exists() != bool(words)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert "2 train, 0 val, 0 test" in out
    assert "the split val is empty: a training cannot choose its best weights" in err
    assert "the split test is empty" in err


@pytest.mark.parametrize(
    ("side", "setting", "words"),
    [
        ("sar", "units=sigma0", "sar: units are declared as sigma0 but"),
        ("optical", "optical_units=reflectance x 10000", "optical: units are declared as reflectance x 10000 but"),
    ],
)
def test_a_pair_in_other_units_is_refused(tmp_path, side, setting, words):
    rng, place = np.random.default_rng(0), Georeference(CRS.from_epsg(32654), Affine(10, 0, 4e5, 0, -10, 39e5))
    decibels = rng.normal(-12, 3, (1, 64, 64)).astype(np.float32)
    write_array(tmp_path / "sar.tif", decibels, georeference=place)
    write_array(tmp_path / "optical.tif", rng.random((3, 64, 64)).astype(np.float32) * 0.4, georeference=place)
    options = [f"optical={tmp_path / 'optical.tif'}", "gap=0", "optical_units=reflectance", setting]
    with pytest.raises(InputError, match=words) as told:
        prepare("pair", tmp_path / "sar.tif", tmp_path / "out", options)
    assert told.value.source == str(tmp_path / f"{side}.tif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["optical.tif", "sar.tif"]


def test_a_pair_that_holds_nothing_or_lies_nowhere_is_refused(tmp_path):
    place = Georeference(CRS.from_epsg(32654), Affine(10, 0, 4e5, 0, -10, 39e5))
    nowhere = Georeference(CRS.from_epsg(4326), Affine(1e-4, 0, 10, 0, -1e-4, 95))
    write_array(tmp_path / "sar.tif", np.full((1, 64, 64), np.nan, np.float32), georeference=place)
    optical = np.random.default_rng(0).integers(1, 255, (3, 64, 64)).astype(np.uint8)
    for name, georeference in (("here.tif", place), ("nowhere.tif", nowhere)):
        write_array(tmp_path / name, optical, georeference=georeference)
    for name, message in (
        ("here.tif", r"/sar\.tif: sar: holds no valid pixel"),
        ("nowhere.tif", r"/nowhere\.tif: lies nowhere on Earth"),
    ):
        with pytest.raises(InputError, match=message):
            prepare("pair", tmp_path / "sar.tif", tmp_path / "out", [f"optical={tmp_path / name}", "gap=0"])
        assert len(list(tmp_path.iterdir())) == 3


def test_a_group_that_is_no_regular_expression_is_one_line(tmp_path, source):
    with pytest.raises(InputError, match=r"group: '\(\[' is no regular expression"):
        prepare("folder", source, tmp_path / "out", ["group=(["])


def test_scales_of_a_pair_are_applied(tmp_path):
    rng, place = np.random.default_rng(0), Georeference(CRS.from_epsg(32654), Affine(10, 0, 4e5, 0, -10, 39e5))
    decibels = rng.normal(-12, 3, (1, 64, 64))
    form = {"driver": "GTiff", "count": 1, "height": 64, "width": 64, "dtype": "int16"}
    with rasterio.open(tmp_path / "sar.tif", "w", **form, crs=place.crs, transform=place.transform) as dataset:
        dataset.write((decibels * 100).round().astype(np.int16))
        dataset.scales = (0.01,)
    write_array(tmp_path / "optical.tif", rng.integers(1, 255, (3, 64, 64)).astype(np.uint8), georeference=place)
    options = [f"optical={tmp_path / 'optical.tif'}", "gap=0", "train=1", "val=0"]
    root = prepare("pair", tmp_path / "sar.tif", tmp_path / "out", options)
    with Scene.open(root / "sar" / "sar_train.tif") as made:
        np.testing.assert_allclose(made.read()[0][0], decibels[0], atol=0.01)


def pair_of(tmp_path, optical, nodata=None, transform=None):
    """A root of a SAR raster, valid everywhere, and of an optical one on a grid of its own."""
    place = Georeference(CRS.from_epsg(32654), Affine(10, 0, 4e5, 0, -10, 39e5))
    other = Georeference(place.crs, transform) if transform is not None else place
    decibels = np.random.default_rng(0).normal(-12, 3, (1, *optical.shape[1:])).astype(np.float32)
    write_array(tmp_path / "sar.tif", decibels, georeference=place)
    write_array(tmp_path / "optical.tif", optical, georeference=other, nodata=nodata)
    units = "uint8" if optical.dtype == np.uint8 else "reflectance x 10000"
    options = [f"optical={tmp_path / 'optical.tif'}", "gap=0", "train=1", "val=0", f"optical_units={units}"]
    return DataRoot.open(prepare("pair", tmp_path / "sar.tif", tmp_path / "out", options))


def test_undeclared_fill_of_the_optical_raster_is_left_out_before_it_is_resampled(tmp_path):
    optical = np.random.default_rng(1).integers(2000, 2050, (4, 80, 80)).astype(np.uint16)
    optical[:, :, :30] = 0
    root = pair_of(tmp_path, optical, transform=Affine(10, 0, 400_005, 0, -10, 3_899_995))
    with Scene.open(root.raster("optical", "sar_train")) as scene:
        values, valid = scene.read()
    assert 0.5 < valid.mean() < 0.7
    assert values[:, valid].min() >= 1990


@pytest.mark.parametrize(("units", "value"), [("sigma0_db", -15.0), ("sigma0", 0.03), ("amplitude", 0.17)])
def test_undeclared_fill_of_the_sar_raster_is_left_out_before_it_is_resampled(tmp_path, units, value):
    place = Georeference(CRS.from_epsg(32654), Affine(10, 0, 4e5, 0, -10, 39e5))
    other = Georeference(place.crs, Affine(10, 0, 400_005, 0, -10, 3_899_995))
    noise = np.random.default_rng(0).normal(0, abs(value) / 50, (1, 80, 80))
    backscatter = (value + noise).astype(np.float32)
    backscatter[:, :, :30] = 0
    write_array(tmp_path / "sar.tif", backscatter, georeference=place)
    write_array(tmp_path / "optical.tif", np.full((3, 80, 80), 90, np.uint8), georeference=other)
    options = [f"optical={tmp_path / 'optical.tif'}", "gap=0", "train=1", "val=0", f"units={units}", "gsd_m=10"]
    root = DataRoot.open(prepare("pair", tmp_path / "sar.tif", tmp_path / "out", options))
    with Scene.open(root.raster("sar", "sar_train")) as scene:
        values, valid = scene.read()
    assert 0.5 < valid.mean() < 0.7
    assert np.abs(values[:, valid] - value).max() < 0.2 * abs(value)


@pytest.mark.parametrize("strip", [None, 800])
@pytest.mark.parametrize(
    ("dtype", "declared", "made"),
    [("uint16", 65535, 65535), ("uint16", 1, 65535), ("int16", -9999, -32768), ("float32", np.nan, np.nan)],
)
def test_nodata_of_the_optical_raster_travels_and_a_valid_zero_stays_so(
    tmp_path, monkeypatch, dtype, declared, made, strip
):
    if strip is not None:  # as large rasters are written
        monkeypatch.setattr(module, "_STRIP_PIXELS", strip)
        monkeypatch.setattr(module, "_SMALL_PIXELS", 0)
    optical = np.random.default_rng(1).integers(200, 3000, (4, 80, 80)).astype(dtype)
    optical[:, 10:30, 10:30] = 0
    optical[:, 50:70, 20:60] = declared
    root = pair_of(tmp_path, optical, declared)
    with Scene.open(root.raster("optical", "sar_train")) as scene:
        values, valid = scene.read()
        assert scene.nodata == made or np.isnan([scene.nodata, made]).all()
    hole = np.zeros((80, 80), bool)
    hole[50:70, 20:60] = True
    assert (valid == ~hole).all()
    assert not values[:, 12:28, 12:28].any()


def test_a_rotated_optical_raster_does_not_cover_the_corners(tmp_path):
    optical = np.random.default_rng(1).integers(1000, 3000, (4, 80, 80)).astype(np.uint16)  # cubic undershoots
    root = pair_of(tmp_path, optical, transform=Affine(9, 3, 4e5, 3, -9, 39e5))
    with Scene.open(root.raster("optical", "sar_train")) as scene:
        values, valid = scene.read()
    assert 0.1 < (~valid).mean() < 0.4
    assert values[:, valid].min() > 0


def test_whole_rasters_have_no_nodata(tmp_path):
    optical = np.random.default_rng(1).integers(0, 255, (3, 80, 80)).astype(np.uint8)
    root = pair_of(tmp_path, optical)
    with Scene.open(root.raster("optical", "sar_train")) as scene:
        assert scene.nodata is None
        assert scene.read()[1].all()


def test_pictures_of_all_values_keep_their_holes(tmp_path):
    optical = np.stack([np.arange(6400).reshape(80, 80) % 256] * 3).astype(np.uint8)
    optical[:, 50:70, 20:60] = 7
    mask = tmp_path / "optical.tif.msk"
    hole = np.zeros((80, 80), bool)
    hole[50:70, 20:60] = True
    with rasterio.open(mask, "w", driver="GTiff", width=80, height=80, count=1, dtype="uint8") as dataset:
        dataset.write(np.where(hole, 0, 255).astype(np.uint8), 1)
        dataset.update_tags(INTERNAL_MASK_FLAGS_1="2")
    root = pair_of(tmp_path, optical)
    with Scene.open(root.raster("optical", "sar_train")) as scene:
        values, valid = scene.read()
    assert (valid == ~hole).all()
    assert np.abs(values - optical)[:, valid].max() <= 1


def test_masks_beside_rasters_are_copied_with_them(tmp_path, source):
    bands = "".join(f'<PAMRasterBand band="{b}"><NoDataValue>9</NoDataValue></PAMRasterBand>' for b in (1, 2, 3))
    for number in range(6):
        (source / "optical" / f"{number}.png.aux.xml").write_text(f"<PAMDataset>{bands}</PAMDataset>")
    root = DataRoot.open(prepare("folder", source, tmp_path / "out", ["gsd_m=10"]))
    joined = join_roots(
        tmp_path / "both", [tmp_path / "out", prepare("folder", source, tmp_path / "again", ["gsd_m=10"])]
    )
    for path in (root.raster("optical", "0"), DataRoot.open(joined).raster("optical", "again-0")):
        with Scene.open(path) as scene:
            assert scene.nodata == 9
    assert len(DataRoot.open(joined).splits) == 12


@pytest.fixture
def gamma(tmp_path):
    """A SAR raster of gamma0 in decibels by its names or by a tag, and an optical raster of its place."""

    def write(names=("Gamma0_VV_db", "Gamma0_VH_db"), size=96, **tags):
        place = Georeference(CRS.from_epsg(32611), Affine(10, 0, 4e5, 0, -10, 3.8e6))
        rng = np.random.default_rng(0)
        decibels = rng.normal([[[-11]], [[-17]]], 3, (2, size, size)).astype(np.float32)
        write_array(tmp_path / "sar.tif", decibels, band_names=list(names), georeference=place, tags=tags)
        colours = rng.integers(1, 255, (3, size, size)).astype(np.uint8)
        write_array(tmp_path / "opt.tif", colours, georeference=place)
        return tmp_path / "sar.tif"

    return write


@pytest.mark.parametrize(
    ("names", "tags", "units"),
    [
        (("Gamma0_VV_db", "Gamma0_VH_db"), {}, "gamma0_db"),
        (("VV", "VH"), {"CALIBRATED_TO": "gamma0_db"}, "gamma0_db"),
        (("VV", "VH"), {}, "sigma0_db"),
        (("VV intensity dB", "VH intensity dB"), {}, "sigma0_db"),
    ],
)
def test_a_pair_is_in_the_units_that_its_raster_states(tmp_path, gamma, names, tags, units):
    sar = gamma(names, **tags)
    root = DataRoot.open(prepare("pair", sar, tmp_path / "out", [f"optical={tmp_path / 'opt.tif'}", "gap=4"]))
    assert root.images["sar"].units == units


def test_units_that_contradict_what_a_raster_states_are_told(tmp_path, gamma, capsys):
    arguments = ["--set", f"optical={tmp_path / 'opt.tif'}", "--set", "gap=4", "--set", "units=sigma0_db"]
    for names, tags, words in (
        (("Gamma0_VV_db", "Gamma0_VH_db"), {}, "its band names say gamma0_db"),
        (("VV", "VH"), {"CALIBRATED_TO": "gamma0_db"}, "its tags say gamma0_db"),
        (("Beta0_VV_db", "Beta0_VH_db"), {}, "its band names say beta0_db"),
    ):
        sar, out = gamma(names, **tags), tmp_path / words.replace(" ", "_")
        assert main(["data", "prepare", "pair", str(sar), str(out), *arguments]) == 0
        assert f"sar/sar_train: {words}, dataset.yaml says sigma0_db" in capsys.readouterr().err
        sar.unlink()
        (tmp_path / "opt.tif").unlink()
    sar = gamma(("Beta0_VV_db", "Beta0_VH_db"))
    assert main(["data", "prepare", "pair", str(sar), str(tmp_path / "no"), *arguments[:4]]) == 2
    assert "beta0_db, which is no unit here (--set units=UNITS states its units)" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_folder_is_in_the_units_that_its_images_state(tmp_path, gamma, capsys):
    for side, file in (("sar", gamma()), ("optical", tmp_path / "opt.tif")):
        (tmp_path / "mine" / side).mkdir(parents=True)
        for name in "abc":
            shutil.copy(file, tmp_path / "mine" / side / f"{name}.tif")
    source = str(tmp_path / "mine")
    assert main(["data", "prepare", "folder", source, str(tmp_path / "out")]) == 0
    assert DataRoot.open(tmp_path / "out").images["sar"].units == "gamma0_db"
    assert "say" not in capsys.readouterr().err
    assert main(["data", "prepare", "folder", source, str(tmp_path / "asked"), "--set", "units=sigma0_db"]) == 0
    assert "its band names say gamma0_db, dataset.yaml says sigma0_db" in capsys.readouterr().err


def test_small_rasters_keep_their_tags(tmp_path, gamma):
    sar = gamma(ACQUISITION_DATE="2020-11-07")
    root = DataRoot.open(prepare("pair", sar, tmp_path / "out", [f"optical={tmp_path / 'opt.tif'}", "gap=4"]))
    with Scene.open(root.raster("sar", "sar_train")) as scene:
        assert scene.acquired is not None


@pytest.mark.parametrize(("suffix", "ending"), [(".tif", ".tfw"), (".TIF", ".TFW"), (".png", ".pgw"), (".jpg", ".wld")])
def test_world_files_go_with_their_rasters(tmp_path, suffix, ending):
    for number in range(6):
        for side, bands in (("sar", 1), ("optical", 3)):
            path = tmp_path / "src" / side / f"{number}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            driver = {".tif": "GTiff", ".png": "PNG", ".jpg": "JPEG"}[suffix.lower()]
            form = {"driver": driver, "width": 24, "height": 24, "count": bands, "dtype": "uint8"}
            with rasterio.open(path, "w", **form) as dataset:
                dataset.write(np.random.default_rng(number).integers(1, 255, (bands, 24, 24)).astype(np.uint8))
            path.with_suffix(ending).write_text(f"10\n0\n0\n-10\n{500_005 + 240 * number}\n3999995\n")
    prepare("folder", tmp_path / "src", tmp_path / "out")
    prepare("folder", tmp_path / "src", tmp_path / "more")
    root = DataRoot.open(join_roots(tmp_path / "both", [tmp_path / "out", tmp_path / "more"]))
    for role in ("sar", "optical"):
        with rasterio.open(root.raster(role, "out-2")) as dataset:
            assert dataset.transform == Affine(10, 0, 500_480, 0, -10, 4_000_000)
