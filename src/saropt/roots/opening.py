"""Opens rasters of a data root with their bands in the order that its description names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from saropt.domain import described_bands
from saropt.errors import InputError
from saropt.roots.root import ImageSpec
from saropt.scenes import Scene


def open_described(
    path: Path,
    image: ImageSpec,
    numbers: Sequence[int] | None = None,
    *,
    units: str | None = None,
) -> Scene:
    """Open a raster of a data root. Bands that it names itself are found by name, unless the description takes them by
    their place, others by their place.

    Args:
        image: what dataset.yaml says of it.
        numbers: which of these to open, from 1; all when None, and then the raster must have no other unnamed bands.
        units: what the pixels are to be read in (`Scene.open`); those of the description when None.

    Raises:
        InputError: it cannot be read, or its bands are not those of the description.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> path = write_array("sar.tif", np.ones((2, 8, 8), np.float32), band_names=["VH", "VV"])
    >>> with open_described(path, ImageSpec(("VV", "VH"), "sigma0")) as scene:
    ...     scene.band_names
    ['VV', 'VH']
    """
    units = units or image.units
    scene = Scene.open(path, numbers, units=units)
    try:
        order = band_numbers(path, image, scene.stated_names, spare=numbers is not None)
    except InputError:
        scene.close()
        raise
    chosen = [order[number - 1] for number in numbers or range(1, len(image.bands) + 1)]
    if chosen == list(numbers or range(1, scene.count + 1)):
        return scene
    scene.close()
    return Scene.open(path, chosen, units=units)


def band_numbers(
    path: Path, image: ImageSpec, stated: Sequence[str], *, spare: bool, by: str = "dataset.yaml"
) -> tuple[int, ...]:
    """Numbers, from 1, that the bands which dataset.yaml names have in a raster.

    Args:
        path: the raster, for the error.
        image: what dataset.yaml says of it.
        stated: `Scene.stated_names` of it.
        spare: whether it may have further bands that are not found by name.
        by: what names the bands, for the error.

    Raises:
        InputError: the raster has another number of bands, or others by name.

    >>> band_numbers(Path("sar.tif"), ImageSpec(("VV", "VH"), "sigma0"), ["VH", "VV"], spare=False)
    (2, 1)
    """
    if image.by_place and len(image.bands) == len(stated):
        return tuple(range(1, len(image.bands) + 1))
    try:
        return _numbers(image.bands, tuple(stated), spare)
    except ValueError as error:
        raise InputError(path, f"{error}, {by} says {', '.join(image.bands)}") from error


@lru_cache(256)
def _numbers(described: tuple[str, ...], stated: tuple[str, ...], spare: bool) -> tuple[int, ...]:
    return tuple(place + 1 for place in described_bands(described, stated, spare=spare))
