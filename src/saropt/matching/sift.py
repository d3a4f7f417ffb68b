"""SIFT (Lowe, IJCV 2004) by OpenCV."""

from __future__ import annotations

import numpy as np

from saropt.matching.features import Features, Image, Mask
from saropt.matching.registry import MATCHERS

_WIDTH = 128


@MATCHERS.register("sift")
class Sift:
    """Scale-invariant feature transform: the matcher for two images of one kind.

    Keypoints of several orientations count once per orientation, as in OpenCV.

    >>> image = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    >>> Sift().detect(image, np.ones((96, 96), bool), limit=10).descriptors.shape
    (10, 128)
    """

    name = "sift"
    margin = 32
    ratio = 0.9

    def detect(self, image: Image, valid: Mask, limit: int) -> Features:
        """See `Matcher`; descriptors have length 128."""
        import cv2

        grey = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
        found, descriptors = cv2.SIFT.create(nfeatures=limit).detectAndCompute(grey, valid.astype(np.uint8))
        if descriptors is None:
            return Features(np.zeros((0, 2)), np.zeros((0, _WIDTH), np.float32))
        order = np.argsort([-point.response for point in found], kind="stable")[:limit]
        return Features(np.array([found[i].pt for i in order], np.float64) + 0.5, descriptors[order].astype(np.float32))
