"""UAVSAR PolSAR flight lines (NASA/JPL): the annotation (.ann) and its multilooked .mlc or ground-projected .grd files.

The files hold raw little-endian pixels row by row: HHHH, HVHV and VVVV real float32, HHVV complex64 (UAVSAR software
interface specification, as the annotation itself explains). Sizes, corner and spacing stand in the annotation under
grd_pwr, grd_mag or mlc_pwr, mlc_mag (`.set_rows`, `.row_addr`, `.row_mult`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS

from saropt.errors import InputError
from saropt.radiometry import PAULI_BANDS, pauli_power
from saropt.scenes import Georeference

UavsarBands = Literal["pauli", "powers", "HH", "HV", "VV"]
POWERS = ("HHHH", "HVHV", "VVVV")
_NUMBERS = ("set_rows", "set_cols", "row_addr", "col_addr", "row_mult", "col_mult")


class FlightLine:
    """A flight line whose raw files are mapped into memory and read as power, rows at a time.

    Args:
        annotation: the .ann file; the raw files lie beside it.
        product: "grd" (ground-projected) or "mlc" (multilooked, in radar geometry).
        bands: "pauli", the Pauli components, which need HHVV as well; "powers", those of HH, HV and VV; or one of "HH",
            "HV" and "VV", for which no other file is needed.

    Attributes:
        height, width: in pixels.
        bands: names of what `power` gives.
        georeference: place on the ground (WGS 84) of a .grd line; nowhere for .mlc.
        spacing: size of a pixel along rows and columns, as the annotation states it.
        files: the annotation and the raw files that are read.

    Raises:
        InputError: no annotation, a number or file is missing, or a file has not the size that the annotation says.

    >>> FlightLine(Path("line.ann"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: line.ann: is not a file; give the flight line's .ann
    """

    def __init__(self, annotation: Path, product: Literal["grd", "mlc"] = "grd", bands: UavsarBands = "pauli") -> None:
        self.bands = PAULI_BANDS if bands == "pauli" else ("HH", "HV", "VV") if bands == "powers" else (bands,)
        self._needed = POWERS if len(self.bands) > 1 else (2 * self.bands[0],)
        described = read_annotation(annotation)
        files = _find_files(described, annotation, product, (*POWERS, "HHVV") if bands == "pauli" else self._needed)
        prefix = next((p for p in ("pwr", "mag") if f"{product}_{p}.set_rows" in described), "pwr")
        self.files = (annotation, *files.values())
        numbers: dict[str, float] = {}
        for key in _NUMBERS:
            value = described.get(f"{product}_{prefix}.{key}")
            if not isinstance(value, float):
                raise InputError(annotation, f"has no number {product}_{prefix}.{key}")
            numbers[key] = value
        self.height, self.width = int(numbers["set_rows"]), int(numbers["set_cols"])
        self.spacing = abs(numbers["row_mult"]), abs(numbers["col_mult"])
        self.georeference = Georeference()
        if product == "grd":
            transform = rasterio.Affine(
                numbers["col_mult"], 0, numbers["col_addr"], 0, numbers["row_mult"], numbers["row_addr"]
            )
            self.georeference = Georeference(CRS.from_epsg(4326), transform)
        self._pixels = {name: self._map(path, name, annotation) for name, path in files.items()}

    def _map(self, path: Path, name: str, annotation: Path) -> NDArray:
        dtype = np.dtype("<c8" if name == "HHVV" else "<f4")
        size = path.stat().st_size
        if size != self.height * self.width * dtype.itemsize:
            raise InputError(path, f"has {size} bytes; {annotation.name} says {self.height}x{self.width} pixels")
        return np.memmap(path, dtype, "r", shape=(self.height, self.width))

    def power(self, start: int, stop: int) -> NDArray[np.float32]:
        """(bands, rows, width), linear power of the rows `start` to `stop`; NaN where nothing was measured."""
        rows = {name: np.asarray(pixels[start:stop]) for name, pixels in self._pixels.items()}
        empty = np.logical_and.reduce([rows[name] == 0 for name in self._needed])
        if "HHVV" in rows:
            power = pauli_power(rows)
        else:
            power = np.stack([rows[name] for name in self._needed]).astype(np.float32)
        power[:, empty] = np.nan
        return power


def _find_files(
    described: Mapping[str, str | float], annotation: Path, product: str, names: tuple[str, ...]
) -> dict[str, Path]:
    files = {}
    for name in names:
        stated = described.get(f"{product}{name}", f"(no {product}{name} in the annotation)")
        files[name] = annotation.parent / Path(str(stated)).name
    if missing := [f"{name}: {path.name}" for name, path in files.items() if not path.is_file()]:
        raise InputError(annotation, f"lacks {', '.join(missing)}")
    return files


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
