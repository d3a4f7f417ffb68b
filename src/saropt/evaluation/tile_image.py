"""One image of a comparison, and what metrics need of it, each computed once: the truth of a tile is compared with
every translator and baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from saropt.evaluation.extractors import Extractor

Float = NDArray[np.floating[Any]]
Double = NDArray[np.float64]
Mask = NDArray[np.bool_]

Array = TypeVar("Array", bound=NDArray[Any])

WINDOW = 11
SIGMA = 1.5
HALF = WINDOW // 2


def read_only(array: Array) -> Array:
    """A view that cannot be written to: whoever shares the array would see the change.

    >>> read_only(np.zeros(2))[0] = 1.0
    Traceback (most recent call last):
    ...
    ValueError: assignment destination is read-only
    """
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Scale:
    """An image at one scale of the SSIM pyramid.

    Attributes:
        centred: (C, h, w), less the band means of the whole image.
        drift: its windowed mean.
        mean: windowed mean of the image itself.
        spread: half of its windowed variance, population.

    The last three hold nothing of use in the outer 5 rows and columns, and are (C, 1, 1) or 0 for an image of one
    colour.
    """

    centred: Float
    drift: Float
    mean: Float
    spread: Float


class TileImage:
    """An image (C, H, W) in [0, 1] whose pixels count where `valid` (H, W) is True. Its arrays are read-only.

    Attributes:
        values: (C, H, W), zero at masked pixels; of type `dtype`, else float32 if the image is and float64 if not.
        mask: (H, W); pixels: how many are valid; complete: whether all are.

    Raises:
        ValueError: not (C, H, W), no valid pixel, or values at valid pixels that are not finite.
    """

    def __init__(
        self, image: ArrayLike, valid: ArrayLike | None = None, *, dtype: DTypeLike | None = None, name: str = "the"
    ) -> None:
        given = np.asarray(image)
        if given.ndim != 3:
            raise ValueError(f"an image is (C, H, W), not of shape {given.shape}")
        values = np.ascontiguousarray(given, dtype or (np.float32 if given.dtype == np.float32 else np.float64))
        self.mask: Mask = read_only(np.ones(values.shape[1:], bool) if valid is None else np.asarray(valid, bool))
        if self.mask.shape != values.shape[1:]:
            raise ValueError(f"the mask has shape {self.mask.shape}, the images {values.shape[1:]}")
        self.pixels = int(np.count_nonzero(self.mask))
        self.complete = self.pixels == self.mask.size
        if values.size == 0 or not self.pixels:
            raise ValueError("no valid pixel to compare")
        self.values = read_only(values if self.complete else np.where(self.mask, values, values.dtype.type(0)))
        if not np.isfinite(self.values).all():
            raise ValueError(f"NaN or infinite values at valid pixels of {name} image")
        self._scales: list[Scale] = []
        self._features: dict[Extractor, Double] = {}

    @cached_property
    def means(self) -> Double:
        """(C,) means of the bands over valid pixels."""
        mask = None if self.complete else self.mask.astype(np.uint8)
        return read_only(np.array([cv2.mean(band, mask)[0] for band in self.values]))

    @cached_property
    def centred(self) -> Float:
        """`values` less the band means, zero at masked pixels."""
        image = self.values - self.means.astype(self.values.dtype)[:, None, None]
        return read_only(image if self.complete else np.where(self.mask, image, image.dtype.type(0)))

    @cached_property
    def energy(self) -> Double:
        """(C,) sums of the squares of `centred`."""
        return read_only(np.array([cv2.norm(band, cv2.NORM_L2SQR) for band in self.centred]))

    @cached_property
    def one_colour(self) -> bool:
        """Whether every band is constant over the valid pixels."""
        return not self.energy.any()

    @cached_property
    def spectra(self) -> tuple[Double, Double]:
        """Valid pixels (C, n) in double precision, and the squares of their norms (n,)."""
        pixels = self.values.reshape(len(self.values), -1) if self.complete else self.values[:, self.mask]
        double: Double = pixels.astype(np.float64)
        return read_only(double), read_only(np.asarray(np.einsum("cn,cn->n", double, double)))

    @cached_property
    def interleaved(self) -> Float:
        """(H, W, C)."""
        return read_only(np.atleast_3d(cv2.merge(list(self.values))))

    def features(self, extractor: Extractor) -> Double:
        """Features (D,) of the image."""
        if extractor not in self._features:
            self._features[extractor] = read_only(extractor(self.values))
        return self._features[extractor]

    def scale(self, level: int) -> Scale:
        """The image halved `level` times by 2x2 means."""
        while len(self._scales) <= level:
            centred = _halved(self._scales[-1].centred) if self._scales else self.centred
            means = self.means.astype(centred.dtype)[:, None, None]
            if self.one_colour:
                none = np.zeros((1, 1, 1), centred.dtype)
                self._scales.append(Scale(*map(read_only, (centred, none, means, none))))
                continue
            drift = blurred(centred)
            spread = blurred(centred * centred)
            spread -= drift * drift
            spread /= 2
            self._scales.append(Scale(*map(read_only, (centred, drift, drift + means, spread))))
        return self._scales[level]

    def windows(self, level: int) -> NDArray[np.uint8] | None:
        """(h - 10, w - 10), which windows of a scale hold no masked pixel; None when all do."""
        if self.complete:
            return None
        mask = self.mask
        for _ in range(level):
            height, width = (side // 2 for side in mask.shape)
            mask = np.asarray(mask[: 2 * height, : 2 * width].reshape(height, 2, width, 2).all((1, 3)))
        bad = np.pad(np.cumsum(np.cumsum(~mask, 0), 1), ((1, 0), (1, 0)))
        w = WINDOW
        return ((bad[w:, w:] - bad[:-w, w:] - bad[w:, :-w] + bad[:-w, :-w]) == 0).astype(np.uint8)


Image = ArrayLike | TileImage


def as_pair(output: Image, truth: Image, valid: ArrayLike | None = None) -> tuple[TileImage, TileImage]:
    """Both as `TileImage` of one precision; what is one already comes back as it is.

    Raises:
        ValueError: see `saropt.evaluation.metrics`.
    """
    if not isinstance(truth, TileImage):
        given = output.values if isinstance(output, TileImage) else np.asarray(output)
        dtype = np.float32 if given.dtype == np.asarray(truth).dtype == np.float32 else np.float64
        truth = TileImage(truth, valid, dtype=dtype, name="the second")
    shape = output.values.shape if isinstance(output, TileImage) else np.shape(output)
    if shape != truth.values.shape:
        raise ValueError(f"images of unequal shape: {shape} and {truth.values.shape}")
    if not isinstance(output, TileImage):
        output = TileImage(output, truth.mask, dtype=truth.values.dtype, name="the first")
    return output, truth


def blurred(image: Float) -> Float:
    """(C, H, W) under the Gaussian window of SSIM; the outer 5 rows and columns hold nothing of use."""
    taps = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F).astype(image.dtype)
    rows = image.reshape(-1, image.shape[-1])
    means: Float = np.asarray(cv2.sepFilter2D(rows, -1, taps, taps), image.dtype)
    return means.reshape(image.shape)


def _halved(image: Float) -> Float:
    """2x2 means of (C, H, W); an odd last row or column is left out."""
    height, width = image.shape[1] // 2, image.shape[2] // 2
    area = np.s_[: 2 * height, : 2 * width]
    return np.stack([cv2.resize(band[area], (width, height), interpolation=cv2.INTER_AREA) for band in image])
