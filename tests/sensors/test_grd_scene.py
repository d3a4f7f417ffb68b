"""Products translated as they are: the pixels of calibrating first, from each window alone, with nothing between."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform

from safe_files import HEIGHT, NAME, WIDTH, write_safe
from saropt.cli import main
from saropt.errors import InputError, OptionError
from saropt.inference import Translator
from saropt.scenes import Scene, Window, write_array
from saropt.sensors.calibrated import Calibrated
from saropt.sensors.grd_scene import GrdScene
from saropt.sensors.product_names import grd_product
from saropt.sensors.sentinel1 import GrdProduct, calibrate


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    return write_safe(tmp_path, border=4)[0]


@pytest.mark.parametrize("units", ["sigma0_db", "gamma0"])
def test_windows_in_any_order_are_the_calibrated_file(safe: Path, tmp_path: Path, units: str) -> None:
    with Scene.open(calibrate(safe, tmp_path / "whole.tif", units)) as scene:
        whole, valid = scene.read()
    windows = [Window(0, 0, HEIGHT, WIDTH), Window(5, 40, 9, 20), Window(3, 0, 9, 7), Window(30, 25, 10, 10)]
    windows += [Window(32, 0, 5, 60), Window(35, 10, 5, 30), Window(0, 58, 2, 2)]
    with GrdScene(safe, units=units) as product:
        assert product.band_names == ["VV", "VH"]
        for w in windows:
            values, measured = product.read(w)
            area = np.s_[..., w.row : w.row + w.height, w.col : w.col + w.width]
            np.testing.assert_array_equal(measured, valid[area])
            np.testing.assert_allclose(values, whole[area], rtol=1e-6)


def test_each_line_is_read_once_by_windows_beside_each_other(safe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []
    first = GrdProduct.read

    def counted(self: GrdProduct, polarisation: str, start: int, count: int) -> np.ndarray:
        read.append((start, count))
        return first(self, polarisation, start, count)

    with GrdProduct(safe) as product:
        calibrated = Calibrated(product, ["VV"], "sigma0", remove_border=False)
        monkeypatch.setattr(GrdProduct, "read", counted)
        for row in (0, 10, 20):
            for col in (0, 20, 40):
                calibrated.read(Window(row, col, 15, 20))
    assert read == [(0, 15), (15, 10), (25, 10)]


@pytest.mark.parametrize("form", ["folder", "zip", "manifest"])
def test_translating_a_product_is_calibrating_and_translating(form: str, safe: Path, tmp_path: Path) -> None:
    place = {"folder": safe, "manifest": safe / "manifest.safe"}.get(form)
    if place is None:
        place = Path(shutil.make_archive(str(tmp_path / NAME), "zip", tmp_path, safe.name))
    first = calibrate(safe, tmp_path / "calibrated.tif")
    assert main(["translate", str(first), str(tmp_path / "two.tif"), "--units", "sigma0_db"]) == 0
    before = {path.name for path in tmp_path.iterdir()}
    assert main(["translate", str(place), str(tmp_path / "one.tif")]) == 0
    assert {path.name for path in tmp_path.iterdir()} - before == {"one.tif"}
    with Scene.open(tmp_path / "one.tif") as one, Scene.open(tmp_path / "two.tif") as two:
        np.testing.assert_array_equal(one.read()[0], two.read()[0])
        assert len(one.georeference.gcps) == 9
        assert one.tags["S1_PRODUCT"] == NAME
        assert one.acquired == two.acquired


@pytest.mark.parametrize("metres", [10, 40])
def test_on_a_map_it_is_what_gdal_makes_of_the_calibrated_file(tmp_path: Path, metres: int) -> None:
    safe, _ = write_safe(tmp_path)
    made = calibrate(safe, tmp_path / "utm.tif", pixel_m=metres)
    with Scene.open(made) as warped, GrdScene(safe, pixel_m=metres) as product:
        theirs, valid = warped.read()
        own, measured = product.read()
        assert product.georeference == warped.georeference
        assert product.acquired == warped.acquired
    both = valid & measured
    assert both.sum() > (0.9 if metres == 10 else 0.75) * max(valid.sum(), measured.sum())
    difference = np.abs(own - theirs)[:, both]
    assert np.quantile(difference, 0.9) < 0.3, "dB; GDAL computes the places to an eighth of a pixel"
    assert np.corrcoef(own[:, both].ravel(), theirs[:, both].ravel())[0, 1] > 0.99


def test_on_a_map_decibels_are_those_of_the_power(safe: Path) -> None:
    with GrdScene(safe, units="gamma0", pixel_m=10) as scene, GrdScene(safe, units="gamma0_db", pixel_m=10) as other:
        (power, valid), (decibels, seen) = scene.read(), other.read()
    np.testing.assert_array_equal(seen, valid)
    np.testing.assert_allclose(decibels[:, valid], 10 * np.log10(power[:, valid]), atol=1e-4)


@pytest.mark.parametrize("metres", [10, 4.3, 37])
def test_on_a_map_windows_do_not_show(safe: Path, metres: float) -> None:
    with GrdScene(safe, pixel_m=metres) as product:
        whole, valid = product.read()
        windows = [Window(0, 0, 11, 13), Window(7, 20, 21, 17), Window(30, 5, 9, 40), Window(20, 3, 5, 5)]
        windows += [Window(0, 0, 3, 4), Window(4, 5, 3, 3)]
        for w in windows:
            if not w.inside(product.height, product.width):
                continue
            values, measured = product.read(w)
            area = np.s_[..., w.row : w.row + w.height, w.col : w.col + w.width]
            np.testing.assert_array_equal(measured, valid[area])
            np.testing.assert_allclose(values, whole[area], atol=1e-4)


def test_the_middle_of_the_frame_lies_where_its_control_points_say(tmp_path: Path) -> None:
    """Bright pixels of a dark frame are found again on the map, by the linear control points of the product."""
    safe, _ = write_safe(tmp_path)
    for path in safe.glob("measurement/*"):
        with rasterio.open(path, "r+") as dataset:
            pixels = np.full((HEIGHT, WIDTH), 60, np.uint16)
            pixels[14:17, 39:42] = 4000
            dataset.write(pixels, 1)
    with GrdScene(safe, units="sigma0", pixel_m=2) as product:
        values, valid = product.read()
        rows, cols = np.nonzero((values[0] > values[0].max() / 2) & valid)
        x, y = product.georeference.transform @ (cols.mean() + 0.5, rows.mean() + 0.5)
        (longitude,), (latitude,) = transform(product.georeference.crs, "EPSG:4326", [x], [y])
    assert longitude == pytest.approx(-118 + 40.5e-4, abs=3e-5)  # 3 m
    assert latitude == pytest.approx(34 - 15.5e-4, abs=3e-5)


def test_a_product_with_an_earlier_image_on_a_map(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    safe, before = write_safe(tmp_path)[0], write_safe(tmp_path / "before")[0]
    with GrdScene(safe, pixel_m=10) as product:
        place, shape = product.georeference, (product.height, product.width)
    colours = np.full((4, *shape), 1500, np.uint16)
    optical = write_array(tmp_path / "old.tif", colours, band_names=["B4", "B3", "B2", "B8"], georeference=place)
    translator = Translator.load("s1-reference")
    translator.translate(safe, tmp_path / "out.tif", pixel=10, reference=optical, reference_sar=before)
    with Scene.open(tmp_path / "out.tif") as out:
        assert out.georeference == place
        assert out.tags["SAROPT_SAR_REFERENCE"] == before.name
        assert (out.height, out.width) == shape


def test_a_product_is_inspected(safe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "inspect", str(safe)]) == 0
    out = capsys.readouterr().out
    assert "VV, VH" in out
    assert "sigma0_db" in out
    assert "9 control points" in out


def test_a_folder_of_products_is_many_scenes(safe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "products"
    folder.mkdir()
    safe.rename(folder / safe.name)
    assert main(["translate", str(folder), str(tmp_path / "out")]) == 0
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".tif"]


def test_what_a_product_cannot_be_is_refused(safe: Path, tmp_path: Path) -> None:
    translator = Translator.load("s1-losangeles")
    with pytest.raises(OptionError, match="calibrated to sigma0_db"):
        translator.translate(safe, tmp_path / "out.tif", units="amplitude")
    flat = calibrate(safe, tmp_path / "flat.tif")
    with pytest.raises(OptionError, match="pixel='10': projects Sentinel-1 products"):
        translator.translate(flat, tmp_path / "out.tif", units="sigma0_db", pixel=10.0)
    with pytest.raises(OptionError, match="must be positive"):
        translator.translate(safe, tmp_path / "out.tif", pixel=-10.0)
    only_vv, _ = write_safe(tmp_path / "other", pols=("vv",))
    with pytest.raises(InputError, match="holds VV, not VH"):
        translator.translate(only_vv, tmp_path / "out.tif")
    assert grd_product(tmp_path / f"{NAME}.tif") is None
    assert not (tmp_path / "out.tif").exists()


def test_a_real_product_is_read_in_windows(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "s1-safe-pieces"
    places = sorted(folder.glob("*.SAFE"))
    if not places:
        pytest.skip("s1-safe-pieces is absent")
    with GrdScene(places[0]) as product:
        assert product.band_names == ["VV"]
        assert (product.height, product.width) == (16_705, 26_102)
        assert len(product.georeference.gcps) > 100
        assert product.acquired is not None
        assert product.acquired.isoformat().startswith("2021-12-23T05:11:22")
        _, valid = product.read(Window(8000, 12_000, 256, 256))
        assert not valid.any()  # the pixels of the piece were blanked
