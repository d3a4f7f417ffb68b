"""Filtered rasters and roots, and Pauli colour from files."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from saropt.cli import main
from saropt.curation.filtering import filter_root, filter_scene, write_pauli
from saropt.curation.warnings_of_roots import root_warnings
from saropt.errors import InputError
from saropt.radiometry import FILTERS, equivalent_looks, from_db, pauli_power
from saropt.roots import DataRoot
from saropt.roots.description import write_description
from saropt.roots.frozen import hashes_of, raster_hash, read_frozen
from saropt.roots.splits import rows_as_text, split_rows
from saropt.scenes import Scene, write_array


@pytest.fixture
def scene(tmp_path):
    power = 0.05 * np.random.default_rng(0).standard_gamma(4.0, (2, 90, 100)) / 4
    values = (10 * np.log10(power)).astype(np.float32)
    values[:, 10:20, 10:20] = -99
    return write_array(tmp_path / "in.tif", values, band_names=["VV", "VH"], nodata=-99)


@pytest.mark.parametrize("name", FILTERS)
def test_tiles_do_not_show(tmp_path, scene, name):
    whole = filter_scene(scene, tmp_path / "whole.tif", name, 4.0, "sigma0_db")
    tiled = filter_scene(scene, tmp_path / "tiled.tif", name, 4.0, "sigma0_db", tile=37)
    with Scene.open(whole) as one, Scene.open(tiled) as other:
        (a, valid), (b, _) = one.read(), other.read()
        assert one.band_names == ["VV", "VH"]
        assert one.tags["SPECKLE_FILTER"] == name
    np.testing.assert_array_equal(a[:, valid], b[:, valid])
    assert not valid[10:20, 10:20].any()
    assert valid.sum() == 9000 - 100
    assert equivalent_looks(from_db(a[0, 50:, 50:], "sigma0")) > 25


@pytest.mark.parametrize("name", FILTERS)
def test_nodata_and_what_lies_behind_it_have_no_part_in_their_neighbours(tmp_path, name):
    """Water of -22 dB beside a nodata strip and single lost pixels, land of -8 dB far away."""
    values = np.random.default_rng(4).uniform(-22.01, -21.99, (1, 60, 90)).astype(np.float32)
    values[:, :, 60:] += 14.0
    values[:, :, 40:60] = np.nan
    values[:, 5:55:7, 20:38:5] = np.nan
    path = write_array(tmp_path / "in.tif", values, band_names=["VV"])
    with Scene.open(filter_scene(path, tmp_path / "out.tif", name, 4.4, "sigma0_db")) as scene:
        filtered, valid = scene.read()
    assert (valid == np.isfinite(values[0])).all()
    np.testing.assert_allclose(filtered[:, valid], values[:, valid], atol=0.02)


@pytest.mark.parametrize("name", FILTERS)
def test_power_below_zero_counts_in_the_mean(tmp_path, name):
    """Dark water after noise removal, a third of it below 0."""
    power = 0.0055 * np.random.default_rng(0).gamma(4.4, 1 / 4.4, (1, 200, 200)) - 0.004
    assert 0.25 < (power < 0).mean() < 0.4
    path = write_array(tmp_path / "in.tif", power.astype(np.float32), band_names=["VV"])
    with Scene.open(filter_scene(path, tmp_path / "out.tif", name, 4.4, "sigma0")) as scene:
        filtered, valid = scene.read()
    assert valid.all()
    assert filtered.mean() == pytest.approx(power.mean(), rel=0.03)


def test_eight_bit_amplitude_stays_so_and_other_units_are_refused(tmp_path):
    values = np.random.default_rng(0).integers(20, 90, (1, 40, 40)).astype(np.uint8)
    path = write_array(tmp_path / "a.tif", values)
    with Scene.open(filter_scene(path, tmp_path / "b.tif", "lee", 4.0, "amplitude")) as scene:
        assert scene.dtype == "uint8"
        assert scene.read()[0].std() < values.std()
    for units, words in (("uint8", "no stated decibel scale"), ("sigma0_db", "decibels")):
        with pytest.raises(InputError, match=words):
            filter_scene(path, tmp_path / "c.tif", "lee", 4.0, units)
    with pytest.raises(InputError, match="not one of lee"):
        filter_scene(path, tmp_path / "c.tif", "fans", 4.0, "amplitude")
    assert not (tmp_path / "c.tif").exists()


def test_a_root(tmp_path, labelled_root):
    root = DataRoot.open(filter_root(labelled_root, tmp_path / "out", "lee", 4.4))
    before = DataRoot.open(labelled_root)
    assert root.splits == before.splits
    name = next(iter(root.splits))
    with Scene.open(root.raster("sar", name)) as new, Scene.open(before.raster("sar", name)) as old:
        assert not np.array_equal(new.read()[0], old.read()[0])
    assert root.raster("label", name).read_bytes() == before.raster("label", name).read_bytes()
    with pytest.raises(InputError, match="exists already"):
        filter_root(labelled_root, tmp_path / "out", "lee", 4.4)


def test_a_root_states_its_units(tmp_path, labelled_root, capsys):
    assert main(["data", "filter", str(labelled_root), str(tmp_path / "out"), "--units", "amplitude"]) == 2
    assert "a data root states its units" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pauli_from_one_file_and_from_a_polsarpro_folder(tmp_path):
    rng = np.random.default_rng(1)
    matrix = (rng.normal(size=(3, 20, 30)) + 1j * rng.normal(size=(3, 20, 30))).astype(np.complex64)
    quad = write_array(tmp_path / "quad.tif", matrix, band_names=["HH", "HV", "VV"])
    expected = pauli_power(dict(zip(("HH", "HV", "VV"), matrix, strict=True)))
    hh, hv, vv = matrix
    parts = {"C11": abs(hh) ** 2, "C22": 2 * abs(hv) ** 2, "C33": abs(vv) ** 2}
    cross = hh * vv.conj()
    parts |= {"C13_real": cross.real, "C13_imag": cross.imag}
    folder = tmp_path / "C3"
    folder.mkdir()
    files = [write_array(folder / f"{k}.tif", v[None].astype(np.float32)) for k, v in parts.items()]
    for number, sources in enumerate(([quad], files)):
        with Scene.open(write_pauli(sources, tmp_path / f"p{number}.tif")) as scene:
            assert scene.band_names == ["HH-VV", "HV", "HH+VV"]
            np.testing.assert_allclose(scene.read()[0], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="C13_imag is not"):
        write_pauli(files[:-1], tmp_path / "x.tif")
    with pytest.raises(InputError, match="C3 lacks C13"):
        write_pauli(files[:-2], tmp_path / "x.tif")


def speckled(power=0.05, bands=2):
    return (power * np.random.default_rng(2).standard_gamma(4.0, (bands, 90, 100)) / 4).astype(np.float32)


@pytest.mark.parametrize("name", ["lee", "refined-lee", "gamma-map", "frost", "ppb"])
@pytest.mark.filterwarnings("error")
def test_an_impossible_pixel_is_nodata_and_spoils_no_other(tmp_path, name, capsys):
    decibels = 10 * np.log10(speckled())
    decibels[0, 40, 50] = 999
    path = write_array(tmp_path / "a.tif", decibels, band_names=["VV", "VH"])
    assert main(["data", "filter", str(path), str(tmp_path / "b.tif"), "--filter", name]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("impossible values in sigma0_db: made nodata")
    with Scene.open(tmp_path / "b.tif") as scene:
        values, valid = scene.read()
        assert np.isnan(scene.nodata)
    assert np.argwhere(~valid).tolist() == [[40, 50]]
    assert values[:, valid].max() < 0


@pytest.mark.parametrize(("units", "fill"), [("sigma0_db", "fill (0)"), ("sigma0", "fill")])
def test_an_undeclared_border_is_nodata_and_not_mixed_in(tmp_path, units, fill):
    power = speckled()
    values = power if units == "sigma0" else 10 * np.log10(power)
    values[:, :, :20] = 0
    told = []
    path = write_array(tmp_path / "a.tif", values, band_names=["VV", "VH"])
    with Scene.open(filter_scene(path, tmp_path / "b.tif", "lee", 4.0, units, tell=told.append)) as scene:
        filtered, valid = scene.read()
    assert not valid[:, :20].any()
    assert valid[:, 20:].all()
    first = from_db(filtered[:, :, 20:23], "sigma0") if units == "sigma0_db" else filtered[:, :, 20:23]
    assert first.mean() == pytest.approx(0.05, rel=0.1)
    (line,) = told
    assert f"20.00% of the pixels that it calls valid are {fill} or impossible" in line


def test_nodata_of_whole_numbers_is_declared_and_valid_ones_stay_so(tmp_path):
    digital = np.rint(100 * np.sqrt(speckled())).astype(np.uint16)
    digital[:, 50:, 50:] = 0
    digital[:, :8, :8] = 1
    path = write_array(tmp_path / "a.tif", digital, band_names=["VV", "VH"])
    with Scene.open(filter_scene(path, tmp_path / "b.tif", "lee", 4.0, "amplitude", tell=print)) as scene:
        assert (scene.dtype, scene.nodata) == ("uint16", 0)
        assert (scene.read()[1] == (digital > 0).all(axis=0)).all()


def complex_pixels():
    phase = np.random.default_rng(3).uniform(0, 2 * np.pi, (2, 90, 100))
    return (np.sqrt(speckled()) * np.exp(1j * phase)).astype(np.complex64)


def test_complex_pixels_become_amplitude_and_say_so(tmp_path):
    told = []
    path = write_array(tmp_path / "a.tif", complex_pixels(), band_names=["VV", "VH"], tags={"CALIBRATED_TO": "complex"})
    with Scene.open(filter_scene(path, tmp_path / "b.tif", "lee", 4.0, "complex", tell=told.append)) as scene:
        assert scene.dtype == "float32"
        assert scene.tags["UNITS"] == "amplitude"
        assert "CALIBRATED_TO" not in scene.tags
    assert told == [f"{path}: complex pixels become amplitude"]


def test_a_root_of_complex_pixels_becomes_one_of_amplitude(tmp_path):
    for role in ("sar", "optical", "sar_reference"):
        (tmp_path / "root" / role).mkdir(parents=True)
    write_array(tmp_path / "root" / "sar" / "a.tif", complex_pixels(), band_names=["VV", "VH"])
    write_array(tmp_path / "root" / "sar_reference" / "a.tif", complex_pixels(), band_names=["VV", "VH"])
    write_array(tmp_path / "root" / "optical" / "a.tif", np.full((3, 90, 100), 7, np.uint8))
    description = {
        "name": "r",
        "gsd_m": 10.0,
        "sar": {"bands": ["VV", "VH"], "units": "complex"},
        "optical": {"bands": ["red", "green", "blue"], "units": "uint8"},
        "licence": "mine",
    }
    write_description(tmp_path / "root", description, [("a", "test")])
    root = DataRoot.open(filter_root(tmp_path / "root", tmp_path / "out", "lee", 4.0, tell=print))
    assert {role: image.units for role, image in root.images.items()} == {
        "sar": "amplitude",
        "optical": "uint8",
        "sar_reference": "amplitude",
    }
    assert root.licence == "mine"
    assert all(line.startswith("the split") for line in root_warnings(root))


def test_pauli_has_no_colour_where_all_components_are_zero(tmp_path):
    matrix = np.ones((3, 20, 30), np.float32)
    matrix[:, :, :4] = 0
    matrix[0, 5, 5] = 0
    path = write_array(tmp_path / "t3.tif", matrix, band_names=["T11", "T22", "T33"])
    with Scene.open(write_pauli([path], tmp_path / "p.tif")) as scene:
        valid = scene.read()[1]
    assert not valid[:, :4].any()
    assert valid[:, 4:].all()


def test_units_come_from_the_names_of_bands(tmp_path):
    told = []
    path = write_array(tmp_path / "a.tif", speckled(), band_names=["Sigma0_VV", "Sigma0_VH"])
    unasked = filter_scene(path, tmp_path / "b.tif", "lee", 4.0, tell=told.append)
    asked = filter_scene(path, tmp_path / "c.tif", "lee", 4.0, "sigma0")
    with Scene.open(unasked) as one, Scene.open(asked) as other:
        assert (one.read()[0] == other.read()[0]).all()
    assert told == [f"{path}: units are sigma0, as its band names and values say"]


def test_a_quantity_that_is_no_unit_is_refused_where_no_units_are_asked_for(tmp_path):
    path = write_array(tmp_path / "a.tif", speckled(), band_names=["Beta0_VV", "Beta0_VH"])
    with pytest.raises(InputError, match=r"band names say beta0, which is no unit here \(units=... states its units"):
        filter_scene(path, tmp_path / "b.tif", "lee", 4.0)
    assert filter_scene(path, tmp_path / "b.tif", "lee", 4.0, "sigma0").exists()


def test_hashes_of_a_filtered_root_are_those_of_the_new_pixels(tmp_path, labelled_root):
    source = shutil.copytree(labelled_root, tmp_path / "root")
    rows = [{**row, **hashes_of(DataRoot.open(source), row["name"])} for row in split_rows(source / "splits.csv")]
    rows[-1]["sha256_sar"] = ""
    (source / "splits.csv").write_text(rows_as_text(rows))
    out = filter_root(source, tmp_path / "out", "lee", 4.4)
    old, new = read_frozen(source / "splits.csv"), read_frozen(out / "splits.csv")
    assert new.hashes["optical"] == old.hashes["optical"]
    assert new.hashes["sar"] == {row["name"]: raster_hash(out / "sar" / f"{row['name']}.tif") for row in rows[:-1]}
    assert not set(new.hashes["sar"].values()) & set(old.hashes["sar"].values())


def test_a_splits_file_without_hashes_is_copied_as_it_is(tmp_path, labelled_root):
    source = shutil.copytree(labelled_root, tmp_path / "root")
    text = (source / "splits.csv").read_text().replace("\n", "\r\n")
    (source / "splits.csv").write_bytes(text.encode())
    out = filter_root(source, tmp_path / "out", "lee", 4.4)
    assert (out / "splits.csv").read_bytes() == text.encode()


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (["VV"], "nothing states its units, and sigma0_db does not fit"),
        (["Gamma0_VV_db"], r"units are declared as gamma0_db but .*\(so its band names say\)"),
    ],
)
def test_units_that_do_not_fit_are_said_to_be_of_the_names_or_of_nobody(tmp_path, bands, message):
    power = np.random.default_rng(0).gamma(4.0, 0.02, (1, 64, 64)).astype(np.float32)
    path = write_array(tmp_path / "in.tif", power, band_names=bands)
    with pytest.raises(InputError, match=message):
        filter_scene(path, tmp_path / "out.tif", "lee", 4.0)
