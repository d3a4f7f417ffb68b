"""The trivial baselines on the real test data, against figures measured independently of this package."""

from __future__ import annotations

from pathlib import Path

import pytest

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "s1s2-losangeles"

# (PSNR, SSIM, MAE) by scikit-image and numpy over 96 tiles of 256x256, train split of 33 fragments.
EXPECTED = {
    "val": {
        "train_mean": (16.630, 0.2412, 0.1177),
        "linear": (16.383, 0.2164, 0.1211),
        "image_mean_oracle": (17.387, 0.2437, 0.1068),
    },
    "test": {
        "train_mean": (15.695, 0.3200, 0.1406),
        "linear": (15.496, 0.2857, 0.1443),
        "image_mean_oracle": (18.493, 0.3342, 0.0928),
    },
}


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the data set s1s2-losangeles is not beside the repository")
@pytest.mark.parametrize("split", ["val", "test"])
def test_baselines_of_losangeles(tmp_path: Path, split: str) -> None:
    from evaluation_roots import make_model, run

    grey = make_model("grey", lambda v: v.repeat(3, 0))
    report = run([grey], DATA, tmp_path, split=split, html=False)
    assert (report["n"], report["skipped"]) == (96, 0)
    for name, (psnr, ssim, mae) in EXPECTED[split].items():
        scores = report["baselines"]["sar2opt"][name]
        assert scores["psnr"] == pytest.approx(psnr, abs=6e-4), name
        assert scores["ssim"] == pytest.approx(ssim, abs=6e-5), name
        assert scores["mae"] == pytest.approx(mae, abs=6e-5), name
    assert report["models"][0]["directions"]["sar2opt"]["collapse_ratio"] == 0
