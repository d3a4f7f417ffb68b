"""Sentinel-1 numbers as backscatter, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from saropt.scenes.georeference import Window
from saropt.sensors.tables import Noise

if TYPE_CHECKING:
    from saropt.sensors.sentinel1 import GrdProduct

FLOOR: Final = 1e-5
"""Power (-50 dB) of pixels that noise removal leaves with less: below what the radar can measure."""
BORDER_PIXELS: Final = 500
BORDER_DN: Final = 0.5


class Calibrated:
    """Backscatter of a product's bands.

    The numbers of the lines that were read last are kept, so that windows beside each other read each line once.

    Args:
        product: open.
        polarisations: which bands, in order.
        target: "sigma0_db", "sigma0", "gamma0_db" or "gamma0".
        remove_noise: subtract the thermal noise.
        remove_border: whether the border noise of older products is invalid: within 500 pixels of each edge, what lies
            outside the first pixel whose number exceeds the noise by more than 0.5.

    Raises:
        InputError: a table of the product is missing or damaged.
    """

    def __init__(
        self,
        product: GrdProduct,
        polarisations: Sequence[str],
        target: str,
        remove_noise: bool = True,
        remove_border: bool = True,
    ) -> None:
        self._product, self._polarisations = product, tuple(polarisations)
        self._decibels, self._remove_noise, self._remove_border = target.endswith("_db"), remove_noise, remove_border
        self._tables = [product.calibration(pol, target) for pol in self._polarisations]
        self._noises = [product.noise(pol) for pol in self._polarisations]
        self._kept: tuple[int, NDArray[np.uint16]] = 0, np.empty((len(self._polarisations), 0, product.width), "u2")

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Backscatter (C, h, w) of a window inside the frame, and where it was measured (C, h, w).

        Raises:
            InputError: the measurement cannot be read.
        """
        columns = slice(window.col, window.col + window.width)
        lines = self._lines(window.row, window.height)
        values = np.empty((len(lines), window.height, window.width), np.float32)
        valid = np.empty(values.shape, bool)
        for band, numbers in enumerate(lines):
            digital = numbers[:, columns].astype(np.float32)
            noise = self._noises[band].rows(window.row, window.height, columns)
            power = digital**2 - noise if self._remove_noise else digital**2
            table = self._tables[band].rows(window.row, window.height, columns)
            values[band] = np.maximum(power / table**2, FLOOR)
            valid[band] = digital > 0
            if self._remove_border:
                valid[band] &= self._inside(band, window)
        if self._decibels:
            values = np.float32(10.0) * np.log10(values)
        return values, valid

    def _lines(self, start: int, count: int) -> NDArray[np.uint16]:
        """Digital numbers (C, count, width); those that are kept already are not read again."""
        first, kept = self._kept
        last, end = first + kept.shape[1], start + count
        if not first <= start < end <= last:
            if first <= start < last:
                kept = np.concatenate([kept[:, start - first :], self._read(last, end - last)], axis=1)
            elif start < first < end <= last:
                kept = np.concatenate([self._read(start, first - start), kept[:, : end - first]], axis=1)
            else:
                kept = self._read(start, count)
            first, self._kept = start, (start, kept)
        return kept[:, start - first : end - first]

    def _read(self, start: int, count: int) -> NDArray[np.uint16]:
        return np.stack([self._product.read(pol, start, count) for pol in self._polarisations])

    def _inside(self, band: int, window: Window) -> NDArray[np.bool_]:
        """Where a window lies within the borders, (h, w)."""
        lines = np.arange(window.row, window.row + window.height)[:, None]
        columns = np.arange(window.col, window.col + window.width)
        top, bottom = (edge[columns] for edge in self._rows[band])
        left, right = self._columns(band, window)
        return (lines >= top) & (lines <= bottom) & (columns >= left[:, None]) & (columns <= right[:, None])

    def _columns(self, band: int, window: Window) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last valid column of each line of a window; only lines that touch a border are looked at."""
        width = self._product.width
        limit = min(BORDER_PIXELS, width)
        numbers = self._lines(window.row, window.height)[band]
        left = _ends(numbers[:, :limit], self._noises[band], window.row, slice(0, limit))
        right = _ends(numbers[:, width - limit :], self._noises[band], window.row, slice(width - limit, width), True)
        return left, width - 1 - right

    @cached_property
    def _rows(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """First and last valid line of each column, by band."""
        height, width = self._product.height, self._product.width
        limit = min(BORDER_PIXELS, height)
        found = []
        for pol, noise in zip(self._polarisations, self._noises, strict=True):
            columns, start = slice(0, width), height - limit
            top = _is_clear(self._product.read(pol, 0, limit), noise, 0, columns)
            bottom = _is_clear(self._product.read(pol, start, limit), noise, start, columns)
            found.append((_first(top.T), height - 1 - _first(bottom[::-1].T)))
        return found


def _ends(
    numbers: NDArray[np.uint16], noise: Noise, start: int, columns: slice, backwards: bool = False
) -> NDArray[np.intp]:
    clear = _is_clear(numbers, noise, start, columns)
    return _first(clear[:, ::-1] if backwards else clear)


def _is_clear(numbers: NDArray[np.uint16], noise: Noise, start: int, columns: slice) -> NDArray[np.bool_]:
    power = numbers.astype(np.float32) ** 2 - noise.rows(start, len(numbers), columns)
    return np.sqrt(np.maximum(power, 0.0)) > BORDER_DN


def _first(clear: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Position of the first True of each row; the length where there is none."""
    return np.where(clear.any(axis=1), clear.argmax(axis=1), clear.shape[1])
