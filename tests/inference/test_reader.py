"""What a network is given of an input: its bands, its validity, and the medians of the whole scene."""

from __future__ import annotations

import numpy as np
import pytest

from saropt.artifacts import ImageCard
from saropt.inference.reader import TileReader
from saropt.inference.sources import ArraySource
from saropt.radiometry import DbClip, EightBit
from saropt.scenes import Window

SAR = {"role": "sar", "bands": ("VV", "VH"), "units": "sigma0_db", "dtype": "float32"}
SAR_CARD = ImageCard(**SAR, recipe=DbClip(-30.0, 0.0).to_dict(), partial=True, scene_median=True)
EARLIER = ImageCard(
    role="optical_reference",
    bands=("R", "G"),
    units="uint8",
    dtype="uint8",
    recipe=EightBit().to_dict(),
    optional=True,
    scene_median=True,
)


def decibels(height: int, width: int, bands: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-25, -5, (bands, height, width)).astype(np.float32)


def test_medians_are_those_of_the_whole_scene_in_every_window():
    height, width = 1400, 500
    earlier = np.full((2, height, width), 40, np.uint8)
    earlier[:, height * 2 // 5 :] = np.array([200, 120], np.uint8)[:, None, None]
    sources = {"sar": ArraySource(decibels(height, width)), "optical_reference": ArraySource(earlier)}
    reader = TileReader((SAR_CARD, EARLIER), sources)
    for row in (0, height - 32):
        given, _ = reader(Window(row, 64, 32, 32))
        assert given.shape == (2 + 2 + 2 + 1 + 2, 32, 32)
        for band, value in zip(given[-2:], (200, 120), strict=True):
            np.testing.assert_allclose(band, value / 127.5, rtol=1e-6)


def test_medians_look_at_valid_pixels_alone():
    earlier = np.full((2, 64, 64), 90, np.uint8)
    earlier[:, :40] = 255
    valid = np.ones((64, 64), bool)
    valid[:40] = False
    sources = {"sar": ArraySource(decibels(64, 64)), "optical_reference": ArraySource(earlier, valid)}
    given, _ = TileReader((SAR_CARD, EARLIER), sources)(Window(0, 0, 64, 64))
    np.testing.assert_allclose(given[-2:], 90 / 127.5, rtol=1e-6)
    assert not given[-5:-3, :40].any()


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_missing_has_no_median(place):
    values = decibels(64, 64, bands=1)
    given, _ = TileReader((SAR_CARD, EARLIER), {"sar": ArraySource(values)}, places={"sar": [place]})(
        Window(0, 0, 64, 64)
    )
    level = 1 + np.median(values) / 15 + 1
    np.testing.assert_allclose(given[2 + place], level, atol=1e-3)
    assert not given[2 + (1 - place)].any()
    assert not given[4:].any()
