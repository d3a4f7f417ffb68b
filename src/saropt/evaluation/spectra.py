"""How sharp an output is beside the truth, and whether it has a pattern that repeats and that the truth lacks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from saropt.evaluation.metric import Metric, Subject, Tile, register_metric

WINDOW = 64
FINE = 1 / 8
LEAST_WINDOWS = 16
LONGEST_PERIOD_PX = 18
PATTERN_DB = 6.0
VISIBLE_LEVELS = 0.5
_TINY = 1e-9
_FREQUENCY = np.hypot(*np.meshgrid(np.fft.fftfreq(WINDOW), np.fft.fftfreq(WINDOW)))
"""Cycles per pixel (64, 64) of each place of a spectrum."""


class SpectralPower:
    """The mean power spectra of output and truth over wholly valid windows of a split.

    >>> rng = np.random.default_rng(0)
    >>> power = SpectralPower(Subject(["grey"]))
    >>> truth = rng.random((1, 256, 256))
    >>> power.add(Tile.of(0.5 * truth, truth, truth))
    >>> round(power.figures()["sharpness"], 2)
    -6.02
    """

    def __init__(self, subject: Subject) -> None:
        self._output, self._truth = np.zeros((WINDOW, WINDOW)), np.zeros((WINDOW, WINDOW))
        self._windows = 0

    def add(self, tile: Tile) -> None:
        """See `Accumulator`."""
        mask = tile.truth.mask
        for row in range(0, mask.shape[0] - WINDOW + 1, WINDOW):
            for col in range(0, mask.shape[1] - WINDOW + 1, WINDOW):
                place = (slice(row, row + WINDOW), slice(col, col + WINDOW))
                if mask[place].all():
                    self._output += power_spectrum(tile.output.values[(slice(None), *place)])
                    self._truth += power_spectrum(tile.truth.values[(slice(None), *place)])
                    self._windows += 1

    def figures(self) -> dict[str, Any]:
        """See `Accumulator`; nothing without a wholly valid window."""
        if not self._windows:
            return {}
        output, truth = self._output / self._windows, self._truth / self._windows
        fine = _FREQUENCY >= FINE
        found: dict[str, Any] = {"sharpness": float(_decibels(output[fine].sum()) - _decibels(truth[fine].sum()))}
        if self._windows >= LEAST_WINDOWS:
            found["pattern"], period = repeated_pattern(output, truth)
            if found["pattern"]:
                found["pattern_period_px"] = period
        return found


def power_spectrum(image: NDArray[Any]) -> NDArray[np.float64]:
    """Power (h, w) by frequency, as `numpy.fft.fft2` orders it, of the mean of the bands (C, h, w) less its mean, under
    a Hann window.

    >>> stripes = np.tile([0.0, 1.0], (1, 8, 4))
    >>> tuple(int(i) for i in np.unravel_index(power_spectrum(stripes).argmax(), (8, 8)))
    (0, 4)
    """
    grey = image.mean(axis=0, dtype=np.float64)
    taper = np.hanning(grey.shape[0] + 1)[:-1, None] * np.hanning(grey.shape[1] + 1)[None, :-1]
    power: NDArray[np.float64] = np.abs(np.fft.fft2((grey - grey.mean()) * taper)) ** 2
    return power


def repeated_pattern(output: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    """The strongest wave that stands out of a spectrum and not out of the truth's: its root mean square in grey levels
    of 255, and its period in pixels; 0 and infinity where none stands out.

    A wave stands out where its power is PATTERN_DB above the median of the frequencies around it, more than in the
    truth. So a weak wave in a smooth image is found, and its size says whether one sees it.

    Args:
        output, truth: mean power spectra (64, 64), as `power_spectrum` gives them, of images in [0, 1].

    >>> i, flat = np.mgrid[:64, :64][0], 1e-4 * np.ones((64, 64))
    >>> wave = power_spectrum((0.02 * np.cos(2 * np.pi * i / 8))[None])
    >>> [round(figure, 2) for figure in repeated_pattern(wave + flat, flat)]  # 255 * 0.02 / sqrt(2)
    [3.61, 8.0]
    """
    around = np.ones((9, 9), bool)
    around[3:6, 3:6] = False
    median = ndimage.median_filter(output, footprint=around, mode="wrap")
    excess = _decibels(output) - _decibels(median)
    known = _decibels(truth) - _decibels(ndimage.median_filter(truth, footprint=around, mode="wrap"))
    stands = excess - np.maximum(ndimage.maximum_filter(known, 3, mode="wrap"), 0.0) > PATTERN_DB
    stands &= _FREQUENCY > 1 / LONGEST_PERIOD_PX
    if not stands.any():
        return 0.0, math.inf
    pair = np.full(output.shape, 2.0)  # a wave has its power at two frequencies, but at the ends of the axes
    pair[np.ix_([0, WINDOW // 2], [0, WINDOW // 2])] = 1.0
    level = 255.0 * np.sqrt(pair * np.maximum(output - median, 0.0)) / np.hanning(WINDOW + 1).sum() ** 2
    at = np.unravel_index(int(np.where(stands, level, -1.0).argmax()), level.shape)
    return float(level[at]), float(1 / _FREQUENCY[at])


def _decibels(power: Any) -> Any:
    return 10.0 * np.log10(power + _TINY)


for _metric in (
    Metric(
        "sharpness",
        "sharpness dB",
        f"power of the output over that of the truth at periods up to {1 / FINE:.0f} px, mean spectra of windows of "
        f"{WINDOW} px (grey, Hann); 0 dB is as sharp as the truth, -10 dB has a tenth of its detail",
        digits=1,
        needs=(f"wholly valid windows of {WINDOW} px",),
        split=SpectralPower,
    ),
    Metric(
        "pattern",
        "pattern, levels",
        "root mean square, in grey levels of 255, of the strongest wave that stands out of the output's mean spectrum "
        f"and not out of the truth's: {PATTERN_DB:.0f} dB above the median of the frequencies around it, periods up to "
        f"{LONGEST_PERIOD_PX} px",
        digits=2,
        better=-1,
        needs=(f"{LEAST_WINDOWS} wholly valid windows of {WINDOW} px",),
        shown=False,
        split=SpectralPower,
        warning=lambda levels: (
            f"pattern of {levels:.2f} grey levels: a grid or stripes repeat in the output that the truth lacks"
            if levels > VISIBLE_LEVELS
            else ""
        ),
    ),
):
    register_metric(_metric)
