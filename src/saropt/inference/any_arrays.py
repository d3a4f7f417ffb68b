"""Translation of arrays of any kind: NumPy, torch, and `xarray.DataArray`, whose coordinates and CRS stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from saropt.domain import is_sar
from saropt.domain.stated_units import StatedUnits, stated_units, told_of_units
from saropt.errors import InputError
from saropt.inference.data_arrays import (
    NAME,
    Described,
    arranged,
    dates_in_words,
    described,
    fills_of,
    names_in_doubt,
    names_of_bands,
    scaling_of,
    stored_type,
)
from saropt.inference.familiarity import other_pixel_size, other_scene_inputs
from saropt.inference.opening import band_positions, bands_given, unnamed_bands
from saropt.inference.sources import ArraySource
from saropt.inference.told import tell, told_once
from saropt.radiometry import ValueRule
from saropt.scenes import read_scene_inputs
from saropt.scenes.metadata import acquisition_text

if TYPE_CHECKING:
    import xarray as xr

    from saropt.inference.translator import Translator


def translate_any(translator: Translator, values: Any, units: str | None = None) -> Any:
    """Translate an array, a tensor or a `DataArray`; the result is of the same kind and rank.

    What a translation of a file would tell is a `saropt.errors.SceneWarning`, each line once for all images.

    Args:
        values: (C, H, W) or (N, C, H, W); of a `DataArray` as `translate_data_array` takes it.
        units: units of the values; those of the card when None.

    Raises:
        InputError: as of `Translator.translate_array`.

    >>> from saropt.inference import Translator
    >>> translate_any(Translator.load("s1-losangeles"), np.full((2, 1, 16, 16), 90, np.uint8)).shape
    (2, 3, 16, 16)
    """
    if _is_of_xarray(values):
        return translate_data_array(translator, values, units)
    is_tensor = not isinstance(values, np.ndarray) and hasattr(values, "detach")
    array = _numbers(values.detach()) if is_tensor else np.asanyarray(values)
    if array.ndim == 4:
        places = [f"image {number} of {len(array)}" for number in range(1, len(array) + 1)]
        with told_once():
            result = _each(translator, array, places, ArraySource, units)
    else:
        result = translator.translate_array(array, units=units)
    if is_tensor:
        import torch

        return torch.from_numpy(result).to(values.device)
    return result


def _each(
    translator: Translator,
    images: NDArray,
    places: Sequence[str],
    opened: Callable[[NDArray], ArraySource],
    units: str | None,
    bands: Sequence[str] | None = None,
) -> NDArray:
    """The translations (N, C, H, W) of images; those without a measurement are nodata where others have some, which is
    told.

    Args:
        places: what errors and warnings call each of them.
        opened: an image as it is read.
        units, bands: of the images, as of `Translator.translate_array`.

    Raises:
        InputError: there is no image, or one cannot be translated.
    """
    if not len(images):
        raise InputError(NAME, f"holds no image: it is {images.shape}")
    rule = _rule(translator, units, opened(images[0]).dtype)
    empty = [_is_empty(opened(image), rule) for image in images] if len(images) > 1 else [False]
    if all(empty):
        empty = [False] * len(images)
    (product, *_) = translator.products()
    made = []
    for image, place, without in zip(images, places, empty, strict=True):
        if without:
            tell([f"{NAME}: {place} holds no valid pixel: its translation is nodata"])
            made.append(np.full((len(product.bands), *image.shape[-2:]), product.nodata, product.dtype))
            continue
        try:
            one = opened(image)
            made.append(
                translator.translate_array(one.values, units=units, valid=one.valid, dtype=one.dtype, bands=bands)
            )
        except InputError as error:
            if len(images) == 1 or error.source != NAME:
                raise
            raise InputError(f"{NAME}, {place}", error.reason, error.remedy) from error
    return np.stack(made)


def _rule(translator: Translator, units: str | None, dtype: str) -> ValueRule:
    """Which values of an input in these units, or in those of the card, are measurements."""
    rule = ValueRule.of(units or translator.source.units, dtype)
    dark = rule.unit is not None and rule.unit.scale == "reflectance"
    return rule.with_fill(0.0, all_bands=True) if dark else rule


def _is_empty(image: ArraySource, rule: ValueRule) -> bool:
    """Whether an image holds no measurement: all of it is invalid, or a band is one value that is none. Many impossible
    values are not fill: their units are wrong."""
    if not image.valid.any():
        return True
    if (rule.measured(image.values) & image.valid).any():
        return False
    wrong = [band for band in image.values[:, image.valid] if not rule.measured(band[None]).any()]
    return any(bool((band == band[0]).all()) for band in wrong)


def _numbers(tensor: Any) -> NDArray:
    """A tensor as an array; numpy has no bfloat16."""
    on_cpu = tensor.cpu()
    return (on_cpu.float() if str(on_cpu.dtype) == "torch.bfloat16" else on_cpu).numpy()


def _is_of_xarray(values: object, kinds: Sequence[str] = ("DataArray", "Dataset")) -> bool:
    """Whether an object is one of these kinds of xarray, without importing xarray."""
    return type(values).__name__ in kinds and type(values).__module__.partition(".")[0] == "xarray"


def translate_data_array(translator: Translator, values: xr.DataArray, units: str | None = None) -> xr.DataArray:
    """Translate an array with coordinates.

    Args:
        values: its dimensions are rows, columns and, where there are several, bands, in any order; others stay. They
            are found by name (y and x, lat and lon, ...; band, polarization, ...), else the last two are rows and
            columns. Bands are chosen by name where the coordinate of the bands, or the attribute `long_name`, names
            them. Pixels are invalid that are NaN or what `_FillValue`, `missing_value`, `fill_value`, `nodata` or
            `nodatavals` states, for all bands or for each. Scale and offset in the attributes are applied; those in
            `encoding` are already. Lazy arrays are computed. Masked integers are read by the type they were stored in
            (`encoding`).
        units: units of the values; when None the attribute `CALIBRATED_TO` or `units` where it is one of
            `saropt.domain.SAR_UNITS`, else those that the names of SAR bands say (Sigma0_VV), else those of the card.

    Returns:
        (..., band, y, x) with the coordinates of `values` (CRS among them), the names of the bands, and the notice,
        translator, units, nodata value and date of acquisition, where one is stated, as attributes.

    Raises:
        InputError: the array has no rows and columns, or they cannot be told apart; it holds no image, its bands are
            not those of the card, its values contradict their units, or it is a `Dataset`.

    >>> import xarray as xr
    >>> from saropt.inference import Translator
    >>> amplitude = np.random.default_rng(0).integers(1, 255, (32, 32)).astype(np.uint8)
    >>> scene = xr.DataArray(amplitude, dims=("y", "x"), coords={"y": np.arange(32)[::-1], "x": np.arange(32)})
    >>> optical = translate_data_array(Translator.load("s1-losangeles"), scene)
    >>> optical.dims, optical.band.values.tolist(), optical.y.equals(scene.y)
    (('band', 'y', 'x'), ['B4', 'B3', 'B2'], True)
    """
    if _is_of_xarray(values, ["Dataset"]):
        ways = 'dataset["VV"] or dataset.to_dataarray("band")'
        raise InputError(NAME, f"is an xarray Dataset: give a DataArray, as {ways}")
    bands = translator.source.bands
    banded, band = arranged(values, len(bands))
    names = names_of_bands(banded, band)
    try:
        places = band_positions(translator.source, names)
    except ValueError as error:
        raise InputError(NAME, f"{error}{dates_in_words(banded, band)}") from error
    there = [bands[place] for place in bands_given(translator.source, [names[place] for place in places])]
    some = there if len(places) < len(bands) else None
    chosen = banded.isel({band: places})
    fills = fills_of(banded, band, places)
    dtype = stored_type(values)
    about = described(banded, names)
    said = _stated(translator, about.tags, [names[place] for place in places], dtype or values.dtype.name)
    told = told_of_units(said, NAME, units, translator.source.units)
    try:
        units = said.usable() if units is None and said is not None else units
    except ValueError as error:
        raise InputError(NAME, str(error), "units") from error
    scaling = scaling_of(banded, band, places, units or translator.source.units)

    def opened(pixels: NDArray) -> ArraySource:
        valid = np.ones(pixels.shape[-2:], bool)
        for fill in fills:
            valid &= (pixels != fill).all(axis=0)
        if scaling is None:
            return ArraySource(pixels, valid, dtype)
        scales, offsets = scaling
        return ArraySource((pixels * scales + offsets).astype(np.float32), valid)

    pixels = chosen.values
    flat = pixels.reshape(int(np.prod(pixels.shape[:-3])), *pixels.shape[-3:])
    with told_once():
        tell([*names_in_doubt(banded, band), *told, *_unlike(translator, banded, about, names, scaling is not None)])
        images = _each(translator, flat, _places(chosen), opened, units, some)
    made = images.reshape(*pixels.shape[:-3], -1, *pixels.shape[-2:])
    kept = {name: coord for name, coord in chosen.coords.items() if band not in coord.dims and name != band}
    (product, *_) = translator.products()
    tags = {key: value for key, value in translator.tags.items() if key != "SAROPT_TRANSLATOR_SHA256"}
    outputs = tuple(translator.target.bands)
    attributes = {"units": translator.target.units, "long_name": outputs, "_FillValue": product.nodata, **tags}
    if (acquired := acquisition_text(about.tags, names)) is not None:
        attributes["ACQUISITION_DATE"] = acquired
    coordinates = {**kept, "band": ("band", list(outputs))}
    dimensions = (*chosen.dims[:-3], "band", *chosen.dims[-2:])
    return type(values)(made, dims=dimensions, coords=coordinates, attrs=attributes, name=translator.card.name)


def _places(values: xr.DataArray) -> list[str]:
    """What to call each image of (..., band, rows, columns)."""
    outer = values.dims[:-3]

    def at(dim: Any, number: int) -> str:
        return f"{dim} {str(values[dim].values[number])[:19]}" if dim in values.coords else f"{dim} {number + 1}"

    shape = values.shape[:-3]
    return [", ".join(map(at, outer, place)) for place in np.ndindex(*shape)]


def _stated(translator: Translator, tags: Mapping[str, str], names: Sequence[str], dtype: str) -> StatedUnits | None:
    """What an array states of its units; of another image than a SAR image only the attribute `units` counts."""
    image = translator.source
    if is_sar(image.role):
        return stated_units(tags, names, dtype, image.bands)
    return stated_units({"UNITS": tags.get("UNITS", "")}, (), dtype)


def _unlike(
    translator: Translator, banded: xr.DataArray, about: Described, names: list[str], scaled: bool
) -> list[str]:
    """What the names, coordinates and attributes of an array tell, a line each."""
    lines = unnamed_bands(translator.source, names, NAME)
    known = read_scene_inputs(about) if translator.seen_scene_inputs else {}
    size = about.height, about.width
    pixel = None if translator.gsd_m is None else other_pixel_size(about.georeference, *size, translator.gsd_m)
    lines += [line for line in (pixel, other_scene_inputs(known, translator.seen_scene_inputs)) if line is not None]
    if scaled and banded.dtype.kind == "f" and np.dtype(stored_type(banded) or banded.dtype).kind == "f":
        lines.append(f"{NAME}: the scale and offset of its attributes are applied")
    return lines
