"""Which bands of an open raster are alpha, and which of the others are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rasterio.enums import ColorInterp

from saropt.errors import InputError
from saropt.scenes.metadata import band_names, select_bands

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_MASK_NAMES = ("alpha", "mask", "valid", "opacity", "transparency")


def is_alpha(dataset: DatasetReader, index: int) -> bool:
    """Whether a band is marked as alpha and has no name, or the name of a mask. A band with a name of its own, such as
    NIR, is a band: GDAL marks the fourth band of 8-bit files as alpha unless told otherwise.

    >>> import numpy as np, rasterio
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("grey.tif", np.ones((1, 8, 8), np.uint8))) as dataset:
    ...     is_alpha(dataset, 1)
    False
    """
    name = (dataset.descriptions[index - 1] or "").strip().lower()
    return dataset.colorinterp[index - 1] == ColorInterp.alpha and (not name or name in _MASK_NAMES)


def alpha_bands(dataset: DatasetReader, bands: Sequence[str | int] | None) -> list[int]:
    """Numbers from 1 of the alpha bands of a raster; a band that is asked for by its number is none.

    >>> import numpy as np, rasterio
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("grey.tif", np.ones((1, 8, 8), np.uint8))) as dataset:
    ...     alpha_bands(dataset, None)
    []
    """
    asked = {band for band in bands or () if isinstance(band, int)}
    return [index for index in dataset.indexes if is_alpha(dataset, index) and index not in asked]


def check_one_type(dataset: DatasetReader, path: Path, indexes: Sequence[int]) -> None:
    """Check that bands (numbers from 1) can be read together, which those of virtual rasters cannot always.

    Raises:
        InputError: their pixels are of several types.

    >>> import numpy as np, rasterio
    >>> from saropt.scenes import write_array
    >>> path = write_array("two.tif", np.ones((2, 8, 8), np.float32))
    >>> with rasterio.open(path) as dataset:
    ...     check_one_type(dataset, path, [1, 2])
    """
    kinds = dict.fromkeys(dataset.dtypes[index - 1] for index in indexes)
    if len(kinds) > 1:
        raise InputError(path, f"has bands of several types ({', '.join(kinds)}): write them as bands of one type")


def chosen_bands(dataset: DatasetReader, path: Path, bands: Sequence[str | int] | None) -> list[int]:
    """Numbers from 1 of the bands that are asked for by name or number; of all but alpha when None.

    Raises:
        InputError: a band does not exist.

    >>> import numpy as np, rasterio
    >>> from saropt.scenes import write_array
    >>> path = write_array("two.tif", np.ones((2, 8, 8), np.float32), band_names=["VV", "VH"])
    >>> with rasterio.open(path) as dataset:
    ...     chosen_bands(dataset, path, ["VH"])
    [2]
    """
    alpha = alpha_bands(dataset, bands)
    own = [index for index in dataset.indexes if index not in alpha]
    return own if bands is None else [own[place] for place in select_bands(path, band_names(dataset, own, path), bands)]
