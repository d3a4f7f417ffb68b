from __future__ import annotations

import numpy as np
import pytest
from skimage.exposure import match_histograms

from saropt.evaluation import BASELINES, HistogramMatch, ImageMeanOracle, Linear, TrainMean, fit_all


def test_train_mean_weighs_pixels_not_images() -> None:
    small = (np.zeros((1, 1, 2)), np.full((2, 1, 2), 0.2), None)
    large = (np.zeros((1, 2, 4)), np.stack([np.full((2, 4), 0.7), np.full((2, 4), 0.2)]), None)
    predicted = TrainMean().fit([small, large]).predict(np.zeros((1, 3, 5)), np.zeros((2, 3, 5)))
    assert predicted.shape == (2, 3, 5)
    assert predicted[0] == pytest.approx(0.6)
    assert predicted[1] == pytest.approx(0.2)


def test_masked_pixels_are_not_fitted() -> None:
    target = np.array([[[0.4, np.nan], [0.4, 1.0]]])
    valid = np.array([[True, False], [True, False]])
    assert TrainMean().fit([(np.zeros((1, 2, 2)), target, valid)]).colour == pytest.approx([0.4])


def test_linear_finds_the_exact_map() -> None:
    random = np.random.default_rng(0)
    weights, constant = np.array([[0.3, 0.1], [-0.2, 0.4], [0.0, 0.5]]), np.array([0.2, 0.3, 0.1])

    def pair() -> tuple[np.ndarray, np.ndarray, None]:
        source = random.random((2, 9, 8))
        return source, np.tensordot(weights, source, 1) + constant[:, None, None], None

    fit = Linear().fit([pair() for _ in range(4)])
    assert fit.weights == pytest.approx(weights, abs=1e-10)
    assert fit.constant == pytest.approx(constant, abs=1e-10)
    source, target, _ = pair()
    assert fit.predict(source, target) == pytest.approx(target, abs=1e-10)


def test_linear_of_a_constant_input_is_the_train_mean() -> None:
    random = np.random.default_rng(0)
    pairs = [(np.full((1, 5, 5), 0.5), random.random((3, 5, 5)), None) for _ in range(3)]
    assert Linear().fit(pairs).predict(*pairs[0][:2]) == pytest.approx(TrainMean().fit(pairs).predict(*pairs[0][:2]))


def test_histogram_match_is_scikit_images() -> None:
    random = np.random.default_rng(0)
    source = random.integers(0, 256, (1, 64, 64)) / 255
    target = np.stack([random.beta(2, 5, (64, 64)), random.beta(4, 2, (64, 64))])
    target = np.rint(target * 255) / 255
    predicted = HistogramMatch().fit([(source, target, None)]).predict(source, target)
    for band, truth in zip(predicted, target, strict=True):
        assert band == pytest.approx(match_histograms(source[0], truth), abs=1e-9)
        assert np.quantile(band, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(truth, [0.1, 0.5, 0.9]), abs=0.02)


def test_histogram_match_is_monotone_over_all_levels() -> None:
    random = np.random.default_rng(1)
    pairs = [(random.random((2, 20, 20)), random.random((3, 20, 20)), None) for _ in range(3)]
    fit = HistogramMatch().fit(pairs)
    ramp = np.linspace(0, 1, 999).reshape(1, 1, 999)
    assert (np.diff(fit.predict(ramp, ramp), axis=-1) >= 0).all()


def test_oracle_is_each_tiles_own_mean_colour() -> None:
    target = np.array([[[0.2, 0.4], [9.0, 0.6]], [[1.0, 0.0], [9.0, 0.5]]])
    valid = np.array([[True, True], [False, True]])
    predicted = ImageMeanOracle().fit([]).predict(np.zeros((1, 2, 2)), target, valid)
    assert predicted[0] == pytest.approx(0.4)
    assert predicted[1] == pytest.approx(0.5)


def test_one_pass_fits_all_as_each_alone() -> None:
    random = np.random.default_rng(2)
    pairs = [(random.random((1, 6, 6)), random.random((2, 6, 6)), None) for _ in range(3)]
    together = [kind() for kind in BASELINES]
    fit_all(together, iter(pairs))
    for baseline in together:
        alone = type(baseline)().fit(pairs)
        assert (alone.predict(*pairs[0][:2]) == baseline.predict(*pairs[0][:2])).all()
    assert [b.name for b in together] == ["train_mean", "copy_input", "linear", "histogram_match", "image_mean_oracle"]


@pytest.mark.parametrize("kind", [TrainMean, Linear, HistogramMatch])
def test_nothing_to_fit_on_is_refused(kind: type[TrainMean]) -> None:
    with pytest.raises(ValueError, match="no valid pixel to fit on"):
        kind().fit([(np.zeros((1, 2, 2)), np.zeros((3, 2, 2)), np.zeros((2, 2), bool))])
