"""What is kept of an image that is compared several times is what would be computed anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from saropt.evaluation import ImageQuality, Subject, Tile, metrics
from saropt.evaluation.extractors import HaarStatistics, Weights, haar
from saropt.evaluation.tile_image import TileImage


def images(shape: tuple[int, int, int] = (3, 192, 181)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A truth with even areas and one of two outputs in 8 bits; another output."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((shape[0], 12, 12)), np.ones((1, 16, 16)))[:, : shape[1], : shape[2]]
    truth = np.rint(255 * coarse) / 255
    noise = rng.normal(0, 0.1, shape) * (coarse > 0.3)
    output = np.rint(255 * np.clip(0.7 * truth + 0.1 + noise, 0, 1)) / 255
    return truth, output, rng.random(shape)


def holes(shape: tuple[int, ...]) -> np.ndarray:
    valid = np.ones(shape[1:], bool)
    valid[20:24, 30:90] = False
    return valid


class Counting(HaarStatistics):
    calls = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        return super().__call__(image)


@pytest.mark.parametrize("masked", [False, True])
def test_a_kept_truth_gives_the_same_numbers(masked: bool) -> None:
    truth, *outputs = images()
    valid = holes(truth.shape) if masked else None
    kept = TileImage(truth, valid)
    colour = np.broadcast_to(np.array([0.2, 0.4, 0.5])[:, None, None], truth.shape)
    source = truth[:1] / 2
    for output in (*outputs, colour):
        ours = ImageQuality(Subject("RGB")).add(Tile.of(output, source, kept))
        fresh = ImageQuality(Subject("RGB")).add(Tile.of(output, source, truth, valid))
        assert ours == pytest.approx(fresh, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("masked", [False, True])
def test_single_precision_is_as_good_as_double(masked: bool) -> None:
    truth, output, _ = images()
    valid = holes(truth.shape) if masked else None
    double = ImageQuality(Subject("RGB")).add(Tile.of(output, truth[:1], truth, valid))
    single = [image.astype(np.float32) for image in (output, truth[:1], truth)]
    found = ImageQuality(Subject("RGB")).add(Tile.of(*single, valid))
    assert found == pytest.approx(double, rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_colour_takes_a_short_way_to_the_same_numbers(dtype: type) -> None:
    truth = images()[0].astype(dtype)
    colour = np.full_like(truth, 0.25)
    nearly = colour.copy()
    nearly[:, 0, 0] += dtype(1e-6)
    flat, general = TileImage(colour), TileImage(nearly)
    assert flat.one_colour
    assert not general.one_colour
    reference = TileImage(truth)
    for metric in (metrics.structure, metrics.shift_tolerant):
        short, long = metric(flat, reference), metric(general, reference)
        assert list(vars(short).values()) == pytest.approx(list(vars(long).values()), abs=2e-6)


def test_features_of_the_truth_are_extracted_once() -> None:
    truth, *outputs = images()
    extractor, kept = Counting(), TileImage(truth)
    for output in outputs:
        ImageQuality(Subject("RGB", weights=Weights((extractor,)))).add(Tile.of(output, truth[:1], kept))
    assert extractor.calls == 1 + len(outputs)


def test_haar_step_against_a_loop() -> None:
    image = np.random.default_rng(0).random((2, 5, 7))
    mean, across, down, diagonal = haar(image)
    assert mean.shape == (2, 2, 3)
    for band in range(2):
        for row in range(2):
            for col in range(3):
                (a, b), (c, d) = image[band, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
                found = [part[band, row, col] for part in (mean, across, down, diagonal)]
                assert found == pytest.approx([(a + b + c + d) / 4, a - b + c - d, a + b - c - d, a - b - c + d])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_haar_moments_are_numpys(dtype: type) -> None:
    image = images((3, 64, 64))[1].astype(dtype)
    features = HaarStatistics()(image)
    flat = image.reshape(3, -1).astype(np.float64)
    assert features[:6] == pytest.approx(np.concatenate([flat.mean(1), flat.std(1)]), abs=1e-7)
    assert features[-3:] == pytest.approx(np.corrcoef(flat)[np.triu_indices(3, 1)], abs=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_a_metric_cannot_change_what_others_are_measured_on(masked: bool) -> None:
    truth, output, source = images()
    valid = holes(truth.shape) if masked else np.ones(truth.shape[1:], bool)
    maps = np.ones(truth.shape, np.float32)
    tile = replace(Tile.of(output, source, truth, valid), deviation=maps, half_width=maps.copy())
    assert tile.deviation is not None
    assert tile.half_width is not None
    arrays = [tile.source, tile.deviation, tile.half_width]
    for image in (tile.truth, tile.output):
        level = image.scale(1)
        arrays += [image.values, image.mask, image.means, image.centred, image.energy, *image.spectra]
        arrays += [image.interleaved, image.features(HaarStatistics())]
        arrays += [level.centred, level.drift, level.mean, level.spread]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array -= array
    truth -= truth  # the caller's own arrays stay as they were
    source -= source
