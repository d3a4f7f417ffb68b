"""Two dates of one place: what changed is known exactly, and nothing else changes but the season."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from saropt.cli import main
from saropt.errors import InputError
from saropt.roots import DataRoot
from saropt.roots.simulated_dates import write_simulated_dates
from saropt.simulate import DatesConfig, SceneConfig, simulate_dates

STILL = DatesConfig("autumn", 0.0, 0.0, 0.0, 0.0, 0.0)


def test_where_nothing_happens_the_optical_images_are_equal() -> None:
    two = simulate_dates(128, seed=3, dates=STILL)
    assert not two.change.any()
    assert np.array_equal(two.optical, two.optical_before)
    assert not np.array_equal(two.sigma0, two.sigma0_before)
    ratio_db = 10 * np.log10(two.sigma0.mean() / two.sigma0_before.mean())
    assert abs(ratio_db) < 0.2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_changes_are_where_the_mask_says(seed: int) -> None:
    two = simulate_dates(192, seed=seed, dates=DatesConfig("autumn", 0.3, 0.2, 0.2, 0.0, 0.0))
    moved = np.abs(two.optical - two.optical_before).max(axis=0) > 0.02
    from scipy import ndimage

    near = ndimage.binary_dilation(two.change > 0, iterations=3)
    assert not moved[~near].any()
    flooded = two.change == 3
    assert 0.05 < flooded.mean() < 0.35
    dry = (two.change == 0) & ~near
    assert 10 * np.log10(two.sigma0[0][flooded].mean() / two.sigma0_before[0][flooded].mean()) < -3
    assert abs(10 * np.log10(two.sigma0[0][dry].mean() / two.sigma0_before[0][dry].mean())) < 1
    assert two.optical[3][flooded].mean() < 0.25 < two.optical_before[3][flooded].mean()


def test_sar_without_speckle_differs_only_where_the_mask_says() -> None:
    from scipy import ndimage

    still = SceneConfig(speckle=False, noise_floor_db=None)
    two = simulate_dates(256, seed=3, config=still, dates=DatesConfig("autumn", 0.2, 0.05, 0.1, 0.0, 0.0))
    near = ndimage.binary_dilation(two.change > 0, iterations=12)
    assert np.array_equal(two.sigma0[:, ~near], two.sigma0_before[:, ~near])
    built = two.change == 2
    assert built.any()
    assert not np.isclose(two.sigma0[:, built], two.sigma0_before[:, built]).any()


def test_clouds_and_gaps_cover_their_share() -> None:
    two = simulate_dates(256, seed=1, dates=DatesConfig("autumn", 0.0, 0.0, 0.0, 0.3, 0.1))
    assert 0.25 < two.clouded.mean() < 0.6
    assert 0.05 < two.missing.mean() < 0.15
    clear = ~two.clouded
    assert np.abs(two.optical - two.optical_before)[:, clear].max() < 0.2


def test_vegetation_is_bright_in_the_near_infrared_and_water_dark() -> None:
    two = simulate_dates(256, seed=0, dates=STILL)
    red, near_infrared = two.optical[0], two.optical[3]
    forest, water = two.label == 2, two.label == 1
    assert near_infrared[forest].mean() > 1.5 * red[forest].mean()
    assert near_infrared[water].mean() < red[water].mean()


def test_a_root_of_two_dates(tmp_path) -> None:
    command = f"data simulate {tmp_path / 'root'} --scenes 1,1,1 --size 64 --units sigma0_db --earlier summer"
    assert main([*command.split(), "--flood", "0.2", "--gaps", "0.2"]) == 0
    root = DataRoot.open(tmp_path / "root")
    assert root.images["optical_reference"].bands == ("B4", "B3", "B2", "B8")
    assert root.classes[3] == "flooded"
    with rasterio.open(root.raster("optical_reference", "train_000")) as before:
        assert before.nodata == 0
        assert before.tags()["ACQUISITION_DATE"] < "2026-08"
    with rasterio.open(root.raster("label", "train_000")) as label:
        assert set(np.unique(label.read())) <= {0, 1, 2, 3}


def test_wind_makes_water_bright(tmp_path) -> None:
    """All of the scene is water; VV follows wind and incidence angle of the command line."""
    means = []
    for name, options in (("calm", ""), ("windy", "--wind 12"), ("flat", "--wind 12 --incidence 45")):
        command = f"data simulate {tmp_path / name} --scenes 1,0,0 --size 64 --units sigma0_db --water 1 {options}"
        assert main(command.split()) == 0
        with rasterio.open(DataRoot.open(tmp_path / name).raster("sar", "train_000")) as sar:
            means.append(sar.read(1).mean())
    calm, windy, flat = means
    assert windy > calm + 6.0
    assert windy > flat + 2.0
    assert main(["data", "simulate", str(tmp_path / "gale"), "--wind", "40"]) == 2
    assert main(["data", "simulate", str(tmp_path / "flood"), "--water", "1.5"]) == 2


def test_bad_arguments(tmp_path, capsys) -> None:
    with pytest.raises(ValueError, match="flooded is a share"):
        DatesConfig(flooded=1.5)
    with pytest.raises(InputError, match="SAR must be"):
        write_simulated_dates(tmp_path / "root", bands=("HH",))
    assert main(["data", "simulate", str(tmp_path / "root"), "--flood", "0.2"]) == 2
    assert "need --earlier" in capsys.readouterr().err
    for alone in ("--misregistration-test", "--misregistration-subpixel"):
        assert main(["data", "simulate", str(tmp_path / "root"), alone]) == 2
        assert "need --misregistration" in capsys.readouterr().err
    assert main(["data", "simulate", str(tmp_path / "root"), "--earlier", "monsoon"]) == 2
    with pytest.raises(ValueError, match="size"):
        simulate_dates(8, 0, config=SceneConfig())
