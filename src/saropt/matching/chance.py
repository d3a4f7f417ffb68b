"""How often a match falls on a transform by accident: of keypoints anywhere, of keypoints on a lattice, and at the
border of the search."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saropt.matching.features import Points
from saropt.matching.geometry import TOLERANCE, Fit, transformed

_AROUND = 32
_FINE = 2
_SPACINGS = range(2 * math.ceil(TOLERANCE), _AROUND // 2 + 1)
_SIGMAS = 6.0
_FAR = 0.75


@dataclass(frozen=True)
class Compared:
    """The matches of one tile, and all that they were chosen from.

    Attributes:
        a, b: (n, 2) the matched points.
        candidates: (m, 2) all keypoints of B in the tile.
    """

    a: Points
    b: Points
    candidates: Points


def chance_of_accident(parts: list[Compared], fit: Fit, area: float, search: float | None) -> float:
    """The chance that a random match lies within the tolerance of a transform T.

    p = (pi t^2 / area) L B, with t the tolerance. L is the density of candidates around the lattice neighbours of T(a),
    which are T(a) moved by multiples of a spacing along each axis, over their density within 32 pixels of T(a); of all
    spacings of 6 to 16 pixels, the largest. B tells of the border of the search, near which lie many of the matches
    between images that have nothing in common: where T moves points by more than three quarters of the search, it is
    the share of the matches that are as long as T is there, to t, over the same share of all pairs that were compared.
    Neither factor is below 1, and L is above 1 only where the count is six standard deviations above the usual one.

    Args:
        parts: of all tiles, in the order of the matches of `fit`.
        area: what a match was looked for in, in square pixels.
        search: how far a match may reach; None where it may reach anywhere.

    >>> from saropt.matching.geometry import fit_transform
    >>> cells = np.mgrid[:40, :40].reshape(2, -1).T
    >>> a, b = 8.0 * cells[250:350], 8.0 * cells[250:350] + 8.0
    >>> fit = fit_transform(a, b, "translation")
    >>> round(chance_of_accident([Compared(a, b, 8.0 * cells)], fit, math.pi * 32**2, None), 3)
    0.021
    """
    chance, lattice = math.pi * TOLERANCE**2 / area, _lattice(parts, fit)
    border = 1.0 if search is None else _border(parts, fit, search)
    return min(1.0, chance * lattice * border)


def _near(a: Points, b: Points, radius: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices into `a` and `b` of all pairs at most so far apart."""
    from scipy.spatial import cKDTree

    if not len(a) or not len(b):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    pairs = cKDTree(a).sparse_distance_matrix(cKDTree(b), radius, output_type="ndarray")
    return pairs["i"], pairs["j"]


def _lattice(parts: list[Compared], fit: Fit) -> float:
    side = 2 * _AROUND * _FINE + 1
    counts = np.zeros((side, side))
    for part in parts:
        moved = transformed(fit.matrix, part.a)
        moved = moved[np.isfinite(moved).all(1)]
        first, second = _near(moved, part.candidates, _AROUND)
        cells = np.rint((part.candidates[second] - moved[first] + _AROUND) * _FINE).astype(np.intp)
        np.add.at(counts, (cells[:, 1], cells[:, 0]), 1.0)
    offsets = np.hypot(*np.mgrid[-_AROUND * _FINE : _AROUND * _FINE + 1, -_AROUND * _FINE : _AROUND * _FINE + 1])
    disc = offsets < TOLERANCE * _FINE
    elsewhere = (offsets <= _AROUND * _FINE) & ~disc
    usual = counts[elsewhere].sum() * disc.sum() / elsewhere.sum()
    if not usual:
        return 1.0
    middle, most = _AROUND * _FINE, 1.0
    sums = _sums(counts, disc)
    inside = offsets <= (_AROUND - TOLERANCE) * _FINE
    for rows in _SPACINGS:
        for columns in _SPACINGS:
            lattice = np.zeros(counts.shape, bool)
            lattice[middle % (rows * _FINE) :: rows * _FINE, middle % (columns * _FINE) :: columns * _FINE] = True
            lattice &= inside
            lattice[middle, middle] = False
            most = max(most, _excess(sums[lattice].sum(), lattice.sum() * usual))
    return most


def _sums(counts: NDArray[np.float64], disc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The sum of the counts in the disc around every cell."""
    import cv2

    reach = math.ceil(TOLERANCE * _FINE)
    middle = len(disc) // 2
    kernel = disc[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    return np.asarray(cv2.filter2D(counts, -1, kernel.astype(np.float64), borderType=cv2.BORDER_CONSTANT), np.float64)


def _border(parts: list[Compared], fit: Fit, search: float) -> float:
    a = np.concatenate([part.a for part in parts])[fit.inliers]
    if not len(a) or np.linalg.norm(transformed(fit.matrix, a) - a, axis=1).mean() < _FAR * search:
        return 1.0
    found, pairs = np.zeros(2), np.zeros(2)
    for part in parts:
        moved = transformed(fit.matrix, part.a)
        first, second = _near(part.a, part.candidates, search)
        compared = part.a[first], moved[first], part.candidates[second]
        for counts, (one, target, b) in ((found, (part.a, moved, part.b)), (pairs, compared)):
            alike = np.abs(np.linalg.norm(b - one, axis=1) - np.linalg.norm(target - one, axis=1)) < TOLERANCE
            counts += alike.sum(), len(alike)
    if not pairs.all():
        return 1.0
    return max(1.0, float((found[0] / found[1]) / (pairs[0] / pairs[1])))


def _excess(found: float, expected: float) -> float:
    """How many times as many as expected, or 1 where that may be chance."""
    return float(found / expected) if found > expected + _SIGMAS * math.sqrt(expected) else 1.0
