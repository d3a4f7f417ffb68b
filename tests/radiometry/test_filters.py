"""Speckle filters: against naive loops in float64, on homogeneous and on structured images, and in tiles."""

from __future__ import annotations

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


def windows(image, side):
    padded = np.pad(image, side // 2, mode="reflect")
    for row in range(image.shape[0]):
        for col in range(image.shape[1]):
            yield row, col, padded[row : row + side, col : col + side]


def mmse(pixel, values):
    mean, variance = values.mean(), values.var()
    signal = max(variance - mean**2 / LOOKS, 0.0) / (1 + 1 / LOOKS)
    return mean + signal / variance * (pixel - mean)


def test_lee_is_the_naive_loop(stepped):
    expected = np.empty_like(stepped)
    for row, col, window in windows(stepped, 7):
        expected[row, col] = mmse(stepped[row, col], window)
    np.testing.assert_allclose(lee(stepped, LOOKS), expected, rtol=1e-9)


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


def test_refined_lee_is_the_naive_loop(stepped):
    y, x = np.mgrid[-3:4, -3:4]
    halves = [(0, 1), (1, 0), (-1, 1), (-1, -1)]
    expected = np.empty_like(stepped)
    for row, col, window in windows(stepped, 7):
        box = {
            (i, j): window[2 + 2 * i : 5 + 2 * i, 2 + 2 * j : 5 + 2 * j].mean() for i in (-1, 0, 1) for j in (-1, 0, 1)
        }
        gradients = []
        for dy, dx in halves:
            side = {s: [b for (i, j), b in box.items() if s * (dy * i + dx * j) > 0] for s in (1, -1)}
            gradients.append(abs(sum(side[1]) - sum(side[-1])))
        dy, dx = halves[int(np.argmax(gradients))]
        sign = 1 if abs(box[dy, dx] - box[0, 0]) <= abs(box[-dy, -dx] - box[0, 0]) else -1
        expected[row, col] = mmse(stepped[row, col], window[sign * (dy * y + dx * x) >= 0])
    inner = np.s_[5:-5, 5:-5]  # at the frame the loop's boxes are of the mirrored image
    np.testing.assert_allclose(refined_lee(stepped, LOOKS)[inner], expected[inner], rtol=1e-8)


def test_ppb_is_the_naive_loop():
    image = speckled((16, 17), 2)
    image[:, 8:] *= 5.0
    reach, edge = 2, 1
    from saropt.radiometry.filters import _similarity_scale

    h = _similarity_scale(LOOKS, 3, 0.92)
    padded = np.pad(np.sqrt(image), reach + edge, mode="reflect")
    expected = np.empty_like(image)
    for row in range(16):
        for col in range(17):
            i, j = row + reach + edge, col + reach + edge
            here = padded[i - 1 : i + 2, j - 1 : j + 2]
            weights, powers = [], []
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if dy or dx:
                        there = padded[i + dy - 1 : i + dy + 2, j + dx - 1 : j + dx + 2]
                        distance = (2 * LOOKS - 1) * np.log((here / there + there / here) / 2).sum()
                        weights.append(np.exp(-distance / h))
                        powers.append(padded[i + dy, j + dx] ** 2)
            total = np.dot(weights, powers) + max(weights) * image[row, col]
            expected[row, col] = total / (sum(weights) + max(weights))
    np.testing.assert_allclose(ppb(image, LOOKS, search=5, patch=3), expected, rtol=2e-5)


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


@pytest.mark.parametrize(("name", "naive"), [("lee", mmse), ("gamma-map", None), ("frost", None)])
def test_moments_are_those_of_the_valid_pixels(name, naive, stepped):
    valid = np.random.default_rng(7).random(stepped.shape) > 0.3
    spoilt = np.where(valid, stepped, 1e3)
    found = FILTERS[name].apply(spoilt, LOOKS, valid=valid)
    if naive is not None:
        expected = np.empty_like(stepped)
        masks = {(row, col): mask for row, col, mask in windows(valid, 7)}
        for row, col, window in windows(stepped, 7):
            expected[row, col] = naive(stepped[row, col], window[masks[row, col]])
        np.testing.assert_allclose(found[valid], expected[valid], rtol=1e-9)
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
