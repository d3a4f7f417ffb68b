"""Noise as a function of seed, band and position."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from saropt.radiometry import position_noise


@pytest.mark.parametrize("place", [(0, 0), (13, 40), (-7, -30), (1 << 33, 5)])
def test_windows_see_the_same_noise_at_the_same_pixel(place):
    row, col = place
    whole = position_noise(3, 4, row, col, 40, 50)
    part = position_noise(3, 2, row + 11, col + 20, 9, 7, first_band=1)
    assert np.array_equal(part, whole[1:3, 11:20, 20:27])


def test_by_the_definition():
    """One pixel, by SplitMix64 in Python's own integers."""

    def mixed(state: int) -> int:
        state = (state * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        return state ^ state >> 31

    state = mixed(mixed(mixed(mixed(9) + 2) + (-5 % 2**64)) + 17)
    expected = stats.norm.ppf(((state >> 32) + 0.5) / 2**32)
    assert position_noise(9, 3, -5, 17, 1, 1)[2, 0, 0] == np.float32(expected)


def test_it_is_normal_and_independent():
    noise = position_noise(0, 3, 0, 0, 300, 300)
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    others = [
        noise[:, 1:, :][..., :299],
        noise[:, :299, 1:],
        np.roll(noise, 1, axis=0)[:, :299, :299],
        position_noise(1, 3, 0, 0, 299, 299),
        noise.transpose(0, 2, 1)[:, 1:, :299],
    ]
    for other in others:
        here = noise[:, :299, :299]
        assert not np.array_equal(here, other)
        assert abs(np.corrcoef(here.ravel(), other[:, :299, :299].ravel())[0, 1]) < 0.01
        assert abs(np.corrcoef(np.square(here).ravel(), np.square(other[:, :299, :299]).ravel())[0, 1]) < 0.01


def test_seeds_and_bands_do_not_repeat_each_other():
    first = position_noise(0, 6, 0, 0, 8, 8)
    second = position_noise(1, 6, 0, 0, 8, 8)
    assert not any(np.array_equal(a, b) for a in first for b in second)
