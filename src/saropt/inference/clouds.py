"""Clouds and snow of an earlier optical image that has no mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from saropt.radiometry import ValueRule
from saropt.radiometry.clouds import looks_like_cloud
from saropt.scenes import Window

if TYPE_CHECKING:
    from saropt.inference.sources import Source

_OVERCAST, _CLOUDY = 0.9, 0.25
"""Share of pixels that look like cloud or haze above which an image is not used; share of opaque cloud above which its
clouds are hidden: through haze ground can be seen, and white roofs may be a few per cent of a town."""
_CLOUD, _OPAQUE = 0.2, 0.25
"""Reflectance of all visible bands of a cloud, and of an opaque one."""
_ROOF, _EDGE = 2, 8
"""Radii in pixels: what no disk of the first fits into is no cloud; the second is the width of a cloud's thin edge."""
_MARGIN = 2 * _ROOF + _EDGE


@dataclass(frozen=True)
class Clouds:
    """What looks like cloud or snow in an image that shows much of it.

    Attributes:
        visible: the positions of blue, green and red.
        factor: stored values of reflectance 1.
        share: of the image's pixels.
        overcast: whether the image shows no ground that is worth keeping.
    """

    visible: tuple[int, int, int]
    factor: float
    share: float
    overcast: bool

    def told(self, source: str) -> str:
        """One line of what becomes of the image called `source`."""
        cloudy = f"{self.share:.0%} of {source} looks like cloud or snow"
        if self.overcast:
            return f"{cloudy}: it is ignored, and the image comes from radar; with a mask it is used"
        return f"{cloudy}: that and {_EDGE} pixels around it come from radar; a mask decides in its place"

    def read(self, raster: Source, window: Window, rule: ValueRule) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) and validity (h, w) of a window of the image, mirrored at its edges. Valid are measured
        pixels that are over 8 pixels away from clouds.

        Args:
            rule: which values are measured.
        """
        from scipy import ndimage

        side = 2 * _MARGIN
        grown = Window(window.row - _MARGIN, window.col - _MARGIN, window.height + side, window.width + side)
        values, valid = raster.read_padded(grown)
        valid = valid & rule.measured(values)
        blue, green, red = (values[band] / np.float32(self.factor) for band in self.visible)
        cloud = looks_like_cloud(blue, green, red, _CLOUD) & valid
        rows, cols = np.ogrid[-_ROOF : _ROOF + 1, -_ROOF : _ROOF + 1]
        cloud = ndimage.binary_opening(cloud, rows**2 + cols**2 <= _ROOF**2)
        if cloud.any():
            valid &= ndimage.distance_transform_edt(~cloud) > _EDGE
        inside = slice(_MARGIN, -_MARGIN)
        return values[:, inside, inside], valid[inside, inside]


def find_clouds(sample: NDArray, bands: Sequence[str], factor: float) -> Clouds | None:
    """Clouds of an image that is overcast, or a quarter of which is opaque cloud or snow; None of others and where a
    visible band is missing.

    Args:
        sample: (C, n), valid pixels from all over the image.
        bands: names of the image's bands, as in its card.
        factor: stored values of reflectance 1.

    >>> find_clouds(np.full((3, 100), 5000), ("B4", "B3", "B2"), 10_000).share
    1.0
    """
    if len(sample) != len(bands) or not {"B2", "B3", "B4"} <= set(bands):
        return None
    visible = (bands.index("B2"), bands.index("B3"), bands.index("B4"))
    blue, green, red = (sample[band] / factor for band in visible)
    hazy, cloudy, opaque = (float(looks_like_cloud(blue, green, red, above).mean()) for above in (0.0, _CLOUD, _OPAQUE))
    if hazy > _OVERCAST:
        return Clouds(visible, factor, hazy, overcast=True)
    return Clouds(visible, factor, cloudy, overcast=False) if opaque > _CLOUDY else None
