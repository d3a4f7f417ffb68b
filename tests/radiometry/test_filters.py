"""Speckle filters: against naive loops in float64, on homogeneous and on structured images, and in tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from saropt.radiometry import FILTERS, edge_preservation, equivalent_looks
from saropt.radiometry.filters import frost, gamma_map, lee, ppb, refined_lee

LOOKS = 4.0


def speckled(shape, seed=0, level=1.0):
    return level * np.random.default_rng(seed).standard_gamma(LOOKS, shape) / LOOKS


@pytest.fixture(scope="module")
def stepped():
    clean = np.ones((40, 44))
    clean[:, 20:] = 6.0
    clean[25:] *= 3.0
    return clean * speckled(clean.shape, 1)


def some_valid(shape):
    valid = np.random.default_rng(7).random(shape) > 0.3
    valid[6:12, 5:11] = False
    return valid


def windows(image, side):
    padded = np.pad(image, side // 2, mode="reflect")
    for row in range(image.shape[0]):
        for col in range(image.shape[1]):
            yield row, col, padded[row : row + side, col : col + side]


def mmse(pixel, values):
    mean, variance = values.mean(), values.var()
    signal = max(variance - mean**2 / LOOKS, 0.0) / (1 + 1 / LOOKS)
    return mean + signal / variance * (pixel - mean)


@pytest.mark.parametrize("mask", [np.ones, some_valid])
def test_lee_is_the_naive_loop(stepped, mask):
    valid, expected = mask(stepped.shape) > 0, np.empty_like(stepped)
    for (row, col, window), (*_, known) in zip(windows(stepped, 7), windows(valid, 7), strict=True):
        expected[row, col] = mmse(stepped[row, col], window[known])
    np.testing.assert_allclose(lee(stepped, LOOKS, valid=valid)[valid], expected[valid], rtol=1e-9)


def test_gamma_map_is_the_naive_loop(stepped):
    expected = np.empty_like(stepped)
    for row, col, window in windows(stepped, 7):
        pixel, mean, squared = stepped[row, col], window.mean(), window.var() / window.mean() ** 2
        if squared <= 1 / LOOKS:
            expected[row, col] = mean
        elif squared >= 2 / LOOKS:
            expected[row, col] = pixel
        else:
            alpha = (1 + 1 / LOOKS) / (squared - 1 / LOOKS)
            # the positive root of alpha x^2 / mean + (1 + L - alpha) x - L y = 0
            roots = np.roots([alpha / mean, 1 + LOOKS - alpha, -LOOKS * pixel])
            expected[row, col] = roots.max()
    np.testing.assert_allclose(gamma_map(stepped, LOOKS), expected, rtol=1e-8)


def test_frost_is_the_naive_loop(stepped):
    y, x = np.mgrid[-3:4, -3:4]
    expected = np.empty_like(stepped)
    for row, col, window in windows(stepped, 7):
        weights = np.exp(-2.0 * window.var() / window.mean() ** 2 * np.hypot(y, x))
        expected[row, col] = (weights * window).sum() / weights.sum()
    np.testing.assert_allclose(frost(stepped, LOOKS), expected, rtol=1e-9)


@pytest.mark.parametrize("mask", [np.ones, some_valid])
def test_refined_lee_is_the_naive_loop(stepped, mask):
    y, x = np.mgrid[-3:4, -3:4]
    halves = [(0, 1), (1, 0), (-1, 1), (-1, -1)]
    valid, expected = mask(stepped.shape) > 0, np.empty_like(stepped)
    for (row, col, window), (*_, known) in zip(windows(stepped, 7), windows(valid, 7), strict=True):
        if not valid[row, col]:
            continue
        box = {}
        for i, j in [(0, 0), *itertools.product((-1, 0, 1), repeat=2)]:
            part = np.s_[2 + 2 * i : 5 + 2 * i, 2 + 2 * j : 5 + 2 * j]
            box[i, j] = window[part][known[part]].mean() if known[part].any() else box[0, 0]
        gradients = []
        for dy, dx in halves:
            side = {s: [b for (i, j), b in box.items() if s * (dy * i + dx * j) > 0] for s in (1, -1)}
            gradients.append(abs(sum(side[1]) - sum(side[-1])))
        dy, dx = halves[int(np.argmax(gradients))]
        sign = 1 if abs(box[dy, dx] - box[0, 0]) <= abs(box[-dy, -dx] - box[0, 0]) else -1
        expected[row, col] = mmse(stepped[row, col], window[(sign * (dy * y + dx * x) >= 0) & known])
    found = refined_lee(stepped, LOOKS, valid=valid)
    valid[:5] = valid[-5:] = valid[:, :5] = valid[:, -5:] = False  # there the loop's boxes are of the mirrored image
    assert valid.sum() > 400
    np.testing.assert_allclose(found[valid], expected[valid], rtol=1e-8)


@pytest.mark.parametrize("mask", [np.ones, some_valid])
def test_ppb_is_the_naive_loop(mask):
    image = speckled((16, 17), 2)
    image[:, 8:] *= 5.0
    reach, edge = 2, 1
    from saropt.radiometry.filters import _similarity_scale

    h = _similarity_scale(LOOKS, 3, 0.92)
    valid, expected = mask(image.shape) > 0, np.empty_like(image)
    padded, known = (np.pad(part, reach + edge, mode="reflect") for part in (np.sqrt(image), valid))
    for row, col in np.argwhere(valid):
        i, j = row + reach + edge, col + reach + edge
        here = np.s_[i - 1 : i + 2, j - 1 : j + 2]
        weights, powers = [], []
        for dy, dx in itertools.product(range(-reach, reach + 1), repeat=2):
            if (dy or dx) and known[i + dy, j + dx]:
                there = np.s_[i + dy - 1 : i + dy + 2, j + dx - 1 : j + dx + 2]
                ratio = padded[here] / padded[there]
                pairs = np.log((ratio + 1 / ratio) / 2)[known[here] & known[there]]
                weights.append(np.exp(-(2 * LOOKS - 1) * pairs.mean() * 9 / h))
                powers.append(padded[i + dy, j + dx] ** 2)
        largest = max(weights)
        expected[row, col] = (np.dot(weights, powers) + largest * image[row, col]) / (sum(weights) + largest)
    found = ppb(image, LOOKS, search=5, patch=3, valid=valid)
    np.testing.assert_allclose(found[valid], expected[valid], rtol=2e-5)


@pytest.mark.parametrize("name", FILTERS)
def test_homogeneous_areas_become_smooth_and_keep_their_mean(name):
    image = speckled((128, 128), 3, level=0.05)
    assert equivalent_looks(image) == pytest.approx(LOOKS, rel=0.05)
    filtered = FILTERS[name].apply(image, LOOKS)
    assert equivalent_looks(filtered) > 10 * LOOKS
    assert filtered.mean() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("name", FILTERS)
def test_structure_survives(name):
    """Closer to the clean image than the speckled one is, with edges that follow it."""
    levels = np.random.default_rng(5).choice([0.02, 0.08, 0.3], (6, 6))
    clean = np.sqrt(np.kron(levels, np.ones((18, 18))))
    noisy = clean * np.sqrt(speckled(clean.shape, 6))
    filtered = np.sqrt(FILTERS[name].apply(noisy**2, LOOKS))
    assert np.abs(filtered - clean).mean() < 0.7 * np.abs(noisy - clean).mean()
    assert edge_preservation(filtered, clean) > 0.35
    assert edge_preservation(filtered, clean) > edge_preservation(uniform_filter(noisy**2, 7) ** 0.5, clean)
    assert edge_preservation(clean, clean) == pytest.approx(1.0)


@pytest.mark.parametrize("name", FILTERS)
def test_a_window_with_halo_is_the_whole(name):
    image = speckled((80, 80), 4)
    image[:, 30:] *= 4
    halo = FILTERS[name].halo
    whole = FILTERS[name].apply(image, LOOKS)
    part = FILTERS[name].apply(image[20 - halo : 60 + halo, 25 - halo : 50 + halo], LOOKS)
    np.testing.assert_array_equal(part[halo:-halo, halo:-halo], whole[20:60, 25:50])


@pytest.mark.parametrize("name", FILTERS)
def test_invalid_pixels_have_no_part(name, stepped):
    valid = some_valid(stepped.shape)
    found = FILTERS[name].apply(np.where(valid, stepped, 1e3), LOOKS, valid=valid)
    np.testing.assert_array_equal(found[valid], FILTERS[name].apply(stepped, LOOKS, valid=valid)[valid])
    whole = np.ones(stepped.shape, bool)
    np.testing.assert_array_equal(FILTERS[name].apply(stepped, LOOKS, valid=whole), FILTERS[name].apply(stepped, LOOKS))


@pytest.mark.parametrize("name", FILTERS)
def test_constant_and_zero_images_stay(name):
    for level in (0.0, 0.3):
        np.testing.assert_allclose(FILTERS[name].apply(np.full((32, 32), level), LOOKS), level, rtol=1e-5)


def test_bad_arguments():
    with pytest.raises(ValueError, match="odd"):
        lee(np.ones((9, 9)), 1.0, window=4)
    with pytest.raises(ValueError, match="half a look"):
        ppb(np.ones((9, 9)), 0.5)
