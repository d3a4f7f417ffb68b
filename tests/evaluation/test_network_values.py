"""Figures on network values, and the scales that figures are on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from saropt.artifacts import ImageCard
from saropt.evaluation.metric import Subject, Tile
from saropt.evaluation.network_values import NetworkValues, scale_of
from saropt.evaluation.section import TileView
from saropt.evaluation.tiles import Pixels


def card(units: str, dtype: str, recipe: dict, statistics: tuple[float, ...] = ()) -> ImageCard:
    role = "optical" if "reflectance" in units else "sar"
    return ImageCard(role=role, bands=("a",), units=units, dtype=dtype, recipe=recipe, statistics=statistics)


def view(output: np.ndarray, truth: np.ndarray, image: ImageCard) -> TileView:
    pixels = [Pixels(v, np.ones((32, 32), bool), image.units, ("a",), np.dtype(image.dtype)) for v in (output, truth)]
    in_range = [part.in_unit_range("test") for part in pixels]
    tile = Tile.of(in_range[0], in_range[1], in_range[1])
    return TileView(SimpleNamespace(scene="s"), None, tile, *pixels)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a.astype(float) - b) ** 2)))


def test_reflectances_have_eight_decibels_less_on_the_values_of_their_recipe():
    """20 log10(1 / .4): the same images on reflectance 0..1 and on 0..0.4."""
    random = np.random.default_rng(0)
    image = card("reflectance x 10000", "uint16", {"kind": "reflectance"})
    truth = random.integers(200, 3000, (1, 32, 32)).astype(np.uint16)
    output = (truth + random.integers(0, 500, truth.shape)).astype(np.uint16)
    section = NetworkValues({"m": (Subject(("a",)), image)})
    seen = view(output, truth, image)
    section.see("m", seen)
    found = section.summary()["m"]["psnr"]
    assert found == pytest.approx(psnr(output / 4000, truth / 4000), abs=1e-3)
    assert psnr(seen.tile.output.values, seen.tile.truth.values) - found == pytest.approx(20 * np.log10(2.5), abs=1e-3)


def test_sar_on_the_values_of_the_paper():
    """CRAN's eq. 5: x over three times the mean, clipped at 1."""
    random = np.random.default_rng(1)
    mean = 0.2
    image = card("sigma0_db", "float32", {"kind": "multiple_of_mean", "factor": 3.0}, (mean,))
    amplitude = random.rayleigh(0.16, (2, 1, 32, 32))
    output, truth = (20 * np.log10(amplitude)).astype(np.float32)
    section = NetworkValues({"m": (Subject(("a",)), image)})
    section.see("m", view(output, truth, image))
    by_hand = psnr(*np.minimum(amplitude / (3 * mean), 1.0))
    assert section.summary()["m"]["psnr"] == pytest.approx(by_hand, abs=1e-3)


def test_a_truth_in_other_units_is_passed_over():
    image = card("sigma0_db", "float32", {"kind": "db_clip"})
    section = NetworkValues({"m": (Subject(("a",)), image)})
    section.see(
        "m", view(np.full((1, 32, 32), 0.1), np.full((1, 32, 32), 0.1), card("sigma0", "float32", image.recipe))
    )
    assert section.summary() == {}


@pytest.mark.parametrize(
    ("image", "declared", "expected"),
    [
        (card("uint8", "uint8", {"kind": "eight_bit"}), None, ("0..255", "0..255")),
        (card("sigma0", "float32", {"kind": "multiple_of_mean"}), None, ("-30..5 dB", "0..3 times the mean")),
        (card("amplitude", "uint16", {"kind": "multiple_of_mean"}), (0.0, 900.0), ("0..900", "0..3 times the mean")),
        (
            card("sigma0_db", "float32", {"kind": "db_clip", "low": -25.0, "high": 0.0}),
            None,
            ("-30..5 dB", "-25..0 dB"),
        ),
        (card("amplitude", "uint8", {"kind": "q99_amplitude"}), None, ("0..255", "-36..0 dB of the 99% quantile")),
    ],
)
def test_scales_in_words(image, declared, expected):
    found = scale_of(image, declared)
    assert (found["bands"], found["range"], found["network"]) == (1, *expected)
