"""One virtual raster of files that hold a polarisation each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from saropt.domain import polarisation_in
from saropt.errors import InputError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader


def described_as_one(datasets: Sequence[DatasetReader], files: Sequence[Path]) -> str:
    """The text of a virtual raster with a band for each of some open files of one band, called by the polarisation
    that the file's name ends in, each with its own nodata or mask; tags are those of the first.

    Raises:
        InputError: a file has several bands, or is not on the grid or of the type of the first.
    """
    for dataset, file in zip(datasets, files, strict=True):
        if dataset.count != 1:
            raise InputError(file, f"has {dataset.count} bands; a file of one polarisation has one")
        if _grid(dataset) != _grid(datasets[0]):
            raise InputError(file, f"is not on the grid of {files[0].name}: give each file by itself")
        if dataset.dtypes != datasets[0].dtypes:
            types = f"is of type {dataset.dtypes[0]}, {files[0].name} of {datasets[0].dtypes[0]}"
            raise InputError(file, f"{types}: give each file by itself")
    bands = []
    for place, (dataset, file) in enumerate(zip(datasets, files, strict=True)):
        root = described(dataset)
        band = root.findall("VRTRasterBand")[0]
        band.set("band", str(place + 1))
        for stated in band.findall("Description"):
            band.remove(stated)
        ElementTree.SubElement(band, "Description").text = polarisation_in(file.stem)
        band.extend(root.findall("MaskBand"))
        bands.append(band)
    whole = described(datasets[0])
    for element in [*whole.findall("VRTRasterBand"), *whole.findall("MaskBand")]:
        whole.remove(element)
    whole.extend(bands)
    return ElementTree.tostring(whole, encoding="unicode")


def described(dataset: DatasetReader) -> ElementTree.Element:
    """The XML of a virtual raster of all bands of another.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> with rasterio.open(write_array("a.tif", np.ones((2, 8, 8), np.uint8))) as dataset:
    ...     len(described(dataset).findall("VRTRasterBand"))
    2
    """
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        with rasterio.open(memory.name) as copied:
            return ElementTree.fromstring(copied.tags(ns="xml:VRT")["xml:VRT"])


def _grid(dataset: DatasetReader) -> tuple[object, ...]:
    points = [(point.row, point.col, point.x, point.y) for point in dataset.gcps[0]]
    return dataset.shape, dataset.crs, dataset.transform, points
