"""Reads rasters of the formats that are taken, window by window, with one definition of validity."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow

from saropt.addresses import without_secrets
from saropt.errors import InputError
from saropt.files import digest_files
from saropt.files.polarisation_files import files_of, polarisation_files
from saropt.radiometry import from_power
from saropt.scenes.chosen_bands import alpha_bands, check_one_type
from saropt.scenes.formats import check_readable, open_named
from saropt.scenes.gdal_settings import environment
from saropt.scenes.georeference import Georeference, Window
from saropt.scenes.grid import Grid
from saropt.scenes.metadata import (
    acquisition_date,
    apply_scaling,
    band_names,
    named_facts,
    scaling,
    select_bands,
    stated_names,
    tags_of,
)
from saropt.scenes.mirroring import read_mirrored
from saropt.scenes.pixel_samples import sample_pixels
from saropt.scenes.resampled_power import UNITS_OF, fill_of, resampled_scale, stored_types
from saropt.scenes.warping import short_reason, warped

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from saropt.scenes.ranges import RangeFolder


class Scene:
    """An open raster. Use as a context manager.

    A pixel is valid where every chosen band is: not nodata, not masked (internal mask or alpha), neither NaN nor
    infinite. Alpha is part of validity, never a band; but a band that is marked as alpha and has a name of its own,
    such as B8, is a band. `read` applies the scale and offset that a file states for its bands, `read_stored` does not.

    Not thread-safe, because GDAL data sets are not: a scene may move to another thread, but only one thread may use it
    at a time.

    Attributes:
        path: the file, or the path part of the address of a remote file.
        source: name for error messages: the path, or the address without its query, which may hold a secret.
        is_remote: whether it was opened by its address (`saropt.scenes.open_scene`).
        served: the file on an HTTP server behind it, if there is one.
        width, height: size in pixels.
        count: number of chosen bands.
        file_bands: number of bands that the file has, without alpha.
        dtype: type of the first chosen band as a name ("uint8", "float32", "complex_int16", ...): the stored one, or
            "float32" where a scale or an offset is applied.
        scaling: scale and offset of each chosen band; None where none changes a number.
        band_names: names of the chosen bands.
        stated_names: names of all bands as the file states them; "" where it states none.
        is_plain_picture: whether it is a PNG or JPEG, whose bands are always called red, green and blue.
        is_rgb: whether the first three chosen bands are marked as red, green, blue.
        nodata: the nodata value of the first chosen band, or None; NaN where a scale or an offset is applied.
        georeference: CRS, transform, control points, rational polynomial coefficients.
        tags: the file's own metadata, and what the name of an RTC product states beside it.
        acquired: time of acquisition (UTC) according to the tags, or None.

    >>> from saropt.scenes import write_array
    >>> path = write_array("scene.tif", np.ones((2, 8, 8), np.float32), band_names=["VV", "VH"])
    >>> with Scene.open(path, ["VH"]) as scene:
    ...     values, valid = scene.read(Window(0, 0, 4, 8))
    >>> values.shape, bool(valid.all())
    ((1, 4, 8), True)
    """

    def __init__(
        self,
        dataset: DatasetReader,
        path: Path,
        bands: Sequence[str | int] | None,
        palette: Literal["colours", "index"],
        address: str | None = None,
        options: Mapping[str, str] | None = None,
        units: str | None = None,
        nodata: float | None = None,
    ) -> None:
        self.path = path
        self.source = address or str(path)
        self.is_remote = address is not None
        self.served: RangeFolder | None = None
        self._options = dict(options or {})
        self._dataset = dataset
        self.width: int = dataset.width
        self.height: int = dataset.height
        colours = dataset.colorinterp
        self._alpha = alpha_bands(dataset, bands)
        indexes = [i for i in dataset.indexes if i not in self._alpha]
        if not indexes or self.width < 1 or self.height < 1:
            raise InputError(self.source, "holds no raster bands")
        self._palette: np.ndarray | None = None
        if palette == "colours" and len(indexes) == 1 and colours[indexes[0] - 1] == ColorInterp.palette:
            self._palette = _palette_table(dataset, indexes[0])
            names = ["red", "green", "blue"]
        else:
            names = band_names(dataset, indexes, path)
        chosen = list(range(len(names))) if bands is None else select_bands(path, names, bands)
        self.file_bands = len(names)
        self.stated_names = stated_names(dataset, indexes) if self._palette is None else [""] * len(names)
        self._channels = chosen
        self._indexes = indexes if self._palette is not None else [indexes[position] for position in chosen]
        check_one_type(dataset, path, self._indexes)
        self.count = len(chosen)
        self.band_names: list[str] = [names[position] for position in chosen]
        self.is_plain_picture = dataset.driver in ("PNG", "JPEG")
        self.is_rgb = self.band_names[:3] == ["red", "green", "blue"] or [
            colours[index - 1].name for index in self._indexes[:3]
        ] == ["red", "green", "blue"]
        coded = palette == "index" or self._palette is not None
        self.scaling = None if coded else scaling(dataset, self._indexes, units)
        self.dtype: str = dataset.dtypes[self._indexes[0] - 1] if self.scaling is None else "float32"
        self.nodata: float | None = dataset.nodatavals[self._indexes[0] - 1]
        if self.scaling is not None and self.nodata is not None:
            self.nodata = math.nan
        self._scale: str | None = None
        self._declared = nodata
        self._marked_alpha = ColorInterp.alpha in colours
        self.georeference = _georeference(dataset, self.source)
        self.tags: dict[str, str] = dataset.tags()
        self.acquired: datetime | None = acquisition_date(self.tags, self.band_names)
        self.pages = 1
        """How many images a TIFF holds; the first is read."""

    @classmethod
    def open(
        cls,
        path: str | Path,
        bands: Sequence[str | int] | None = None,
        *,
        palette: Literal["colours", "index"] = "colours",
        grid: Grid | None = None,
        resampling: str = "bilinear",
        units: str | None = None,
        nodata: float | None = None,
        power: str | None = None,
    ) -> Self:
        """Open a raster file.

        Args:
            path: GeoTIFF, COG, PNG, JPEG or another of `saropt.scenes.formats.FORMATS`.
            bands: 1-based numbers or names (any case); all bands when None. A band that the file marks as alpha counts
                as one where it has another name or is asked for by its number.
            palette: a paletted picture as its three colours, or as stored indices (label maps).
            grid: read as if warped to this grid, block by block; invalid where the file has no pixels.
            resampling: GDAL's name, for `grid`: "nearest" for classes, "average" for power when pixels grow; or "any",
                for masks: not 0 where a pixel touches one that is above 0.
            units: what the pixels are to be read in: of bands with a scale, reflectance comes times the factor of these
                units.
            nodata: a stored value that is no measurement, beside those that the file declares.
            power: SAR units of the pixels. On a `grid`, it is their power that is resampled, without fill.

        Raises:
            InputError: the file cannot be used, a band does not exist, or a grid is given and the file is not
                georeferenced.
        """
        path = Path(path)
        for file in files_of(path):
            check_readable(file)
        try:
            with environment(), warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
                dataset = open_named(path)
                _check_mask(dataset, path)
        except UnicodeError as error:
            raise InputError(path, "its name is not UTF-8: rename it") from error
        except (RasterioError, CPLE_BaseError) as error:
            if path.suffix.lower() == ".zip":
                raise InputError(path, "is an archive: unpack it and name the folder or raster in it") from error
            raise InputError(path, f"is not a raster that can be read: {short_reason(error, path)}") from error
        how: dict[str, Any] = {"palette": palette, "grid": grid, "resampling": resampling}
        return cls.of(dataset, path, bands, **how, units=units, nodata=nodata, power=power)

    @classmethod
    def of(
        cls,
        dataset: DatasetReader,
        path: Path,
        bands: Sequence[str | int] | None = None,
        *,
        palette: Literal["colours", "index"] = "colours",
        grid: Grid | None = None,
        resampling: str = "bilinear",
        units: str | None = None,
        nodata: float | None = None,
        power: str | None = None,
        address: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Self:
        """The scene of an open data set, which is closed with it; further arguments and errors are those of `open`.

        Args:
            address: of a remote one, without what may be secret.
            options: GDAL settings for reading it.
        """
        facts = tags_of(dataset, path), dataset.nodatavals, stored_types(dataset)
        scale = resampled_scale(dataset, power) if grid is not None else None
        pages = sum(part.startswith("GTIFF_DIR:") for part in dataset.subdatasets) or 1
        if grid is not None:
            dataset = warped(dataset, path, grid, resampling, bands, scale, fill_of(dataset, power, nodata))
        try:
            opened = cls(dataset, path, bands, palette, address, options, units, None if grid is not None else nodata)
            opened._take_facts(*facts, scale)
            opened.pages = pages
            return opened
        except (CPLE_BaseError, UnicodeError) as error:
            dataset.close()
            reason = without_secrets(short_reason(error, path))
            raise InputError(address or path, f"holds texts or a CRS that cannot be read: {reason}") from error
        except BaseException:
            dataset.close()
            raise

    def _take_facts(
        self, tags: dict[str, str], fills: Sequence[float | None], kinds: Sequence[str], scale: str | None
    ) -> None:
        """Take over the tags of the file and the nodata values of its bands, which a warped data set may not have; of
        SAR pixels whose power that has, their scale and the types in which the file stores them."""
        if scale is not None and self._indexes[0] <= len(kinds):
            self.dtype = kinds[self._indexes[0] - 1]
        self._scale = scale
        self.tags, self.acquired = tags, acquisition_date(tags, self.band_names)
        fill = fills[self._indexes[0] - 1] if self._indexes[0] <= len(fills) else None
        self.nodata = math.nan if fill is not None and self.scaling is not None else fill

    def close(self) -> None:
        """Close the file; further reads fail."""
        self._dataset.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def block_shape(self) -> tuple[int, int]:
        """(height, width) of the blocks in which the file is stored. Windows that follow them are read fastest."""
        return self._dataset.block_shapes[self._indexes[0] - 1]

    def read(self, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of a window inside the frame (the whole frame when None).

        Returns:
            values (C, h, w) float32, or complex64 for complex sources, 0 where invalid; valid (h, w) bool.

        Raises:
            ValueError: when the window reaches outside the frame.
            InputError: when a part of the file cannot be read (truncated, damaged).
        """
        stored, valid = self.read_stored(window)
        with np.errstate(over="ignore"):
            values = stored.astype(np.complex64 if np.iscomplexobj(stored) else np.float32, copy=False)
        if self.scaling is not None:
            values = apply_scaling(values, self.scaling)
        if stored.dtype == np.float64:  # beyond the range of float32
            valid &= np.isfinite(values).all(axis=0)
        if not valid.all():
            values[:, ~valid] = 0
        return values, valid

    def read_stored(self, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
        """As `read`, in the stored type and with the stored numbers under invalid pixels."""
        window = window or Window(0, 0, self.height, self.width)
        if not window.inside(self.height, self.width):
            raise ValueError(f"{window} is not inside the frame of {self.height}x{self.width} pixels of {self.path}")
        area = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            with environment(**self._options):
                stored = self._dataset.read(self._indexes, window=area)
                valid = self._valid(stored, area)
        except RasterioError as error:
            reason = f"{window} cannot be read, the file is truncated or damaged"
            self._check_served(window)
            if self.is_remote:  # GDAL's words hold the whole address, and with it a token
                raise InputError(self.source, f"{reason}, or was not sent whole") from error
            raise InputError(self.path, f"{reason}: {short_reason(error, self.path)}") from error
        self._check_served(window)
        if self._palette is not None:
            entries = self._palette[:, np.minimum(stored[0], self._palette.shape[1] - 1)]
            valid &= entries[3] > 0
            stored = entries[self._channels]
        if self._scale is not None:
            stored = from_power(stored, UNITS_OF[self._scale])
        if not np.issubdtype(stored.dtype, np.integer):
            valid &= np.isfinite(stored).all(axis=0)
        return stored, valid

    def _check_served(self, window: Window) -> None:
        if self.served is not None and self.served.failure is not None:
            raise InputError(self.source, f"{window} cannot be read: {self.served.failure.reason}")

    def identity(self) -> str:
        """A hash of the content: of the files of a local scene, of place, tags and sampled pixels of a remote one."""
        if self.is_remote:
            facts = self.source, self.width, self.height, self.georeference, self._declared, sorted(self.tags.items())
            return hashlib.sha256(repr(facts).encode() + self.sample().tobytes()).hexdigest()
        if parts := polarisation_files(self.path):
            known = [_identity_of(part) for part in parts]
        else:
            files = {self.path.absolute(), *(name for name in self._dataset.files if Path(name).is_file())}
            known = [digest_files(files), *named_facts(self.path).values()]
        return known[0] if len(known) == 1 else hashlib.sha256(" ".join(known).encode()).hexdigest()

    def read_padded(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """As `read` for a window that may reach outside the frame by any amount.

        Outside, values and validity are mirrored at the frame's edges without repeating the edge pixel: what stands
        at a position depends on that position alone, not on the window.
        """
        return read_mirrored(self, window)

    def sample(self, max_pixels: int = 1 << 20) -> np.ndarray:
        """Valid pixels from all over the scene, for statistics (`saropt.scenes.sample_pixels`)."""
        return sample_pixels(self, max_pixels)

    def _valid(self, stored: np.ndarray, area: RasterioWindow) -> np.ndarray:
        valid = np.ones(stored.shape[1:], dtype=bool)
        for position, index in enumerate(self._indexes):
            flags = self._dataset.mask_flag_enums[index - 1]
            if self._declared is not None:
                valid &= stored[position] != self._declared
            if MaskFlags.all_valid in flags or (MaskFlags.per_dataset in flags and position > 0):
                continue
            if MaskFlags.alpha in flags:  # read below, where it is no band
                continue
            nodata = self._dataset.nodatavals[index - 1]
            if flags == [MaskFlags.nodata] and stored.dtype.kind == "f" and nodata is not None and math.isnan(nodata):
                continue  # `read_stored` leaves out what is not finite
            own = np.iscomplexobj(stored) or self._marked_alpha
            if own and MaskFlags.nodata in flags and nodata is not None:
                # GDAL's own mask looks at the real part only; rasterio warns of nodata beside alpha at every read
                valid &= stored[position] != nodata
            else:
                valid &= self._dataset.read_masks(index, window=area) > 0
        for index in self._alpha:
            valid &= self._dataset.read(index, window=area) > 0
        return valid


def _identity_of(file: Path) -> str:
    with Scene.open(file) as scene:
        return scene.identity()


def _check_mask(dataset: DatasetReader, path: Path) -> None:
    """Refuse a mask beside a raster that GDAL does not use, which it does not tell."""
    unused = {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha} & set(dataset.mask_flag_enums[0])
    mask = next((path.with_name(path.name + end) for end in (".msk", ".MSK") if os.path.exists(f"{path}{end}")), None)
    if unused and mask is not None:
        dataset.close()
        raise InputError(path, f"the mask beside it ({mask.name}) cannot be used: it is damaged or of another size")


def _georeference(dataset: DatasetReader, source: str) -> Georeference:
    gcps, gcp_crs = dataset.gcps
    transform = None if dataset.transform == rasterio.Affine.identity() else dataset.transform
    if transform is not None and not (all(map(math.isfinite, transform)) and transform.determinant):
        raise InputError(source, f"its geotransform {transform.to_gdal()} gives its pixels no place")
    if not all(map(math.isfinite, (number for gcp in gcps for number in (gcp.row, gcp.col, gcp.x, gcp.y)))):
        raise InputError(source, "has control points that are not numbers")
    return Georeference(dataset.crs, transform, tuple(gcps), gcp_crs, dataset.tags(ns="RPC"))


def _palette_table(dataset: DatasetReader, index: int) -> np.ndarray:
    """(4, n) uint8: red, green, blue, alpha of each palette entry."""
    entries = dataset.colormap(index)
    table = np.zeros((4, max(entries) + 1), dtype=np.uint8)
    for entry, colour in entries.items():
        table[:, entry] = colour
    return table
