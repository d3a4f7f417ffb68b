"""A raster that comes with a scene, on the scene's grid."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.inference.masks import unhidden
from saropt.inference.tiling import spread_windows
from saropt.radiometry import ValueRule, trimmed_gain_and_offset
from saropt.scenes import Scene, Window, read_mirrored, sample_pixels
from saropt.scenes.mirroring import Readable

if TYPE_CHECKING:
    from saropt.inference.clear_pixels import ClearPixels
    from saropt.inference.clouds import Clouds

_LEAST_PAIRS, _LARGEST_GAIN = 1000, 3.0


class Companion:
    """A raster on the scene's grid, without the pixels that a mask hides, with its colours matched; read like a scene.

    Args:
        raster: the raster.
        masks: each of one band on the same grid, not 0 where the raster must not be used. Its own gaps hide nothing.
    """

    def __init__(self, raster: Scene, masks: Sequence[Readable] = ()) -> None:
        self.raster, self._masks = raster, masks
        self.masked = bool(masks)
        self.width, self.height = raster.width, raster.height
        self.dtype, self.source, self.band_names = raster.dtype, raster.source, raster.band_names
        self.block_shape, self.tags = raster.block_shape, raster.tags
        self.notes: tuple[str, ...] = ()
        self._clouds: tuple[Clouds, ValueRule] | None = None
        self._colours: tuple[NDArray, NDArray, ValueRule] | None = None

    def read(self, window: Window | None = None) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) and validity (h, w) of a window inside the raster; of all of it when None."""
        if self._clouds is None:
            values, valid = self.raster.read(window)
        else:
            clouds, rule = self._clouds
            values, valid = clouds.read(self.raster, window or Window(0, 0, self.height, self.width), rule)
        valid = unhidden(valid, self._masks, window)
        if self._colours is not None:
            gain, offset, rule = self._colours
            values = np.where(rule.measured(values), rule.kept_measured(values * gain + offset), values)
        values[:, ~valid] = 0
        return values, valid

    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """As `read`, mirrored at the edges where the window reaches outside the raster."""
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray:
        """Valid pixels (C, n) from all over the raster, clouds that are hidden by their look among them: statistics are
        those of the raster as it came.

        Raises:
            InputError: it has no valid pixel, or the masks hide all of them.
        """
        cloudy = copy.copy(self)
        cloudy._clouds = None
        picked = sample_pixels(cloudy, max_pixels)
        if self._masks and not picked.shape[1] and self.raster.sample(1 << 16).shape[1]:
            masks = ", ".join(getattr(mask, "source", self.source) for mask in self._masks)
            raise InputError(self.source, f"{masks} hides all of it: in a mask 0 is clear, anything else is hidden")
        if not picked.shape[1]:
            raise InputError(self.source, "holds no valid pixel on this scene (all nodata or NaN there)")
        return picked

    def hide_clouds(self, clouds: Clouds, rule: ValueRule) -> None:
        """Hide the raster's clouds, as they look before its colours are matched.

        Args:
            rule: which values are measured.
        """
        self._clouds, self.masked, self.notes = (clouds, rule), True, (clouds.told(self.source),)

    def match_colours(self, today: ClearPixels, rule: ValueRule) -> bool:
        """Bring the values to the colours of today's clear pixels, by one gain and offset for each band. Fill keeps its
        value, and no other pixel becomes fill.

        Args:
            rule: which values are measured.

        Returns:
            Whether enough pixels are clear in both.
        """
        pairs = []
        for window in spread_windows(self.height, self.width):
            values, valid = self.read(window)
            now, clear = today.read(window)
            both = valid & clear & rule.measured(values)
            pairs.append((values[:, both], now[:, both]))
        earlier, later = (np.concatenate(part, axis=1) for part in zip(*pairs, strict=True))
        if earlier.shape[1] < _LEAST_PAIRS:
            return False
        gain, offset = trimmed_gain_and_offset(earlier, later)
        gain = np.clip(gain, 1.0 / _LARGEST_GAIN, _LARGEST_GAIN)
        self._colours = gain[:, None, None].astype(np.float32), offset[:, None, None].astype(np.float32), rule
        return True
