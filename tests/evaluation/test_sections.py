"""The sections of a report: matching, errors by class, speckle, loss curves."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaluation_roots import make_model, make_root, run
from scipy import ndimage

from saropt.errors import InputError
from saropt.evaluation.curves import curve_charts, read_curves
from saropt.evaluation.matching import draw_matches
from saropt.evaluation.speckle import SpeckleStatistics, neighbour_correlation
from saropt.evaluation.tiles import Pixels
from saropt.matching import RiftLike, Sift
from saropt.matching.rates import PairMatches
from saropt.radiometry import speckle_gain_db
from saropt.scenes import write_array

SPLITS = {"a": "train", "b": "test"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path, SPLITS, (128, 128))


def rewrite(root: Path, side: str, values: np.ndarray) -> None:
    write_array(root / side / "b.tif", values.astype(np.uint8), overwrite=True)


def blobs(seed: int, bands: int) -> np.ndarray:
    from scipy import ndimage

    image = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(128, 128)), 2)
    grey = np.interp(image, (image.min(), image.max()), (1, 255))
    return np.repeat(np.rint(grey)[None], bands, axis=0)


def test_matching_rates(root: Path, tmp_path: Path) -> None:
    """A model that gives the truth matches it; one that gives something else does not, and nor does the raw input."""
    truth = blobs(1, 3)
    rewrite(root, "optical", truth)
    rewrite(root, "sar", blobs(2, 1))
    models = [make_model("right", lambda sar: truth), make_model("wrong", lambda sar: blobs(3, 3))]
    report = run(models, root, tmp_path / "out", matchers=[Sift(), RiftLike(48)])
    found = report["matching"]["sar2opt"]
    for matcher in ("sift", "rift-like"):
        right, wrong = (found["models"][name][matcher] for name in ("right", "wrong"))
        assert right["ir_ed"] == right["ir"] == 1.0
        assert right["pmr"] > 0.9
        assert right["tiles"] == wrong["tiles"] == found["raw"][matcher]["tiles"] == 1
        assert wrong["ir_ed"] < 0.2
        assert found["raw"][matcher]["ir_ed"] < 0.2
    assert "putative" in report["conventions"]["matching"]
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count('alt="Matches in b"') == 2
    assert "untranslated input" in html


def test_without_matchers_nothing_is_matched(root: Path, tmp_path: Path) -> None:
    report = run([make_model("m", lambda sar: np.repeat(sar, 3, 0))], root, tmp_path / "out")
    assert not {"matching", "classes", "speckle", "curves"} & set(report)


def test_the_drawing_shows_every_match() -> None:
    a = np.array([[10.0, 20.0], [30.0, 40.0]])
    found = PairMatches(5, a, a, np.array([True, False]), np.array([True, True]))
    picture = draw_matches(np.zeros((64, 64)), np.zeros((64, 64)), found)
    assert picture.shape == (128, 2 * (64 + 64 + 6), 3)
    assert picture[40, 100].tolist() == [60, 200, 90]
    assert picture[80, 100].tolist() == [225, 60, 50]


def test_errors_by_class(root: Path, tmp_path: Path) -> None:
    """Left half water, whose error is 30/255, right half land, exactly right; one column without label."""
    with (root / "dataset.yaml").open("a") as stream:
        stream.write("classes: {1: water, 2: land, 3: snow}\nignore_index: 0\n")
    (root / "label").mkdir()
    label = np.full((1, 128, 128), 2)
    label[:, :, :64], label[:, :, 10] = 1, 0
    rewrite(root, "label", label)
    truth = np.full((3, 128, 128), 100.0)
    rewrite(root, "optical", truth)
    output = truth.copy()
    output[:, :, :64] += 30
    report = run([make_model("m", lambda sar: output)], root, tmp_path / "out", baselines=False)
    found = report["classes"]["sar2opt"]
    assert found["pixels"] == {"water": 63 * 128, "land": 64 * 128, "snow": 0}
    assert found["mae"]["m"]["water"] == pytest.approx(30 / 255)
    assert found["mae"]["m"]["land"] == 0
    assert found["mae"]["m"]["snow"] is None
    assert "error by class" in (tmp_path / "out" / "report.html").read_text()


def test_rasters_without_labels_are_passed_over(root: Path, tmp_path: Path) -> None:
    with (root / "dataset.yaml").open("a") as stream:
        stream.write("classes: {1: water, 2: land}\n")
    (root / "label").mkdir()
    report = run([make_model("m", lambda sar: np.repeat(sar, 3, 0))], root, tmp_path / "out", baselines=False)
    assert "classes" not in report


def amplitude(looks: float, seed: int) -> np.ndarray:
    """(1, 128, 128) of speckle over even ground."""
    gain = speckle_gain_db((1, 128, 128), looks, np.random.default_rng(seed))
    return np.clip(np.rint(80 * 10 ** (gain / 20)), 1, 255)


def test_speckle(root: Path, tmp_path: Path) -> None:
    """ENL and variation of simulated speckle are the number of looks and its root's inverse; smoothing correlates."""
    rewrite(root, "sar", amplitude(4, 0))
    smooth = ndimage.uniform_filter(amplitude(4, 1)[0], 3)[None].round()
    models = [
        make_model("speckled", lambda optical: amplitude(4, 1), "opt2sar"),
        make_model("smooth", lambda optical: smooth, "opt2sar"),
    ]
    found = run(models, root, tmp_path / "out", baselines=False)["speckle"]["opt2sar"]
    assert found["real"]["enl"] == pytest.approx(4, rel=0.15)
    assert found["models"]["speckled"]["enl"] == pytest.approx(4, rel=0.15)
    assert found["real"]["variation"] == pytest.approx(0.5, abs=0.03)
    assert abs(found["models"]["speckled"]["autocorrelation"]) < 0.05
    assert found["models"]["smooth"]["enl_ratio"] > 4
    assert found["models"]["smooth"]["autocorrelation"] > 0.5
    assert found["tiles"] == 1


@pytest.mark.parametrize(("looks", "sigma_px"), [(1, 0.0), (4.4, 0.0), (4.4, 0.5), (4.4, 0.8), (20, 0.0)])
def test_true_sar_against_itself_has_the_ratio_one(looks: float, sigma_px: float) -> None:
    """Independent draws of one speckle, and of one whose neighbours correlate, as truth and output."""
    rng, section = np.random.default_rng(0), SpeckleStatistics()
    for _ in range(30):
        drawn = [ndimage.gaussian_filter(rng.gamma(looks, 1 / looks, (256, 256)), sigma_px) for _ in range(2)]
        truth, output = (
            Pixels(one[None], np.ones((256, 256), bool), "sigma0", ("VV",), np.dtype("float32")) for one in drawn
        )
        section.see("again", SimpleNamespace(truth=truth, output=output))
    assert section.summary()["models"]["again"]["enl_ratio"] == pytest.approx(1.0, abs=0.04)
    if not sigma_px:
        assert section.summary()["real"]["enl"] == pytest.approx(looks, rel=0.1)


def test_neighbours() -> None:
    board = np.indices((16, 16)).sum(0) % 2.0
    assert neighbour_correlation(board) == pytest.approx(-1)
    assert neighbour_correlation(np.ones((16, 16))) == 1.0


def test_loss_curves(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [{"step": step, "loss": float(step % 2), "<b>": 1.0} for step in range(1, 401)]
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, {"step": 400, "val/mae": 0.5}])
    )
    curves = read_curves(folder)
    assert set(curves) == {"loss", "val/mae", "<b>"}
    assert len(curves["loss"]["step"]) == 134
    assert curves["loss"]["step"][:2] == [3, 6]
    assert curves["loss"]["value"][:2] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert curves["val/mae"] == {"step": [400], "value": [0.5]}
    charts = dict(curve_charts({"m": curves, "n": {"loss": curves["loss"]}}, {"m": "s0", "n": "s1"}))
    assert charts["loss"].count("<polyline") == 2
    assert "<b>" not in charts["<b>"]
    model = make_model("m", lambda sar: np.repeat(sar, 3, 0))
    report = run([model], root, tmp_path / "out", runs={"m": folder})
    assert report["curves"]["m"]["val/mae"]["value"] == [0.5]
    assert "<h2>Training</h2>" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("text", ["{", '{"loss": 1}\n', "[1]\n", '{"step": 1, "loss": "x"}\n'])
def test_a_log_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(InputError, match="is no log of a training run"):
        read_curves(tmp_path)
