"""Windows in pixel coordinates, and the relation of pixels to the ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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


def degrees_at_centre(place: Georeference, height: int, width: int) -> NDArray[np.float64] | None:
    """Longitude and latitude (2, 3) of the centre of a raster, and of a pixel to its right and one below; None where
    the raster has no place on the globe.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> degrees_at_centre(Georeference(CRS.from_epsg(4326), Affine(0.1, 0, 10.0, 0, -0.1, 50.0)), 20, 40)[:, 0].tolist()
    [12.0, 49.0]
    """
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rasterio.transform import from_gcps
    from rasterio.warp import transform

    crs, affine = place.crs, place.transform
    if affine is None and len(place.gcps) >= 3:
        crs, affine = place.gcp_crs, from_gcps(place.gcps)
    if crs is None or affine is None:
        return None
    corners = [affine @ (width / 2 + right, height / 2 + down) for right, down in ((0, 0), (1, 0), (0, 1))]
    try:
        degrees = np.array(transform(crs, "EPSG:4326", *zip(*corners, strict=True)))
    except (RasterioError, CPLE_BaseError):
        return None
    return degrees if np.isfinite(degrees).all() else None  # GDAL gives infinite ones once another call has failed
