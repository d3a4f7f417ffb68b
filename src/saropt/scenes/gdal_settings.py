"""GDAL settings under which rasters are read, and how many decoded blocks it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import rasterio

CACHE_BYTES = 128 << 20
"""For each raster that is read side by side. Holds the blocks that neighbouring windows share: two bands of float32,
8,000 pixels wide, are decoded once."""
_side_by_side: ContextVar[int] = ContextVar("side_by_side", default=1)


@contextmanager
def read_side_by_side(rasters: int) -> Iterator[None]:
    """Make room for the decoded blocks of several rasters, of which the same windows are read in turn.

    >>> with read_side_by_side(3), environment():
    ...     rasterio.env.getenv()["GDAL_CACHEMAX"] >> 20
    384
    """
    token = _side_by_side.set(rasters)
    try:
        yield
    finally:
        _side_by_side.reset(token)


def environment(**options: str) -> rasterio.Env:
    """GDAL settings, with further ones as `options`. Under them a truncated PNG, JPEG or raw file is an error, not grey
    pixels, and files beside a raster are looked for whatever the variables of the environment say.

    >>> with environment(GDAL_NUM_THREADS="1"):
    ...     rasterio.env.getenv()["GDAL_NUM_THREADS"]
    '1'
    """
    cache = CACHE_BYTES * _side_by_side.get()
    settings = {"GDAL_CACHEMAX": cache, "GDAL_ERROR_ON_LIBJPEG_WARNING": True, "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
    settings |= {"RAW_CHECK_FILE_SIZE": "YES", "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE"}
    return rasterio.Env(**(settings | options))
