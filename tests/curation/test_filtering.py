"""Filtered rasters and roots, and Pauli colour from files."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.curation.filtering import filter_root, filter_scene, write_pauli
from saropt.errors import InputError
from saropt.radiometry import equivalent_looks, from_db, pauli_power
from saropt.roots import DataRoot
from saropt.scenes import Scene, write_array


@pytest.fixture
def scene(tmp_path):
    power = 0.05 * np.random.default_rng(0).standard_gamma(4.0, (2, 90, 100)) / 4
    values = (10 * np.log10(power)).astype(np.float32)
    values[:, 10:20, 10:20] = -99
    return write_array(tmp_path / "in.tif", values, band_names=["VV", "VH"], nodata=-99)


@pytest.mark.parametrize("name", ["lee", "refined-lee", "ppb"])
def test_tiles_do_not_show(tmp_path, scene, name):
    whole = filter_scene(scene, tmp_path / "whole.tif", name, 4.0, "sigma0_db")
    tiled = filter_scene(scene, tmp_path / "tiled.tif", name, 4.0, "sigma0_db", tile=37)
    with Scene.open(whole) as one, Scene.open(tiled) as other:
        (a, valid), (b, _) = one.read(), other.read()
        assert one.band_names == ["VV", "VH"]
        assert one.tags["SPECKLE_FILTER"] == name
    far = np.s_[:, 40:, 40:]  # the fill of the hole depends on its window
    np.testing.assert_allclose(a[far], b[far], atol=1e-3)
    assert not valid[10:20, 10:20].any()
    assert valid.sum() == 9000 - 100
    assert equivalent_looks(from_db(a[0, 50:, 50:], "sigma0")) > 25


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
