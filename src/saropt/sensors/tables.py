"""Look-up tables of a product: calibration, and thermal noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """A look-up table: `values` (lines, width), each line already interpolated to every pixel."""

    lines: NDArray[np.float64]
    values: NDArray[np.float32]

    def rows(self, start: int, count: int, columns: slice = slice(None)) -> NDArray[np.float32]:
        """Interpolated to image lines, (count, width); constant beyond the first and the last line of the table."""
        lines = np.clip(np.arange(start, start + count, dtype=np.float64), self.lines[0], self.lines[-1])
        above = np.clip(np.searchsorted(self.lines, lines, side="right") - 1, 0, max(len(self.lines) - 2, 0))
        below = np.minimum(above + 1, len(self.lines) - 1)
        step = np.where(below > above, self.lines[below] - self.lines[above], 1.0)
        share = ((lines - self.lines[above]) / step).astype(np.float32)[:, None]
        return self.values[above, columns] * (1 - share) + self.values[below, columns] * share


@dataclass(frozen=True)
class AzimuthBlock:
    """Part of the image over which the range noise is scaled along azimuth by `gains` at `lines`."""

    first_line: int
    last_line: int
    first_pixel: int
    last_pixel: int
    lines: NDArray[np.float64]
    gains: NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Thermal noise in DN^2: a table over lines and pixels, and blocks that scale it (none before IPF 2.9)."""

    table: Table
    blocks: tuple[AzimuthBlock, ...]

    def rows(self, start: int, count: int, columns: slice = slice(None)) -> NDArray[np.float32]:
        """(count, width) of noise power; 1 is the scale where no block lies."""
        noise = self.table.rows(start, count, columns)
        left = columns.start or 0
        for block in self.blocks:
            first, last = max(start, block.first_line), min(start + count - 1, block.last_line)
            if first <= last:
                gains = np.interp(np.arange(first, last + 1), block.lines, block.gains).astype(np.float32)
                across = slice(max(block.first_pixel - left, 0), max(block.last_pixel + 1 - left, 0))
                noise[first - start : last - start + 1, across] *= gains[:, None]
        return noise
