"""One virtual raster of files that hold a polarisation each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from saropt.domain import POLARISATIONS, canonical_band, polarisation_in
from saropt.domain.stated_units import stated_units
from saropt.errors import InputError
from saropt.scenes.metadata import acquisition_date, band_names, stated_names

if TYPE_CHECKING:
    from rasterio.io import DatasetReader


def described_as_one(datasets: Sequence[DatasetReader], files: Sequence[Path]) -> str:
    """The text of a virtual raster of some open files of one band: a band for each, with its own nodata or mask.

    A band keeps the name that its file states, and is else called by the polarisation that the name of the file ends
    in. Of the tags those stay that no other file contradicts.

    Raises:
        InputError: a file has several bands, is not on the grid, of the type, the units or the date of the first, or
            states another polarisation than its name.
    """
    tags = [dataset.tags() for dataset in datasets]
    for dataset, file in zip(datasets, files, strict=True):
        if dataset.count != 1:
            raise InputError(file, f"has {dataset.count} bands; a file of one polarisation has one")
    for what, of in _ALIKE.items():
        facts = [of(dataset, own) for dataset, own in zip(datasets, tags, strict=True)]
        known = [place for place, fact in enumerate(facts) if fact is not None]
        other = next((place for place in known if facts[place] != facts[known[0]]), None)
        if other is not None:
            raise InputError(files[other], f"has another {what} than {files[known[0]].name}: give each file by itself")
    whole = described(datasets[0])
    for element in [*whole.findall("VRTRasterBand"), *whole.findall("MaskBand"), *whole.findall("Metadata")]:
        if element.get("domain", "") == "":
            whole.remove(element)
    kept = ElementTree.SubElement(whole, "Metadata")
    for key, value in {key: value for own in tags for key, value in own.items()}.items():
        if all(own.get(key, value) == value for own in tags):
            ElementTree.SubElement(kept, "MDI", key=key).text = value
    for place, (dataset, file) in enumerate(zip(datasets, files, strict=True)):
        root = described(dataset)
        band = root.findall("VRTRasterBand")[0]
        band.set("band", str(place + 1))
        for stated in band.findall("Description"):
            band.remove(stated)
        ElementTree.SubElement(band, "Description").text = _name(dataset, file)
        band.extend(root.findall("MaskBand"))
        whole.append(band)
    return ElementTree.tostring(whole, encoding="unicode")


def _name(dataset: DatasetReader, file: Path) -> str:
    polarisation, (name,) = polarisation_in(file.stem), band_names(dataset, [1], file)
    found = canonical_band(name)
    if found in POLARISATIONS and found != polarisation:
        raise InputError(file, f"its band is called {name}: name the file by that polarisation, or give it by itself")
    return name if found == polarisation else f"{name} {polarisation}"


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


def _quantity(dataset: DatasetReader, tags: Mapping[str, str]) -> str | None:
    stated = stated_units(tags, stated_names(dataset, [1]), dataset.dtypes[0])
    return None if stated is None else stated.quantity


def _grid(dataset: DatasetReader, _: Mapping[str, str]) -> tuple[object, ...]:
    points = [(point.row, point.col, point.x, point.y) for point in dataset.gcps[0]]
    return dataset.shape, dataset.crs, dataset.transform, points


_ALIKE: Mapping[str, Callable[[DatasetReader, Mapping[str, str]], object]] = {
    "grid": _grid,
    "type of numbers": lambda dataset, tags: dataset.dtypes,
    "statement of its units": _quantity,
    "date": lambda dataset, tags: acquisition_date(tags, POLARISATIONS),
}
"""What the files of a product must share, where they tell it."""
