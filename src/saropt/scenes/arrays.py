"""Writes small rasters from an array."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from saropt.errors import InputError
from saropt.files import atomic_file
from saropt.scenes.cog import GDAL_ERRORS
from saropt.scenes.georeference import Georeference
from saropt.scenes.writing import SceneWriter, check_writable


def write_array(
    path: str | Path,
    array: np.ndarray,
    *,
    band_names: Sequence[str] | None = None,
    nodata: float | None = None,
    georeference: Georeference | None = None,
    tags: Mapping[str, str] | None = None,
    overwrite: bool = False,
    photometric: str | None = None,
    overview_resampling: str = "average",
) -> Path:
    """Write an array as a COG (.tif, .tiff), or as a plain PNG picture (.png: uint8 or uint16, 1 to 4 bands).

    Args:
        path: output file.
        array: (C, H, W).
        band_names: one per band; band_1, band_2, ... when None. PNG keeps none.
        nodata, georeference, tags, overwrite, photometric, overview_resampling: as for `SceneWriter`.

    Raises:
        InputError: the file cannot be written, or a PNG cannot hold these bands or this data type.
        ValueError: the array is not (C, H, W), or its data type cannot be stored.

    >>> from tempfile import TemporaryDirectory
    >>> from saropt.scenes import Scene
    >>> with TemporaryDirectory() as folder:
    ...     path = write_array(f"{folder}/a.tif", np.ones((2, 8, 8), np.float32), band_names=["VV", "VH"])
    ...     with Scene.open(path) as scene:
    ...         scene.band_names, scene.height
    (['VV', 'VH'], 8)
    """
    path = Path(path)
    if array.ndim != 3:
        raise ValueError(f"expected (C, H, W), got {array.shape}")
    names = [f"band_{number + 1}" for number in range(array.shape[0])] if band_names is None else list(band_names)
    if len(names) != array.shape[0]:
        raise ValueError(f"{len(names)} band names for {array.shape[0]} bands")
    if path.suffix.lower() == ".png":
        if nodata is not None or georeference not in (None, Georeference()) or tags:
            raise InputError(path, "a PNG holds no georeference, nodata or tags; use .tif")
        return _write_png(path, array, overwrite)
    with SceneWriter(
        path,
        width=array.shape[2],
        height=array.shape[1],
        band_names=names,
        dtype=array.dtype,
        nodata=nodata,
        georeference=georeference,
        tags=tags,
        overwrite=overwrite,
        photometric=photometric,
        overview_resampling=overview_resampling,
    ) as writer:
        writer.write(0, 0, array)
        return writer.finish()


def _write_png(path: Path, array: np.ndarray, overwrite: bool) -> Path:
    count, height, width = array.shape
    if array.dtype not in (np.uint8, np.uint16) or not 1 <= count <= 4:
        raise ValueError(f"PNG holds 1 to 4 bands of uint8 or uint16, not {count} of {array.dtype}")
    check_writable(path, suffixes=(".png",), overwrite=overwrite)
    form = {"driver": "PNG", "width": width, "height": height, "count": count, "dtype": array.dtype}
    try:
        with (
            atomic_file(path, suffix=".png") as part,
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        ):
            with rasterio.open(part, "w", **form) as dataset:
                dataset.write(array)
            with rasterio.open(part) as written:
                if not np.array_equal(written.read(), array):
                    raise InputError(path, "cannot be written: it does not hold the pixels (is the disk full?)")
    except GDAL_ERRORS as error:
        raise InputError(path, f"cannot be written: {' '.join(str(error).split())}") from error
    return path
