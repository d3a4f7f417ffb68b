"""What the names, coordinates and attributes of an `xarray.DataArray` say of its values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from saropt.domain import describe_units, is_known
from saropt.errors import InputError
from saropt.scenes import Georeference
from saropt.scenes.metadata import acquisition_date

if TYPE_CHECKING:
    import xarray as xr
    from affine import Affine

NAME: Final = "array"
"""What errors call it."""
_BANDS: Final = ("band", "channel", "pol", "polarization", "polarisation", "variable")
"""Names of the dimension of bands, also in the plural."""
_TIME: Final = re.compile(r"(.*_)?(t|(time|date|datetime|day|month|year|epoch)s?)")
"""Names of a dimension of dates."""
_PAIRS: Final = (
    ("y", "x"),
    ("lat", "lon"),
    ("latitude", "longitude"),
    ("lat", "long"),
    ("northing", "easting"),
    ("row", "col"),
    ("row", "column"),
    ("rows", "cols"),
    ("rows", "columns"),
    ("line", "sample"),
    ("lines", "samples"),
    ("line", "pixel"),
    ("azimuth", "range"),
    ("azimuth_time", "slant_range_time"),
    ("projection_y_coordinate", "projection_x_coordinate"),
    ("height", "width"),
    ("h", "w"),
)
"""Names of rows and columns."""
_FILLS: Final = ("_FillValue", "missing_value", "fill_value", "nodata", "nodatavals")
"""Attributes that state the value of invalid pixels."""
_ENCODED_FILLS: Final = ("_FillValue", "missing_value")
_ROWS: Final = frozenset(rows for rows, _ in _PAIRS)
_COLUMNS: Final = frozenset(columns for _, columns in _PAIRS)


def arranged(values: xr.DataArray, count: int) -> tuple[xr.DataArray, Any]:
    """An array as (..., band, rows, columns), and the name of its dimension of bands, which is made if it has none.

    Args:
        count: bands that are looked for.

    Raises:
        InputError: it has no rows and columns, or its dimensions have names that do not tell which they are.

    >>> import xarray as xr
    >>> image = xr.DataArray(np.zeros((8, 9, 2)), dims=("lon", "lat", "band"))
    >>> arranged(image, 2)[0].sizes
    Frozen({'band': 2, 'lat': 9, 'lon': 8})
    """
    if values.ndim < 2:
        raise InputError(NAME, f"must have rows and columns, has the dimensions {', '.join(map(str, values.dims))}")
    band = next((dim for dim in values.dims if _is_band(values, dim)), None)
    rows, columns, band = _dimensions(values, band, count)
    if band is None:
        band = _band_left(values)
        named = values.coords.get(band)
        if named is not None and named.ndim:
            values = values.drop_vars(band)
        values = values.expand_dims(band)
    return values.transpose(..., band, rows, columns), band


def _band_left(values: xr.DataArray) -> Any:
    """The coordinate that says which band an array without a dimension of bands is, as `sel` leaves it; "band" where
    there is none."""
    texts = [name for name, one in values.coords.items() if not one.ndim and one.dtype.kind in "UOT"]
    return next((name for name in texts if str(name).lower().removesuffix("s") in _BANDS), "band")


def _is_band(values: xr.DataArray, dim: Any) -> bool:
    """Whether a dimension is that of the bands, by its name or by those that its coordinate holds."""
    if str(dim).lower().removesuffix("s") in _BANDS:
        return True
    names = values.coords.get(dim)
    return names is not None and names.dtype.kind in "UOT" and all(is_known(str(name)) for name in names.values)


def _dimensions(values: xr.DataArray, band: Any, count: int) -> tuple[Any, Any, Any]:
    """The dimensions of rows, columns and bands; None for bands where there are none."""
    others = [dim for dim in values.dims if dim != band]
    lower = {str(dim).lower(): dim for dim in others}
    for rows, columns in _PAIRS:
        if rows in lower and columns in lower:
            pair = lower[rows], lower[columns]
            rest = [dim for dim in others if dim not in pair]
            if band is None and len(rest) == 1 and not _is_time(values, rest[0]):
                band = rest[0]
            return *pair, band
    rest = [dim for dim in others if not _is_time(values, dim)]
    if band is None and len(rest) == 3 and values.sizes[rest[0]] == count:
        band, *rest = rest
        if count in (values.sizes[dim] for dim in rest):
            rest = []
    if len(rest) != 2 or str(rest[0]).lower() in _COLUMNS or str(rest[1]).lower() in _ROWS:
        dims = ", ".join(map(str, values.dims))
        raise InputError(NAME, f"has the dimensions {dims}: which are rows and columns? Rename them to y and x")
    return *rest, band


def _is_time(values: xr.DataArray, dim: Any) -> bool:
    if dim in values.coords and values.coords[dim].dtype.kind == "M":
        return True
    name = str(dim).lower()
    return name not in _ROWS | _COLUMNS and _TIME.fullmatch(name) is not None


def dates_in_words(values: xr.DataArray, band: Any) -> str:
    """What is said of a dimension of dates where the bands are not those that are looked for; "" where there is none.

    >>> import xarray as xr
    >>> dates_in_words(xr.DataArray(np.zeros((2, 1, 8, 8)), dims=("time", "band", "y", "x")), "band")
    '; its dimension time is one of dates: rename it to band where it is one of bands, else name the array as its band'
    """
    dates = [dim for dim in values.dims if dim != band and _is_time(values, dim)]
    if not dates:
        return ""
    way = "rename it to band where it is one of bands, else name the array as its band"
    return f"; its dimension {dates[0]} is one of dates: {way}"


def names_of_bands(values: xr.DataArray, band: Any) -> list[str]:
    """Names of the bands: those of the coordinate, or of `long_name` as rioxarray reads and writes it. One band that
    these do not name has the name of the array, where that is one of a band: `dataset["VV"]`.

    >>> import xarray as xr
    >>> two = xr.DataArray(np.zeros((2, 8, 8)), dims=("band", "y", "x"), attrs={"long_name": ("VV", "VH")})
    >>> names_of_bands(two, "band"), names_of_bands(two.assign_coords(band=[1, 2]).sel(band=[2]), "band")
    (['VV', 'VH'], ['VH'])
    """
    if band in values.coords and values.coords[band].dtype.kind in "UOT":
        given: list[str] | None = [str(name) for name in values.coords[band].values]
    else:
        given = _by_band(values, band, _long_names(values))
    own = str(values.name or "")
    if values.sizes[band] == 1 and len(own) > 1 and is_known(own) and not (given and is_known(given[0])):
        return [own]
    return given or [f"band_{number}" for number in range(1, values.sizes[band] + 1)]


def _long_names(values: xr.DataArray) -> list[str]:
    """The names that `long_name` holds."""
    said = values.attrs.get("long_name")
    return [said] if isinstance(said, str) else list(map(str, said)) if isinstance(said, list | tuple) else []


def _by_band(values: xr.DataArray, band: Any, given: Sequence[Any]) -> list[Any] | None:
    """What is given for each band of the array, or for each band of a file that the array has some bands of: those are
    found by their numbers, which the coordinate holds. None where it cannot be told."""
    if len(given) == values.sizes[band]:
        return list(given)
    numbers = _numbers_of_bands(values, band)
    if len(given) > numbers.size > 0 and numbers.min() >= 1 and numbers.max() <= len(given):
        return [given[number - 1] for number in numbers]
    return None


def _numbers_of_bands(values: xr.DataArray, band: Any) -> NDArray:
    """The whole numbers that the coordinate of the bands holds; none where it holds others or is not there."""
    numbers = np.asarray(values.coords[band].values) if band in values.coords else np.array([])
    return numbers if numbers.dtype.kind in "iu" else np.array([], int)


def names_in_doubt(values: xr.DataArray, band: Any) -> list[str]:
    """One line where bands were put in another order and `long_name`, which names them all, may not have been.

    >>> import xarray as xr
    >>> two = xr.DataArray(np.zeros((2, 8, 8)), dims=("band", "y", "x"), attrs={"long_name": ("VV", "VH")})
    >>> names_in_doubt(two.assign_coords(band=[2, 1]), "band")
    ['array: its bands are 2, 1, its long_name is VV, VH: taken as their names in this order']
    """
    names, numbers = _long_names(values), _numbers_of_bands(values, band).tolist()
    if len(names) != len(numbers):
        return []
    in_order = list(range(1, len(numbers) + 1))
    if numbers == in_order or sorted(numbers) != in_order:
        return []
    shown = ", ".join(map(str, numbers)), ", ".join(names)
    return [f"{NAME}: its bands are {shown[0]}, its long_name is {shown[1]}: taken as their names in this order"]


def tags_of(values: xr.DataArray) -> dict[str, str]:
    """The attributes as the tags of a raster; what is stated for each band is one where all are the same.

    >>> import xarray as xr
    >>> tags_of(xr.DataArray(np.zeros((2, 8, 8)), attrs={"units": ("sigma0_db", "sigma0_db"), "view": 38.5}))
    {'UNITS': 'sigma0_db', 'view': '38.5'}
    """
    tags = {}
    for key, stated in values.attrs.items():
        different = set(map(str, stated)) if isinstance(stated, list | tuple) else {str(stated)}
        if len(different) == 1:
            tags["UNITS" if key == "units" else str(key)] = different.pop()
    return tags


@dataclass(frozen=True)
class Described:
    """What is read of an array as of a scene: its tags, its date, its size and where it lies."""

    tags: Mapping[str, str]
    acquired: datetime | None
    height: int
    width: int
    georeference: Georeference


def described(values: xr.DataArray, names: Sequence[str]) -> Described:
    """An array of (..., rows, columns) as it describes itself.

    Args:
        names: of its bands.

    >>> import xarray as xr
    >>> array = xr.DataArray(np.zeros((1, 8, 8)), attrs={"ACQUISITION_DATE": "2020-11-07"})
    >>> described(array, ["VV"]).acquired.month
    11
    """
    tags = tags_of(values)
    height, width = values.shape[-2:]
    return Described(tags, acquisition_date(tags, names), height, width, place_of(values) or Georeference())


def fills_of(values: xr.DataArray, band: Any, places: Sequence[int]) -> list[NDArray]:
    """The values of invalid pixels, each as (bands, 1, 1): all that the attributes state and, where the values are not
    scaled, the encoding. There they are stored numbers: where the values are scaled, invalid ones are NaN already.

    Args:
        places: positions of the bands.

    Raises:
        InputError: they are not numbers, or not one for each band.

    >>> import xarray as xr
    >>> decoded = xr.DataArray(np.zeros((1, 8, 8)), dims=("band", "y", "x"))
    >>> decoded.encoding.update(_FillValue=0, scale_factor=0.01)
    >>> fills_of(decoded, "band", [0]), fills_of(decoded.assign_attrs(nodata=-1.0), "band", [0])
    ([], [array([[[-1.]]])])
    """
    stored = {} if _is_scaled_by(values.encoding) else values.encoding
    stated = [(name, values.attrs[name]) for name in _FILLS if values.attrs.get(name) is not None]
    stated += [(name, stored[name]) for name in _ENCODED_FILLS if stored.get(name) is not None]
    numbers = [_by_bands(values, band, name, given)[list(places), None, None] for name, given in stated]
    with np.errstate(over="ignore"):  # what is stated is rounded as the pixels are
        return [each.astype(values.dtype) if values.dtype.kind in "fc" else each for each in numbers]


def stored_type(values: xr.DataArray) -> str | None:
    """The type that the values were stored in, where it is known and the values are still those that were stored.

    >>> import xarray as xr
    >>> masked = xr.DataArray(np.zeros((8, 8)))
    >>> masked.encoding["dtype"] = "int16"
    >>> stored_type(masked)
    'int16'
    """
    said = values.encoding
    if _is_scaled_by(said):
        return None
    stored = said.get("rasterio_dtype", said.get("dtype"))
    return None if stored is None else str(np.dtype(stored).name)


def scaling_of(
    values: xr.DataArray, band: Any, places: Sequence[int], units: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Scale and offset (bands, 1, 1) by which the values are still to be brought to their units: those of the
    attributes, never those of `encoding`, which are applied. None where they change nothing.

    Args:
        places: positions of the bands.
        units: of the values once they are scaled.

    Raises:
        InputError: they are not numbers, or not one for each band.

    >>> import xarray as xr
    >>> stored = xr.DataArray(np.zeros((1, 8, 8), np.int16), dims=("band", "y", "x"), attrs={"scale_factor": 0.01})
    >>> [part.ravel().tolist() for part in scaling_of(stored, "band", [0], "sigma0_db")]
    [[0.01], [0.0]]
    """
    scales = _numbers(values, band, "scale_factor", "scales", 1.0)[list(places)]
    offsets = _numbers(values, band, "add_offset", "offsets", 0.0)[list(places)]
    if not _is_scaled(scales, offsets):
        return None
    try:
        factor = describe_units(units).factor
    except ValueError:
        factor = 1.0
    if not _is_scaled(scales * factor, offsets * factor):
        return None
    return (scales * factor)[:, None, None], (offsets * factor)[:, None, None]


def _numbers(values: xr.DataArray, band: Any, one: str, several: str, neutral: float) -> NDArray[np.float64]:
    """An attribute for each band of the array: one finite number for all, or one each."""
    name = several if several in values.attrs else one
    numbers = _by_bands(values, band, name, values.attrs.get(name, neutral))
    if not np.isfinite(numbers).all():
        raise _no_numbers(name)
    return numbers


def _by_bands(values: xr.DataArray, band: Any, name: str, stated: Any) -> NDArray[np.float64]:
    """What is stated by this name for each band of the array: one number for all, or one each."""
    try:
        given = np.atleast_1d(np.asarray(stated, np.float64))
    except (TypeError, ValueError) as error:
        raise _no_numbers(name) from error
    chosen = given.tolist() * values.sizes[band] if given.size == 1 else _by_band(values, band, given.tolist())
    if chosen is None:
        raise _no_numbers(name)
    return np.array(chosen)


def _no_numbers(name: str) -> InputError:
    return InputError(NAME, f"its attribute {name} must be a number, or one for each band")


def _is_scaled_by(encoding: Mapping[Any, Any]) -> bool:
    """Whether the values that a file stores were multiplied or shifted when they were read."""
    scaled = _is_scaled(encoding.get("scale_factor", 1.0), encoding.get("add_offset", 0.0))
    return scaled or "scales" in encoding or "offsets" in encoding


def _is_scaled(scales: Any, offsets: Any) -> bool:
    """Whether a scale and an offset change a number."""
    return bool((np.abs(np.asarray(scales) - 1.0) > 1e-9).any() or (np.asarray(offsets) != 0.0).any())


def place_of(values: xr.DataArray) -> Georeference | None:
    """Where the pixels of (..., rows, columns) lie, by the CRS that the array carries (CF, as rioxarray writes it) and
    its coordinates; None where it does not say.

    >>> import xarray as xr
    >>> place_of(xr.DataArray(np.zeros((8, 8)), dims=("y", "x")))
    """
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    stated = [coord.attrs for coord in values.coords.values() if coord.ndim == 0 and "crs_wkt" in coord.attrs]
    axes = [values.coords.get(dim) for dim in values.dims[-2:]]
    if len(stated) != 1 or any(axis is None or axis.size < 2 or axis.dtype.kind not in "iuf" for axis in axes):
        return None
    y, x = (np.asarray(axis.values, np.float64) for axis in axes if axis is not None)
    down, right = (y[-1] - y[0]) / (y.size - 1), (x[-1] - x[0]) / (x.size - 1)
    if not (np.isfinite([down, right]).all() and down and right):
        return None
    try:
        crs = CRS.from_wkt(str(stated[0]["crs_wkt"]))
    except CRSError:
        return None
    if "GeoTransform" in stated[0] and (turned := _turned(str(stated[0]["GeoTransform"]))) is not None:
        return Georeference(crs, turned)
    return Georeference(crs, Affine(right, 0.0, x[0] - right / 2, 0.0, down, y[0] - down / 2))


def _turned(stated: str) -> Affine | None:
    """A stated transform that turns or shears, of which coordinates say nothing."""
    from affine import Affine

    try:
        transform = Affine.from_gdal(*map(float, stated.split()))
    except (TypeError, ValueError):
        return None
    return transform if transform.b or transform.d else None
