"""Image quality of one image pair. Images are (C, H, W) in [0, 1]; masks are (H, W), True where a pixel counts.

Every function raises ValueError for images that are not (C, H, W), of unequal shape, empty of valid pixels, or not
finite at a valid pixel. Pixels outside the mask may hold anything, NaN included.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SIDE = SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
SHIFT_RADIUS = 2
GAIN_RANGE = (0.8, 1.25)


def checked_pair(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> tuple[Float, Float, Mask]:
    """Both images as float64 with zeros at masked pixels, and the mask.

    Raises:
        ValueError: see the module.
    """
    a, b = np.asarray(output, np.float64), np.asarray(truth, np.float64)
    if a.ndim != 3:
        raise ValueError(f"an image is (C, H, W), not of shape {a.shape}")
    if a.shape != b.shape:
        raise ValueError(f"images of unequal shape: {a.shape} and {b.shape}")
    mask = np.ones(a.shape[1:], bool) if valid is None else np.asarray(valid, bool)
    if mask.shape != a.shape[1:]:
        raise ValueError(f"the mask has shape {mask.shape}, the images {a.shape[1:]}")
    if a.size == 0 or not mask.any():
        raise ValueError("no valid pixel to compare")
    if not mask.all():
        a, b = np.where(mask, a, 0.0), np.where(mask, b, 0.0)
    for name, image in (("first", a), ("second", b)):
        if not np.isfinite(image).all():
            raise ValueError(f"NaN or infinite values at valid pixels of the {name} image")
    return a, b, mask


def psnr_of(mse: float) -> float:
    """10 log10(1 / mse), in dB; infinite for 0."""
    return float("inf") if mse == 0 else float(-10.0 * np.log10(mse))


def _mean(masked: Float, mask: Mask) -> float:
    """Mean over valid pixels and bands of an image that is zero elsewhere."""
    return float(masked.sum() / (mask.sum() * masked.shape[0]))


def psnr(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / MSE), one MSE over all bands; infinite for equal images."""
    a, b, mask = checked_pair(output, truth, valid)
    return psnr_of(_mean((a - b) ** 2, mask))


def mae(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """Mean absolute error over all bands."""
    a, b, mask = checked_pair(output, truth, valid)
    return _mean(np.abs(a - b), mask)


def rmse_per_band(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Float:
    """Root mean square error of each band, (C,)."""
    a, b, mask = checked_pair(output, truth, valid)
    return np.asarray(np.sqrt(((a - b) ** 2).sum((1, 2)) / mask.sum()))


def bias_per_band(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Float:
    """Mean signed error output - truth of each band, (C,)."""
    a, b, mask = checked_pair(output, truth, valid)
    return np.asarray((a - b).sum((1, 2)) / mask.sum())


def _gaussian_valid(image: Float) -> Float:
    """(C, H, W) to its windowed means (C, H - 10, W - 10)."""
    half = SSIM_WINDOW // 2
    taps = cv2.getGaussianKernel(SSIM_WINDOW, SSIM_SIGMA, cv2.CV_64F)
    return np.stack([cv2.sepFilter2D(band, -1, taps, taps)[half:-half, half:-half] for band in image])


def ssim(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004, eq. 13): Gaussian window of 11 pixels, sigma 1.5, K1 .01,
    K2 .03, L 1, population covariance, per band and then averaged.

    Only windows that lie inside the image, and with a mask only windows without a masked pixel, count; NaN when
    there is none. (Padding the border by reflection instead raises the SSIM of flat images by about .001.)

    Raises:
        ValueError: also for images smaller than 11 pixels on a side.
    """
    a, b, mask = checked_pair(output, truth, valid)
    if min(a.shape[1:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, not {a.shape[1:]}")
    return _structural(a, b, mask, scales=1).ssim


def _ssim_parts(a: Float, b: Float) -> tuple[Float, Float]:
    """Luminance term, and contrast times structure, at every valid window."""
    mean_a, mean_b = _gaussian_valid(a), _gaussian_valid(b)
    product = mean_a * mean_b
    squares = mean_a**2
    squares += mean_b**2
    c1, c2 = 0.01**2, 0.03**2
    variances = _gaussian_valid(a * a + b * b)
    variances -= squares
    contrast = 2 * (_gaussian_valid(a * b) - product) + c2
    contrast /= variances + c2
    luminance = 2 * product + c1
    luminance /= squares + c1
    return luminance, contrast


def _whole_windows(mask: Mask) -> Mask:
    """Which windows hold no masked pixel."""
    bad = np.pad(np.cumsum(np.cumsum(~mask, 0), 1), ((1, 0), (1, 0)))
    w = SSIM_WINDOW
    return np.asarray((bad[w:, w:] - bad[:-w, w:] - bad[w:, :-w] + bad[:-w, :-w]) == 0)


def ms_ssim(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003): five scales by 2x2 means, windows
    as in `ssim`, valid positions only, negative contrast terms cut to 0, per band and then averaged.

    With a mask the windows without a masked pixel count; NaN when a scale has none.

    Raises:
        ValueError: also for images smaller than 176 pixels on a side, whose coarsest scale is below 11 pixels.
    """
    a, b, mask = checked_pair(output, truth, valid)
    if min(a.shape[1:]) < MS_SSIM_SIDE:
        raise ValueError(f"MS-SSIM needs images of at least {MS_SSIM_SIDE}x{MS_SSIM_SIDE} pixels, not {a.shape[1:]}")
    return _structural(a, b, mask, scales=len(MS_SSIM_WEIGHTS)).ms_ssim


@dataclass(frozen=True)
class Structure:
    """SSIM and MS-SSIM of one comparison, whose finest scale is the same work; NaN for images too small."""

    ssim: float
    ms_ssim: float


def structure(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> Structure:
    """`ssim` and `ms_ssim` in one."""
    a, b, mask = checked_pair(output, truth, valid)
    side = min(mask.shape)
    if side < SSIM_WINDOW:
        return Structure(float("nan"), float("nan"))
    return _structural(a, b, mask, scales=len(MS_SSIM_WEIGHTS) if side >= MS_SSIM_SIDE else 1)


def _band_means(quality: Float, whole: Mask | None) -> Float:
    return np.asarray(quality.mean((1, 2)) if whole is None else quality[:, whole].mean(1))


def _structural(a: Float, b: Float, mask: Mask, scales: int) -> Structure:
    single, quality = float("nan"), np.ones(len(a))
    for level in range(scales):
        luminance, contrast = _ssim_parts(a, b)
        whole = None if mask.all() else _whole_windows(mask)
        if whole is not None and not whole.any():
            return Structure(single, float("nan"))
        if level == 0:
            single = float(_band_means(luminance * contrast, whole).mean())
        last = level == len(MS_SSIM_WEIGHTS) - 1
        term = _band_means(luminance * contrast if last else contrast, whole)
        quality *= np.maximum(term, 0.0) ** MS_SSIM_WEIGHTS[level]
        if not last:
            a, b, mask = _halved(a), _halved(b), np.logical_and.reduce(_quarters(mask))
    return Structure(single, float(quality.mean()) if scales == len(MS_SSIM_WEIGHTS) else float("nan"))


def _quarters(image: NDArray) -> list[NDArray]:
    """The four pixels of every 2x2 cell (..., H, W); an odd last row or column is left out."""
    height, width = image.shape[-2] // 2 * 2, image.shape[-1] // 2 * 2
    return [image[..., row:height:2, col:width:2] for row in (0, 1) for col in (0, 1)]


def _halved(image: Float) -> Float:
    first, second, third, fourth = _quarters(image)
    return np.asarray((first + second + third + fourth) / 4)


def _pixels(image: Float, mask: Mask) -> Float:
    """The valid pixels, (C, n)."""
    return image.reshape(len(image), -1) if mask.all() else image[:, mask]


def sam(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """Spectral angle mapper (Kruse et al., RSE 1993): mean over pixels of the angle between the two spectra, degrees.

    Pixels with a spectrum of zeros are left out; NaN when all are, and for single bands.
    """
    a, b, mask = checked_pair(output, truth, valid)
    if len(a) < 2:
        return float("nan")
    x, y = _pixels(a, mask), _pixels(b, mask)
    norms = np.sqrt(np.einsum("cn,cn->n", x, x) * np.einsum("cn,cn->n", y, y))
    known = norms > 0
    if not known.any():
        return float("nan")
    cosine = np.einsum("cn,cn->n", x, y)[known] / norms[known]
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).mean())


def ergas(output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """Relative dimensionless global error (Wald, 2000), 100 sqrt(mean over bands of (RMSE / mean of the truth)^2), with
    the ratio of pixel sizes 1. NaN where a band of the truth is zero."""
    _, b, mask = checked_pair(output, truth, valid)
    means = _pixels(b, mask).mean(1)
    if not means.all():
        return float("nan")
    return float(100.0 * np.sqrt(np.mean((rmse_per_band(output, truth, valid) / means) ** 2)))


def grey(image: ArrayLike, bands: int) -> Float:
    """The mean over bands of (C, H, W), repeated to (bands, H, W)."""
    mean = np.asarray(image, np.float64).mean(0, keepdims=True)
    return np.repeat(mean, bands, 0)


def collapse_ratio(output: ArrayLike, source: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """mean|output - grey(source)| / mean|output - truth|; below 1 the output is nearer to its input than to the
    truth, which is how a cycle-consistent translator fails. NaN where all three are equal.

    Args:
        source: (C', H, W) the translated image, in [0, 1].
    """
    truth_error = mae(output, truth, valid)
    source_error = mae(output, grey(source, np.shape(output)[0]), valid)
    if truth_error == 0:
        return float("nan") if source_error == 0 else float("inf")
    return source_error / truth_error


@dataclass(frozen=True)
class Errors:
    """PSNR in dB and MAE of one comparison."""

    psnr: float
    mae: float


def shift_tolerant(
    output: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None, radius: int = SHIFT_RADIUS
) -> Errors:
    """The smallest MSE (as PSNR) and the smallest MAE over integer shifts |dx|, |dy| <= radius of the output against
    the interior of the truth: the error that is left when a misregistration of a few pixels is forgiven (the
    PROBA-V challenge's cMSE without its bias removal; Maertens et al., 2019).

    Shifts that leave less than half of the interior's valid pixels comparable are passed over.

    Raises:
        ValueError: also for images with a side of at most 2 radius, or without a valid interior pixel.
    """
    a, b, mask = checked_pair(output, truth, valid)
    height, width = mask.shape
    if min(height, width) <= 2 * radius:
        raise ValueError(f"a shift of {radius} px needs images larger than {2 * radius} px, not {height}x{width}")
    inner = (slice(radius, height - radius), slice(radius, width - radius))
    moved, target = (np.ascontiguousarray(np.moveaxis(image, 0, -1)) for image in (a, b[:, *inner]))
    needed, full = max(1, int(mask[inner].sum()) // 2), bool(mask.all())
    squares, absolutes = [], []
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            window = (slice(dy, dy + target.shape[0]), slice(dx, dx + target.shape[1]))
            both = None if full else (mask[inner] & mask[window]).astype(np.uint8)  # cv2 is slower with a mask
            pixels = mask[inner].size if both is None else int(both.sum())
            if pixels >= needed:
                squares.append(cv2.norm(moved[window], target, cv2.NORM_L2SQR, both) / (pixels * len(a)))
                absolutes.append(cv2.norm(moved[window], target, cv2.NORM_L1, both) / (pixels * len(a)))
    if not squares:
        raise ValueError("no valid pixel to compare in the interior")
    return Errors(psnr_of(min(squares)), min(absolutes))


def colour_free(
    output: ArrayLike,
    truth: ArrayLike,
    valid: ArrayLike | None = None,
    gain_range: tuple[float, float] = GAIN_RANGE,
) -> Errors:
    """PSNR and MAE after each band of the output is fitted to the truth by least squares, gain * band + offset with
    the gain kept in `gain_range`: the error that is left when brightness and contrast of a scene are forgiven.
    """
    a, b, mask = checked_pair(output, truth, valid)
    x, y = _pixels(a, mask), _pixels(b, mask)
    x_mean, y_mean = x.mean(1, keepdims=True), y.mean(1, keepdims=True)
    x, y = x - x_mean, y - y_mean
    variance = np.einsum("cn,cn->c", x, x)[:, None]
    covariance = np.einsum("cn,cn->c", x, y)[:, None]
    flat = variance <= np.finfo(np.float64).eps * x.shape[1]
    x *= np.where(flat, 1.0, np.clip(covariance / np.where(flat, 1.0, variance), *gain_range))
    x -= y
    mse = float(np.vdot(x, x)) / x.size
    return Errors(psnr_of(mse), float(np.abs(x, out=x).sum()) / x.size)
