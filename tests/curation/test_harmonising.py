"""Harmonised optical images: fill stays fill, no ground becomes fill, what is lost is told, and hashes are true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from saropt.cli import main
from saropt.curation.harmonising import harmonise_root
from saropt.errors import InputError
from saropt.files import write_text
from saropt.roots import DataRoot
from saropt.roots.description import write_description
from saropt.roots.frozen import hashes_of, raster_hash, read_frozen
from saropt.roots.splits import rows_as_text
from saropt.scenes import Scene, write_array

SIZE, BANDS = 96, ["B4", "B3", "B2"]
FILL = np.s_[:, :, :32]
FLOOD = np.s_[:, 40:, 70:]


def ground(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(900, 2500, (3, SIZE, SIZE)).astype(np.float64)


def make_root(
    path: Path, now: np.ndarray, earlier: np.ndarray, *, dtype: str = "uint16", units: str = "reflectance x 10000"
) -> Path:
    """One place; the label calls the lower right corner flooded."""
    label = np.zeros((1, SIZE, SIZE), np.uint8)
    label[FLOOD] = 1
    sar = np.random.default_rng(9).normal(-12, 2, (1, SIZE, SIZE)).astype(np.float32)
    for role in ("sar", "optical", "optical_reference", "label"):
        (path / role).mkdir(parents=True)
    for role, values in (("optical", now), ("optical_reference", earlier)):
        write_array(path / role / "a.tif", np.rint(values).astype(dtype), band_names=BANDS)
    write_array(path / "sar" / "a.tif", sar, band_names=["VV"])
    write_array(path / "label" / "a.tif", label)
    description = {
        "name": path.name,
        "gsd_m": 10.0,
        "sar": {"bands": ["VV"], "units": "sigma0_db"},
        "optical": {"bands": BANDS, "units": units},
        "classes": {0: "dry", 1: "flooded"},
        "licence": "none",
    }
    write_description(path, description, [["a", "train"]])
    return path


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_fill_that_is_not_declared_stays_and_has_no_part_in_the_colours(
    tmp_path: Path, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = ground(0)
    now = 0.5 * old + 400.0
    now[FILL] = 0.0
    root = make_root(tmp_path / "root", now, old, dtype=dtype)
    assert main(["data", "harmonise", str(root), str(tmp_path / "even")]) == 0
    made = read(tmp_path / "even" / "optical" / "a.tif").astype(float)
    assert not made[FILL].any()
    assert np.abs(made - old)[:, :, 32:].max() <= 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert "optical/a.tif: 33.33% of the pixels that it calls valid are fill (0)" in line
    assert "they count as nodata" in line


def test_fill_of_the_earlier_image_has_no_part_in_the_colours(tmp_path: Path) -> None:
    old = ground(0)
    now, gaps = 0.5 * old + 400.0, old.copy()
    gaps[FILL] = 0.0
    out, _ = harmonise_root(make_root(tmp_path / "root", now, gaps), tmp_path / "even")
    assert np.abs(read(out / "optical" / "a.tif") - old).max() <= 2


def test_an_image_of_fill_alone_is_left_out_by_name(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", ground(0), np.zeros((3, SIZE, SIZE)))
    with pytest.raises(InputError, match="has no raster with unchanged ground"):
        harmonise_root(root, tmp_path / "even")


def test_changed_ground_never_becomes_fill_and_its_share_is_told(tmp_path: Path) -> None:
    old = ground(0)
    now = 0.3 * old + 1400.0
    now[FLOOD] = 1200.0
    told: list[str] = []
    out, _ = harmonise_root(make_root(tmp_path / "root", now, old), tmp_path / "even", ["flooded"], tell=told.append)
    with Scene.open(out / "optical" / "a.tif") as scene:
        assert scene.nodata is None
        assert scene.read()[0].any(axis=0).all()
    assert told == ["a: 15.80% of its pixels would lie outside 0..65535 and are clipped"]


def test_few_pixels_that_are_clipped_are_not_told(tmp_path: Path) -> None:
    now = ground(0)
    shown = now.copy()
    shown[:, 50:53, 80:83] = 60000.0
    told: list[str] = []
    root = make_root(tmp_path / "root", shown, 1.2 * now - 500.0)
    out, _ = harmonise_root(root, tmp_path / "even", ["flooded"], tell=told.append)
    assert (read(out / "optical" / "a.tif")[:, 50:53, 80:83] == 65535).all()
    assert told == []


def test_an_image_in_8_bits_is_clipped_at_black_and_white(tmp_path: Path) -> None:
    """Black is no fill there."""
    old = ground(0) / 12.0
    now = 0.3 * old + 100.0
    now[FLOOD] = 20.0
    root = make_root(tmp_path / "root", now, old, dtype="uint8", units="uint8")
    told: list[str] = []
    out, _ = harmonise_root(root, tmp_path / "even", ["flooded"], tell=told.append)
    assert not read(out / "optical" / "a.tif")[FLOOD].any()
    assert told == ["a: 15.80% of its pixels would lie outside 0..255 and are clipped"]


@pytest.mark.parametrize("which", ["image", "earlier image"])
def test_bands_of_one_value_get_the_mean_alone(tmp_path: Path, which: str) -> None:
    now, old = ground(1), ground(0)
    flat = old if which == "earlier image" else now
    flat[0] = 3000.0
    told: list[str] = []
    out, _ = harmonise_root(make_root(tmp_path / "root", now, old), tmp_path / "even", tell=told.append)
    made = read(out / "optical" / "a.tif").astype(float)
    assert made.std(axis=(1, 2)) == pytest.approx([now[0].std(), *old[1:].std(axis=(1, 2))], abs=1.0)
    assert made.mean(axis=(1, 2)) == pytest.approx(old.mean(axis=(1, 2)), abs=1.0)
    assert told == [
        "a: B4 of the image or of the earlier one has one value where they are compared: only the mean is matched"
    ]


def test_values_with_a_scale_are_brought_to_the_units_of_the_root(tmp_path: Path) -> None:
    old = ground(0)
    root = make_root(tmp_path / "root", 0.5 * old + 400.0, old)
    for role in ("optical", "optical_reference"):
        with rasterio.open(root / role / "a.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
            dataset.scales = (1e-4,) * 3
    out, _ = harmonise_root(root, tmp_path / "even")
    assert np.abs(read(out / "optical" / "a.tif") - old).max() <= 2


def test_hashes_are_those_of_the_new_pixels(tmp_path: Path) -> None:
    old = ground(0)
    root = make_root(tmp_path / "root", 0.5 * old + 400.0, old)
    hashes = hashes_of(DataRoot.open(root), "a")
    write_text(root / "splits.csv", rows_as_text([{"name": "a", "split": "train", **hashes}]))
    out, _ = harmonise_root(root, tmp_path / "even")
    frozen = read_frozen(out / "splits.csv")
    for role in ("sar", "optical", "optical_reference"):
        assert frozen.hashes[role]["a"] == raster_hash(out / role / "a.tif")
    assert frozen.hashes["sar"]["a"] == hashes["sha256_sar"]
    assert frozen.hashes["optical"]["a"] != hashes["sha256_optical"]


@pytest.mark.parametrize("role", ["optical", "optical_reference", "label"])
def test_rasters_that_change_while_they_are_harmonised(tmp_path: Path, role: str) -> None:
    root = make_root(tmp_path / "root", ground(1), ground(2))

    def change(done: int, total: int, name: str) -> None:
        path = root / role / "a.tif"
        write_array(path, read(path) // 2, overwrite=True)

    with pytest.raises(InputError, match=f"{role}/a.tif: has changed while it was read: nothing is written"):
        harmonise_root(root, tmp_path / "even", ["flooded"], progress=change)
    assert [one.name for one in tmp_path.iterdir()] == ["root"]
