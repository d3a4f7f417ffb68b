"""Windows in pixel coordinates, and the relation of pixels to the ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.control import GroundControlPoint
    from rasterio.crs import CRS


METRES_PER_DEGREE = 111_320.0
"""Along a meridian, and along the equator; elsewhere a degree of longitude is shorter by the cosine of the latitude."""


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels. `row` and `col` may be negative: a window may reach outside the raster.

    Raises:
        ValueError: when height or width is below 1.

    >>> Window(0, 0, 64, 64).inside(100, 50)
    False
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a window needs at least one pixel, got {self.height}x{self.width}")

    def inside(self, height: int, width: int) -> bool:
        """Whether the window lies wholly in a frame of `height` x `width` pixels."""
        return self.row >= 0 and self.col >= 0 and self.row + self.height <= height and self.col + self.width <= width

    def __str__(self) -> str:
        rows = f"rows {self.row}..{self.row + self.height - 1}"
        return f"{rows}, columns {self.col}..{self.col + self.width - 1}"


@dataclass(frozen=True)
class Georeference:
    """How pixels map to the ground. Every part may be missing.

    Attributes:
        crs: coordinate system of `transform`.
        transform: geotransform, the affine map from (column, row) to (x, y); may be rotated. None where the file has
            none.
        gcps: ground control points (Sentinel-1 GRD in radar geometry has these instead of a transform).
        gcp_crs: coordinate system of the control points.
        rpcs: rational polynomial coefficients, by GDAL's names ("LINE_OFF", "LINE_NUM_COEFF", ...).

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> Georeference(CRS.from_epsg(32611), Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 3700000.0)).transform @ (0, 0)
    (500000.0, 3700000.0)
    """

    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    gcp_crs: CRS | None = None
    rpcs: Mapping[str, str] = field(default_factory=dict, hash=False)
