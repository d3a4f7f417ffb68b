"""Calibration of GRD products that the tests write in the published schema, against values computed by hand."""

from __future__ import annotations

import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from safe_files import HEIGHT, LINES, NAME, NOISE, PIXELS, SIGMA, WIDTH, write_safe
from saropt.cli import main
from saropt.errors import InputError
from saropt.scenes import Scene
from saropt.sensors.sentinel1 import GrdProduct, calibrate


def read(path):
    with Scene.open(path) as scene:
        return *scene.read(), scene


def test_values_by_hand(tmp_path):
    safe, numbers = write_safe(tmp_path)
    values, valid, scene = read(calibrate(safe, tmp_path / "out.tif", "sigma0"))
    assert scene.band_names == ["VV", "VH"]
    assert len(scene.georeference.gcps) == 9
    assert scene.acquired.isoformat().startswith("2020-11-07T13:52:41")
    assert not valid[10, 50]
    assert valid.sum() == HEIGHT * WIDTH - 1
    # on a node: line 20, pixel 30; the azimuth block ends at pixel 29
    digital = float(numbers["VV"][20, 30])
    assert values[0, 20, 30] == pytest.approx((digital**2 - 1050.0) / 430.0**2, rel=1e-5)
    # between nodes: line 10, pixel 15, in the block: its gain there is 1 + 0.39 * 10 / 39 = 1.1
    table = (400 + 420 + 410 + 430) / 4
    noise = (900 + 1000 + 950 + 1050) / 4 * 1.1
    digital = float(numbers["VH"][10, 15])
    assert values[1, 10, 15] == pytest.approx((digital**2 - noise) / table**2, rel=1e-5)


def test_all_pixels_against_a_loop_and_gamma_in_decibels(tmp_path):
    safe, numbers = write_safe(tmp_path, form="old")
    values, valid, _ = read(calibrate(safe, tmp_path / "out.tif", "gamma0_db"))

    def interpolate(table, line, pixel):
        across = [np.interp(pixel, PIXELS, row) for row in table]
        return np.interp(line, LINES, across)

    for line in range(0, HEIGHT, 3):
        for pixel in range(0, WIDTH, 7):
            power = float(numbers["VV"][line, pixel]) ** 2 - interpolate(NOISE, line, pixel)
            expected = 10 * np.log10(max(power / (interpolate(SIGMA, line, pixel) / 2) ** 2, 1e-5))
            assert values[0, line, pixel] == pytest.approx(expected, abs=1e-3)
    kept, _, _ = read(calibrate(safe, tmp_path / "noisy.tif", "gamma0_db", remove_noise=False))
    assert (kept[:, valid] > values[:, valid]).all()


def test_a_zip_gives_the_same(tmp_path):
    safe, _ = write_safe(tmp_path)
    packed = tmp_path / f"{NAME}.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in safe.rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    one = calibrate(safe, tmp_path / "one.tif")
    other = calibrate(packed, tmp_path / "other.tif")
    np.testing.assert_array_equal(read(one)[0], read(other)[0])
    assert read(other)[2].tags["S1_PRODUCT"] == NAME


def test_no_warning_of_the_library_is_shown(tmp_path):
    """The measurement itself has no georeference, which nobody need be told."""
    safe, _ = write_safe(tmp_path)
    with warnings.catch_warnings(action="error"), GrdProduct(safe) as product:
        assert product.read("VV", 0, 4).shape == (4, WIDTH)


def test_border_noise_is_masked(tmp_path):
    safe, _ = write_safe(tmp_path, border=6)
    _, valid, _ = read(calibrate(safe, tmp_path / "out.tif"))
    assert not valid[:6].any()
    assert not valid[:, :6].any()
    assert valid[6:, 6:].sum() == (HEIGHT - 6) * (WIDTH - 6) - 1
    _, kept, _ = read(calibrate(safe, tmp_path / "kept.tif", remove_border=False))
    assert kept.sum() == HEIGHT * WIDTH - 1


def test_strips_do_not_show(tmp_path, monkeypatch):
    from saropt.sensors import sentinel1

    safe, _ = write_safe(tmp_path, border=4)
    whole = read(calibrate(safe, tmp_path / "whole.tif"))
    monkeypatch.setattr(sentinel1, "_STRIP_PIXELS", 7 * WIDTH)
    calls = []
    strips = read(calibrate(safe, tmp_path / "strips.tif", progress=lambda *a: calls.append(a)))
    np.testing.assert_array_equal(whole[0], strips[0])
    np.testing.assert_array_equal(whole[1], strips[1])
    assert calls[-1][:2] == (6, 6)


def test_projected_to_utm(tmp_path):
    safe, _ = write_safe(tmp_path)
    assert main(["data", "calibrate", str(safe), str(tmp_path / "utm.tif"), "--to", "sigma0", "--pixel", "10"]) == 0
    values, valid, scene = read(tmp_path / "utm.tif")
    assert scene.georeference.crs.to_epsg() == 32611
    assert scene.georeference.transform.a == 10
    assert scene.acquired.isoformat().startswith("2020-11-07T13:52:41")
    flat, inside, _ = read(calibrate(safe, tmp_path / "radar.tif", "sigma0"))
    assert values[:, valid].mean(axis=1) == pytest.approx(flat[:, inside].mean(axis=1), rel=0.02)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{NAME}.SAFE", "radar.tif", "utm.tif"]


@pytest.mark.parametrize("pixel", ["10", "40"])
def test_on_a_map_both_units_hold_the_same_power(tmp_path, pixel):
    safe, _ = write_safe(tmp_path)
    for units in ("gamma0", "gamma0_db"):
        out = str(tmp_path / f"{units}.tif")
        assert main(["data", "calibrate", str(safe), out, "--to", units, "--pixel", pixel]) == 0
    power, valid, _ = read(tmp_path / "gamma0.tif")
    decibels, seen, _ = read(tmp_path / "gamma0_db.tif")
    assert np.array_equal(seen, valid)
    np.testing.assert_allclose(decibels[:, valid], 10 * np.log10(power[:, valid]), atol=1e-4)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda safe: next(safe.glob("annotation/calibration/noise-*vh*")).unlink(), "lacks the noise file of VH"),
        (lambda safe: [p.unlink() for p in safe.glob("measurement/*")], "holds no measurement"),
        (lambda safe: next(safe.glob("annotation/calibration/cal*vv*")).write_text("<a>"), "cannot be read"),
        (lambda safe: next(safe.glob("annotation/calibration/cal*vv*")).write_text("<a/>"), "no calibrationVector"),
        (lambda safe: next(safe.glob("annotation/s1*vv*")).write_text("<product/>"), "type unknown, not GRD"),
        (lambda safe: next(safe.glob("measurement/*vv*")).write_text("x"), "cannot be read"),
    ],
)
def test_damaged_products(tmp_path, spoil, words):
    safe, _ = write_safe(tmp_path)
    spoil(safe)
    with pytest.raises(InputError, match=words):
        calibrate(safe, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


def _rewrite(safe, kind, old, new):
    path = next(safe.glob(f"annotation/calibration/{kind}-*vv*"))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("kind", "old", "new", "words"),
    [
        ("calibration", ">0 30 59<", ">59 30 0<", "pixel of sigmaNought that do not ascend"),
        ("calibration", ">0 30 59<", ">0 0 59<", "pixel of sigmaNought that do not ascend"),
        ("calibration", ">0 30 59<", ">0 30<", "3 numbers sigmaNought for 2 numbers pixel"),
        ("calibration", "<line>20<", "<line>0<", "several calibrationVector of one line"),
        ("noise", ">0 30 59<", ">59 30 0<", "pixel of noiseRangeLut that do not ascend"),
        ("noise", "<line>20<", "<line>0<", "several noiseRangeVector of one line"),
        ("noise", "<line>0 39<", "<line>39 0<", "line of noiseAzimuthLut that do not ascend"),
        ("noise", "1.0 1.39", "1.0 1.2 1.39", "3 numbers noiseAzimuthLut for 2 numbers line"),
        (
            "noise",
            "<line>0 39</line><noiseAzimuthLut>1.0 1.39",
            "<line/><noiseAzimuthLut>",
            "0 numbers noiseAzimuthLut",
        ),
    ],
)
def test_tables_without_one_value_at_each_place(tmp_path, kind, old, new, words):
    safe, _ = write_safe(tmp_path)
    _rewrite(safe, kind, old, new)
    with pytest.raises(InputError, match=words):
        calibrate(safe, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


def test_an_output_has_a_valid_pixel(tmp_path):
    safe, _ = write_safe(tmp_path, pols=("vv",))
    out = tmp_path / "out.tif"
    with pytest.raises(InputError, match=r"out\.tif: would hold no valid pixel: pixels of 100000 m are too large"):
        calibrate(safe, out, pixel_m=1e5)
    place = next(safe.glob("measurement/*"))
    with rasterio.open(place) as dataset:
        points = dataset.gcps
    with rasterio.open(place, "w", driver="GTiff", height=HEIGHT, width=WIDTH, count=1, dtype="uint16") as dataset:
        dataset.gcps = points
    for pixel_m in (None, 10):
        with pytest.raises(InputError, match=r"\.SAFE: holds no valid pixel"):
            calibrate(safe, out, pixel_m=pixel_m)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.SAFE"]


def test_other_inputs(tmp_path):
    (tmp_path / "a.zip").write_text("no archive")
    with pytest.raises(InputError, match="neither"):
        GrdProduct(tmp_path / "a.zip")
    with pytest.raises(InputError, match="no such"):
        GrdProduct(tmp_path / "b")
    safe, _ = write_safe(tmp_path, kind="SLC")
    with pytest.raises(InputError, match="SLC"):
        GrdProduct(safe)
    with pytest.raises(InputError, match="beta0"):
        calibrate(safe, tmp_path / "o.tif", "beta0")


@pytest.mark.parametrize("pols", [("vv",), ("hh", "hv")])
@pytest.mark.parametrize("packed", [False, True])
def test_several_products_are_not_mixed(tmp_path, pols, packed):
    source = tmp_path / "both"
    for name, own in (("A.SAFE", ("vv", "vh")), ("B.SAFE", pols)):
        write_safe(source, pols=own)[0].rename(source / name)
    if packed:
        source = Path(shutil.make_archive(str(source), "zip", source))
    with pytest.raises(InputError, match=r"both(.zip)?: holds 2 products \(A.SAFE, B.SAFE\): give one of them alone"):
        calibrate(source, tmp_path / "out.tif")


def test_two_files_of_one_polarisation(tmp_path):
    safe, _ = write_safe(tmp_path)
    one = next(safe.glob("measurement/*-vv-*"))
    shutil.copy(one, one.with_name(one.name.replace("001", "003")))
    with pytest.raises(InputError, match=r"holds measurement/s1a-.*-vv-.* and measurement/s1a-.*: keep one of them"):
        calibrate(safe, tmp_path / "out.tif")


def test_an_output_in_the_product_is_no_change_of_it(tmp_path):
    safe = write_safe(tmp_path)[0]
    assert calibrate(safe, safe / "sigma0.tif").exists()


@pytest.mark.parametrize(("name", "pixel"), [(f"{NAME}.SAFE", None), (f"{NAME}.SAFE", 20.0), ("mine", None)])
def test_a_product_that_changes_while_it_is_read(tmp_path, name, pixel):
    safe = write_safe(tmp_path)[0].rename(tmp_path / name)
    noise = next(safe.glob("annotation/calibration/noise*.xml"))

    def change(*_):
        noise.write_text(noise.read_text() + "\n")

    with pytest.raises(InputError, match=f"{name}: has changed while it was read: nothing is written"):
        calibrate(safe, tmp_path / "a.tif", pixel_m=pixel, progress=change)
    assert list(tmp_path.iterdir()) == [safe]
