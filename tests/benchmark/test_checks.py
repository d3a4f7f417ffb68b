"""What a suite could not measure is told before it trains, with the remedy."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.benchmark import Suite, run_suite
from saropt.errors import InputError
from saropt.evaluation.extractors import INCEPTION_FILE
from saropt.scenes import write_array

TINY = {
    "arguments": {"network_arguments": {"width": 2}, "discriminator_width": 2},
    "data": {"crop": 64, "batch_size": 1, "recipes": {"sar": {"kind": "multiple_of_mean"}}},
    "engine": {"max_steps": 1, "validate_every": 0, "sample_every": 0, "ema": 0},
}


def suite(**changes) -> Suite:
    runs = [{"name": "CRAN", "method": "cran"}]
    return Suite(name="s", title="t", runs=runs, **{"base": TINY, "columns": ("psnr", "psnr.network"), **changes})


@pytest.fixture
def root(tmp_path):
    """Amplitudes as 16-bit digital numbers, and RGB."""
    random = np.random.default_rng(0)
    folder = tmp_path / "root"
    names = {"a": "train", "b": "val", "c": "test"}
    for role, shape, top, dtype in (("sar", (1, 64, 64), 900, np.uint16), ("optical", (3, 64, 64), 255, np.uint8)):
        (folder / role).mkdir(parents=True)
        for name in names:
            write_array(folder / role / f"{name}.tif", random.integers(1, top, shape).astype(dtype))
    (folder / "splits.csv").write_text("name,split\n" + "".join(f"{n},{s}\n" for n, s in names.items()))
    (folder / "dataset.yaml").write_text(
        "name: digital\ngsd_m: 1\nsar: {bands: [VV], units: amplitude}\noptical: {bands: [R, G, B], units: uint8}\n"
    )
    return folder


def declare(root, text: str) -> None:
    path = root / "dataset.yaml"
    path.write_text(path.read_text().replace("units: amplitude}", f"units: amplitude, range: {text}}}"))


def test_uncalibrated_amplitude_needs_a_declared_range(root, tmp_path):
    with pytest.raises(
        InputError, match=r"dataset.yaml: sar: amplitudes without calibration .*; state range: \[low, high\]"
    ):
        run_suite(suite(), tmp_path / "out", root, accelerator="cpu")
    assert not (tmp_path / "out" / "trainings").exists(), "nothing was trained"
    declare(root, "[0, 900]")
    table = run_suite(suite(), tmp_path / "out", root, accelerator="cpu")
    (row,) = [row for row in table.rows if row.kind == "method"]
    assert set(row.cells["opt2sar"]) >= {"psnr", "psnr.network"}
    assert row.cells["opt2sar"]["psnr"] != row.cells["opt2sar"]["psnr.network"]


@pytest.mark.parametrize("text", ["[5, 1]", "[0]", "[0, x]", "3", "[0, .inf]"])
def test_a_declared_range_must_be_one(root, tmp_path, text):
    declare(root, text)
    with pytest.raises(InputError, match=r"sar.range must hold the lowest and the highest value"):
        run_suite(suite(), tmp_path / "out", root)


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (("VV", "VH"), "data.bands: FID is of one or three bands, sar has VV, VH"),
        (("VV",), "is not the published file"),
    ],
)
def test_fid_is_refused_before_training(tmp_path, bands, message):
    (tmp_path / INCEPTION_FILE).write_bytes(b"no weights")
    simulated = suite(simulate={"scenes": (1, 1, 1), "size": 64, "units": "sigma0_db", "bands": bands})
    with pytest.raises(InputError, match=message):
        run_suite(simulated, tmp_path / "out", weights=tmp_path, accelerator="cpu")
    assert not (tmp_path / "out" / "trainings").exists()
