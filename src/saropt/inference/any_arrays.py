"""Translation of arrays of any kind: NumPy, torch, and `xarray.DataArray`, whose coordinates and CRS stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from saropt.domain import is_sar, match_bands
from saropt.errors import InputError
from saropt.inference.stated_units import stated_units

if TYPE_CHECKING:
    import xarray as xr

    from saropt.inference.translator import Translator

_BAND_DIMENSIONS: Final = ("band", "bands", "channel", "polarization", "polarisation")


def translate_any(translator: Translator, values: Any, units: str | None = None) -> Any:
    """Translate an array, a tensor or a `DataArray`; the result is of the same kind and rank.

    Args:
        values: (C, H, W) or (N, C, H, W); of a `DataArray` as `translate_data_array` takes it.
        units: units of the values; those of the card when None.

    Raises:
        InputError: as of `Translator.translate_array`.

    >>> from saropt.inference import Translator
    >>> translate_any(Translator.load("s1-losangeles"), np.full((2, 1, 16, 16), 90, np.uint8)).shape
    (2, 3, 16, 16)
    """
    if _is_data_array(values):
        return translate_data_array(translator, values, units)
    is_tensor = not isinstance(values, np.ndarray) and hasattr(values, "detach")
    array = _numbers(values.detach()) if is_tensor else np.asanyarray(values)
    if array.ndim == 4:
        result = np.stack([translator.translate_array(one, units=units) for one in array])
    else:
        result = translator.translate_array(array, units=units)
    if is_tensor:
        import torch

        return torch.from_numpy(result).to(values.device)
    return result


def _numbers(tensor: Any) -> NDArray:
    """A tensor as an array; numpy has no bfloat16."""
    on_cpu = tensor.cpu()
    return (on_cpu.float() if str(on_cpu.dtype) == "torch.bfloat16" else on_cpu).numpy()


def _is_data_array(values: object) -> bool:
    """Whether an object is an `xarray.DataArray`, without importing xarray."""
    return type(values).__name__ == "DataArray" and type(values).__module__.partition(".")[0] == "xarray"


def translate_data_array(translator: Translator, values: xr.DataArray, units: str | None = None) -> xr.DataArray:
    """Translate an array with coordinates.

    Args:
        values: (y, x), (band, y, x) or (..., band, y, x); the last two dimensions are rows and columns. Bands are
            chosen by name where the coordinate `band`, or the attribute `long_name`, names them. Pixels that are NaN
            or `_FillValue` are invalid. Lazy arrays are computed. Masked integers are read by the type they were stored
            in (`encoding`).
        units: units of the values; when None the attribute `units` where it is one of `saropt.domain.SAR_UNITS`, else
            those that the names of SAR bands say (Sigma0_VV), else those of the card.

    Returns:
        (..., band, y, x) with the coordinates of `values` (CRS among them), the names of the bands, and the notice,
        translator, units and nodata value as attributes.

    Raises:
        InputError: the array has no rows and columns, its bands are not those of the card, or its values contradict
            their units.

    >>> import xarray as xr
    >>> from saropt.inference import Translator
    >>> amplitude = np.random.default_rng(0).integers(1, 255, (32, 32)).astype(np.uint8)
    >>> scene = xr.DataArray(amplitude, dims=("y", "x"), coords={"y": np.arange(32)[::-1], "x": np.arange(32)})
    >>> optical = translate_data_array(Translator.load("s1-losangeles"), scene)
    >>> optical.dims, optical.band.values.tolist(), optical.y.equals(scene.y)
    (('band', 'y', 'x'), ['B4', 'B3', 'B2'], True)
    """
    if values.ndim < 2:
        raise InputError("array", f"must have rows and columns, has the dimensions {', '.join(map(str, values.dims))}")
    banded, band = _with_bands(values)
    names = _names(banded, band)
    try:
        places = match_bands(list(translator.source.bands), names)
    except ValueError as error:
        raise InputError("array", str(error)) from error
    chosen = banded.isel({band: places}).transpose(..., band, *values.dims[-2:])
    fill = values.attrs.get("_FillValue", values.encoding.get("_FillValue"))

    stored = values.encoding.get("rasterio_dtype", values.encoding.get("dtype"))
    dtype = None if stored is None else np.dtype(stored).name
    if units is None:
        tags = {"UNITS": str(values.attrs.get("units", ""))}
        chosen_names = [names[place] for place in places] if is_sar(translator.source.role) else []
        said = stated_units(tags, chosen_names, dtype or values.dtype.name, translator.source.bands)
        try:
            units = None if said is None else said.usable()
        except ValueError as error:
            raise InputError("array", str(error), "units") from error

    def one(pixels: np.ndarray) -> np.ndarray:
        valid = None if fill is None else (pixels != fill).all(axis=0)
        return translator.translate_array(pixels, units=units, valid=valid, dtype=dtype)

    pixels = chosen.values
    flat = pixels.reshape(-1, *pixels.shape[-3:])
    made = np.stack([one(part) for part in flat]).reshape(*pixels.shape[:-3], -1, *pixels.shape[-2:])
    kept = {name: coord for name, coord in chosen.coords.items() if band not in coord.dims and name != band}
    (product, *_) = translator.products()
    tags = {key: value for key, value in translator.tags.items() if key != "SAROPT_TRANSLATOR_SHA256"}
    attributes = {"units": translator.target.units, "_FillValue": product.nodata, **tags}
    coordinates = {**kept, "band": ("band", list(translator.target.bands))}
    dimensions = (*chosen.dims[:-3], "band", *chosen.dims[-2:])
    return type(values)(made, dims=dimensions, coords=coordinates, attrs=attributes, name=translator.card.name)


def _with_bands(values: xr.DataArray) -> tuple[xr.DataArray, Any]:
    """The array with a dimension of bands, and that dimension's name."""
    others = list(values.dims[:-2])
    named = [name for name in others if str(name).lower() in _BAND_DIMENSIONS]
    if named or len(others) == 1:
        return values, (named or others)[0]
    return values.drop_vars("band", errors="ignore").expand_dims("band"), "band"


def _names(values: xr.DataArray, band: Any) -> list[str]:
    """Names of the bands: those of the coordinate, or of `long_name` as rioxarray reads it."""
    size = values.sizes[band]
    if band in values.coords and values.coords[band].dtype.kind in "UOT":
        return [str(name) for name in values.coords[band].values]
    said = values.attrs.get("long_name", ())
    given = [said] if isinstance(said, str) else list(said)
    if len(given) == size:
        return [str(name) for name in given]
    return [f"band_{number}" for number in range(1, size + 1)]
