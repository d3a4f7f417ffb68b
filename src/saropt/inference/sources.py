"""Where tiles are read from: scenes, arrays, and scratch rasters in temporary files."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from saropt.artifacts import ImageCard
from saropt.domain import SAR_UNITS, Unit, describe_role, describe_units, is_sar
from saropt.domain.stated_units import stated_units, told_of_units
from saropt.errors import InputError, counted
from saropt.inference.clouds import Clouds, find_clouds
from saropt.radiometry import Normaliser, Reflectance, ValueRule, check_units
from saropt.scenes import Window, read_mirrored, sample_pixels
from saropt.scenes.measurements import find_measured
from saropt.scenes.metadata import check_band_list

_SAMPLE, _PICTURE = 1 << 18, 1 << 13
_CLOUD, _MUCH = 0.3, 0.1
"""Reflectance above which all bands of clouds lie, and the share of such pixels that is told of: at most 1 % of clear
images with B4, B3, B2 (48 of them), over 10 % of most cloudy ones."""
_CUT = 0.01
"""Share of an earlier image above the range of the card that is told of: white roofs and foam are less."""
_NEGATIVE = 0.1
"""Share of power below zero that is told of: over calm water the subtraction of noise leaves some."""


class Source(Protocol):
    """What tiles are read from: `saropt.scenes.Scene`, or anything that is read like one."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    @property
    def source(self) -> str: ...
    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]: ...
    def sample(self, max_pixels: int = ...) -> NDArray: ...


class ArraySource:
    """An array that is read like a scene.

    Args:
        values: (C, H, W).
        valid: (H, W); pixels that are not finite are invalid in any case. All pixels are valid when None.
        dtype: the stored type that the values come from; the array's own when None.
        name: what errors call it.
        bands: names of its bands, by which they may stand in any order and some of a card's may be missing.

    Raises:
        InputError: the array has another number of dimensions, or of bands than there are names, or one name that is
            no list.

    >>> array = ArraySource(np.ones((2, 3, 4)))
    >>> array.height, array.width, array.sample().shape
    (3, 4, (2, 12))
    """

    block_shape = (512, 512)

    def __init__(
        self,
        values: NDArray,
        valid: NDArray[np.bool_] | None = None,
        dtype: str | None = None,
        name: str = "array",
        bands: Sequence[str] | None = None,
    ) -> None:
        hidden = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
        given = np.asarray(values)
        if given.ndim != 3:
            raise InputError(name, f"must be (bands, height, width), is {given.shape}")
        if given.dtype.kind not in "uifc" or not given.size:
            raise InputError(name, f"must hold numbers, is {given.dtype} of shape {given.shape}")
        check_band_list(bands)
        if bands is not None and len(bands) != len(given):
            raise InputError(name, f"has {counted(len(given), 'band')}, but bands gives {counted(len(bands), 'name')}")
        keep = np.ones(given.shape[1:], bool) if valid is None else np.asarray(valid, bool)
        if keep.shape != given.shape[1:]:
            raise InputError(name, f"is {given.shape}, its mask of valid pixels {keep.shape}")
        if hidden is not None:
            keep = keep & ~hidden.any(axis=0)
        if given.dtype.kind in "fc":
            keep = keep & np.isfinite(given).all(axis=0)
        self.valid = keep
        self.values = given if keep.all() else np.where(keep, given, 0)
        self.height, self.width = keep.shape
        self.dtype = dtype or given.dtype.name
        self.source = name
        self.band_names = tuple(bands or ())

    def with_bands(self, order: Sequence[int]) -> Self:
        """The same array with its bands, which have names, in another order.

        >>> ArraySource(np.ones((2, 3, 4)), bands=["VH", "VV"]).with_bands([1, 0]).band_names
        ('VV', 'VH')
        """
        if list(order) == list(range(len(self.values))):
            return self
        other = copy.copy(self)
        other.values = self.values[list(order)]
        other.band_names = tuple(self.band_names[place] for place in order)
        return other

    def read(self, window: Window | None = None) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) and validity (h, w) of a window inside the array; of the whole array when None."""
        w = window or Window(0, 0, self.height, self.width)
        area = np.s_[..., w.row : w.row + w.height, w.col : w.col + w.width]
        return self.values[area], self.valid[area]

    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """As `read`, mirrored at the edges where the window reaches outside the array."""
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray:
        """Valid pixels (C, n) from all over the array, as `saropt.scenes.Scene.sample` takes them."""
        return sample_pixels(self, max_pixels)


class ScratchRaster:
    """A raster in a temporary file, written and read by windows, so that memory does not grow with it.

    Use as a context manager: the file goes when the block ends. Pixels that were not written are 0 and invalid.

    Args:
        bands, height, width: of the raster.
        dtype: of the pixels.
        folder: where the file lies; the temporary folder when None.
        name: what errors call it.

    Raises:
        OSError: the disk is full.

    >>> with ScratchRaster(1, 4, 6, "uint8") as raster:
    ...     raster.write(1, 2, np.full((1, 2, 2), 7, np.uint8))
    ...     values, valid = raster.read(Window(0, 0, 2, 4))
    >>> values[0].tolist(), int(valid.sum())
    ([[0, 0, 0, 0], [0, 0, 7, 7]], 2)
    """

    block_shape = (512, 512)

    def __init__(
        self, bands: int, height: int, width: int, dtype: str, folder: str | Path | None = None, name: str = "scratch"
    ) -> None:
        self.bands, self.height, self.width = bands, height, width
        self.dtype, self.source = np.dtype(dtype).name, name
        self._type = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".saropt-")  # noqa: SIM115
        self._plane = height * width * self._type.itemsize
        os.truncate(self._file.fileno(), bands * self._plane + height * width)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, row: int, col: int, pixels: NDArray, valid: NDArray[np.bool_] | None = None) -> None:
        """Put pixels (C, h, w) at a place; valid (h, w) everywhere when None."""
        _, height, width = pixels.shape
        mask = np.ones((height, width), bool) if valid is None else valid
        content = np.ascontiguousarray(pixels, self._type)
        for band, image in enumerate(content):
            self._put(band * self._plane, self._type.itemsize, row, col, image)
        self._put(self.bands * self._plane, 1, row, col, np.ascontiguousarray(mask, np.uint8))

    def _put(self, start: int, size: int, row: int, col: int, image: NDArray) -> None:
        if image.shape[1] == self.width:
            _write_all(self._file.fileno(), image.data.cast("B"), start + row * self.width * size)
            return
        for offset, line in enumerate(image):
            _write_all(self._file.fileno(), line.data.cast("B"), start + ((row + offset) * self.width + col) * size)

    def read(self, window: Window | None = None) -> tuple[NDArray, NDArray[np.bool_]]:
        """Values (C, h, w) as stored and validity (h, w) of a window inside the raster; of all of it when None."""
        window = window or Window(0, 0, self.height, self.width)
        values = np.stack([self._get(band * self._plane, self._type, window) for band in range(self.bands)])
        return values, self._get(self.bands * self._plane, np.dtype(np.uint8), window).astype(bool)

    def _get(self, start: int, dtype: np.dtype, window: Window) -> NDArray:
        rows = bytearray()
        first = start + (window.row * self.width) * dtype.itemsize
        if window.width == self.width:
            rows += os.pread(self._file.fileno(), window.height * self.width * dtype.itemsize, first)
        else:
            for offset in range(window.height):
                place = first + (offset * self.width + window.col) * dtype.itemsize
                rows += os.pread(self._file.fileno(), window.width * dtype.itemsize, place)
        return np.frombuffer(bytes(rows), dtype).reshape(window.height, window.width)

    def read_padded(self, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
        """As `read`, mirrored at the edges where the window reaches outside the raster."""
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> NDArray:
        """Valid pixels (C, n) from all over the raster, as `saropt.scenes.Scene.sample` takes them."""
        return sample_pixels(self, max_pixels)


def _write_all(file: int, content: memoryview, offset: int) -> None:
    while content:
        done = os.pwrite(file, content, offset)
        content, offset = content[done:], offset + done


@dataclass(frozen=True)
class Fitted:
    """A card's recipe, fitted to a source.

    Attributes:
        normaliser: the recipe with the source's statistics.
        median: (C,), median network value of each band.
        rule: which values of the source are measurements.
        notes: one line each, of what was taken for granted.
        clouds: those of an earlier optical image that is mostly cloud or snow and has no mask.
    """

    normaliser: Normaliser
    median: NDArray[np.float32]
    rule: ValueRule
    notes: tuple[str, ...] = ()
    clouds: Clouds | None = None


def fit_input(image: ImageCard, source: Source, units: str | None = None) -> Fitted:
    """Fit the card's recipe to a source, whose values must be those that their units can have.

    Args:
        units: units of the source; when None those that its tags or the names of its bands state, else the card's.

    Raises:
        InputError: no valid pixel, values that contradict their units, or names of a quantity that is no unit here.
    """
    sample = source.sample()
    if sample.shape[1] == 0:
        raise InputError(source.source, "holds no valid pixel (all nodata or NaN)")
    remedy = None if image.optional or describe_role(image.role).quantity == "elevation" else "units"
    stated = None
    if is_sar(image.role):
        names = getattr(source, "band_names", ())
        stated = stated_units(getattr(source, "tags", {}), names, source.dtype, image.bands)
    told = None
    try:
        told = None if units is not None or stated is None else stated.usable()
        fitted = _fit(image, source, units or told or image.units, sample, stated=bool(units or told))
    except ValueError as error:
        scaled = " (the scale and offset of its bands are applied)" if getattr(source, "scaling", None) else ""
        named = f" (so its {stated.where} say)" if told and stated and stated.where != "tags" else ""
        way = " (its tag CALIBRATED_TO can say them)" if image.optional and is_sar(image.role) and not told else ""
        raise InputError(source.source, f"{error}{named}{scaled}{way}", remedy) from error
    said = told_of_units(stated, source.source, units, image.units)
    if units is None and stated is None and image.units == "amplitude" and float(np.median(sample)) < 1.0:
        low = f"{source.source}: nothing states its units, and most values are below 1"
        said.append(f"{low}: taken as amplitude, where calibrated products hold power (sigma0, gamma0)")
    return replace(fitted, notes=(*said, *fitted.notes))


def _check_heights(stated: str, units: str, unit: Unit | None) -> None:
    """Refuse heights whose tags state another unit of length."""
    own = ValueRule.of(stated, "").unit
    if unit is not None and own is not None and own.scale == unit.scale and own.factor != unit.factor:
        raise ValueError(f"its tags say {stated}: heights in {units} are taken")


def _fit(image: ImageCard, source: Source, units: str, sample: NDArray, stated: bool = True) -> Fitted:
    recipe = image.make_recipe()
    if not is_sar(image.role) and units in SAR_UNITS and units != "uint8":
        raise ValueError(f"units {units} are of SAR; optical images in {image.units} are taken")
    quantity = describe_role(image.role).quantity
    unit = recipe.unit_of(units, source.dtype) if quantity in ("backscatter", "reflectance") else None
    if is_sar(image.role):
        unit = describe_units(units)
    if quantity == "elevation":
        unit = ValueRule.of(units, source.dtype).unit
        _check_heights(getattr(source, "tags", {}).get("UNITS", ""), units, unit)
    rule = ValueRule(unit, source.dtype, recipe.absolute)
    if unit is not None and quantity != "elevation":
        names = getattr(source, "band_names", ())
        check_units(sample, unit, source.dtype, calibrated=recipe.absolute, stated=stated, names=names)
        if quantity == "reflectance" and units in SAR_UNITS:  # uint8, for a recipe of reflectance
            check_units(sample, units, source.dtype)
    measured = find_measured(source, sample, rule, units, all_bands=quantity == "reflectance")
    sample = measured.sample
    low, high = sample.min(axis=1, keepdims=True), sample.max(axis=1, keepdims=True)
    if not image.optional and sample.shape[1] >= _PICTURE and bool(((sample == low) | (sample == high)).all()):
        values = " or ".join(f"{value:g}" for value in np.unique([low, high]))
        raise InputError(source.source, f"is no picture: all its pixels are {values}")
    notes = list(measured.notes)
    if unit is not None and unit.scale == "power" and (share := float((sample < 0).mean())) > _NEGATIVE:
        what = f"{share:.0%} of the values in {units} are below zero, as where noise was subtracted"
        notes.append(f"{source.source}: {what}: taken for the least power")
    clouds = None
    if image.optional and unit is not None and unit.scale == "reflectance":
        if not getattr(source, "masked", False):
            clouds = find_clouds(sample, image.bands, unit.factor)
        share = float((sample > _CLOUD * unit.factor).all(axis=0).mean())
        if share > _MUCH and clouds is None:
            bright = f"{share:.0%} of {source.source} is brighter than {_CLOUD:g} in all bands, as clouds and snow are"
            notes.append(f"{bright}: it counts as ground unless a mask is given")
    if isinstance(recipe, Reflectance):
        recipe = recipe.taking(units, image.units)
        taken = recipe.scale * recipe.high
        if image.optional and clouds is None and (cut := float((sample > taken).any(axis=0).mean())) > _CUT:
            most = f"{cut:.0%} of its pixels are above reflectance {recipe.high:g}, the most that is taken"
            notes.append(f"{source.source}: {most}: where they are kept they come out as that")
    normaliser = recipe.fit(sample, units, source.dtype)
    network = normaliser.forward(sample[:, :: -(-sample.shape[1] // _SAMPLE), None])
    median = np.median(network, axis=(1, 2)).astype(np.float32)
    return Fitted(normaliser, median, measured.rule, tuple(notes), clouds)
