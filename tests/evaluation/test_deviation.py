"""Deviation of samples against their error: the sums, and the way through `evaluate`."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_roots import make_model, make_root, run

from saropt.artifacts import SamplerCard
from saropt.errors import InputError, OptionError
from saropt.evaluation.deviation import DeviationQuality
from saropt.inference import Block, Translator
from saropt.roots import DataRoot
from saropt.scenes import Window


def test_correlations_by_numpy():
    rng = np.random.default_rng(0)
    quality = DeviationQuality(4, 1)
    pixels, blocks = [], []
    for height, width in ((24, 16), (19, 33)):
        deviation = rng.random((3, height, width))
        error = 0.5 * deviation + rng.random((3, height, width))
        valid = rng.random((height, width)) > 0.01
        quality.take(deviation, error, valid)
        pair = np.stack([deviation.mean(0), error.mean(0)])
        pixels.append(pair[:, valid])
        for row in range(0, height - 7, 8):
            for col in range(0, width - 7, 8):
                if valid[row : row + 8, col : col + 8].all():
                    blocks.append(pair[:, row : row + 8, col : col + 8].mean((1, 2)))
    found = quality.figures()["deviation"]
    together = np.concatenate(pixels, axis=1)
    assert found["samples"] == 4
    assert found["seed"] == 1
    assert found["correlation"] == pytest.approx(np.corrcoef(together)[0, 1])
    assert found["correlation_8px"] == pytest.approx(np.corrcoef(np.array(blocks).T)[0, 1])
    assert (found["mean_deviation"], found["mean_error"]) == pytest.approx(tuple(together.mean(1)))


def test_no_tiles_and_flat_deviation():
    empty = DeviationQuality(2, 0)
    assert np.isnan(empty.figures()["deviation"]["correlation"])
    empty.take(np.zeros((1, 8, 8)), np.ones((1, 8, 8)), np.ones((8, 8), bool))
    assert np.isnan(empty.figures()["deviation"]["correlation"])
    assert empty.figures()["deviation"]["mean_error"] == 1.0


SPLITS = {"t": "train", "a": "test", "b": "test"}


class Sampler(Translator):
    """A translator whose samples have the mean and the deviation that a function of the input says."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.sampler = SamplerCard(kind="euler", steps=1, noise_bands=1)
        self.asked = []

    def stream(self, reader, write, *, samples, seed):
        self.asked.append((samples, seed))
        values, valid = reader.source.read()
        products = {"image": np.repeat(values, 3, 0), "deviation": self.deviate(values)}
        write(Block(Window(0, 0, *valid.shape), products, valid, 0))


def sampler(name: str, deviate) -> Sampler:
    model = make_model(name, lambda values: np.repeat(values, 3, 0), kind=Sampler)
    model.deviate = deviate
    return model


def test_evaluate_asks_samplers_for_samples(tmp_path):
    path = make_root(tmp_path, SPLITS)
    truths = {name: np.asarray(read(path, name), np.float32) for name in ("a", "b")}

    def knowing(values):
        truth = next(truth for sar, truth in truths.values() if np.array_equal(sar[:1], values))
        return np.abs(np.repeat(values, 3, 0).astype(np.float32) - truth)

    models = [
        sampler("knows", knowing),
        sampler("flat", lambda values: np.full((3, 64, 64), 5.0)),
        make_model("plain", one),
    ]
    report = run(models, path, tmp_path / "out", tile=32, samples=6, seed=3)
    assert models[0].asked == [(6, 3)] * 2
    found = {entry["model"]: entry["directions"]["sar2opt"] for entry in report["models"]}
    assert "deviation" not in found["plain"]
    assert found["flat"]["deviation"]["correlation"] < 0.2
    knows = found["knows"]["deviation"]
    assert knows["mean_error"] == pytest.approx(found["knows"]["mae"], rel=1e-4)
    # what would lead below 0 or above 255 is cut off there, on one side only
    assert knows["correlation"] > 0.99
    assert knows["mean_deviation"] == pytest.approx(knows["mean_error"], rel=0.02)
    html = (tmp_path / "out" / "report.html").read_text()
    assert "6 samples" in html
    with pytest.raises(InputError, match="samples=2: plain has one output only: it draws no samples"):
        run([models[2]], path, tmp_path / "other", samples=2)
    with pytest.raises(InputError, match="samples=1: a deviation needs at least 2"):
        run([models[0]], path, tmp_path / "other", samples=1)


def test_the_seed_is_that_of_one_sample_and_of_speckle(tmp_path):
    path = make_root(tmp_path, SPLITS)
    model = sampler("draws", lambda values: np.full((3, 64, 64), 5.0))
    report = run([model], path, tmp_path / "one", tile=32, seed=3)
    assert model.asked == [(None, 3)] * 2
    assert report["models"][0]["directions"]["sar2opt"]["seed"] == 3
    model.sampler, model.speckle, model.asked = None, 4.0, []
    report = run([model], path, tmp_path / "two", tile=32, seed=7)
    assert model.asked == [(None, 7)] * 2
    assert report["models"][0]["directions"]["sar2opt"]["seed"] == 7
    assert "draws, speckle of 4 looks" in (tmp_path / "two" / "report.html").read_text()


def test_signed_errors(tmp_path):
    path = make_root(tmp_path, SPLITS)
    report = run([make_model("plain", one)], path, tmp_path / "out", tile=32)
    found = report["models"][0]["directions"]["sar2opt"]["bias_per_band"]
    truth = np.stack([read(path, name)[1] for name in ("a", "b")]) / 255
    assert list(found.values()) == pytest.approx((1 / 255 - truth).mean((0, 2, 3)).tolist(), abs=1e-5)


def one(values):
    return np.ones((3, *values.shape[1:]), np.uint8)


def read(path, name):
    """SAR and optical pixels of a NAME, with as many bands."""
    from saropt.scenes import Scene

    root = DataRoot.open(path)
    pictures = []
    for file in (root.raster("sar", name), root.raster("optical", name)):
        with Scene.open(file) as scene:
            pictures.append(scene.read()[0])
    return np.stack([np.repeat(pictures[0], 3, 0), pictures[1]])


def test_the_deviation_is_calibrated_over_scenes() -> None:
    """Errors are normal with twice the deviation, so that 1.645 x 2 deviations hold 90 % of them; the finite number of
    scenes asks for a little more."""
    rng = np.random.default_rng(4)
    quality = DeviationQuality(8, 0)
    valid = np.ones((64, 64), bool)
    for scene in range(30):
        deviation = rng.uniform(0.01, 0.1, (2, 64, 64))
        quality.take(deviation, np.abs(rng.normal(0.0, 2.0 * deviation)), valid, f"scene {scene}")
    found = quality.figures()["deviation"]["calibration"]
    assert found["scenes"] == 30
    assert found["factor"] == pytest.approx([3.6, 3.6], abs=0.2)
    assert 0.90 < found["coverage"] < 0.95
    assert found["least_coverage"] > 0.88
    few = DeviationQuality(8, 0)
    few.take(deviation, deviation, valid, "one")
    assert few.figures()["deviation"]["calibration"] == {}


def test_calibration_looks_at_all_tiles_of_a_scene():
    """The error of the later half of each scene's tiles is larger; it was left out of 90 %."""
    rng = np.random.default_rng(0)
    quality, inside, tiles = DeviationQuality(4, 0), [], []
    for scene in range(12):
        for tile in range(40):
            deviation = np.ones((1, 64, 64))
            error = np.abs(rng.normal(0.0, 5.0 if tile >= 20 else 1.0, deviation.shape))
            quality.take(deviation, error, np.ones((64, 64), bool), f"scene {scene}")
            tiles.append(error)
    found = quality.figures()["deviation"]["calibration"]
    inside = np.mean(np.stack(tiles) <= found["factor"][0])
    assert found["coverage"] == pytest.approx(inside, abs=0.02)
    assert inside >= 0.9


def test_a_seed_of_models_that_draw_nothing_is_refused(tmp_path):
    with pytest.raises(OptionError, match="no model draws samples or speckle"):
        run([make_model("plain", lambda sar: np.repeat(sar, 3, 0))], make_root(tmp_path, SPLITS), tmp_path, seed=5)
