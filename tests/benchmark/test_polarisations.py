"""What a suite by polarisation asks of its data."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from saropt.benchmark import load_suite, run_suite
from saropt.benchmark.polarisations import with_other_band
from saropt.benchmark.suite import RunSpec
from saropt.errors import InputError
from saropt.evaluation.tiles import open_rasters
from saropt.roots import DataRoot
from saropt.roots.simulated import write_simulated_root
from saropt.scenes import Scene


def test_one_band_and_other_bands_are_refused(tmp_path):
    suite = load_suite("cran-polarisations")
    vv, dual = (
        write_simulated_root(tmp_path / "-".join(bands), scenes=(1, 1, 1), size=32, bands=bands)
        for bands in (("VV",), ("VV", "VH"))
    )
    with pytest.raises(InputError, match="the SAR images have VV only"):
        run_suite(suite, tmp_path / "out", vv)
    with pytest.raises(InputError, match="its data roots have VV and VV, VH"):
        run_suite(suite, tmp_path / "out", [dual, vv])
    with pytest.raises(InputError, match="needs a data root"):
        run_suite(suite.model_copy(update={"simulate": None}), tmp_path / "out")
    with pytest.raises(InputError, match="has no row CRAN, HH"):
        run_suite(suite, tmp_path / "out", only=["CRAN, HH"])


def test_another_band_is_read_by_its_place(tmp_path):
    root = DataRoot.open(write_simulated_root(tmp_path / "root", scenes=(1, 0, 1), size=32, bands=("VV", "VH")))
    run = RunSpec(name="", method="cran", config={"data": {"bands": {"sar": ["VV"]}}}, tested_on="VH")
    seen = with_other_band(root, run)
    (name,) = root.names("test")
    with Scene.open(root.raster("sar", name)) as scene:
        stored, _ = scene.read()
    assert scene.band_names == ["VV", "VH"]
    with open_rasters(seen, name, ["sar"]) as rasters, ExitStack() as stack:
        place = seen.image("sar").bands.index("VV")
        assert np.array_equal(rasters.source("sar", [place], stack).read()[0], stored[1:])
