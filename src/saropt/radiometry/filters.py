"""Speckle filters on intensity (power), vectorised: Lee, refined Lee, Gamma-MAP, Frost, and non-local PPB.

All take `looks`, the equivalent number of looks L of the input: fully developed speckle has the squared variation
coefficient 1/L. Outside the frame pixels are mirrored without repeating the edge pixel, so that windows read with
`halo` more pixels on each side give what the whole image gives, to the bit: every number comes from the pixels around
it alone. With `valid` (H, W), sums are over valid pixels only and divided by their number; what comes out at the others
means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_TINY: Final = 1e-30
_MODE: Final = "mirror"


def lee(power: NDArray, looks: float, window: int = 7, *, valid: Mask | None = None) -> Array:
    """Local linear minimum mean square error (Lee, IEEE TPAMI 2(2), 1980; multiplicative form of Lee, CGIP 17, 1981).

    mean + k (y - mean), k = var(x) / var(y), var(x) = (var(y) - mean^2 / L) / (1 + 1/L), all over `window`^2 pixels.

    Args:
        power: (H, W) intensity; noise removal may have left some pixels below 0.
        looks: equivalent number of looks, positive.
        window: odd side of the window in pixels.
        valid: (H, W), the pixels that count; all when None.

    Returns:
        (H, W) float64.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(lee(power, 4.0)) > 5 * equivalent_looks(power)
    True
    """
    power = _counted(power, valid)
    mean, variance = _moments(power, valid, window)
    return _mmse(power, mean, variance, looks)


def refined_lee(power: NDArray, looks: float, *, valid: Mask | None = None) -> Array:
    """Lee's filter over edge-aligned half windows of 7x7 pixels (Lee, CGIP 17, 1981).

    Means of the nine 3x3 boxes in the window give the gradient in four directions; of the two half windows along the
    strongest edge the one whose outer box is closer to the centre box gives mean and variance. A box without a valid
    pixel is taken as equal to the centre box.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(refined_lee(power, 4.0)) > 2 * equivalent_looks(power)
    True
    """
    from scipy import ndimage

    power = _counted(power, valid)
    boxes = _box_sum(power, 3) / _box_count(valid, 3)
    at = {(i, j): _shifted(boxes, 2 * i, 2 * j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    if valid is not None:
        known = _box_sum(valid.astype(np.float64), 3)
        at = {(i, j): np.where(_shifted(known, 2 * i, 2 * j) > 0, box, boxes) for (i, j), box in at.items()}
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
            count = half.sum() if valid is None else _at_least_one(ndimage.correlate(valid * 1.0, half, mode=_MODE))
            first = ndimage.correlate(power, half, mode=_MODE) / count
            second = ndimage.correlate(power * power, half, mode=_MODE) / count
            mean[here] = first[here]
            variance[here] = np.maximum(second[here] - first[here] ** 2, 0.0)
    return _mmse(power, mean, variance, looks)


def gamma_map(power: NDArray, looks: float, window: int = 7, *, valid: Mask | None = None) -> Array:
    """Maximum a posteriori for gamma texture under gamma speckle (Lopes, Nezry, Touzi & Laur, IGARSS 1990).

    The local mean where the variation coefficient is that of speckle, the pixel itself beyond sqrt(2) times it.
    Arguments as for `lee`.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(gamma_map(power, 4.0)) > 5 * equivalent_looks(power)
    True
    """
    power = _counted(power, valid)
    mean, variance = _moments(power, valid, window)
    squared = variance / np.maximum(mean * mean, _TINY)
    speckle = 1.0 / looks
    alpha = (1.0 + speckle) / np.maximum(squared - speckle, _TINY)
    lead = (alpha - looks - 1.0) * mean
    root = np.sqrt(np.maximum(lead * lead + 4.0 * alpha * looks * power * mean, 0.0))
    estimate = (lead + root) / (2.0 * alpha)
    return np.where(squared <= speckle, mean, np.where(squared >= 2.0 * speckle, power, estimate))


def frost(power: NDArray, looks: float, window: int = 7, damping: float = 2.0, *, valid: Mask | None = None) -> Array:
    """Weights exp(-damping C^2 distance) about each pixel (Frost, Stiles, Shanmugan & Holtzman, IEEE TPAMI 4(2), 1982).

    C^2 is the squared variation coefficient of the window. `looks` is not used. Arguments as for `lee`.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (64, 64))
    >>> equivalent_looks(frost(power, 4.0)) > 2 * equivalent_looks(power)
    True
    """
    from scipy import ndimage

    power = _counted(power, valid)
    mean, variance = _moments(power, valid, window)
    decay = damping * variance / np.maximum(mean * mean, _TINY)
    radius = window // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    distance = np.hypot(y, x)
    total, weights = np.zeros_like(power), np.zeros_like(power)
    for ring in np.unique(distance):
        member = (distance == ring).astype(np.float64)
        weight = np.exp(-decay * ring)
        total += weight * ndimage.correlate(power, member, mode=_MODE)
        weights += weight * (member.sum() if valid is None else ndimage.correlate(valid * 1.0, member, mode=_MODE))
    return total / np.maximum(weights, _TINY)


def ppb(
    power: NDArray,
    looks: float,
    search: int = 21,
    patch: int = 7,
    alpha: float = 0.92,
    *,
    valid: Mask | None = None,
) -> Array:
    """Probabilistic patch-based weights, not iterated (Deledalle, Denis & Tupin, IEEE TIP 18(12), 2009).

    Each pixel is the mean of the `search`^2 pixels around it, weighted by exp(-D / h); D sums
    (2L - 1) log((A_s / A_t + A_t / A_s) / 2) over the `patch`^2 pairs of amplitudes, and h is the `alpha` quantile of
    D between patches of pure speckle less its mean. The pixel itself has the largest weight of the others. Where some
    pairs of a patch are invalid, D is the mean over the valid pairs times `patch`^2.

    This is not FANS (Cozzolino et al., 2014), whose adaptive search and shrinkage of groups it lacks.

    Args:
        power, looks, valid: as for `lee`; above half a look.
        search, patch: odd sides in pixels.
        alpha: quantile in (0, 1); higher smooths more.

    >>> power = np.random.default_rng(0).gamma(4.0, 0.25, (48, 48))
    >>> equivalent_looks(ppb(power, 4.0)) > 2 * equivalent_looks(power)
    True
    """
    if looks <= 0.5:
        raise ValueError(f"the patch similarity needs more than half a look, not {looks}")
    power = _counted(power, valid)
    height, width = power.shape
    reach, edge = search // 2, patch // 2
    margin = reach + edge
    mode: Literal["reflect", "symmetric"] = "reflect" if min(power.shape) > margin else "symmetric"
    padded = np.pad(power, margin, mode=mode).astype(np.float32)
    known = None if valid is None else np.pad(valid, margin, mode=mode).astype(np.float32)
    floor = np.maximum(_moments(power, valid, patch)[0] * 1e-6, _TINY)
    log_amplitude = np.pad(0.5 * np.log(np.maximum(power, floor)), margin, mode=mode).astype(np.float32)
    gain = np.float32((2.0 * looks - 1.0) * patch * patch / _similarity_scale(looks, patch, alpha))
    total, weights = np.zeros(power.shape, np.float32), np.zeros(power.shape, np.float32)
    best = np.zeros(power.shape, np.float32)
    middle = np.s_[reach : reach + height + 2 * edge, reach : reach + width + 2 * edge]
    inner = np.s_[edge : edge + height, edge : edge + width]
    core = log_amplitude[middle]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy == dx == 0:
                continue
            rows, columns = slice(reach + dy, reach + dy + core.shape[0]), slice(reach + dx, reach + dx + core.shape[1])
            apart = np.abs(core - log_amplitude[rows, columns])
            apart += np.log1p(np.exp(-2.0 * apart)) - np.float32(np.log(2.0))
            top, left = margin + dy, margin + dx
            there = np.s_[top : top + height, left : left + width]
            if known is None:
                weight = np.exp(-gain * (_box_sum(apart, patch)[inner] / np.float32(patch * patch)))
            else:
                both = known[middle] * known[rows, columns]
                pairs = np.maximum(_box_sum(both, patch)[inner], np.float32(1.0))
                weight = np.exp(-gain * (_box_sum(apart * both, patch)[inner] / pairs)) * known[there]
            total += weight * padded[there]
            weights += weight
            np.maximum(best, weight, out=best)
    best = np.maximum(best, np.float32(1e-6))
    return ((total + best * padded[margin:-margin, margin:-margin]) / (weights + best)).astype(np.float64)


class _Apply(Protocol):
    def __call__(self, power: NDArray, looks: float, *, valid: Mask | None = None) -> Array: ...


@dataclass(frozen=True)
class SpeckleFilter:
    """A filter with its defaults, and the pixels that a window needs around it to give what the whole image gives.

    >>> float(FILTERS["lee"].apply(np.full((9, 9), 0.5), 4.0)[0, 0])
    0.5
    """

    apply: _Apply
    halo: int


FILTERS: Final[dict[str, SpeckleFilter]] = {
    "lee": SpeckleFilter(lee, 3),
    "refined-lee": SpeckleFilter(refined_lee, 3),
    "gamma-map": SpeckleFilter(gamma_map, 3),
    "frost": SpeckleFilter(frost, 3),
    "ppb": SpeckleFilter(ppb, 16),
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


def _counted(power: NDArray, valid: Mask | None) -> Array:
    """Power in which pixels that do not count are 0."""
    power = np.asarray(power, np.float64)
    return power if valid is None else np.where(valid, power, 0.0)


def _box_sum(image: NDArray, window: int) -> NDArray:
    """Sums over squares; unlike running sums, each from its own pixels alone."""
    from scipy import ndimage

    ones = np.ones(window)
    return ndimage.correlate1d(ndimage.correlate1d(image, ones, axis=0, mode=_MODE), ones, axis=1, mode=_MODE)


def _box_count(valid: Mask | None, window: int) -> Array | float:
    return float(window * window) if valid is None else _at_least_one(_box_sum(valid.astype(np.float64), window))


def _at_least_one(count: Array) -> Array:
    return np.maximum(count, 1.0)


def _moments(power: Array, valid: Mask | None, window: int) -> tuple[Array, Array]:
    """Mean and variance of the pixels that count, over squares."""
    if window < 3 or window % 2 == 0:
        raise ValueError(f"the window must be odd and at least 3 pixels, not {window}")
    count = _box_count(valid, window)
    mean = _box_sum(power, window) / count
    return mean, np.maximum(_box_sum(power * power, window) / count - mean * mean, 0.0)


def _mmse(power: Array, mean: Array, variance: Array, looks: float) -> Array:
    signal = np.maximum(variance - mean * mean / looks, 0.0) / (1.0 + 1.0 / looks)
    return mean + np.clip(signal / np.maximum(variance, _TINY), 0.0, 1.0) * (power - mean)


def _shifted(image: Array, dy: int, dx: int) -> Array:
    """The image's value `dy` rows down and `dx` columns right of each pixel, mirrored at the frame."""
    return np.pad(image, 2, mode="reflect")[2 + dy : 2 + dy + image.shape[0], 2 + dx : 2 + dx + image.shape[1]]
