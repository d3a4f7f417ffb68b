"""Gives a raster whose bands have masks of their own one mask, before it is warped."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from saropt.scenes.chosen_bands import alpha_bands, chosen_bands
from saropt.scenes.joined_files import described

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from saropt.scenes.resampled_power import Fill

_KEPT = ("SRS", "GeoTransform", "GCPList", "Metadata")
_ABOVE = 150.0
_KEPT_OF_BANDS = ("Description", "ColorInterp", "Scale", "Offset", "Metadata")


def with_joint_mask(
    dataset: DatasetReader,
    path: Path,
    bands: Sequence[str | int] | None,
    power: str | None = None,
    fill: Fill | None = None,
) -> DatasetReader:
    """A virtual raster of the bands of another without its alpha, and with one mask: that of the pixels where all
    chosen bands are valid, each by its own nodata or mask. The raster itself, where GDAL's warping loses none of these.

    It knows one mask for all bands. Without this one it takes a pixel that is valid in any band, by the nodata of the
    first, for valid in all.

    Args:
        dataset: it must stay open while the virtual raster is read.
        path: its path, for errors.
        bands: the chosen ones, as of `saropt.scenes.Scene.open`.
        power: scale of SAR pixels, "decibels" or "amplitude", whose power the virtual raster has.
        fill: a number that is no measurement.

    Raises:
        InputError: a band does not exist.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> pixels = np.array([[[0, 1]], [[1, 1]]], np.uint8)
    >>> path = write_array("a.tif", pixels, band_names=["VV", "VH"], nodata=0)
    >>> with rasterio.open(path) as dataset, with_joint_mask(dataset, path, None) as joint:
    ...     joint.read_masks(2).tolist()
    [[0, 255]]
    """
    alpha = alpha_bands(dataset, bands)
    is_alone = dataset.count - len(alpha) == 1  # its colours may be chosen, where it has a palette
    chosen = chosen_bands(dataset, path, None if is_alone else bands)
    if power is None and fill is None and not any(_is_lost(dataset, index) for index in chosen):
        return dataset
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
        return rasterio.open(_described(dataset, chosen, alpha, power, fill))


def _described(
    dataset: DatasetReader, chosen: Sequence[int], alpha: Sequence[int], power: str | None, fill: Fill | None
) -> str:
    """The text of the virtual raster."""
    found = described(dataset)
    name = dataset.name if dataset.driver == "VRT" else found.findtext(".//SourceFilename") or dataset.name
    if not name.startswith(("<", "/vsi")) and Path(name).is_file():
        name = str(Path(name).absolute())
    root = ElementTree.Element("VRTDataset", rasterXSize=str(dataset.width), rasterYSize=str(dataset.height))
    # Of a VRT that calls itself interleaved by pixel, GDAL 3.10 reads several computed bands at once as zeros in parts.
    root.extend(one for one in found if one.tag in _KEPT and one.get("domain") != "IMAGE_STRUCTURE")
    for index, element in zip(dataset.indexes, found.findall("VRTRasterBand"), strict=True):
        if index not in alpha:
            band = _band(dataset, element, name, index)
            root.append(band if power is None else _power_of(band, power))
    measured = [_decibels(dataset, name, index) for index in chosen] if power == "decibels" else []
    if fill is not None:
        others = [_other_than(fill.value, name, index) for index in chosen]
        measured += [_any_of(others, dataset)] if fill.in_all else others
    root.append(_mask(name, chosen, alpha, measured))
    return ElementTree.tostring(root, encoding="unicode")


def _is_lost(dataset: DatasetReader, index: int) -> bool:
    """Whether GDAL's warping loses the mask of a band: one of its own beside other bands, or one of the whole raster
    beside nodata. NaN needs no mask: it stays NaN."""
    flags, nodata = dataset.mask_flag_enums[index - 1], dataset.nodatavals[index - 1]
    if MaskFlags.all_valid in flags or MaskFlags.alpha in flags:
        return False
    if MaskFlags.per_dataset in flags:
        return nodata is not None
    return dataset.count > 1 and (nodata is None or not math.isnan(nodata))


def _band(dataset: DatasetReader, described: ElementTree.Element, name: str, index: int) -> ElementTree.Element:
    """A band that reads the stored numbers of another, without nodata."""
    band = ElementTree.Element("VRTRasterBand", dataType=described.get("dataType", "Byte"))
    band.extend(element for element in described if element.tag in _KEPT_OF_BANDS)
    colour = band.find("ColorInterp")
    if colour is not None and dataset.colorinterp[index - 1] == ColorInterp.alpha:  # by its name it is a band
        band.remove(colour)
    band.append(_source(name, str(index)))
    return band


def _power_of(band: ElementTree.Element, scale: str) -> ElementTree.Element:
    """A band of the power of another's pixels, with its scale and offset applied."""
    band.set("subClass", "VRTDerivedRasterBand")
    band.set("dataType", "Float32")
    ElementTree.SubElement(band, "PixelFunctionType").text = "dB2pow" if scale == "decibels" else "mul"
    ElementTree.SubElement(band, "SourceTransferType").text = "Float32"
    (source,) = band.findall("SimpleSource")
    source.tag = "ComplexSource"
    for stated, used in (("Offset", "ScaleOffset"), ("Scale", "ScaleRatio")):
        if (found := band.find(stated)) is not None:
            ElementTree.SubElement(source, used).text = found.text
            band.remove(found)
    if scale == "amplitude":  # twice, to be multiplied
        band.append(source)
    return band


def _decibels(dataset: DatasetReader, name: str, index: int) -> ElementTree.Element:
    """A source of a mask that is 0 where a band holds no decibels: -inf, which is no power at all, and what is below
    `-_ABOVE`, such as -9999. As bytes such numbers are 0."""
    source = _source(name, str(index))
    source.tag = "ComplexSource"
    ElementTree.SubElement(source, "ScaleOffset").text = repr(dataset.offsets[index - 1] + _ABOVE)
    ElementTree.SubElement(source, "ScaleRatio").text = repr(dataset.scales[index - 1])
    return source


def _other_than(fill: float, name: str, index: int) -> ElementTree.Element:
    """A source of a mask that is 0 where a band holds a number, and 255 elsewhere."""
    source = _source(name, str(index))
    source.tag = "ComplexSource"
    ElementTree.SubElement(source, "ScaleOffset").text = "255"
    ElementTree.SubElement(source, "ScaleRatio").text = "0"
    ElementTree.SubElement(source, "NODATA").text = repr(float(fill))
    return source


def _any_of(sources: Sequence[ElementTree.Element], dataset: DatasetReader) -> ElementTree.Element:
    """A source that is 0 where all of some sources of a mask are: where one has nothing, what lay below it stays."""
    root = ElementTree.Element("VRTDataset", rasterXSize=str(dataset.width), rasterYSize=str(dataset.height))
    ElementTree.SubElement(root, "VRTRasterBand", dataType="Byte", band="1").extend(sources)
    return _source(ElementTree.tostring(root, encoding="unicode"), "1")


def _mask(
    name: str, chosen: Sequence[int], alpha: Sequence[int], measured: Sequence[ElementTree.Element]
) -> ElementTree.Element:
    """The mask that is 0 where that of any of these bands is, or one of these sources."""
    mask = ElementTree.Element("MaskBand")
    band = ElementTree.SubElement(mask, "VRTRasterBand", dataType="Byte")
    sources = [*(f"mask,{index}" for index in dict.fromkeys(chosen)), *map(str, alpha)]
    if len(sources) + len(measured) > 1:  # of one, GDAL takes no minimum
        band.set("subClass", "VRTDerivedRasterBand")
        ElementTree.SubElement(band, "PixelFunctionType").text = "min"
    band.extend([*(_source(name, source) for source in sources), *measured])
    return mask


def _source(name: str, band: str) -> ElementTree.Element:
    source = ElementTree.Element("SimpleSource")
    ElementTree.SubElement(source, "SourceFilename", relativeToVRT="0").text = name
    ElementTree.SubElement(source, "SourceBand").text = band
    return source
