"""UAVSAR flight lines as data roots. CRAN (Fu, Xu & Jin 2021) resampled to 6 m and 10 m."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from pydantic import Field

from saropt.curation.sets.base import Entry, Plan, Source, Write, register_set, strips
from saropt.curation.sets.products import SceneOptions, read_optical
from saropt.errors import OptionError
from saropt.scenes import Georeference, Grid, Scene, SceneWriter, Window, overlap_grid
from saropt.scenes.georeference import METRES_PER_DEGREE
from saropt.sensors.uavsar import FlightLine, UavsarBands

_STRIP_PIXELS = 1 << 21


class UavsarOptions(SceneOptions):
    product: Literal["grd", "mlc"] = Field("grd", description="ground-projected, or multilooked in radar geometry")
    bands: UavsarBands = Field(
        "pauli", description="pauli (HH-VV, HV, HH+VV), powers (HH, HV, VV), or one of HH, HV and VV; power"
    )
    gsd_m: float | None = Field(
        6.0, gt=0, description="pixel in metres: 6 and 10 in CRAN; of .mlc, the nearest whole numbers of its pixels"
    )


@register_set(
    "uavsar",
    title="a UAVSAR PolSAR flight line: SRC is its .ann file, resampled to 6 m or 10 m",
    layout="NAME.ann with NAME_HHHH_....grd (or .mlc) beside it",
    options=UavsarOptions,
)
def uavsar(source: Path, options: UavsarOptions) -> Plan:
    """Plan UAVSAR flight lines: linear power as delivered (called sigma0, because UAVSAR normalises by area). A .grd
    file is warped to UTM. A .mlc file is averaged over whole numbers of pixels and stays in slant range."""
    line = FlightLine(source, options.product, options.bands)
    description: dict[str, Any] = {
        "name": options.name or source.stem,
        "gsd_m": None,
        "paired": bool(options.optical),
        "sar": {"bands": list(line.bands), "units": "sigma0"},
    }
    if options.product == "mlc":
        if options.optical:
            raise OptionError("options", None, "optical: .mlc is in radar geometry; use product=grd")
        looks = tuple(max(1, round((options.gsd_m or 0) / size)) for size in line.spacing)
        sides = [number * size for number, size in zip(looks, line.spacing, strict=True)]
        description |= {"gsd_m": round(math.sqrt(sides[0] * sides[1]), 4), "pixel_m": sides}
        parts = strips(line.height // looks[0], line.width // looks[1], options.train, options.val, options.gap)
        entries = [
            Entry(f"{source.stem}_{split}", split, {"sar": _multilooked(line, looks, window)})
            for split, window in parts.items()
        ]
        return Plan({**description, "licence": options.licence}, entries, files=line.files)
    places = [(line.georeference, line.height, line.width)]
    if options.optical:
        optical = read_optical(options)
        places.append(optical.place)
        description["optical"] = optical.description
    grid = overlap_grid(places, options.gsd_m, source)
    description["gsd_m"] = float(grid.transform.a)
    entries = []
    for split, window in strips(grid.height, grid.width, options.train, options.val, options.gap).items():
        sources: dict[str, Source | Write] = {"sar": _projected(line, grid, window)}
        if options.optical:
            sources["optical"] = replace(optical.source, window=window, grid=grid)
        entries.append(Entry(f"{source.stem}_{split}", split, sources))
    return Plan({**description, "licence": options.licence}, entries, files=line.files)


def _multilooked(line: FlightLine, looks: tuple[int, ...], window: Window) -> Write:
    def write(target: Path) -> None:
        with _writer(target, window, line.bands, Georeference()) as writer:
            step = max(1, _STRIP_PIXELS // (line.width * looks[0]))
            for row in range(0, window.height, step):
                height = min(step, window.height - row)
                start = (window.row + row) * looks[0]
                power = line.power(start, start + height * looks[0])
                columns = slice(window.col * looks[1], (window.col + window.width) * looks[1])
                blocks = power[:, :, columns].reshape(len(power), height, looks[0], window.width, looks[1])
                writer.write(row, 0, blocks.mean(axis=(2, 4)))
            writer.finish()

    return write


def _projected(line: FlightLine, grid: Grid, window: Window) -> Write:
    """The rows of the flight line under `window` go to a temporary GeoTIFF, which is warped to the grid."""

    def write(target: Path) -> None:
        from rasterio.warp import transform_bounds

        place = line.georeference
        assert place.transform is not None
        part = Grid(
            grid.crs, grid.transform @ rasterio.Affine.translation(window.col, window.row), window.height, window.width
        )
        _, south, _, north = transform_bounds(grid.crs, place.crs, *part.bounds, densify_pts=21)
        rows = sorted(
            ((north - place.transform.f) / place.transform.e, (south - place.transform.f) / place.transform.e)
        )
        start, stop = max(0, int(rows[0]) - 4), min(line.height, int(np.ceil(rows[1])) + 4)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as folder:
            own = Georeference(place.crs, place.transform @ rasterio.Affine.translation(0, start))
            middle = Path(folder) / "line.tif"
            with _writer(middle, Window(0, 0, stop - start, line.width), line.bands, own) as writer:
                step = max(1, _STRIP_PIXELS // line.width)
                for row in range(start, stop, step):
                    writer.write(row - start, 0, line.power(row, min(row + step, stop)))
                writer.finish()
            spacing = abs(place.transform.e) * METRES_PER_DEGREE
            method = "average" if abs(grid.transform.a) > 1.5 * spacing else "bilinear"
            with (
                Scene.open(middle, grid=part, resampling=method) as scene,
                _writer(target, window, line.bands, part.georeference) as writer,
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
