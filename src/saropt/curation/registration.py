"""Measures the offset between the optical and the SAR image of a pair, tile by tile, with a confidence."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from saropt.radiometry import to_db

TILE = 256
SEARCH = 12
SIGMA = 2.0
CONFIDENT = 5.0


@dataclass(frozen=True)
class Offset:
    """The place of the highest correlation of a tile.

    Attributes:
        row, col: by how many pixels the optical image lies below, and to the right of, the SAR image.
        correlation: of the gradient magnitudes at the peak, in [-1, 1].
        confidence: by how many standard deviations the peak is above the mean of the search area; 0 for a peak on the
            border of the search area.
    """

    row: float
    col: float
    correlation: float
    confidence: float

    @property
    def pixels(self) -> float:
        """Length of the offset."""
        return float(np.hypot(self.row, self.col))

    @property
    def is_confident(self) -> bool:
        return self.confidence >= CONFIDENT


def measure_offset(sar: NDArray, optical: NDArray, search: int = SEARCH) -> Offset:
    """Measure the offset between two images of one place by the correlation of their gradient magnitudes.

    The gradient magnitude of the smoothed images (Gaussian, sigma 2) shows edges without their sign, which differs
    between SAR and optical images. The middle of the SAR tile is compared with the optical tile at every shift of up to
    `search` pixels by normalised correlation, and a parabola refines the position of the peak.

    Args:
        sar: (h, w) in decibels or an 8-bit stretch of them.
        optical: (h, w) brightness.

    Raises:
        ValueError: shapes differ, or are not larger than four times `search`.

    >>> image = np.random.default_rng(0).random((128, 128))
    >>> offset = measure_offset(image, np.roll(image, (2, 3), axis=(0, 1)))
    >>> round(offset.row), round(offset.col)
    (2, 3)
    """
    if sar.shape != optical.shape or min(sar.shape) <= 4 * search:
        raise ValueError(f"tiles of {sar.shape} and {optical.shape} pixels cannot be searched over {search}")
    one, other = (
        ndimage.gaussian_gradient_magnitude(np.asarray(image, np.float32), SIGMA, mode="nearest")
        for image in (sar, optical)
    )
    one, other = (np.minimum(image, np.quantile(image, 0.98)).astype(np.float32) for image in (one, other))
    middle = np.ascontiguousarray(one[search:-search, search:-search])
    surface = cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED).astype(np.float64)
    row, col = np.unravel_index(int(surface.argmax()), surface.shape)
    peak = float(surface[row, col])
    y, x = np.ogrid[: surface.shape[0], : surface.shape[1]]
    away = np.hypot(y - row, x - col) > 3 * SIGMA
    spread = float(surface[away].std()) or 1.0
    inside = 0 < row < surface.shape[0] - 1 and 0 < col < surface.shape[1] - 1
    confidence = (peak - float(surface[away].mean())) / spread if inside else 0.0
    down = row + _parabola(surface[:, col], int(row))
    right = col + _parabola(surface[row], int(col))
    return Offset(float(down - search), float(right - search), peak, confidence)


def offsets_of_pair(
    sar: NDArray, optical: NDArray, valid: NDArray[np.bool_], units: str, tile: int = TILE
) -> list[Offset]:
    """Measure the offsets of all tiles of a pair that are fully valid and not of constant value.

    Args:
        sar: (C, h, w) in `units`; the first band is used.
        optical: (C, h, w); the mean of the first three bands is used.
        valid: (h, w).
        units: SAR units; `uint8` is taken as a stretch of decibels.
        tile: side of the tiles in pixels; a smaller image is one tile.
    """
    brightness = optical[:3].mean(axis=0)
    level = np.asarray(sar[0] if units == "uint8" else to_db(sar[0], units))
    height, width = valid.shape
    side = min(tile, height, width)
    found = []
    for row in range(0, height - side + 1, side):
        for col in range(0, width - side + 1, side):
            part = np.s_[row : row + side, col : col + side]
            if valid[part].all() and side > 4 * SEARCH and level[part].std() > 0 and brightness[part].std() > 0:
                found.append(measure_offset(level[part], brightness[part]))
    return found


def _parabola(values: NDArray, place: int) -> float:
    """Offset in [-0.5, 0.5] of the vertex through three points; 0 at the edge."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, here, after = (float(values[place + step]) for step in (-1, 0, 1))
    bend = before - 2.0 * here + after
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))
