"""Sharpness and repeated patterns: against naive sums, and for the patterns that networks are known to leave."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from saropt.evaluation.metric import METRICS, Subject, Tile
from saropt.evaluation.spectra import VISIBLE_LEVELS, SpectralPower, power_spectrum, repeated_pattern


def natural(seed: int, size: int = 512) -> np.ndarray:
    """An image (1, size, size) in [0, 1] whose power falls as that of landscapes does."""
    rng = np.random.default_rng(seed)
    one = np.fft.fftfreq(size)
    falls = 1 / np.maximum(np.hypot(one[:, None], one[None, :]), 1 / size)
    image = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * falls).real
    return (0.5 + 0.1 * image / image.std())[None].clip(0, 1)


def figures(output: np.ndarray, truth: np.ndarray) -> dict:
    power = SpectralPower(Subject(["grey"]))
    power.add(Tile.of(output, truth, truth))
    return power.figures()


def test_power_spectrum_is_that_of_naive_sums() -> None:
    rng = np.random.default_rng(2)
    image = rng.random((2, 6, 6))
    grey = image.mean(axis=0)
    mean = grey.mean()
    wanted = np.zeros((6, 6))
    taper = [0.5 - 0.5 * math.cos(2 * math.pi * i / 6) for i in range(6)]
    for u in range(6):
        for v in range(6):
            total = sum(
                (grey[i, j] - mean) * taper[i] * taper[j] * cmath.exp(-2j * math.pi * (u * i + v * j) / 6)
                for i in range(6)
                for j in range(6)
            )
            wanted[u, v] = abs(total) ** 2
    assert np.allclose(power_spectrum(image), wanted)


def test_half_the_contrast_is_six_decibels_and_blur_is_more() -> None:
    truth = natural(0)
    assert figures(truth, truth)["sharpness"] == pytest.approx(0.0)
    assert figures(truth, truth)["pattern"] == 0.0
    assert figures(0.5 * truth + 0.25, truth)["sharpness"] == pytest.approx(-6.02, abs=0.01)
    blurred = (truth + np.roll(truth, 1, 1) + np.roll(truth, 1, 2) + np.roll(truth, (1, 1), (1, 2))) / 4
    assert figures(blurred, truth)["sharpness"] < -2
    assert figures(np.full_like(truth, 0.5), truth)["sharpness"] < -30


@pytest.mark.parametrize("period", [2, 4, 8, 16])
@pytest.mark.parametrize("kind", ["dots", "stripes", "ripples"])
def test_a_faint_grid_is_found_with_its_period(period: int, kind: str) -> None:
    truth = natural(1)
    other = 0.7 * truth + 0.3 * natural(2)
    i, j = np.mgrid[:512, :512]
    wave = {
        "dots": ((i % period == 0) & (j % period == 0)) * period / 2.0,
        "stripes": (j % period < period / 2) * 1.0,
        "ripples": np.cos(2 * np.pi * (i + j) / period),
    }[kind]
    amplitude = {2: 0.01, 4: 0.02, 8: 0.03, 16: 0.06}[period]
    assert figures(other, truth)["pattern"] == 0.0
    found = figures(other + amplitude * wave, truth)
    assert VISIBLE_LEVELS < found["pattern"] < 255 * amplitude
    harmonics = [period / k for k in (1, 2, 3, 4, 5, 8)] + [period / (k * math.sqrt(2)) for k in (1, 2, 4)]
    assert min(abs(found["pattern_period_px"] - one) for one in harmonics) < 0.5
    assert METRICS["pattern"].warning is not None
    assert "that the truth lacks" in METRICS["pattern"].warning(found["pattern"])
    assert METRICS["pattern"].warning(0.2) == ""


def test_rows_that_the_truth_has_too_are_no_pattern() -> None:
    rows = natural(3) + 0.05 * (np.mgrid[:512, :512][0] % 8 < 4)
    assert figures(0.6 * rows + 0.2, rows)["pattern"] == 0.0
    assert repeated_pattern(np.ones((64, 64)), np.ones((64, 64)))[0] == 0.0


@pytest.mark.parametrize("realism", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("name", ["s1-world", "s1-losangeles"])
def test_bundled_translators_leave_no_visible_pattern(name: str, realism: float) -> None:
    """The input is speckle without structure, so that whatever repeats is the network's own."""
    from saropt.inference import Translator

    model = Translator.load(name, realism=realism)
    card = model.inputs[0]
    rng = np.random.default_rng(5)
    shape = (len(card.bands), 512, 512)
    given = {
        "sigma0_db": 10 * np.log10(rng.gamma(4.6, 1 / 4.6, shape) * 0.06),
        "amplitude": np.sqrt(rng.gamma(4.6, 1 / 4.6, shape)) * 60,
    }[card.units]
    made = model(given.astype(card.dtype)).astype(np.float64)
    made = made / (10000.0 if name == "s1-world" else 255.0)
    found = figures(made.mean(axis=0, keepdims=True), natural(7))
    assert found["pattern"] < VISIBLE_LEVELS, found


@pytest.mark.parametrize("name", ["s1-world", "losangeles-s1"])
def test_the_last_layer_answers_alike_to_a_flat_surface(name: str) -> None:
    """The four filters of a 2x2 cell: the sums of their weights, by channel, and their biases, at both ends."""
    import onnx
    from onnx import numpy_helper

    from saropt.inference import find_translator

    tensors = {one.name: numpy_helper.to_array(one) for one in onnx.load(find_translator(name)).graph.initializer}
    for layer in ("exit", "realism_delta/exit"):
        sums = tensors[f"{layer}.weight"].sum(axis=(2, 3), dtype=np.float64)
        phases = sums.reshape(-1, 4, sums.shape[1])
        assert np.ptp(phases, axis=1).max() < 1e-6
        assert np.ptp(tensors[f"{layer}.bias"].reshape(-1, 4), axis=1).max() < 1e-7


def test_small_and_masked_tiles_give_nothing() -> None:
    power = SpectralPower(Subject(["grey"]))
    truth = natural(4, 64)
    mask = np.ones((64, 64), bool)
    mask[0, 0] = False
    power.add(Tile.of(truth, truth, truth, mask))
    power.add(Tile.of(truth[:, :40], truth[:, :40], truth[:, :40]))
    assert power.figures() == {}
    power.add(Tile.of(truth, truth, truth))
    assert set(power.figures()) == {"sharpness"}, "one window says nothing of patterns"
