"""Distances between sets of images against closed forms, loops and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from saropt.errors import InputError
from saropt.evaluation import extractors as module
from saropt.evaluation.distributions import (
    SMALLEST_LPIPS_SIDE,
    Distribution,
    Draws,
    FeatureStatistics,
    MeanLpips,
    frechet_distance,
    kernel_distance,
)
from saropt.evaluation.extractors import HaarStatistics, check_hash, known_weights
from saropt.evaluation.metric import Tile
from saropt.evaluation.tile_image import TileImage
from saropt.evaluation.verdicts import verdicts


def stream(features: np.ndarray) -> FeatureStatistics:
    statistics = FeatureStatistics()
    for row in features:
        statistics.add(row)
    return statistics


def normal(n: int, d: int = 5, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ np.diag(np.arange(1, d + 1)) + shift


def test_streamed_moments_are_numpys():
    features = normal(57)
    statistics = stream(features)
    np.testing.assert_allclose(statistics.mean, features.mean(0))
    np.testing.assert_allclose(statistics.covariance, np.cov(features.T))


def test_frechet_distance_against_scipys_square_root():
    a, b = normal(60, seed=1), normal(80, seed=2, shift=0.5) @ np.triu(np.ones((5, 5)))
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert frechet_distance(stream(a), stream(b)) == pytest.approx(expected)


def test_frechet_distance_of_gaussians_in_closed_form():
    """One dimension: (m1 - m2)^2 + (s1 - s2)^2."""
    a, b = normal(50, 1), 3.0 * normal(50, 1, seed=4) + 2.0
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(stream(a), stream(b)) == pytest.approx(expected)


def test_the_mean_of_random_draws():
    """Each draw holds so many tiles, all equally likely; the mean of the distances against scipy's root by hand."""
    fake, real = normal(400, seed=3), normal(400, seed=4, shift=0.5)
    draws = Draws(draws=3, size=100)
    for number, pair in enumerate(zip(fake, real, strict=True)):
        if number < 100:
            assert draws.mean() is None
        draws.add(*pair)
    by_hand = []
    for drawn in draws._drawn:
        places = {tuple(pair[0]) for pair in drawn}
        assert len(places) == 100
        assert sum(tuple(row.astype(np.float32)) in places for row in fake[:100]) < 50, "a draw is no first hundred"
        a, b = (np.stack([pair[side] for pair in drawn]).astype(float) for side in (0, 1))
        root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
        by_hand.append(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root))
    assert draws.mean() == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert len(set(by_hand)) == 3


def test_equal_sets_have_no_distance_even_when_the_covariance_is_singular():
    a = stream(normal(4, 9))
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-4)


def test_kernel_distance_against_a_loop():
    a, b = normal(7, seed=1), normal(9, seed=2)

    def kernel(x, y):
        return (x @ y / 5 + 1) ** 3

    b = b[:7]
    within = sum(sum(kernel(s[i], s[j]) for i in range(7) for j in range(7) if i != j) / 42 for s in (a, b))
    across = np.mean([kernel(a[i], b[j]) for i in range(7) for j in range(7) if i != j])
    assert kernel_distance(stream(a), stream(b)) == pytest.approx(within - 2 * across)


@pytest.mark.parametrize("n", [50, 300])
def test_kernel_distance_of_pairs_is_unbiased(monkeypatch, n):
    """Translations that are distributed as the truths and resemble their own have no distance on average; the first
    number of `n` is below what is kept, the other above it."""
    monkeypatch.setattr("saropt.evaluation.distributions.KID_KEPT", 100)
    found = []
    for seed in range(40):
        truth, noise = normal(n, 16, seed), normal(n, 16, 1000 + seed)
        found.append(kernel_distance(stream(0.9 * truth + np.sqrt(1 - 0.81) * noise), stream(truth)))
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


def test_too_few_images_have_no_distance():
    one = stream(normal(1))
    assert np.isnan(frechet_distance(one, one))
    assert np.isnan(kernel_distance(one, one))
    assert np.isnan(kernel_distance(FeatureStatistics(), one))


def test_memory_does_not_grow(monkeypatch):
    monkeypatch.setattr("saropt.evaluation.distributions.KID_KEPT", 10)
    statistics = stream(np.arange(500.0)[:, None])
    assert len(statistics.sample) == 10
    assert statistics.sample.max() > 100, "the sample is of the whole stream, not of its beginning"


def image(seed: int, sharp: float = 1.0, size: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(0.4 + 0.1 * sharp * rng.standard_normal((3, size, size)), 0, 1)


def test_haar_features_see_sharpness_and_colour():
    extractor = HaarStatistics()
    plain = extractor(image(0))
    assert len(plain) == 3 * (2 + 3 * extractor.levels) + 3
    assert np.abs(extractor(image(1)) - plain)[:24].max() < 0.2
    assert np.abs(extractor(image(1, sharp=0.2)) - plain)[:24].max() > 0.5
    with pytest.raises(ValueError, match="too small"):
        extractor(np.zeros((1, 8, 8)))


def test_haar_detail_of_vertical_stripes():
    stripes = np.tile([0.0, 1.0], (1, 32, 16))
    features = HaarStatistics()(stripes)
    across, down, diagonal = features[2], features[3], features[4]
    assert across == pytest.approx(np.log10(0.5 + 1e-4))
    assert down == diagonal == pytest.approx(-4.0)


def test_a_distribution_knows_blur_from_another_sample():
    blurred, fresh = Distribution(HaarStatistics()), Distribution(HaarStatistics())
    for seed in range(40):
        real = TileImage(image(seed))
        blurred.add(TileImage(image(seed, sharp=0.3)), real)
        fresh.add(TileImage(image(1000 + seed)), real)
    far, near = blurred.summary(), fresh.summary()
    assert far["frechet_distance"] > 20 * near["frechet_distance"]
    assert near["frechet_distance"] < 3 * near["frechet_distance_floor"]
    assert set(far["frechet_distance_by_n"]) == {"16", "32"}
    assert far["n"] == 40
    assert "fid" not in far


def test_other_weights_than_the_published_are_refused(tmp_path):
    path = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    with pytest.raises(InputError, match="no such file"):
        check_hash(path)
    path.write_bytes(b"not these")
    with pytest.raises(InputError, match="not the published file"):
        check_hash(path)


def test_a_folder_without_known_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds neither"):
        known_weights(tmp_path)
    weights = known_weights(None)
    assert [extractor.name for extractor in weights.extractors] == ["haar-statistics-1"]
    assert weights.lpips is None


def test_lpips_tells_of_tiles_that_its_network_cannot_take():
    taken = []
    running = MeanLpips(lambda output, truth: taken.append(output.shape) or 0.25)
    assert np.isnan(running.figures()["lpips"])
    for height, width in ((64, 64), (31, 31), (30, 64), (64, 30)):
        running.add(Tile.of(np.zeros((3, height, width)), np.zeros((1, height, width)), np.ones((3, height, width))))
    assert taken == [(3, 64, 64), (3, 31, 31)]
    assert running.figures() == {"lpips": 0.25, "lpips_small_tiles": 2}
    assert verdicts({"psnr": 14.0, **running.figures()}, {}) == ["LPIPS is without 2 tiles too small for its network"]


@pytest.mark.slow
def test_lpips_runs_on_a_local_file_without_a_download(tmp_path, monkeypatch):
    """Random weights under the published name, the hash check set aside: the path from file to distance."""
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    monkeypatch.setattr(module, "check_hash", lambda path: None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), tmp_path / module.LPIPS_FILE)
    lpips = module.Lpips(tmp_path / module.LPIPS_FILE)
    assert lpips(image(0), image(0)) == 0.0
    assert lpips(image(0), image(1)) > 0.0
    assert lpips(image(0, size=SMALLEST_LPIPS_SIDE), image(1, size=SMALLEST_LPIPS_SIDE)) > 0.0
    assert np.isnan(lpips(np.zeros((2, 64, 64)), np.zeros((2, 64, 64))))


@pytest.mark.slow
def test_inception_runs_on_a_local_file_without_a_download(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    monkeypatch.setattr(module, "check_hash", lambda path: None)
    monkeypatch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    torch.save({}, tmp_path / module.INCEPTION_FILE)
    weights = module.known_weights(tmp_path)
    extractors = weights.extractors
    assert [extractor.name for extractor in extractors] == ["haar-statistics-1", "inception-2015-12-05"]
    features = extractors[1](image(0))
    assert features.shape == (2048,)
    assert np.isfinite(features).all()
    assert np.array_equal(extractors[1](image(0)), features)
    with pytest.raises(ValueError, match="one or three bands"):
        extractors[1](np.zeros((2, 64, 64)))
    weights.check(3, "sar2opt")
    with pytest.raises(InputError, match="takes one or three bands; the images of opt2sar have 2"):
        weights.check(2, "opt2sar")
