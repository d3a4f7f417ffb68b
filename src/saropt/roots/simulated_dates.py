"""Data roots of simulated places at two dates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from saropt.errors import InputError
from saropt.roots.simulated import EPSG, LICENCE, NORTH_M, UNITS, WEST_M, in_units, write_scenes
from saropt.scenes import Georeference, write_array
from saropt.simulate import BANDS, CHANGES, DatesConfig, SceneConfig, SimulatedDates, simulate_dates

OPTICAL_BANDS = ("B4", "B3", "B2", "B8")
BRIGHT_END = 0.3
"""Reflectance at the bright end of the simulated images."""
DATE, DATE_BEFORE = "2026-11-10", "2026-07-06"


def write_simulated_dates(
    path: str | Path,
    *,
    scenes: tuple[int, int, int] = (4, 1, 1),
    size: int = 512,
    seed: int = 0,
    units: str = "sigma0_db",
    bands: tuple[str, ...] = BANDS,
    config: SceneConfig | None = None,
    dates: DatesConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write places at two dates as a data root. It appears under `path` only when it is whole.

    The roles are sar, sar_reference (float32 in `units`), optical, optical_reference (B4, B3, B2, B8, reflectance times
    10,000; the earlier one with clouds, and 0 where it has no data), and label, the keys of `saropt.simulate.CHANGES`.

    Args:
        path: folder to make; it may exist if it is empty.
        scenes: how many for train, val and test.
        size: pixels per side of every scene.
        units, bands: of the SAR images, as for `write_simulated_root`.
        config, dates: as for `simulate_dates`.
        progress: called with (scenes done, scenes in all).

    Raises:
        InputError: the folder holds something or cannot be written, or an argument is out of range.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = write_simulated_dates(f"{folder}/root", scenes=(1, 0, 0), size=32)
    ...     sorted(entry.name for entry in path.iterdir())[1:]
    ['label', 'optical', 'optical_reference', 'sar', 'sar_reference', 'splits.csv']
    """
    path = Path(path)
    if units not in UNITS or not bands or not set(bands) <= set(BANDS):
        raise InputError(path, f"SAR must be {' and '.join(BANDS)} in {', '.join(UNITS)}")

    def write(part: Path, name: str, split: str, number: int, scene_seed: int) -> None:
        _write(part, name, simulate_dates(size, scene_seed, config=config, dates=dates), units, bands, number)

    sar = {"bands": list(bands), "units": units}
    optical = {"bands": list(OPTICAL_BANDS), "units": "reflectance x 10000"}
    description = {
        "name": path.absolute().name,
        "gsd_m": 10.0,
        "paired": True,
        "sar": sar,
        "optical": optical,
        "sar_reference": {**sar, "optional": True},
        "optical_reference": {**optical, "optional": True},
        "classes": dict(CHANGES),
        "licence": LICENCE,
    }
    roles = ("sar", "sar_reference", "optical", "optical_reference", "label")
    return write_scenes(path, roles, scenes, seed, write, description, progress)


def _write(root: Path, name: str, two: SimulatedDates, units: str, bands: tuple[str, ...], number: int) -> None:
    west = WEST_M + number * (two.label.shape[1] + 100) * two.gsd_m
    place = Georeference(CRS.from_epsg(EPSG), Affine(two.gsd_m, 0.0, west, 0.0, -two.gsd_m, NORTH_M))
    order = [BANDS.index(band) for band in bands]

    def write(role: str, values: np.ndarray, names: tuple[str, ...], date: str, nodata: float | None = None) -> None:
        tags = {"SIMULATED": "saropt", "SIMULATION_SEED": str(two.seed), "ACQUISITION_DATE": date}
        write_array(root / role / f"{name}.tif", values, band_names=names, georeference=place, tags=tags, nodata=nodata)

    write("sar", in_units(two.sigma0[order], units), bands, DATE)
    write("sar_reference", in_units(two.sigma0_before[order], units), bands, DATE_BEFORE)
    write("optical", as_reflectance(two.optical), OPTICAL_BANDS, DATE, 0)
    write(
        "optical_reference", np.where(two.missing, 0, as_reflectance(two.optical_before)), OPTICAL_BANDS, DATE_BEFORE, 0
    )
    write("label", two.change[None], ("change",), DATE)


def as_reflectance(relative: np.ndarray) -> np.ndarray:
    """Simulated images in [0, 1] as stored: reflectance times 10,000, uint16, at least 1.

    >>> as_reflectance(np.array([0.0, 1.0]))
    array([   1, 3000], dtype=uint16)
    """
    return np.maximum(np.rint(relative * (BRIGHT_END * 10_000)), 1).astype(np.uint16)
