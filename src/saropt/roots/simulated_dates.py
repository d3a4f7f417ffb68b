"""Data roots of simulated places at two dates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from saropt.errors import InputError
from saropt.files import atomic_folder
from saropt.roots.description import write_description
from saropt.roots.root import SPLITS
from saropt.roots.simulated import EPSG, NORTH_M, UNITS, WEST_M, in_units
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
    if len(scenes) != len(SPLITS) or min(scenes) < 0 or sum(scenes) == 0:
        raise InputError("scenes", f"needs a count for each of {', '.join(SPLITS)}, not all zero; got {scenes}")
    if not path.parent.is_dir():
        raise InputError(path, f"the folder {path.parent} does not exist")
    names = [(f"{split}_{i:03d}", split) for split, count in zip(SPLITS, scenes, strict=True) for i in range(count)]
    try:
        with atomic_folder(path) as part:
            for role in ("sar", "sar_reference", "optical", "optical_reference", "label"):
                (part / role).mkdir()
            for number, (name, _) in enumerate(names):
                scene_seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
                two = simulate_dates(size, scene_seed, config=config, dates=dates)
                _write(part, name, two, units, bands, number)
                if progress is not None:
                    progress(number + 1, len(names))
            write_description(part, _description(path.absolute().name, units, bands), names)
    except ValueError as error:
        raise InputError(path, str(error)) from error
    return path


def _write(root: Path, name: str, two: SimulatedDates, units: str, bands: tuple[str, ...], number: int) -> None:
    west = WEST_M + number * (two.label.shape[1] + 100) * two.gsd_m
    place = Georeference(CRS.from_epsg(EPSG), Affine(two.gsd_m, 0.0, west, 0.0, -two.gsd_m, NORTH_M))
    order = [BANDS.index(band) for band in bands]

    def write(role: str, values: np.ndarray, names: tuple[str, ...], date: str, nodata: float | None = None) -> None:
        tags = {"SIMULATED": "saropt", "SIMULATION_SEED": str(two.seed), "ACQUISITION_DATE": date}
        write_array(root / role / f"{name}.tif", values, band_names=names, georeference=place, tags=tags, nodata=nodata)

    write("sar", in_units(two.sigma0[order], units), bands, DATE)
    write("sar_reference", in_units(two.sigma0_before[order], units), bands, DATE_BEFORE)
    write("optical", _stored(two.optical), OPTICAL_BANDS, DATE, 0)
    write("optical_reference", np.where(two.missing, 0, _stored(two.optical_before)), OPTICAL_BANDS, DATE_BEFORE, 0)
    write("label", two.change[None], ("change",), DATE)


def _stored(relative: np.ndarray) -> np.ndarray:
    return np.maximum(np.rint(relative * (BRIGHT_END * 10_000)), 1).astype(np.uint16)


def _description(name: str, units: str, bands: tuple[str, ...]) -> dict[str, Any]:
    sar = {"bands": list(bands), "units": units}
    optical = {"bands": list(OPTICAL_BANDS), "units": "reflectance x 10000"}
    return {
        "name": name,
        "gsd_m": 10.0,
        "paired": True,
        "sar": sar,
        "optical": optical,
        "sar_reference": {**sar, "optional": True},
        "optical_reference": {**optical, "optional": True},
        "classes": dict(CHANGES),
        "licence": "simulated by saropt; no rights reserved",
    }
