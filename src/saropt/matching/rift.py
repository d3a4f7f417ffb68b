"""A RIFT-like matcher: corners and edges of phase congruency, described by orientations of the strongest log-Gabor
response (after Li, Hu & Ai, "RIFT: Multi-Modal Image Matching Based on Radiation-Variation Insensitive Feature
Transform", IEEE TIP 29, 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saropt.matching.features import Features, Image, Mask, surrounded
from saropt.matching.phase_congruency import DEFAULT_BANK, Bank, Congruency, phase_congruency
from saropt.matching.registry import MATCHERS

_CELLS = 6


@MATCHERS.register("rift")
class RiftLike:
    """Keypoints and descriptors that do not depend on brightness or on the sign of contrast, for images of two kinds.

    Keypoints are FAST corners of the largest moment of phase congruency (edges) and of its smallest moment (corners),
    half each. The descriptor counts, in 6 x 6 cells around the keypoint, which orientation is the strongest: 216
    numbers of unit length. Unlike that of RIFT it is upright: images turned by more than about 15 degrees do not match.

    Args:
        patch: side of the described square in pixels, a multiple of 6; 96 in the paper. Keypoints whose square is not
            wholly inside the image and valid are left out.
        bank: the log-Gabor filters.

    >>> image = np.random.default_rng(0).random((192, 192)).astype(np.float32)
    >>> RiftLike().detect(image, np.ones((192, 192), bool), limit=10).descriptors.shape
    (10, 216)
    """

    name = "rift-like"
    ratio = None

    def __init__(self, patch: int = 96, bank: Bank = DEFAULT_BANK) -> None:
        if patch < _CELLS or patch % _CELLS:
            raise ValueError(f"patch must be a multiple of {_CELLS}, not {patch}")
        self.patch = patch
        self.bank = bank
        self.margin = patch // 2 + round(2 * bank.shortest * bank.growth ** (bank.scales - 1))

    def detect(self, image: Image, valid: Mask, limit: int) -> Features:
        """See `Matcher`; descriptors have length 216."""
        maps = phase_congruency(filled(image, valid), self.bank)
        kept = surrounded(valid, self.patch // 2)
        points = moment_keypoints(maps, kept, limit)
        return Features(points.astype(np.float64) + 0.5, self._describe(maps.strongest, points))

    def _describe(self, strongest: NDArray[np.uint8], points: NDArray[np.intp]) -> NDArray[np.float32]:
        layers = strongest == np.arange(self.bank.orientations)[:, None, None]
        sums = np.pad(layers.cumsum(1, dtype=np.int32).cumsum(2), ((0, 0), (1, 0), (1, 0)))
        edges = np.linspace(-(self.patch // 2), self.patch // 2, _CELLS + 1).astype(np.intp)
        rows, columns = points[:, 1, None] + edges, points[:, 0, None] + edges
        corners = sums[:, rows[:, :, None], columns[:, None, :]]
        counts = (
            np.diff(np.diff(corners, axis=2), axis=3)
            .transpose(1, 0, 2, 3)
            .reshape(len(points), len(layers) * _CELLS**2)
        )
        return (counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1.0)).astype(np.float32)


def filled(image: Image, valid: Mask) -> Image:
    """The image (h, w) with its mean at invalid pixels."""
    return np.where(valid, image, image[valid].mean() if valid.any() else 0.0)


def moment_keypoints(maps: Congruency, kept: Mask, limit: int) -> NDArray[np.intp]:
    """(n, 2) columns and rows of corners and edges by turns, strongest first, half each where there are enough."""
    corners = fast_corners(maps.smallest, kept, limit // 2)
    edges = fast_corners(maps.largest, kept, limit)
    seen = {tuple(point) for point in corners}
    fresh = [point for point in edges if tuple(point) not in seen][: limit - len(corners)]
    by_turns = [point for both in zip(corners, fresh, strict=False) for point in both]
    both = min(len(corners), len(fresh))
    return np.array([*by_turns, *corners[both:], *fresh[both:]], np.intp).reshape(-1, 2)


def pseudo_labels(image: Image, limit: int) -> NDArray[np.intp]:
    """(n, 2) columns and rows of keypoints anywhere in an image (h, w), for detectors to learn from.

    >>> pseudo_labels(np.random.default_rng(0).random((96, 96)).astype(np.float32), limit=20).shape
    (20, 2)
    """
    everywhere = np.ones(image.shape, bool)
    return moment_keypoints(phase_congruency(image), everywhere, limit)


def fast_corners(response: NDArray[np.float32], kept: Mask, limit: int) -> NDArray[np.intp]:
    """(n, 2) columns and rows of the strongest FAST corners (Rosten & Drummond, ECCV 2006) of a map, n <= limit."""
    import cv2

    top = float(response[kept].max()) if kept.any() else 0.0
    if top <= 0.0 or limit < 1:
        return np.zeros((0, 2), np.intp)
    levels = np.rint(np.clip(response / top, 0.0, 1.0) * 255.0).astype(np.uint8)
    found = list(cv2.FastFeatureDetector.create(threshold=2).detect(levels, kept.astype(np.uint8)))
    found.sort(key=lambda point: -point.response)
    return np.array([point.pt for point in found[:limit]], np.float64).round().astype(np.intp).reshape(-1, 2)
