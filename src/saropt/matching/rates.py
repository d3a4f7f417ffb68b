"""PMR, IR and IR-ED: how well two images of one place on one grid can be matched (Du et al. 2026, sec. 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from saropt.matching.correspondence import mutual_matches
from saropt.matching.features import Image, Mask, Matcher, Points, detect
from saropt.matching.geometry import TOLERANCE, fit_transform

KEYPOINTS = 500
CONVENTION = (
    f"at most {KEYPOINTS} keypoints per tile and image; putative matches are mutual nearest neighbours without a ratio "
    "test; counts are summed over the tiles and then divided; images are the mean of the bands in [0, 1]; `raw` is the "
    "untranslated input against the truth"
)
RATES = (
    (
        "pmr",
        "PMR",
        "putative matches / keypoints of the image that has fewer (the paper does not say which; this is XPoint's "
        "matching score)",
    ),
    (
        "ir",
        "IR",
        f"matches within {TOLERANCE:g} px of the homography that MAGSAC++ finds (confidence .9999, at most 10000 "
        "iterations) / putative matches",
    ),
    ("ir_ed", "IR-ED", f"matches whose points lie less than {TOLERANCE:g} px apart / putative matches"),
)
"""Key, title and convention of each rate."""


@dataclass(frozen=True)
class PairMatches:
    """Matches of two images on one grid.

    Attributes:
        keypoints: of the image that has fewer.
        a, b: (n, 2) points of the putative matches, (column, row).
        inliers: (n,) agree with the homography.
        correct: (n,) less than 3 pixels apart.

    >>> from saropt.matching import Sift
    >>> image = np.random.default_rng(0).random((160, 160)).astype(np.float32)
    >>> pair = match_pair(Sift(), image, image, np.ones((160, 160), bool))
    >>> len(pair.a) == len(pair.correct)
    True
    """

    keypoints: int
    a: Points
    b: Points
    inliers: Mask
    correct: Mask


def match_pair(matcher: Matcher, a: Image, b: Image, valid: Mask, limit: int = KEYPOINTS) -> PairMatches:
    """Match two images (h, w) in [0, 1] of one place.

    Raises:
        InputError: the matcher gives something else than points with descriptors.

    >>> from saropt.matching import Sift
    >>> image = np.random.default_rng(0).random((160, 160)).astype(np.float32)
    >>> pair = match_pair(Sift(), image, image, np.ones((160, 160), bool))
    >>> bool(pair.correct.all())
    True
    """
    first, second = detect(matcher, a, valid, limit), detect(matcher, b, valid, limit)
    pairs = mutual_matches(first, second)
    from_a, from_b = first.points[pairs[:, 0]], second.points[pairs[:, 1]]
    fit = fit_transform(from_a, from_b, "homography")
    inliers = np.zeros(len(pairs), bool) if fit is None else fit.inliers
    correct = np.linalg.norm(from_a - from_b, axis=1) < TOLERANCE
    return PairMatches(min(len(first), len(second)), from_a, from_b, inliers, correct)


@dataclass
class Rates:
    """Sums over tiles, and the three rates of them.

    >>> Rates(tiles=1, keypoints=100, putative=40, inliers=30, correct=20).summary()["pmr"]
    0.4
    """

    tiles: int = 0
    keypoints: int = 0
    putative: int = 0
    inliers: int = 0
    correct: int = 0

    def add(self, pair: PairMatches) -> None:
        """Take the matches of one tile."""
        self.tiles += 1
        self.keypoints += pair.keypoints
        self.putative += len(pair.a)
        self.inliers += int(pair.inliers.sum())
        self.correct += int(pair.correct.sum())

    def summary(self) -> dict[str, Any]:
        """`pmr`, `ir`, `ir_ed` (None where nothing is to be divided by) and the counts."""
        return {
            "pmr": self.putative / self.keypoints if self.keypoints else None,
            "ir": self.inliers / self.putative if self.putative else None,
            "ir_ed": self.correct / self.putative if self.putative else None,
            "keypoints": self.keypoints,
            "matches": self.putative,
            "tiles": self.tiles,
        }
