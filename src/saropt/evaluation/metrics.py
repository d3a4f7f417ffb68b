"""Image quality of one image pair. Images are (C, H, W) in [0, 1]; masks are (H, W), True where a pixel counts.

Every function raises ValueError for images that are not (C, H, W), of unequal shape, empty of valid pixels, or not
finite at a valid pixel. Pixels outside the mask may hold anything, NaN included. Two images of single precision are
compared in single precision with sums in double, all others in double. An image that is compared several times is given
as a `TileImage`, which has its mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from saropt.evaluation.tile_image import HALF, WINDOW, Double, Float, Image, TileImage, as_pair, blurred

SSIM_WINDOW = WINDOW
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SIDE = SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
SHIFT_RADIUS = 2
GAIN_RANGE = (0.8, 1.25)
_C1, _C2 = 0.01**2, 0.03**2


def psnr_of(mse: float) -> float:
    """10 log10(1 / mse), in dB; infinite for 0.

    >>> psnr_of(0.01)
    20.0
    """
    return math.inf if mse == 0 else float(-10.0 * np.log10(mse))


def _sums(a: Float, b: Float, norm: int) -> Double:
    """(C,) sums of |a - b| (`cv2.NORM_L1`) or (a - b)^2 (`cv2.NORM_L2SQR`) by band."""
    return np.array([cv2.norm(x, y, norm) for x, y in zip(a, b, strict=True)])


def psnr(output: Image, truth: Image, valid: ArrayLike | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / MSE), one MSE over all bands; infinite for equal images.

    >>> round(psnr(np.zeros((1, 16, 16)), np.full((1, 16, 16), 0.1)), 2)
    20.0
    """
    a, b = as_pair(output, truth, valid)
    return psnr_of(float(_sums(a.values, b.values, cv2.NORM_L2SQR).mean()) / b.pixels)


def mae(output: Image, truth: Image, valid: ArrayLike | None = None) -> float:
    """Mean absolute error over all bands.

    >>> round(mae(np.zeros((1, 16, 16)), np.full((1, 16, 16), 0.1)), 3)
    0.1
    """
    a, b = as_pair(output, truth, valid)
    return float(_sums(a.values, b.values, cv2.NORM_L1).mean()) / b.pixels


def rmse_per_band(output: Image, truth: Image, valid: ArrayLike | None = None) -> Double:
    """Root mean square error of each band, (C,).

    >>> rmse_per_band(np.zeros((2, 8, 8)), np.array([0.25, 0.5])[:, None, None] * np.ones((2, 8, 8))).tolist()
    [0.25, 0.5]
    """
    a, b = as_pair(output, truth, valid)
    return np.asarray(np.sqrt(_sums(a.values, b.values, cv2.NORM_L2SQR) / b.pixels))


def bias_per_band(output: Image, truth: Image, valid: ArrayLike | None = None) -> Double:
    """Mean signed error output - truth of each band, (C,).

    >>> bias_per_band(np.full((2, 8, 8), 0.75), np.full((2, 8, 8), 0.5)).tolist()
    [0.25, 0.25]
    """
    a, b = as_pair(output, truth, valid)
    return a.means - b.means


def ssim(output: Image, truth: Image, valid: ArrayLike | None = None) -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004, eq. 13): Gaussian window of 11 pixels, sigma 1.5, K1 .01,
    K2 .03, L 1, population covariance, per band and then averaged.

    Only windows that lie inside the image, and with a mask only windows without a masked pixel, count; NaN when
    there is none. (Padding the border by reflection instead raises the SSIM of flat images by about .001.)

    Raises:
        ValueError: also for images smaller than 11 pixels on a side.

    >>> image = np.random.default_rng(0).random((3, 32, 32))
    >>> round(ssim(image, image), 3)
    1.0
    """
    a, b = as_pair(output, truth, valid)
    if min(b.mask.shape) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, not {b.mask.shape}")
    return _structural(a, b, scales=1).ssim


def ms_ssim(output: Image, truth: Image, valid: ArrayLike | None = None) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003): five scales by 2x2 means, windows
    as in `ssim`, valid positions only, negative contrast terms cut to 0, per band and then averaged.

    With a mask the windows without a masked pixel count; NaN when a scale has none.

    Raises:
        ValueError: also for images smaller than 176 pixels on a side, whose coarsest scale is below 11 pixels.

    >>> image = np.random.default_rng(0).random((1, 192, 192))
    >>> round(ms_ssim(image, image), 3)
    1.0
    """
    a, b = as_pair(output, truth, valid)
    if min(b.mask.shape) < MS_SSIM_SIDE:
        raise ValueError(f"MS-SSIM needs images of at least {MS_SSIM_SIDE}x{MS_SSIM_SIDE} pixels, not {b.mask.shape}")
    return _structural(a, b, scales=len(MS_SSIM_WEIGHTS)).ms_ssim


@dataclass(frozen=True)
class Structure:
    """SSIM and MS-SSIM of one comparison, whose finest scale is the same work; NaN for images too small."""

    ssim: float
    ms_ssim: float


def structure(output: Image, truth: Image, valid: ArrayLike | None = None) -> Structure:
    """`ssim` and `ms_ssim` in one.

    >>> image = np.random.default_rng(0).random((1, 192, 192))
    >>> round(structure(image, 0.5 * image).ssim, 1)
    0.6
    """
    a, b = as_pair(output, truth, valid)
    side = min(b.mask.shape)
    if side < SSIM_WINDOW:
        return Structure(math.nan, math.nan)
    return _structural(a, b, scales=len(MS_SSIM_WEIGHTS) if side >= MS_SSIM_SIDE else 1)


def _structural(a: TileImage, b: TileImage, scales: int) -> Structure:
    single, quality = math.nan, np.ones(len(b.values))
    for level in range(scales):
        whole = b.windows(level)
        if whole is not None and not whole.any():
            return Structure(single, math.nan)
        contrast = _contrast(a, b, level)
        last = level == len(MS_SSIM_WEIGHTS) - 1
        term = np.ones(0) if last else _band_means(contrast, whole)
        if level == 0 or last:
            full = _band_means(_luminance(a, b, level) * contrast, whole)
            single = float(full.mean()) if level == 0 else single
            term = full if last else term
        quality *= np.maximum(term, 0.0) ** MS_SSIM_WEIGHTS[level]
    return Structure(single, float(quality.mean()) if scales == len(MS_SSIM_WEIGHTS) else math.nan)


def _contrast(a: TileImage, b: TileImage, level: int) -> Float:
    """Contrast times structure at every window of a scale, (C, h, w)."""
    x, y = a.scale(level), b.scale(level)
    if a.one_colour or b.one_colour:
        covariance = np.zeros_like(y.centred)
    else:
        covariance = blurred(x.centred * y.centred)
        covariance -= x.drift * y.drift
    covariance += _C2 / 2
    spread = x.spread + y.spread
    spread += _C2 / 2
    covariance /= spread
    return covariance


def _luminance(a: TileImage, b: TileImage, level: int) -> Float:
    """Luminance term at every window of a scale, (C, h, w) or (C, 1, 1)."""
    x, y = a.scale(level).mean, b.scale(level).mean
    squares = x * x + y * y
    squares += _C1
    product = x * y
    product *= 2
    product += _C1
    product /= squares
    return product


def _band_means(quality: Float, whole: NDArray[np.uint8] | None) -> Double:
    """(C,) means over the valid windows of (C, h, w)."""
    inner = quality[:, HALF:-HALF, HALF:-HALF]
    return np.array([cv2.mean(band, whole)[0] for band in inner])


def sam(output: Image, truth: Image, valid: ArrayLike | None = None) -> float:
    """Spectral angle mapper (Kruse et al., RSE 1993): mean over pixels of the angle between the two spectra, degrees.

    Pixels with a spectrum of zeros are left out; NaN when all are, and for single bands.

    >>> output, truth = np.zeros((2, 8, 8)), np.full((2, 8, 8), 0.5)
    >>> output[0] = 1.0
    >>> round(sam(output, truth), 1)
    45.0
    """
    a, b = as_pair(output, truth, valid)
    if len(b.values) < 2:
        return math.nan
    (x, xx), (y, yy) = a.spectra, b.spectra
    norms = np.sqrt(xx * yy)
    cosine = np.einsum("cn,cn->n", x, y)
    known = norms > 0
    if not known.all():
        if not known.any():
            return math.nan
        cosine, norms = cosine[known], norms[known]
    cosine /= norms
    np.clip(cosine, -1.0, 1.0, out=cosine)
    return math.degrees(float(np.arccos(cosine, out=cosine).mean()))


def ergas(output: Image, truth: Image, valid: ArrayLike | None = None) -> float:
    """Relative dimensionless global error (Wald, 2000), 100 sqrt(mean over bands of (RMSE / mean of the truth)^2), with
    the ratio of pixel sizes 1. NaN where a band of the truth is zero.

    >>> ergas(np.full((1, 8, 8), 0.75), np.full((1, 8, 8), 0.5))
    50.0
    """
    a, b = as_pair(output, truth, valid)
    if not b.means.all():
        return math.nan
    return float(100.0 * np.sqrt(np.mean((rmse_per_band(a, b) / b.means) ** 2)))


def grey(image: ArrayLike, bands: int) -> Float:
    """The mean over bands of (C, H, W), repeated to (bands, H, W).

    >>> grey(np.array([[[0.0]], [[1.0]]]), bands=3).ravel().tolist()
    [0.5, 0.5, 0.5]
    """
    given = np.asarray(image)
    values = given if given.dtype == np.float32 else given.astype(np.float64)
    return np.repeat(values.mean(0, keepdims=True), bands, 0)


def collapse_ratio(output: Image, source: ArrayLike, truth: Image, valid: ArrayLike | None = None) -> float:
    """mean|output - grey(source)| / mean|output - truth|; below 1 the output is nearer to its input than to the
    truth, which is how a cycle-consistent translator fails. NaN where all three are equal.

    Args:
        source: (C', H, W) the translated image, in [0, 1].

    >>> source = np.full((1, 8, 8), 0.25)
    >>> collapse_ratio(np.full((3, 8, 8), 0.5), source, np.ones((3, 8, 8)))
    0.5
    """
    a, b = as_pair(output, truth, valid)
    truth_error, source_error = mae(a, b), source_distance(a, source)
    if truth_error == 0:
        return math.nan if source_error == 0 else math.inf
    return source_error / truth_error


def source_distance(output: TileImage, source: ArrayLike) -> float:
    """Mean absolute difference of an image from the grey of its source (C', H, W).

    >>> source_distance(TileImage(np.full((3, 8, 8), 0.75)), np.full((1, 8, 8), 0.5))
    0.25
    """
    plane = TileImage(grey(source, 1), output.mask, dtype=output.values.dtype, name="the source")
    bands = np.broadcast_to(plane.values, output.values.shape)
    return float(_sums(output.values, bands, cv2.NORM_L1).mean()) / output.pixels


@dataclass(frozen=True)
class Errors:
    """PSNR in dB and MAE of one comparison."""

    psnr: float
    mae: float


def shift_tolerant(output: Image, truth: Image, valid: ArrayLike | None = None, radius: int = SHIFT_RADIUS) -> Errors:
    """The smallest MSE (as PSNR) and the smallest MAE over integer shifts |dx|, |dy| <= radius of the output against
    the interior of the truth: the error that is left when a misregistration of a few pixels is forgiven (the
    PROBA-V challenge's cMSE without its bias removal; Maertens et al., 2019).

    Shifts that leave less than half of the interior's valid pixels comparable are passed over.

    Raises:
        ValueError: also for images with a side of at most 2 radius, or without a valid interior pixel.

    >>> truth = np.random.default_rng(0).random((3, 64, 64))
    >>> round(shift_tolerant(np.roll(truth, 1, axis=2), truth).mae, 3)
    0.0
    """
    a, b = as_pair(output, truth, valid)
    mask = b.mask
    height, width = mask.shape
    if min(height, width) <= 2 * radius:
        raise ValueError(f"a shift of {radius} px needs images larger than {2 * radius} px, not {height}x{width}")
    inner = (slice(radius, height - radius), slice(radius, width - radius))
    moved, target = a.interleaved, b.interleaved[inner]
    needed = max(1, int(np.count_nonzero(mask[inner])) // 2)
    span = range(1) if a.complete and a.one_colour else range(2 * radius + 1)
    squares, absolutes = [], []
    for dy in span:
        for dx in span:
            window = (slice(dy, dy + target.shape[0]), slice(dx, dx + target.shape[1]))
            both = None if b.complete else (mask[inner] & mask[window]).astype(np.uint8)  # cv2 is slower with a mask
            pixels = int(np.count_nonzero(mask[inner] if both is None else both))
            if pixels >= needed:
                squares.append(cv2.norm(moved[window], target, cv2.NORM_L2SQR, both) / (pixels * len(a.values)))
                absolutes.append(cv2.norm(moved[window], target, cv2.NORM_L1, both) / (pixels * len(a.values)))
    if not squares:
        raise ValueError("no valid pixel to compare in the interior")
    return Errors(psnr_of(min(squares)), min(absolutes))


def colour_free(
    output: Image,
    truth: Image,
    valid: ArrayLike | None = None,
    gain_range: tuple[float, float] = GAIN_RANGE,
) -> Errors:
    """PSNR and MAE after each band of the output is fitted to the truth by least squares, gain * band + offset with
    the gain kept in `gain_range`: the error that is left when brightness and contrast of a scene are forgiven.

    >>> truth = np.random.default_rng(0).random((3, 32, 32))
    >>> round(colour_free(0.9 * truth + 0.05, truth).mae, 3)
    0.0
    """
    a, b = as_pair(output, truth, valid)
    covariance = (a.energy + b.energy - _sums(a.centred, b.centred, cv2.NORM_L2SQR)) / 2
    flat = a.energy <= np.finfo(np.float64).eps * a.pixels
    gain = np.where(flat, 1.0, np.clip(covariance / np.where(flat, 1.0, a.energy), *gain_range))
    fitted = a.centred * gain.astype(a.centred.dtype)[:, None, None]
    mse = _sums(fitted, b.centred, cv2.NORM_L2SQR).mean() / a.pixels
    return Errors(psnr_of(float(mse)), float(_sums(fitted, b.centred, cv2.NORM_L1).mean() / a.pixels))
