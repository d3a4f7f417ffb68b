"""Terrain by spectral synthesis, and paths that follow low ground."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Shape = tuple[int, int]


def as_double(function: np.ufunc, *values: np.ndarray | float) -> np.ndarray:
    """A float32 array from a function worked out in double precision: numpy's float32 versions of exp, cos or power
    differ in the last bits from processor to processor."""
    return function(*values, dtype=np.float64).astype(np.float32)


def _fast_length(n: int) -> int:
    """Smallest 2^a 3^b 5^c that is at least n."""
    best = 1 << (n - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three
            while two < n:
                two *= 2
            best = min(best, two)
            three *= 3
        five *= 5
    return best


def spectral_field(
    rng: np.random.Generator, shape: Shape, longest_px: float, *, beta: float = 3.0, shortest_px: float = 2.0
) -> np.ndarray:
    """Gaussian random field with a power-law spectrum (Fournier, Fussell & Carpenter, 1982; Voss, 1985).

    Args:
        rng: source of randomness.
        shape: (H, W) in pixels.
        longest_px, shortest_px: band of wavelengths; power is flat beyond the longest and falls off past the shortest.
        beta: power falls as frequency to the -beta.

    Returns:
        (H, W) float32, zero mean and unit variance in expectation.

    >>> field = spectral_field(np.random.default_rng(0), (64, 64), longest_px=16.0)
    >>> field.shape, field.dtype.name
    ((64, 64), 'float32')
    """
    margin = int(min(longest_px, max(shape)) // 2)
    rows, columns = (_fast_length(n + margin) for n in shape)
    white = rng.standard_normal((rows, columns), dtype=np.float32)
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    amplitude = (frequency**2 + (1.0 / longest_px) ** 2) ** (-beta / 4) * np.exp(-((frequency * shortest_px / 2) ** 2))
    amplitude[0, 0] = 0.0
    half = np.full(amplitude.shape[1], 2.0)
    half[0] = 1.0
    if columns % 2 == 0:
        half[-1] = 1.0
    amplitude *= np.sqrt(rows * columns / (amplitude**2 * half).sum())
    field = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=(rows, columns))
    return field[: shape[0], : shape[1]].astype(np.float32)


def resize(field: np.ndarray, shape: Shape, order: int = 1) -> np.ndarray:
    """Spline-interpolated `field` on a grid of `shape`, corners on corners.

    >>> resize(np.array([[0.0, 1.0]] * 2, np.float32), (2, 3))[0].tolist()
    [0.0, 0.5, 1.0]
    """
    factors = tuple(new / old for new, old in zip(shape, field.shape, strict=True))
    return ndimage.zoom(field, factors, order=order, mode="nearest", grid_mode=False).astype(np.float32)


def coarse_field(rng: np.random.Generator, shape: Shape, longest_px: float, beta: float, step: int) -> np.ndarray:
    """`spectral_field` made on every `step`-th pixel and interpolated to `shape`."""
    small = tuple(max(8, -(-n // step) + 1) for n in shape)
    return resize(spectral_field(rng, (small[0], small[1]), max(longest_px / step, 4.0), beta=beta), shape, order=3)


def gullies(rng: np.random.Generator, height: np.ndarray, spacing_px: float) -> np.ndarray:
    """Stripes in [-1, 1] that run down the slopes of `height`: spurs and gullies `spacing_px` apart.

    Waves across the line of steepest descent, from scattered pivots, blended by distance (sparse Gabor convolution
    after Lagae et al., SIGGRAPH 2009, with the slope as its direction). Fades where the ground is level.
    Returns (H, W) float32.
    """
    side = max(round(1.1 * spacing_px), 2)
    rows, columns = np.arange(height.shape[0]), np.arange(height.shape[1])
    cell_rows, cell_columns = rows // side, columns // side
    jitter = rng.random((2, cell_rows[-1] + 3, cell_columns[-1] + 3), dtype=np.float32)
    down, right = np.gradient(ndimage.gaussian_filter(height, 0.25 * spacing_px, mode="nearest"))
    steep = np.hypot(down, right)
    level = float(np.quantile(steep, 0.6)) + 1e-9
    wave = np.float32(2 * np.pi / spacing_px) / np.maximum(steep, 0.1 * level)
    across_y, across_x = wave * right, -wave * down
    total, weight = np.zeros_like(height), np.zeros_like(height)
    for i in range(3):
        for j in range(3):
            pivot = jitter[:, (cell_rows + i)[:, None], cell_columns + j] * np.float32(side)
            dy = (rows - (cell_rows + i - 1) * side).astype(np.float32)[:, None] - pivot[0]
            dx = (columns - (cell_columns + j - 1) * side).astype(np.float32)[None, :] - pivot[1]
            near = as_double(np.exp, (dy * dy + dx * dx) * np.float32(-2.0 / side**2))
            total += near * as_double(np.cos, across_y * dy + across_x * dx)
            weight += near
    return (total / np.maximum(weight, 1e-6) * np.minimum(steep / level, 1.0)).astype(np.float32)


def ridges(rng: np.random.Generator, shape: Shape, longest_px: float) -> np.ndarray:
    """Eroded hills in about [0, 1]: ridged multifractal (Musgrave in Ebert et al., Texturing and Modeling, 2003,
    ch. 16) cut by `gullies` of halving spacing. Made at half resolution. Returns (H, W) float32."""
    half = (max(8, -(-shape[0] // 2)), max(8, -(-shape[1] // 2)))
    total = np.zeros(half, np.float32)
    for octave, gain in enumerate((1.0, 0.45)):
        wavelength = max(longest_px / 2 / 2**octave, 4.0)
        noise = spectral_field(rng, half, wavelength, beta=6.0, shortest_px=wavelength / 3)
        total += np.float32(gain / 1.45) * (1.0 - np.minimum(np.abs(noise) / 2.0, 1.0))
    for octave, gain in enumerate((0.15, 0.085, 0.04)):
        total += np.float32(gain) * gullies(rng, total, max(longest_px / 2 / 4 / 2**octave, 3.0))
    return resize(total, shape, order=3)


def lowest_path(cost: np.ndarray, span: int = 2) -> np.ndarray:
    """Column of the cheapest path from the first to the last row, moving at most `span` columns a row.

    Dynamic programming over a coarse cost (h, w). Returns (h,) int64.
    """
    height, width = cost.shape
    total = cost[0].astype(np.float64)
    steps = np.empty((height, width), np.int64)
    columns = np.arange(width)
    for row in range(1, height):
        padded = np.pad(total, span, constant_values=np.inf)
        choices = np.stack([padded[k : k + width] for k in range(2 * span + 1)])
        choices += 0.05 * np.abs(np.arange(-span, span + 1))[:, None]
        best = choices.argmin(axis=0)
        steps[row] = columns + best - span
        total = choices[best, columns] + cost[row]
    path = np.empty(height, np.int64)
    path[-1] = total.argmin()
    for row in range(height - 1, 0, -1):
        path[row - 1] = steps[row, path[row]]
    return path


def distance_to_path(cost: np.ndarray, shape: Shape, wiggle: np.ndarray) -> np.ndarray:
    """Distance in pixels of every pixel of `shape` to the smoothed cheapest path through the coarse `cost`, run from
    the first to the last row. `wiggle` (h,) shifts the path, in coarse columns. Returns (H, W) float32."""
    path = ndimage.gaussian_filter1d(lowest_path(cost) + wiggle, 2.0, mode="nearest")
    height, width = shape
    scale = (width - 1) / (cost.shape[1] - 1)
    rows = np.linspace(0, cost.shape[0] - 1, height)
    columns = ndimage.map_coordinates(path, rows[None], order=3, mode="nearest") * scale
    slope = np.gradient(columns)
    cosine = 1.0 / np.sqrt(1.0 + slope * slope)
    return (np.abs(np.arange(width)[None, :] - columns[:, None]) * cosine[:, None]).astype(np.float32)


def slopes(elevation: np.ndarray, gsd_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Rise per metre towards (east, north) of a north-up elevation (H, W) in metres.

    >>> east, north = slopes(np.array([[0.0, 10.0, 20.0]] * 3, np.float32), gsd_m=10.0)
    >>> float(east[1, 1])
    1.0
    """
    down, east = np.gradient(elevation, np.float32(gsd_m))
    return east.astype(np.float32, copy=False), -down.astype(np.float32, copy=False)
