"""UAVSAR PolSAR products (NASA/JPL): the annotation (.ann) with its multilooked .mlc or ground-projected .grd files.

The files hold raw little-endian pixels row by row: HHHH, HVHV and VVVV real float32, HHVV complex64 (UAVSAR software
interface specification, as the annotation itself explains). Sizes, corner and spacing stand in the annotation under
grd_pwr, grd_mag or mlc_pwr, mlc_mag (`.set_rows`, `.row_addr`, `.row_mult`). CRAN (Fu, Xu & Jin 2021) resampled to 6 m
and 10 m.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from pydantic import Field
from rasterio.crs import CRS

from saropt.curation.sets.base import Entry, Plan, Source, Write, known, strips
from saropt.curation.sets.products import SceneOptions
from saropt.errors import InputError
from saropt.radiometry import PAULI_BANDS, pauli_power
from saropt.scenes import Georeference, Grid, Scene, SceneWriter, Window, overlap_grid

PRODUCTS = ("HHHH", "HVHV", "VVVV", "HHVV")
_STRIP_PIXELS = 1 << 21


class UavsarOptions(SceneOptions):
    product: Literal["grd", "mlc"] = Field("grd", description="ground-projected, or multilooked in radar geometry")
    bands: Literal["pauli", "powers"] = Field("pauli", description="HH-VV, HV, HH+VV, or HH, HV, VV; power either way")
    gsd_m: float | None = Field(6.0, gt=0, description="pixel in metres: 6 and 10 in CRAN")


@known(
    "uavsar",
    title="a UAVSAR PolSAR flight line: SRC is its .ann file, resampled to 6 m or 10 m",
    layout="NAME.ann with NAME_HHHH_....grd (or .mlc) beside it",
    options=UavsarOptions,
)
def uavsar(source: Path, options: UavsarOptions) -> Plan:
    """Linear power as delivered (called sigma0; UAVSAR normalises by area). .grd is warped to UTM, .mlc multilooked by
    whole numbers of pixels, its slant range taken as it is."""
    annotation = read_annotation(source)
    files, missing = {}, []
    needed = PRODUCTS if options.bands == "pauli" else PRODUCTS[:3]
    for product in needed:
        named = annotation.get(f"{options.product}{product}", f"(no {options.product}{product} in the annotation)")
        files[product] = source.parent / Path(str(named)).name
        if not files[product].is_file():
            missing.append(f"{product}: {files[product].name}")
    if missing:
        raise InputError(source, f"lacks {', '.join(missing)}")
    prefix = next((p for p in ("pwr", "mag") if f"{options.product}_{p}.set_rows" in annotation), "pwr")
    numbers = {}
    for key in ("set_rows", "set_cols", "row_addr", "col_addr", "row_mult", "col_mult"):
        name = f"{options.product}_{prefix}.{key}"
        value = annotation.get(name)
        if not isinstance(value, float):
            raise InputError(source, f"has no number {name}")
        numbers[key] = value
    raw = RawLine(files, int(numbers["set_rows"]), int(numbers["set_cols"]), source)
    names = PAULI_BANDS if options.bands == "pauli" else ("HH", "HV", "VV")
    description = {
        "name": options.name or source.stem,
        "gsd_m": options.gsd_m or 6.0,
        "paired": bool(options.optical),
        "sar": {"bands": list(names), "units": "sigma0"},
    }
    if options.product == "mlc":
        if options.optical:
            raise InputError("--set", "optical: .mlc is in radar geometry; use product=grd")
        looks = tuple(max(1, round((options.gsd_m or 0) / abs(numbers[f"{axis}_mult"]))) for axis in ("row", "col"))
        parts = strips(raw.height // looks[0], raw.width // looks[1], options.train, options.val, options.gap)
        entries = [
            Entry(f"{source.stem}_{split}", split, {"sar": _multilooked(raw, looks, window, names)})
            for split, window in parts.items()
        ]
        return Plan({**description, "licence": options.licence}, entries)
    transform = rasterio.Affine(
        numbers["col_mult"], 0, numbers["col_addr"], 0, numbers["row_mult"], numbers["row_addr"]
    )
    place = Georeference(CRS.from_epsg(4326), transform)
    places = [(place, raw.height, raw.width)]
    if options.optical:
        with Scene.open(options.optical, bands=options.optical_bands) as scene:
            places.append((scene.georeference, scene.height, scene.width))
            description["optical"] = {"bands": scene.band_names, "units": options.optical_units}
    grid = overlap_grid(places, options.gsd_m, source)
    description["gsd_m"] = float(grid.transform.a)
    entries = []
    for split, window in strips(grid.height, grid.width, options.train, options.val, options.gap).items():
        sides: dict[str, Source | Write] = {"sar": _projected(raw, place, grid, window, names)}
        if options.optical:
            chosen = tuple(options.optical_bands) if options.optical_bands else None
            sides["optical"] = Source(
                (Path(options.optical),), bands=chosen, window=window, grid=grid, resampling="cubic"
            )
        entries.append(Entry(f"{source.stem}_{split}", split, sides))
    return Plan({**description, "licence": options.licence}, entries)


def read_annotation(path: Path) -> dict[str, str | float]:
    """Key -> number or text of an annotation; units in brackets and comments after a semicolon are dropped.

    Raises:
        InputError: no such file, or no line `key = value`.
    """
    if not path.is_file():
        raise InputError(path, "is not a file; give the flight line's .ann")
    found: dict[str, str | float] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, equals, value = line.partition(";")[0].partition("=")
        if equals:
            text = value.strip()
            try:
                found[re.sub(r"\s*\(.*?\)", "", key).strip()] = float(text)
            except ValueError:
                found[re.sub(r"\s*\(.*?\)", "", key).strip()] = text
    if not found:
        raise InputError(path, "is no UAVSAR annotation: no line of the form key = value")
    return found


class RawLine:
    """The raw files of a flight line, mapped into memory, as power by rows.

    Raises:
        InputError: a file has not the size that the annotation says.
    """

    def __init__(self, files: Mapping[str, Path], height: int, width: int, source: Path) -> None:
        self.height, self.width = height, width
        self._files: dict[str, NDArray] = {}
        for product, path in files.items():
            dtype = np.dtype("<c8" if product == "HHVV" else "<f4")
            if path.stat().st_size != height * width * dtype.itemsize:
                raise InputError(path, f"has {path.stat().st_size} bytes; {source.name} says {height}x{width} pixels")
            self._files[product] = np.memmap(path, dtype, "r", shape=(height, width))

    def power(self, start: int, stop: int) -> NDArray[np.float32]:
        """(3, rows, width) of Pauli components, or of HH, HV, VV without HHVV; NaN where nothing was measured."""
        rows = {product: np.asarray(pixels[start:stop]) for product, pixels in self._files.items()}
        empty = np.logical_and.reduce([rows[product] == 0 for product in PRODUCTS[:3]])
        if "HHVV" in rows:
            power = pauli_power(rows)
        else:
            power = np.stack([rows[product] for product in PRODUCTS[:3]]).astype(np.float32)
        power[:, empty] = np.nan
        return power


def _multilooked(raw: RawLine, looks: tuple[int, ...], window: Window, names: tuple[str, ...]) -> Write:
    def write(target: Path) -> None:
        with _writer(target, window, names, Georeference()) as writer:
            step = max(1, _STRIP_PIXELS // (raw.width * looks[0]))
            for row in range(0, window.height, step):
                height = min(step, window.height - row)
                start = (window.row + row) * looks[0]
                power = raw.power(start, start + height * looks[0])
                columns = slice(window.col * looks[1], (window.col + window.width) * looks[1])
                blocks = power[:, :, columns].reshape(3, height, looks[0], window.width, looks[1])
                writer.write(row, 0, blocks.mean(axis=(2, 4)))
            writer.finish()

    return write


def _projected(raw: RawLine, place: Georeference, grid: Grid, window: Window, names: tuple[str, ...]) -> Write:
    """The rows of the flight line under `window` go to a temporary GeoTIFF, which is warped to the grid."""

    def write(target: Path) -> None:
        from rasterio.warp import transform_bounds

        assert place.transform is not None
        part = Grid(
            grid.crs, grid.transform @ rasterio.Affine.translation(window.col, window.row), window.height, window.width
        )
        _, south, _, north = transform_bounds(grid.crs, place.crs, *part.bounds, densify_pts=21)
        rows = sorted(
            ((north - place.transform.f) / place.transform.e, (south - place.transform.f) / place.transform.e)
        )
        start, stop = max(0, int(rows[0]) - 4), min(raw.height, int(np.ceil(rows[1])) + 4)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
            own = Georeference(place.crs, place.transform @ rasterio.Affine.translation(0, start))
            middle = Path(folder) / "line.tif"
            with _writer(middle, Window(0, 0, stop - start, raw.width), names, own) as writer:
                step = max(1, _STRIP_PIXELS // raw.width)
                for row in range(start, stop, step):
                    writer.write(row - start, 0, raw.power(row, min(row + step, stop)))
                writer.finish()
            spacing = abs(place.transform.e) * 111_320.0
            method = "average" if abs(grid.transform.a) > 1.5 * spacing else "bilinear"
            with (
                Scene.open(middle, grid=part, resampling=method) as scene,
                _writer(target, window, names, part.georeference) as writer,
            ):
                step = max(1, _STRIP_PIXELS // window.width)
                for row in range(0, window.height, step):
                    values, valid = scene.read(Window(row, 0, min(step, window.height - row), window.width))
                    values[:, ~valid] = np.nan
                    writer.write(row, 0, values)
                writer.finish()

    return write


def _writer(target: Path, window: Window, names: tuple[str, ...], place: Georeference) -> SceneWriter:
    return SceneWriter(
        target,
        width=window.width,
        height=window.height,
        band_names=names,
        dtype="float32",
        nodata=float("nan"),
        georeference=place,
    )
