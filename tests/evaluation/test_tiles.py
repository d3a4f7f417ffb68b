from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation_roots import make_model, make_root, run

from saropt.errors import InputError
from saropt.evaluation import stream_tiles, tile_windows
from saropt.evaluation.tiles import Pixels, open_rasters
from saropt.radiometry import to_unit_range
from saropt.roots import DataRoot
from saropt.scenes import Scene, Window, write_array


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((512, 512), [(0, 0, 256, 256), (0, 256, 256, 256), (256, 0, 256, 256), (256, 256, 256, 256)]),
        ((600, 300), [(0, 0, 256, 256), (256, 0, 256, 256)]),
        ((224, 224), [(0, 0, 224, 224)]),
        ((100, 520), [(0, 0, 100, 256), (0, 256, 100, 256)]),
        ((1, 1), [(0, 0, 1, 1)]),
    ],
)
def test_tile_windows(shape: tuple[int, int], expected: list[tuple[int, int, int, int]]) -> None:
    assert [(w.row, w.col, w.height, w.width) for w in tile_windows(*shape)] == expected


@pytest.mark.parametrize(
    ("value", "units", "dtype", "expected"),
    [
        (51.0, "amplitude", "uint8", 0.2),
        (255.0, "uint8", "uint8", 1.0),
        (51.0, "uint8", "float32", 0.2),
        (-12.5, "sigma0_db", "float32", 0.5),
        (-80.0, "gamma0_db", "float32", 0.0),
        (1.0, "sigma0", "float32", 30 / 35),
        (1.0, "complex", "complex64", 30 / 35),
        (10 ** (-12.5 / 20), "amplitude", "float32", 0.5),
        (2500.0, "reflectance x 10000", "uint16", 0.25),
        (12000.0, "digital numbers x10000 (TOA or surface reflectance not stated)", "uint16", 1.0),
        (0.3, "reflectance", "float32", 0.3),
    ],
)
def test_unit_range(value: float, units: str, dtype: str, expected: float) -> None:
    assert to_unit_range(np.array([value]), units, dtype) == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize(
    ("value", "units", "message"),
    [(300.0, "amplitude", "amplitudes without calibration"), (1.0, "furlongs", "no fixed range .* 'furlongs'")],
)
def test_units_without_a_range_are_refused(value: float, units: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_unit_range(np.full(3, value), units, "uint16")


def test_stream_tiles_is_the_raster_cut(tmp_path) -> None:
    root = DataRoot.open(make_root(tmp_path, {"a": "test", "b": "test"}, (70, 64)))
    tiles = list(stream_tiles(root, root.names("test"), 32))
    assert [t.name for t in tiles] == ["a"] * 4 + ["b"] * 4
    with open_rasters(root, "b", ("sar", "optical")) as rasters:
        assert rasters.shape == (70, 64)
        whole = rasters.read(Window(0, 0, 70, 64)).images
    assert whole["sar"].values.shape == (1, 70, 64)
    for role in ("sar", "optical"):
        assert (tiles[7].images[role].values == whole[role].values[:, 32:64, 32:64]).all()
    assert tiles[7].valid.all()
    sar = next(stream_tiles(root, ["a"], 32, ["sar"]))
    assert list(sar.images) == ["sar"]


def test_an_error_of_units_names_its_source() -> None:
    pixels = Pixels(np.full((1, 2, 2), 300.0), np.ones((2, 2), bool), "amplitude", ("VH",), np.dtype("uint16"))
    with pytest.raises(InputError, match="raster a: amplitudes without calibration"):
        pixels.in_unit_range("raster a")


def test_rasters_that_do_not_fit_are_refused(tmp_path) -> None:
    path = make_root(tmp_path, {"a": "test"}, (40, 40))
    root = DataRoot.open(path)
    write_array(path / "sar" / "a.tif", np.zeros((1, 40, 41), np.uint8), overwrite=True)
    with pytest.raises(InputError, match=r"a\.tif: SAR and optical are not on one grid: 41x40 and 40x40"):
        next(stream_tiles(root, ["a"]))
    write_array(path / "sar" / "a.tif", np.zeros((2, 40, 40), np.uint8), overwrite=True)
    with pytest.raises(InputError, match=r"has 2 bands, dataset\.yaml says VH"):
        next(stream_tiles(root, ["a"]))


@pytest.mark.parametrize(("dtype", "warned"), [("uint8", False), ("float32", True)])
def test_truth_and_output_of_one_name_and_two_scales_are_told(dtype: str, warned: bool, tmp_path: Path) -> None:
    """Amplitude of 8 bits and calibrated amplitude are brought to [0, 1] by other rules."""
    path = make_root(tmp_path, {"t": "train", "a": "test"})
    for name in ("t", "a"):
        with Scene.open(path / "sar" / f"{name}.tif") as scene:
            pixels = scene.read()[0]
        values = pixels.astype(dtype) if dtype == "uint8" else (pixels / 255).astype(dtype)
        write_array(path / "sar" / f"{name}.tif", values, overwrite=True)
    model = make_model("model", lambda optical: optical[:1], "opt2sar")
    report = run([model], path, tmp_path / "out", baselines=False)
    warnings = report["models"][0]["directions"]["opt2sar"]["warnings"]
    assert any("each is scaled by its own range" in line for line in warnings) == warned
