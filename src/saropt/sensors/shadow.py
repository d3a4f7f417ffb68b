"""Ground that the radar beam does not reach because nearer terrain stands higher: cast shadow.

After Kropatsch and Strobl, "The Generation of SAR Layover and Shadow Maps from Digital Elevation Models" (IEEE TGRS
28(1), 1990): along the ground range of one azimuth line, a point lies in shadow where a point nearer to the radar is
seen at a larger look angle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.ndimage import maximum_filter1d

from saropt.scenes.georeference import Window
from saropt.scenes.grid import Grid
from saropt.sensors.orbit import Array, ImageGeometry, earth_fixed
from saropt.sensors.projection import STEP, places_in

NEAR_SIDES: Final = ("left", "right", "top", "bottom")
"""The side of a map grid on which the radar stands."""

_POINTS: Final = 129
"""Points in a row over the grid at which the direction of range is looked at."""
_APART: Final = 16.0


@dataclass(frozen=True)
class RangeDirection:
    """How the direction of range lies on a map grid.

    Attributes:
        side: where the radar stands, of `NEAR_SIDES`.
        spacing: azimuth lines from one pixel to the next, across the direction of range.
        aside: most pixels that an azimuth line moves sideways over one pixel of the grid in the direction of range.
        reach: most pixels over which one metre of height casts a shadow: the tangent of the incidence angle, in pixels.
        size: of a pixel of the grid as the radar sees it: azimuth lines, and metres of slant range.
    """

    side: str
    spacing: float
    aside: float
    reach: float
    size: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def on(cls, grid: Grid, geometry: ImageGeometry, height: int, width: int) -> Self:
        """That of an image of `height` lines and `width` columns. Where it does not lie on the grid nothing casts a
        shadow."""
        rows, cols = np.meshgrid(np.linspace(0, grid.height, _POINTS), np.linspace(0, grid.width, _POINTS))
        (line, column), slant, points, tangent = _seen(grid, geometry, rows, cols)
        here = (line >= 0) & (line <= height) & (column >= 0) & (column <= width)
        if not here.any():
            return cls("left", 1.0, 0.0, 0.0)
        slopes = []
        for down, across in ((_APART, 0.0), (0.0, _APART)):
            (other_line, _), other_slant, other, _ = _seen(grid, geometry, rows + down, cols + across)
            metres = np.sqrt(np.square(other - points).sum(0))[here].min() / _APART
            slopes.append(((other_line - line)[here] / _APART, (other_slant - slant)[here] / _APART, metres))
        (line_down, slant_down, metres_down), (line_across, slant_across, metres_across) = slopes
        outwards = np.sign(line_down * slant_across - line_across * slant_down)
        cols_out, rows_out = outwards * line_down, -outwards * line_across  # along a line, away from the radar
        if abs(cols_out.mean()) >= abs(rows_out.mean()):
            side = "left" if cols_out.mean() > 0 else "right"
            along, aside, metres = cols_out, rows_out, metres_across
        else:
            side = "top" if rows_out.mean() > 0 else "bottom"
            along, aside, metres = rows_out, cols_out, metres_down
        sideways = np.abs(aside / along).max()
        lines, slant_m = np.hypot([line_down, slant_down], [line_across, slant_across]).mean(axis=1)
        reach = float(tangent[here].max() / metres)
        return cls(side, float(np.abs(along).mean()), float(sideways), reach, (float(lines), float(slant_m)))

    def pixels(self, relief: float) -> int:
        """Pixels in the direction of range over which terrain casts a shadow on ground that is `relief` metres lower.

        >>> RangeDirection("left", 1.0, 0.2, 0.1).pixels(95.0)
        10
        """
        length = relief * self.reach
        return int(np.ceil(length)) if length >= 1.0 else 0

    def before(self, window: Window, reach: int) -> Window:
        """A window with the ground that lies up to `reach` pixels nearer to the radar, in whole steps of the lattice on
        which places are computed.

        >>> RangeDirection("left", 1.0, 0.2, 0.1).before(Window(0, 0, 512, 512), 100)
        Window(row=-32, col=-128, height=576, width=640)
        """
        if not reach:
            return window
        along, across = (-(-pixels // STEP) * STEP for pixels in (reach, int(reach * self.aside) + 1))
        if self.side in ("left", "right"):
            first = window.col - along * (self.side == "left")
            return Window(window.row - across, first, window.height + 2 * across, window.width + along)
        first = window.row - along * (self.side == "top")
        return Window(first, window.col - across, window.height + along, window.width + 2 * across)


def _seen(
    grid: Grid, geometry: ImageGeometry, rows: Array, cols: Array
) -> tuple[tuple[Array, Array], Array, Array, Array]:
    """Of places of the grid at height 0: line and column, slant range, earth-fixed point (3, ...) and tangent of the
    incidence angle."""
    longitude, latitude = places_in(CRS.from_epsg(4326), grid, rows, cols)
    points, up = earth_fixed(longitude, latitude, np.zeros(rows.shape))
    time = geometry.closest(points)
    sight = geometry.satellite(time)[0] - points
    slant = np.sqrt(np.square(sight).sum(0))
    cosine = np.clip((up * sight).sum(0) / slant, 1e-3, 1.0)
    return geometry.pixels(time, slant), slant, points, np.sqrt(1.0 - cosine**2) / cosine


def facing(values: NDArray, side: str) -> NDArray:
    """A view of (h, w) whose range grows along its second axis.

    Args:
        side: where the radar stands, of `NEAR_SIDES`.

    >>> facing(np.array([[1, 2], [3, 4]]), "bottom").tolist()
    [[3, 1], [4, 2]]
    """
    turned = values if side in ("left", "right") else values.T
    return turned[:, ::-1] if side in ("right", "bottom") else turned


def cast_shadow(look: Array, line: Array, spacing: float, reach: int, side: str) -> NDArray[np.bool_]:
    """Which pixels of a map grid nearer terrain hides.

    The lines are followed at whole multiples of `spacing`, and each pixel is held against the horizon of the two lines
    beside it. So what is found at a pixel depends on the terrain around it alone, not on the frame, as long as the
    frame holds `reach` pixels before it. Errors: half a pixel along the lines, and the relief of half a pixel across.

    Args:
        look: (h, w) look angle of each pixel, or a number that grows with it.
        line: (h, w) azimuth line at which each pixel is imaged, monotonous across the direction of range.
        spacing: lines from one pixel to the next, across the direction of range.
        reach: pixels in the direction of range over which terrain can cast a shadow.
        side: where the radar stands, of `NEAR_SIDES`.

    Returns:
        (h, w).

    >>> line = np.repeat(np.arange(2.0)[:, None], 6, 1)
    >>> cast_shadow(np.array([[1.0, 2.0, 5.0, 4.0, 4.9, 6.0]] * 2), line, 1.0, 4, "left")[0].tolist()
    [False, False, False, True, True, False]
    """
    hidden = np.zeros(look.shape, bool)
    turned = [facing(one, side) for one in (look, line, hidden)]
    if turned[1][0, 0] > turned[1][-1, 0]:
        turned = [one[::-1] for one in turned]
    turned[2][...] = _along_lines(turned[0], turned[1], spacing, reach)
    return hidden


def _along_lines(look: Array, line: Array, spacing: float, reach: int) -> NDArray[np.bool_]:
    """As `cast_shadow` where range grows along the second axis, and lines along the first."""
    lines = np.arange(np.floor(line.min() / spacing), np.ceil(line.max() / spacing) + 1) * spacing
    width = look.shape[1]
    seen = np.empty((len(lines), width))
    for column in range(width):
        seen[:, column] = np.interp(lines, line[:, column], look[:, column], -np.inf, -np.inf)
    behind = reach // 2
    highest = maximum_filter1d(seen, 2 * behind + 1, axis=1, mode="constant", cval=-np.inf, origin=behind)
    hidden = np.zeros(look.shape, bool)
    with np.errstate(invalid="ignore"):
        for column in range(1, width):
            horizon = np.interp(line[:, column], lines, highest[:, column - 1])
            hidden[:, column] = look[:, column] < horizon
    return hidden
