"""Speckle filters on intensity (power), vectorised: Lee, refined Lee, Gamma-MAP, Frost, and non-local PPB.

All take `looks`, the equivalent number of looks L of the input: fully developed speckle has the squared variation
coefficient 1/L. Outside the frame pixels are mirrored without repeating the edge pixel, so that windows read with
`halo` more pixels on each side give what the whole image gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_TINY: Final = 1e-30
_MODE: Final = "mirror"


def lee(power: NDArray, looks: float, window: int = 7) -> Array:
    """Local linear minimum mean square error (Lee, IEEE TPAMI 2(2), 1980; multiplicative form of Lee, CGIP 17, 1981).

    mean + k (y - mean), k = var(x) / var(y), var(x) = (var(y) - mean^2 / L) / (1 + 1/L), all over `window`^2 pixels.

    Args:
        power: (H, W) intensity, not negative.
        looks: equivalent number of looks, positive.
        window: odd side of the window in pixels.

    Returns:
        (H, W) float64.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(lee(power, 4.0)) > 5 * equivalent_looks(power)
    True
    """
    power = np.asarray(power, np.float64)
    mean, variance = _moments(power, window)
    return _mmse(power, mean, variance, looks)


def refined_lee(power: NDArray, looks: float) -> Array:
    """Lee's filter over edge-aligned half windows of 7x7 pixels (Lee, CGIP 17, 1981).

    Means of the nine 3x3 boxes in the window give the gradient in four directions; of the two half windows along the
    strongest edge the one whose outer box is closer to the centre box gives mean and variance.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(refined_lee(power, 4.0)) > 2 * equivalent_looks(power)
    True
    """
    from scipy import ndimage

    power = np.asarray(power, np.float64)
    boxes = ndimage.uniform_filter(power, 3, mode=_MODE)
    at = {(i, j): _shifted(boxes, 2 * i, 2 * j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    column = {j: at[-1, j] + at[0, j] + at[1, j] for j in (-1, 1)}
    row = {i: at[i, -1] + at[i, 0] + at[i, 1] for i in (-1, 1)}
    gradients = np.stack(
        [
            np.abs(column[1] - column[-1]),
            np.abs(row[1] - row[-1]),
            np.abs(at[-1, 0] + at[-1, 1] + at[0, 1] - at[0, -1] - at[1, -1] - at[1, 0]),
            np.abs(at[-1, -1] + at[-1, 0] + at[0, -1] - at[0, 1] - at[1, 0] - at[1, 1]),
        ]
    )
    strongest = gradients.argmax(axis=0)
    mean, variance = np.empty_like(power), np.empty_like(power)
    y, x = np.mgrid[-3:4, -3:4]
    for number, (dy, dx) in enumerate(((0, 1), (1, 0), (-1, 1), (-1, -1))):
        near, far = np.abs(at[dy, dx] - at[0, 0]), np.abs(at[-dy, -dx] - at[0, 0])
        for sign, closer in ((1, near <= far), (-1, near > far)):
            here = (strongest == number) & closer
            half = (sign * (dy * y + dx * x) >= 0).astype(np.float64)
            half /= half.sum()
            first = ndimage.correlate(power, half, mode=_MODE)
            second = ndimage.correlate(power * power, half, mode=_MODE)
            mean[here] = first[here]
            variance[here] = np.maximum(second[here] - first[here] ** 2, 0.0)
    return _mmse(power, mean, variance, looks)


def gamma_map(power: NDArray, looks: float, window: int = 7) -> Array:
    """Maximum a posteriori for gamma texture under gamma speckle (Lopes, Nezry, Touzi & Laur, IGARSS 1990).

    The local mean where the variation coefficient is that of speckle, the pixel itself beyond sqrt(2) times it.
    Arguments as for `lee`.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(gamma_map(power, 4.0)) > 5 * equivalent_looks(power)
    True
    """
    power = np.asarray(power, np.float64)
    mean, variance = _moments(power, window)
    squared = variance / np.maximum(mean * mean, _TINY)
    speckle = 1.0 / looks
    alpha = (1.0 + speckle) / np.maximum(squared - speckle, _TINY)
    lead = (alpha - looks - 1.0) * mean
    estimate = (lead + np.sqrt(lead * lead + 4.0 * alpha * looks * power * mean)) / (2.0 * alpha)
    return np.where(squared <= speckle, mean, np.where(squared >= 2.0 * speckle, power, estimate))


def frost(power: NDArray, looks: float, window: int = 7, damping: float = 2.0) -> Array:
    """Weights exp(-damping C^2 distance) about each pixel (Frost, Stiles, Shanmugan & Holtzman, IEEE TPAMI 4(2), 1982).

    C^2 is the squared variation coefficient of the window. `looks` is not used. Arguments as for `lee`.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(frost(power, 4.0)) > 2 * equivalent_looks(power)
    True
    """
    from scipy import ndimage

    power = np.asarray(power, np.float64)
    mean, variance = _moments(power, window)
    decay = damping * variance / np.maximum(mean * mean, _TINY)
    radius = window // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    distance = np.hypot(y, x)
    total, weights = np.zeros_like(power), np.zeros_like(power)
    for ring in np.unique(distance):
        member = (distance == ring).astype(np.float64)
        weight = np.exp(-decay * ring)
        total += weight * ndimage.correlate(power, member, mode=_MODE)
        weights += weight * member.sum()
    return total / weights


def ppb(power: NDArray, looks: float, search: int = 21, patch: int = 7, alpha: float = 0.92) -> Array:
    """Probabilistic patch-based weights, not iterated (Deledalle, Denis & Tupin, IEEE TIP 18(12), 2009).

    Each pixel is the mean of the `search`^2 pixels around it, weighted by exp(-D / h); D sums
    (2L - 1) log((A_s / A_t + A_t / A_s) / 2) over the `patch`^2 pairs of amplitudes, and h is the `alpha` quantile of
    D between patches of pure speckle less its mean. The pixel itself has the largest weight of the others.

    This is not FANS (Cozzolino et al., 2014), whose adaptive search and shrinkage of groups it lacks.

    Args:
        power, looks: as for `lee`; above half a look.
        search, patch: odd sides in pixels.
        alpha: quantile in (0, 1); higher smooths more.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (48, 48))
    >>> equivalent_looks(ppb(power, 4.0)) > 2 * equivalent_looks(power)
    True
    """
    from scipy import ndimage

    if looks <= 0.5:
        raise ValueError(f"the patch similarity needs more than half a look, not {looks}")
    power = np.asarray(power, np.float64)
    height, width = power.shape
    reach, edge = search // 2, patch // 2
    margin = reach + edge
    padded = np.pad(power, margin, mode="reflect" if min(power.shape) > margin else "symmetric").astype(np.float32)
    floor = max(float(power.mean()) * 1e-6, _TINY)
    log_amplitude = 0.5 * np.log(np.maximum(padded, np.float32(floor)))
    gain = np.float32((2.0 * looks - 1.0) * patch * patch / _similarity_scale(looks, patch, alpha))
    total, weights = np.zeros(power.shape, np.float32), np.zeros(power.shape, np.float32)
    best = np.zeros(power.shape, np.float32)
    core = log_amplitude[reach : reach + height + 2 * edge, reach : reach + width + 2 * edge]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy == dx == 0:
                continue
            rows, columns = slice(reach + dy, reach + dy + core.shape[0]), slice(reach + dx, reach + dx + core.shape[1])
            apart = np.abs(core - log_amplitude[rows, columns])
            apart += np.log1p(np.exp(-2.0 * apart)) - np.float32(np.log(2.0))
            mean = ndimage.uniform_filter1d(ndimage.uniform_filter1d(apart, patch, axis=0), patch, axis=1)
            weight = np.exp(-gain * mean[edge : edge + height, edge : edge + width])
            top, left = margin + dy, margin + dx
            total += weight * padded[top : top + height, left : left + width]
            weights += weight
            np.maximum(best, weight, out=best)
    best = np.maximum(best, np.float32(1e-6))
    return ((total + best * padded[margin:-margin, margin:-margin]) / (weights + best)).astype(np.float64)


@dataclass(frozen=True)
class SpeckleFilter:
    """A filter with its defaults, and the pixels that a window needs around it to give what the whole image gives.

    >>> float(FILTERS["lee"].apply(np.full((9, 9), 0.5), 4.0)[0, 0])
    0.5
    """

    apply: Callable[[NDArray, float], Array]
    halo: int


FILTERS: Final[dict[str, SpeckleFilter]] = {
    "lee": SpeckleFilter(lee, 3),
    "refined-lee": SpeckleFilter(refined_lee, 3),
    "gamma-map": SpeckleFilter(gamma_map, 3),
    "frost": SpeckleFilter(frost, 3),
    "ppb": SpeckleFilter(ppb, 13),
}


def equivalent_looks(power: NDArray) -> float:
    """Equivalent number of looks of a homogeneous area: mean^2 / variance of intensity (any shape).

    >>> round(equivalent_looks(np.random.default_rng(0).gamma(4.0, 0.25, (256, 256))), 1)
    4.0
    """
    power = np.asarray(power, np.float64)
    return float(power.mean() ** 2 / max(float(power.var()), _TINY))


def edge_preservation(filtered: NDArray, clean: NDArray) -> float:
    """Edge preservation index in [-1, 1]: correlation of the Laplacians of filtered and speckle-free image (H, W).

    Sattar, Floreby, Salomonsson & Lovstrom, IEEE TIP 6(6), 1997, eq. 17; 1 keeps every edge.

    >>> step = np.repeat([[1.0, 2.0]], 8, axis=0).repeat(4, axis=1)
    >>> round(edge_preservation(step, step), 3)
    1.0
    """
    from scipy import ndimage

    one, other = (ndimage.laplace(np.asarray(image, np.float64), mode=_MODE) for image in (filtered, clean))
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(float(np.sqrt((one * one).sum() * (other * other).sum())), _TINY))


@lru_cache(maxsize=32)
def _similarity_scale(looks: float, patch: int, alpha: float) -> float:
    """Quantile less mean of D between patches of pure speckle, from 20,000 drawn pairs of a fixed seed."""
    rng = np.random.default_rng(0)
    logs = 0.5 * np.log(np.maximum(rng.standard_gamma(looks, (2, 20_000, patch * patch)), _TINY))
    apart = np.abs(logs[0] - logs[1])
    sums = (2.0 * looks - 1.0) * (apart + np.log1p(np.exp(-2.0 * apart)) - np.log(2.0)).sum(axis=1)
    return float(np.quantile(sums, alpha) - sums.mean())


def _moments(power: Array, window: int) -> tuple[Array, Array]:
    from scipy import ndimage

    if window < 3 or window % 2 == 0:
        raise ValueError(f"the window must be odd and at least 3 pixels, not {window}")
    mean = ndimage.uniform_filter(power, window, mode=_MODE)
    return mean, np.maximum(ndimage.uniform_filter(power * power, window, mode=_MODE) - mean * mean, 0.0)


def _mmse(power: Array, mean: Array, variance: Array, looks: float) -> Array:
    signal = np.maximum(variance - mean * mean / looks, 0.0) / (1.0 + 1.0 / looks)
    return mean + np.clip(signal / np.maximum(variance, _TINY), 0.0, 1.0) * (power - mean)


def _shifted(image: Array, dy: int, dx: int) -> Array:
    """The image's value `dy` rows down and `dx` columns right of each pixel, mirrored at the frame."""
    return np.pad(image, 2, mode="reflect")[2 + dy : 2 + dy + image.shape[0], 2 + dx : 2 + dx + image.shape[1]]
