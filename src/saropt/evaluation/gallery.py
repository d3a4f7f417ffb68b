"""Chooses the tiles of a split that a report shows, the best, the median and the worst by PSNR, in constant memory."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saropt.domain import rgb_bands

Bytes = NDArray[np.uint8]

SAMPLE = 24
ERROR_TOP = 0.5
_TOP_DB = 100.0  # stands for the infinite PSNR of equal images
_HEAT = np.array(
    [[0, 0, 12], [70, 15, 105], [170, 45, 90], [235, 105, 40], [250, 185, 50], [252, 250, 200]], np.float64
)


@dataclass(frozen=True)
class Shot:
    """One tile of the gallery: 8-bit images (h, w, 3)."""

    label: str
    psnr: float
    source: Bytes
    output: Bytes
    truth: Bytes
    error: Bytes


def as_rgb(image: NDArray[np.floating], bands: Sequence[str], gain: float = 1.0) -> Bytes:
    """(C, h, w) in [0, 1] as an (h, w, 3) image of 8 bits, its colours as `saropt.domain.rgb_bands` chooses them.

    >>> as_rgb(np.array([[[0.0]], [[0.2]], [[0.4]]]), ["blue", "green", "red"])[0, 0]
    array([102,  51,   0], dtype=uint8)
    """
    chosen = np.nan_to_num(np.asarray(image, np.float64)[list(rgb_bands(bands))])
    shown = np.clip(chosen * gain, 0.0, 1.0)
    return np.ascontiguousarray(np.rint(shown * 255).astype(np.uint8).transpose(1, 2, 0))


def heat(error: NDArray[np.floating]) -> Bytes:
    """(h, w) errors as an image of colours, black at 0 to pale yellow at 0.5 and beyond.

    >>> heat(np.array([[0.0, 0.5]]))[0].tolist()
    [[0, 0, 12], [252, 250, 200]]
    """
    stops = np.linspace(0.0, ERROR_TOP, len(_HEAT))
    return np.stack([np.interp(error, stops, channel) for channel in _HEAT.T], -1).astype(np.uint8)


def jpeg_uri(image: Bytes) -> str:
    """An (h, w, 3) image as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


class Gallery:
    """Keeps the `each` best and worst tiles, and a uniform random sample of 24 tiles from which the median ones are
    chosen.

    The sample is a reservoir (Vitter 1985) with a fixed seed, so that a report can be reproduced.
    """

    def __init__(self, each: int = 2) -> None:
        self.each = each
        self._best: list[Shot] = []
        self._worst: list[Shot] = []
        self._sample: list[Shot] = []
        self._seen = 0
        self._random = np.random.default_rng(0)

    def slot(self, psnr: float) -> bool:
        """Whether a tile of this PSNR may be shown; draws its place in the sample, so ask once for every tile."""
        self._seen += 1
        self._place = int(self._random.integers(self._seen)) if self._seen > SAMPLE else self._seen - 1
        outdone = len(self._best) == self.each and self._worst[-1].psnr <= psnr <= self._best[-1].psnr
        return not outdone or self._place < SAMPLE

    def add(self, shot: Shot) -> None:
        """Take the tile that `slot` has just let in."""
        self._best = sorted([*self._best, shot], key=lambda s: -s.psnr)[: self.each]
        self._worst = sorted([*self._worst, shot], key=lambda s: s.psnr)[: self.each]
        if self._place < len(self._sample):
            self._sample[self._place] = shot
        elif self._place < SAMPLE:
            self._sample.append(shot)

    def shots(self) -> list[tuple[str, Shot]]:
        """("best" | "median" | "worst", tile), every tile once."""
        each = min(self.each, max(1, self._seen // 2))
        chosen: list[tuple[str, Shot]] = [("best", s) for s in self._best[:each]]
        taken = {s.label for _, s in chosen}
        worst = [s for s in self._worst[:each] if s.label not in taken]
        taken |= {s.label for s in worst}
        if self._sample:
            levels = [min(s.psnr, _TOP_DB) for s in self._sample]
            middle = float(np.median(levels))
            by_distance = sorted(self._sample, key=lambda s: (abs(min(s.psnr, _TOP_DB) - middle), s.label))
            chosen += [("median", s) for s in by_distance if s.label not in taken][: self.each]
        return chosen + [("worst", s) for s in reversed(worst)]
