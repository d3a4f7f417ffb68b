"""What a suite by polarisation asks of its data."""

from __future__ import annotations

import pytest

from saropt.benchmark import load_suite, run_suite
from saropt.errors import InputError
from saropt.roots.simulated import write_simulated_root


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
