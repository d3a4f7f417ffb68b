from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from saropt.evaluation import collapse_ratio, colour_free, mae, metrics, psnr, rmse_per_band, shift_tolerant, ssim

METRICS = [psnr, ssim, mae, rmse_per_band, shift_tolerant, colour_free]


def images(seed: int = 0, shape: tuple[int, ...] = (3, 40, 33)) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random(shape)
    return np.clip(truth + random.normal(0, 0.1, shape), 0, 1), truth


def holes(shape: tuple[int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) > 0.1


def naive_ssim(a: np.ndarray, b: np.ndarray, valid: np.ndarray) -> float:
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    c1, c2, found = 0.01**2, 0.03**2, []
    for x, y in zip(a, b, strict=True):
        for r in range(x.shape[0] - 10):
            for c in range(x.shape[1] - 10):
                if not valid[r : r + 11, c : c + 11].all():
                    continue
                p, q = x[r : r + 11, c : c + 11], y[r : r + 11, c : c + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                cov = (window * (p - mp) * (q - mq)).sum()
                found.append((2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(found))


def test_psnr_is_scikit_images() -> None:
    a, b = images()
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1.0), abs=1e-10)


def test_ssim_is_scikit_images() -> None:
    a, b = images()
    expected = structural_similarity(
        a, b, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-10)


def test_ssim_and_psnr_are_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    a, b = images(4, (3, 64, 64))
    x, y = (torch.from_numpy(i)[None] for i in (a, b))
    assert psnr(a, b) == pytest.approx(float(functional.peak_signal_noise_ratio(x, y, data_range=1.0)), abs=1e-5)
    padded, full = functional.structural_similarity_index_measure(x, y, data_range=1.0, return_full_image=True)
    assert ssim(a, b) == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), abs=1e-9)
    assert abs(ssim(a, b) - float(padded)) > 1e-4, "torchmetrics pads by reflection and keeps the border"


def test_other_ssim_conventions_give_other_numbers() -> None:
    """Luma and a wrong data range raise the figure of a noisy pair, and a uniform window moves it."""
    random = np.random.default_rng(3)
    truth = np.kron(random.random((1, 8, 8)), np.ones((3, 8, 8))) * np.array([0.9, 1.0, 0.8])[:, None, None]
    output = truth + random.normal(0, 0.08, truth.shape)
    luma = np.array([0.299, 0.587, 0.114])
    on_luma = ssim(np.tensordot(luma, output, 1)[None], np.tensordot(luma, truth, 1)[None])
    uniform = structural_similarity(output, truth, channel_axis=0, data_range=1.0)
    wrong_range = structural_similarity(output, truth, channel_axis=0, data_range=2.0)
    ours = ssim(output, truth)
    assert on_luma > ours + 0.05
    assert abs(uniform - ours) > 0.003
    assert wrong_range > ours + 0.03


def test_ssim_with_a_mask_is_the_naive_loop() -> None:
    a, b = images(2, (2, 30, 26))
    valid = np.ones((30, 26), bool)
    valid[3:5, 20:] = False
    valid[28, 2] = False
    assert ssim(a, b) == pytest.approx(naive_ssim(a, b, np.ones_like(valid)), abs=1e-12)
    a[:, ~valid] = np.nan
    assert ssim(a, b, valid) == pytest.approx(naive_ssim(a, b, valid), abs=1e-12)


def test_ssim_without_a_whole_window_is_undefined() -> None:
    a, b = images(2, (1, 12, 12))
    valid = np.ones((12, 12), bool)
    valid[6, 6] = False
    assert math.isnan(ssim(a, b, valid))


def test_errors_are_the_naive_loops() -> None:
    a, b = images()
    valid = holes(a.shape[1:])
    squares = [[] for _ in a]
    absolute = []
    for band in range(a.shape[0]):
        for r, c in zip(*np.nonzero(valid), strict=True):
            squares[band].append((a[band, r, c] - b[band, r, c]) ** 2)
            absolute.append(abs(a[band, r, c] - b[band, r, c]))
    a[:, ~valid] = np.nan
    assert mae(a, b, valid) == pytest.approx(np.mean(absolute), abs=1e-12)
    assert psnr(a, b, valid) == pytest.approx(-10 * math.log10(np.mean(squares)), abs=1e-10)
    assert rmse_per_band(a, b, valid) == pytest.approx(np.sqrt(np.mean(squares, axis=1)), abs=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_shift_tolerant_is_the_naive_loop(masked: bool) -> None:
    a, b = images(5, (2, 14, 12))
    valid = holes((14, 12)) if masked else np.ones((14, 12), bool)
    squares, absolutes = [], []
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            found = [
                a[band, r + dy, c + dx] - b[band, r, c]
                for band in range(2)
                for r in range(2, 12)
                for c in range(2, 10)
                if valid[r, c] and valid[r + dy, c + dx]
            ]
            squares.append(np.mean(np.square(found)))
            absolutes.append(np.mean(np.abs(found)))
    errors = shift_tolerant(a, b, valid if masked else None)
    assert errors.psnr == pytest.approx(-10 * math.log10(min(squares)), abs=1e-10)
    assert errors.mae == pytest.approx(min(absolutes), abs=1e-12)


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (2, -1), (-2, 2)])
def test_a_shift_of_two_pixels_is_forgiven_and_three_are_not(dy: int, dx: int) -> None:
    _, truth = images()
    assert shift_tolerant(np.roll(truth, (dy, dx), (1, 2)), truth).mae == 0
    assert shift_tolerant(np.roll(truth, (dy, 3), (1, 2)), truth).mae > 0.2


def test_colour_free_forgives_gain_and_offset_within_bounds() -> None:
    _, truth = images()
    assert colour_free(truth / 1.2 + 0.05, truth).mae == pytest.approx(0, abs=1e-12)
    beyond = colour_free(truth / 2, truth)
    residual = (1.25 / 2 - 1) * (truth - truth.mean((1, 2), keepdims=True))
    assert beyond.psnr == pytest.approx(-10 * math.log10((residual**2).mean()), abs=1e-9)


def test_colour_free_inside_bounds_is_least_squares() -> None:
    a, b = images(6)
    valid = holes(a.shape[1:])
    residuals = []
    for x, y in zip(a, b, strict=True):
        design = np.stack([x[valid], np.ones(valid.sum())], 1)
        solution = np.linalg.lstsq(design, y[valid], rcond=None)[0]
        assert 0.8 < solution[0] < 1.25
        residuals.append(design @ solution - y[valid])
    assert colour_free(a, b, valid).mae == pytest.approx(np.abs(residuals).mean(), abs=1e-12)


def test_colour_free_of_a_constant_is_the_spread_of_the_truth() -> None:
    _, truth = images()
    spread = truth - truth.mean((1, 2), keepdims=True)
    assert colour_free(np.full_like(truth, 0.3), truth).mae == pytest.approx(np.abs(spread).mean(), abs=1e-12)


def test_collapse_ratio() -> None:
    source = np.full((2, 12, 12), 0.25)
    source[1] = 0.75
    truth = np.full((3, 12, 12), 0.9)
    assert collapse_ratio(np.full((3, 12, 12), 0.6), source, truth) == pytest.approx(0.1 / 0.3)
    assert collapse_ratio(truth, source, truth) == math.inf
    assert math.isnan(collapse_ratio(np.full((3, 12, 12), 0.5), source, np.full((3, 12, 12), 0.5)))


def test_equal_images() -> None:
    constant = np.full((3, 16, 16), 0.4)
    assert psnr(constant, constant) == math.inf
    assert ssim(constant, constant) == pytest.approx(1.0)
    assert mae(constant, constant) == 0
    assert shift_tolerant(constant, constant).psnr == math.inf
    assert colour_free(constant, constant).psnr == math.inf


def test_two_constants_by_hand() -> None:
    a, b = np.full((1, 12, 12), 0.2), np.full((1, 12, 12), 0.6)
    assert psnr(a, b) == pytest.approx(-20 * math.log10(0.4))
    assert ssim(a, b) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))


def test_a_single_pixel() -> None:
    a, b = np.array([[[0.25]]]), np.array([[[0.75]]])
    assert mae(a, b) == 0.5
    assert psnr(a, b) == pytest.approx(6.0206, abs=1e-4)
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(a, b)
    with pytest.raises(ValueError, match="larger than 4 px"):
        shift_tolerant(a, b)


@pytest.mark.parametrize("metric", METRICS)
def test_unusable_images_are_refused(metric: object) -> None:
    assert callable(metric)
    a, b = images(0, (3, 16, 16))
    spoilt = a.copy()
    spoilt[1, 3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite values at valid pixels of the first image"):
        metric(spoilt, b)
    with pytest.raises(ValueError, match="of the second image"):
        metric(b, spoilt)
    with pytest.raises(ValueError, match="unequal shape"):
        metric(a, b[:, :, 1:])
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        metric(a[0], b[0])
    with pytest.raises(ValueError, match="no valid pixel"):
        metric(a, b, np.zeros((16, 16), bool))
    with pytest.raises(ValueError, match="the mask has shape"):
        metric(a, b, np.ones((16, 15), bool))


class TestSpectralAndMultiScale:
    def images(self, bands: int = 3, size: int = 192) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        smooth = gaussian_filter(rng.random((bands, size, size)), (0, 3, 3))
        truth = (smooth - smooth.min()) / np.ptp(smooth)
        return np.clip(truth + 0.1 * rng.standard_normal(truth.shape), 0, 1), truth

    def test_ms_ssim_against_torchmetrics(self):
        """torchmetrics leaves out the borders too; its scales are the same 2x2 means."""
        torch = pytest.importorskip("torch")
        functional = pytest.importorskip("torchmetrics.functional.image")
        output, truth = self.images(1)
        expected = functional.multiscale_structural_similarity_index_measure(
            torch.from_numpy(output)[None],
            torch.from_numpy(truth)[None],
            data_range=1.0,
            kernel_size=11,
            sigma=1.5,
            normalize="relu",
        )
        assert metrics.ms_ssim(output, truth) == pytest.approx(float(expected), abs=2e-3)

    def test_ms_ssim_of_equal_images_and_of_small_ones(self):
        _, truth = self.images()
        assert metrics.ms_ssim(truth, truth) == pytest.approx(1.0)
        with pytest.raises(ValueError, match="176x176"):
            metrics.ms_ssim(truth[:, :100], truth[:, :100])

    def test_masked_pixels_do_not_count(self):
        output, truth = self.images()
        mask = np.ones(truth.shape[1:], bool)
        mask[:8] = False
        broken = output.copy()
        broken[:, ~mask] = np.nan
        for metric in (metrics.ms_ssim, metrics.sam, metrics.ergas):
            assert metric(broken, truth, mask) == pytest.approx(metric(np.where(mask, output, 0.7), truth, mask))

    def test_sam_against_a_loop(self):
        output, truth = (image[:, :6, :7] for image in self.images())
        angles = []
        for i in range(6):
            for j in range(7):
                x, y = output[:, i, j], truth[:, i, j]
                angles.append(math.degrees(math.acos(min(1.0, x @ y / math.sqrt((x @ x) * (y @ y))))))
        assert metrics.sam(output, truth) == pytest.approx(np.mean(angles))

    def test_sam_does_not_see_brightness(self):
        _, truth = self.images()
        assert metrics.sam(0.5 * truth, truth) == pytest.approx(0.0, abs=1e-5)
        assert math.isnan(metrics.sam(truth[:1], truth[:1]))
        assert math.isnan(metrics.sam(np.zeros_like(truth), truth))

    def test_ergas_against_a_loop(self):
        output, truth = self.images()
        terms = [np.mean((o - t) ** 2) / np.mean(t) ** 2 for o, t in zip(output, truth, strict=True)]
        assert metrics.ergas(output, truth) == pytest.approx(100 * math.sqrt(np.mean(terms)))
        assert math.isnan(metrics.ergas(output, np.zeros_like(truth)))
