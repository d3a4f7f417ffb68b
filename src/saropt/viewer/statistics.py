"""Percentiles and histograms of layers, each computed once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rio_tiler.io import Reader
from rio_tiler.models import ImageData

from saropt.radiometry import fitting_units
from saropt.scenes import Scene
from saropt.viewer.catalogue import Layer
from saropt.viewer.render import values_of
from saropt.viewer.styles import PERCENTILES, Decibels, in_db

BINS = 64
_SAMPLE_PIXELS = 1 << 18
_ERROR_SIDE = 1024
_KEPT = 512


@dataclass(frozen=True)
class Histogram:
    """How often values occur among the sampled pixels of one band.

    Attributes:
        low, high: the ends of the range; it holds 99 % of the pixels and a tenth more at either end.
        counts: pixels in `BINS` equal parts of the range.
        below, above: pixels beyond it.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    below: int
    above: int


class Statistics:
    """Figures of the layers' bands, from a sample of their valid pixels."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __call__(self, layer: Layer) -> NDArray[np.float64]:
        """(bands, len(PERCENTILES)) percentiles; NaN where there are no valid pixels.

        Raises:
            InputError: the file cannot be read.
        """
        return self._figures(layer)[0]

    def fitting_units(self, layer: Layer) -> list[str]:
        """The SAR units that the values can be in (`saropt.radiometry.fitting_units`)."""
        return self._figures(layer)[1]

    def histogram(self, layer: Layer, band: int, decibels: Decibels | None) -> Histogram:
        """The histogram of a band, numbered from 1.

        Args:
            decibels: the numbers are amplitude or power; count them in dB.

        Raises:
            InputError: the file cannot be read.
        """
        key = (layer.id, layer.info.version, decibels)
        found: list[Histogram] = self._once(key, lambda: [_histogram(one, decibels) for one in _sample(layer)])
        return found[band - 1]

    def _figures(self, layer: Layer) -> tuple[NDArray[np.float64], list[str]]:
        found: tuple[NDArray[np.float64], list[str]] = self._once(
            (layer.id, layer.info.version), lambda: _figures(layer)
        )
        return found

    def _once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._kept:
                self._kept[key] = make()
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]


def _sample(layer: Layer) -> NDArray[Any]:
    """(bands, n) valid pixels from all over the layer."""
    if layer.sampled:

        def read(reader: Reader, indexes: tuple[int, ...]) -> ImageData:
            return reader.preview(indexes=indexes, max_size=_ERROR_SIDE, resampling_method="nearest")

        values, valid = values_of(layer, read, (1,))
        return values[:, valid]
    palette: Literal["colours", "index"] = "index" if layer.info.coded and not layer.info.palette else "colours"
    with Scene.open((layer.pair and layer.display) or layer.path, palette=palette) as scene:
        return scene.sample(_SAMPLE_PIXELS)


def _figures(layer: Layer) -> tuple[NDArray[np.float64], list[str]]:
    sample = _sample(layer)
    if sample.shape[1] == 0:
        return np.full((len(layer.info.bands), len(PERCENTILES)), np.nan), []
    percentiles = np.percentile(sample.astype(np.float64), PERCENTILES, axis=1).T
    return percentiles, fitting_units(sample, layer.info.dtype) if layer.role == "sar" else []


def _histogram(values: NDArray[Any], decibels: Decibels | None) -> Histogram:
    if decibels is not None:
        values = in_db(values[values > 0], decibels)
    if not values.size:
        return Histogram(0.0, 1.0, (0,) * BINS, 0, 0)
    least, start, end, most = (float(edge) for edge in np.percentile(values.astype(np.float64), (0, 0.5, 99.5, 100)))
    margin = (end - start) / 10
    low, high = max(least, start - margin), min(most, end + margin)
    high = high if high > low else low + 1.0
    counts, _ = np.histogram(values, BINS, (low, high))
    below, above = int((values < low).sum()), int((values > high).sum())
    return Histogram(low, high, tuple(map(int, counts)), below, above)
