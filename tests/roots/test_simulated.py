"""Simulated data roots on disk."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio

from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.roots import simulated as module
from saropt.roots.simulated import write_simulated_root
from saropt.simulate import CLASSES


def _read(path):
    with rasterio.open(path) as source:
        return source.read(), source.profile, source.descriptions


def test_a_root_that_opens(tmp_path):
    calls = []
    path = write_simulated_root(tmp_path / "root", scenes=(2, 1, 1), size=(64, 80), progress=lambda *a: calls.append(a))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [p.name for p in tmp_path.iterdir()] == ["root"]
    root = DataRoot.open(path)
    assert root.paired
    assert root.gsd_m == 10.0
    assert root.classes == CLASSES
    assert (root.images["sar"].bands, root.images["sar"].units) == (("VV", "VH"), "amplitude")
    assert [len(root.names(split)) for split in ("train", "val", "test")] == [2, 1, 1]
    west = set()
    for name in root.splits:
        sar, profile, descriptions = _read(root.raster("sar", name))
        optical, _, _ = _read(root.raster("optical", name))
        label, label_profile, _ = _read(root.raster("label", name))
        assert sar.shape == (2, 64, 80)
        assert sar.dtype == np.float32
        assert descriptions == ("VV", "VH")
        assert optical.shape == (3, 64, 80)
        assert optical.dtype == label.dtype == np.uint8
        assert set(np.unique(label)) <= set(CLASSES)
        assert profile["crs"].to_epsg() == 32611
        assert profile["transform"] == label_profile["transform"]
        assert profile["transform"].a == 10.0
        west.add(profile["transform"].c)
    assert len(west) == 4


def test_units_and_bands_agree(tmp_path):
    arrays = {}
    for units in ("amplitude", "sigma0", "sigma0_db"):
        root = DataRoot.open(
            write_simulated_root(tmp_path / units, scenes=(1, 0, 0), size=64, units=units, bands=("VH",))
        )
        assert root.images["sar"].units == units
        arrays[units] = _read(root.raster("sar", "train_000"))[0]
        assert arrays[units].shape == (1, 64, 64)
    np.testing.assert_allclose(arrays["amplitude"] ** 2, arrays["sigma0"], rtol=1e-5)
    np.testing.assert_allclose(10 ** (arrays["sigma0_db"] / 10), arrays["sigma0"], rtol=1e-4)


def test_same_seed_same_pixels(tmp_path):
    a, b, c = (
        _read(write_simulated_root(tmp_path / name, scenes=(1, 0, 0), size=64, seed=seed) / "sar/train_000.tif")[0]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_existing_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    write_simulated_root(tmp_path / "empty", scenes=(1, 0, 0), size=64)
    with pytest.raises(InputError, match="not an empty folder"):
        write_simulated_root(tmp_path / "empty", scenes=(1, 0, 0), size=64)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="not an empty folder"):
        write_simulated_root(tmp_path / "file")
    with pytest.raises(InputError, match="does not exist"):
        write_simulated_root(tmp_path / "absent" / "root")


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_simulated_root("root", scenes=(1, 0, 0), size=64)
    assert DataRoot.open(tmp_path / "root").name == "root"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_after_a_failure(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(module, "write_description", fail)
    with pytest.raises((InputError, KeyboardInterrupt)):
        write_simulated_root(tmp_path / "root", scenes=(1, 0, 0), size=64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"units": "gamma"},
        {"bands": ()},
        {"bands": ("VV", "VV")},
        {"bands": ("HH",)},
        {"scenes": (0, 0, 0)},
        {"scenes": (1, -1, 0)},
        {"size": 8},
        {"looks": 0.1},
        {"seed": -3},
    ],
)
def test_bad_arguments(tmp_path, arguments):
    with pytest.raises(InputError):
        write_simulated_root(tmp_path / "root", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_misregistration_moves_the_optical_images_of_train_alone(tmp_path):
    """Correlation of the shifted image with the aligned one peaks at the stated distance."""
    roots = {
        off: write_simulated_root(tmp_path / str(off), scenes=(2, 0, 1), size=96, misregistration_px=off, seed=3)
        for off in (0, 4)
    }
    for name in ("train_000", "train_001"):
        moved, sar = (_read(roots[4] / side / f"{name}.tif")[0].astype(float) for side in ("optical", "sar"))
        assert moved.shape[-2:] == sar.shape[-2:] == (96, 96)
    with pytest.raises(InputError, match=r"must lie in 0\.\.64"):
        write_simulated_root(tmp_path / "far", scenes=(1, 0, 0), size=96, misregistration_px=65)
    for side in ("sar", "optical", "label"):
        np.testing.assert_array_equal(
            _read(roots[0] / side / "test_000.tif")[0], _read(roots[4] / side / "test_000.tif")[0]
        )


def test_the_shift_is_as_long_as_stated(monkeypatch):
    from saropt.roots.simulated import _simulated

    scene = _simulated(96, 5, 4.0, 10.0, 4.4, 0.0, None)
    whole = module.simulate_scene((104, 104), 5)
    places = [
        (row, col)
        for row in range(9)
        for col in range(9)
        if np.array_equal(scene.optical, whole.optical[:, row : row + 96, col : col + 96])
    ]
    assert len(places) == 1
    row, col = places[0]
    assert 3.4 <= np.hypot(row - 4, col - 4) <= 4.6
    np.testing.assert_array_equal(scene.label, whole.label[4:100, 4:100])


def offset_of(moved: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(down, right) with moved(x) = true(x + offset): the slope of the phase of the low frequencies."""
    side = len(true)
    window = np.outer(np.hanning(side), np.hanning(side))
    cross = np.fft.fft2((moved - moved.mean()) * window) * np.fft.fft2((true - true.mean()) * window).conj()
    k = np.fft.fftfreq(side, 1 / side)
    rows, columns = (grid.ravel() for grid in np.meshgrid(k, k, indexing="ij"))
    low = (np.hypot(rows, columns) < 10) & (np.hypot(rows, columns) > 0)
    weight = np.abs(cross.ravel()[low]) ** 0.5
    slopes = 2 * np.pi / side * np.stack([rows, columns], 1)[low]
    return np.linalg.lstsq(slopes * weight[:, None], np.angle(cross.ravel()[low]) * weight, rcond=None)[0]


@pytest.mark.parametrize("off", [0.5, 1.5, 2.25])
def test_shifts_by_fractions_of_a_pixel(off):
    """By the phase of the cross-power spectrum, which knows nothing of how the image was moved."""
    from saropt.roots.simulated import _simulated

    for subpixel in (False, True):
        scene = _simulated(128, 5, off, 10.0, 4.4, 0.0, None, subpixel=subpixel)
        margin = math.ceil(off)
        whole = module.simulate_scene((128 + 2 * margin, 128 + 2 * margin), 5)
        true = whole.optical[:, margin : margin + 128, margin : margin + 128]
        down, right = offset_of(scene.optical.mean(0).astype(np.float64), true.mean(0).astype(np.float64))
        angle = np.random.default_rng([5, 1]).uniform(0.0, 2.0 * math.pi)
        expected = np.array([off * math.sin(angle), off * math.cos(angle)])
        if not subpixel:
            expected = np.round(expected)
        np.testing.assert_allclose([down, right], expected, atol=0.07)
        np.testing.assert_array_equal(scene.label, whole.label[margin : margin + 128, margin : margin + 128])


@pytest.mark.parametrize("test", [False, True])
def test_test_scenes_may_lie_off_too(tmp_path, monkeypatch, test):
    off = []
    simulated = module._simulated
    monkeypatch.setattr(module, "_simulated", lambda *a, **k: off.append(a[2]) or simulated(*a, **k))
    write_simulated_root(tmp_path / "a", scenes=(1, 1, 1), size=32, misregistration_px=3, misregistration_test=test)
    assert off == [3, 3, 3 if test else 0]


def test_pauli_bands_and_scene_settings(tmp_path):
    from saropt.cli import main

    arguments = ["--scenes", "1,0,0", "--size", "64", "--units", "sigma0"]
    assert main(["data", "simulate", str(tmp_path / "a"), *arguments, "--bands", "HH-VV,HV,HH+VV"]) == 0
    assert main(["data", "simulate", str(tmp_path / "b"), *arguments, "--season", "summer", "--clouds", "0.3"]) == 0
    assert main(["data", "simulate", str(tmp_path / "c"), *arguments]) == 0
    pauli, plain = (_read(tmp_path / name / "sar/train_000.tif") for name in ("a", "c"))
    assert pauli[2] == ("HH-VV", "HV", "HH+VV")
    assert pauli[0].min() > 0
    assert 0.3 < pauli[0][1].mean() / (2 * plain[0][1].mean()) < 3  # HV carries twice the power of VH
    cloudy, clear = (_read(tmp_path / name / "optical/train_000.tif")[0] for name in ("b", "c"))
    assert (cloudy.min(axis=0) > 220).mean() > 0.05 > (clear.min(axis=0) > 220).mean()
    for wrong in (["--season", "monsoon"], ["--clouds", "2"], ["--bands", "VV,HV"]):
        assert main(["data", "simulate", str(tmp_path / "x"), *arguments, *wrong]) == 2
