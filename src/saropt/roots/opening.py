"""Opens rasters of a data root with their bands in the order that its description names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from saropt.domain import described_bands
from saropt.errors import InputError
from saropt.scenes import Scene


class StoredBand(str):
    """The name that a description gives to the band at its place, whatever the raster calls it.

    >>> StoredBand("VV") == "VV"
    True
    """


def open_described(
    path: Path,
    described: Sequence[str],
    numbers: Sequence[int] | None = None,
    *,
    units: str | None = None,
) -> Scene:
    """Open a raster of a data root. Bands that it names itself are found by name, others by their place.

    Args:
        described: the bands that dataset.yaml names.
        numbers: which of these to open, from 1; all when None, and then the raster must have no other unnamed bands.
        units: what the pixels are to be read in (`Scene.open`).

    Raises:
        InputError: it cannot be read, or its bands are not those of the description.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> path = write_array("sar.tif", np.ones((2, 8, 8), np.float32), band_names=["VH", "VV"])
    >>> with open_described(path, ["VV", "VH"]) as scene:
    ...     scene.band_names
    ['VV', 'VH']
    """
    scene = Scene.open(path, numbers, units=units)
    try:
        order = band_numbers(path, described, scene.stated_names, spare=numbers is not None)
    except InputError:
        scene.close()
        raise
    chosen = [order[number - 1] for number in numbers or range(1, len(described) + 1)]
    if chosen == list(numbers or range(1, scene.count + 1)):
        return scene
    scene.close()
    return Scene.open(path, chosen, units=units)


def band_numbers(
    path: Path, described: Sequence[str], stated: Sequence[str], *, spare: bool, by: str = "dataset.yaml"
) -> tuple[int, ...]:
    """Numbers, from 1, that the bands which dataset.yaml names have in a raster.

    Args:
        path: the raster, for the error.
        stated: `Scene.stated_names` of it.
        spare: whether it may have further bands that are not found by name.
        by: what names the bands, for the error.

    Raises:
        InputError: the raster has another number of bands, or others by name.

    >>> band_numbers(Path("sar.tif"), ["VV", "VH"], ["VH", "VV"], spare=False)
    (2, 1)
    """
    if len(described) == len(stated) and any(isinstance(name, StoredBand) for name in described):
        return tuple(range(1, len(described) + 1))
    try:
        return _numbers(tuple(described), tuple(stated), spare)
    except ValueError as error:
        raise InputError(path, f"{error}, {by} says {', '.join(described)}") from error


@lru_cache(256)
def _numbers(described: tuple[str, ...], stated: tuple[str, ...], spare: bool) -> tuple[int, ...]:
    return tuple(place + 1 for place in described_bands(described, stated, spare=spare))
