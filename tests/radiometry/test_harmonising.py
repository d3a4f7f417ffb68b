"""Gains and offsets between images, also where a band has one value."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.radiometry import ValueRule, gain_and_offset, is_flat, trimmed_gain_and_offset


def moments(*bands: np.ndarray) -> np.ndarray:
    return np.array([[band.mean() for band in bands], [(band * band).mean() for band in bands]])


@pytest.mark.parametrize("flat", [3000.3, 0.1, 0.0, 255.0])
def test_where_one_image_has_one_value_only_the_mean_is_matched(flat: float) -> None:
    varied, one = np.random.default_rng(0).uniform(0, 1000, 10_000), np.full(10_000, np.float32(flat), np.float64)
    for image, reference in ((varied, one), (one, varied), (one, one)):
        gain, offset = gain_and_offset(moments(image), moments(reference))
        assert gain.tolist() == [1.0]
        assert offset == pytest.approx([reference.mean() - image.mean()])
    assert is_flat(moments(varied, one)).tolist() == [False, True]


def test_small_values_that_differ_have_a_gain() -> None:
    image = np.random.default_rng(0).uniform(0.0, 1e-3, 1000)
    gain, offset = gain_and_offset(moments(image), moments(3.0 * image + 0.5))
    assert (gain, offset) == (pytest.approx([3.0]), pytest.approx([0.5]))


def test_a_trimmed_fit_to_one_value_keeps_the_contrast() -> None:
    image = np.random.default_rng(0).uniform(0, 1000, (1, 10_000))
    assert trimmed_gain_and_offset(image, np.full_like(image, 3000.0))[0].tolist() == [1.0]


def test_computed_reflectance_stays_measured() -> None:
    rule = ValueRule.of("reflectance x 10000", "int16").with_fill(0.0, all_bands=True)
    values = np.array([[-9000.0, 0.0, 0.0, 40000.0], [5.0, 0.0, 7.0, 8.0]])
    kept = rule.kept_measured(values)
    assert kept.tolist() == [[-5000.0, 1.0, 0.0, 32767.0], [5.0, 1.0, 7.0, 8.0]]
    assert rule.measured(kept).all()
    assert ValueRule.of("uint8", "uint8").kept_measured(np.array([[-3.0, 300.0]])).tolist() == [[0.0, 255.0]]
    assert ValueRule.of("a publisher's own", "float32").kept_measured(values).tolist() == values.tolist()
