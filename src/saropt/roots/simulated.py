"""Data roots of simulated scenes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from saropt.domain import Role
from saropt.errors import InputError
from saropt.files import atomic_folder
from saropt.radiometry import PAULI_BANDS, pauli_power
from saropt.roots.description import write_description
from saropt.roots.splits import SPLITS
from saropt.simulate import (
    BANDS,
    CLASSES,
    OPTICAL_BANDS,
    SceneConfig,
    SimulatedScene,
    quad_pol_covariance,
    simulate_scene,
)

MAX_MISREGISTRATION_PX = 64
_GRIDS = ("sigma0", "sigma0_clean", "label", "cover", "elevation")
_OPTICAL_GRIDS = ("optical", "hidden", "changed")
UNITS = ("amplitude", "sigma0", "sigma0_db")
LICENCE = "simulated by saropt; no rights reserved"
WriteScene = Callable[[Path, str, str, int, int], None]
EPSG = 32611
WEST_M, NORTH_M = 380_000.0, 3_780_000.0


def write_simulated_root(
    path: str | Path,
    *,
    scenes: tuple[int, int, int] = (4, 1, 1),
    size: int | tuple[int, int] = 512,
    seed: int = 0,
    units: str = "amplitude",
    bands: tuple[str, ...] = BANDS,
    gsd_m: float = 10.0,
    looks: float = 4.4,
    sar_gain_db: float = 0.0,
    config: SceneConfig | None = None,
    misregistration_px: float = 0.0,
    misregistration_subpixel: bool = False,
    misregistration_test: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write simulated scenes as a paired, labelled data root. It appears under `path` only when it is whole.

    SAR is float32 in `units`, optical 8-bit B4, B3, B2, labels 8-bit keys of `saropt.simulate.CLASSES`, all GeoTIFF in
    UTM zone 11 north, the scenes side by side without overlap.

    Args:
        path: folder to make; it may exist if it is empty.
        scenes: how many for train, val and test.
        size: pixels per side, or (H, W), of every scene.
        units: "amplitude" (square root of sigma0), "sigma0" (linear) or "sigma0_db".
        bands: polarisations to write, out of VV and VH; or HH-VV, HV, HH+VV, the Pauli components of a quad-polarised
            view of the same ground with `looks` rounded to whole looks.
        misregistration_px: how far the optical images of train and val lie off the SAR images, in a direction of each
            scene's own (georeference and labels stay the SAR image's).
        misregistration_subpixel: whether they lie off by fractions of a pixel, by cubic interpolation, and not by the
            nearest whole pixels.
        misregistration_test: whether those of test lie off as well, as in real data.
        progress: called with (scenes done, scenes in all).
        seed, gsd_m, looks, sar_gain_db, config: as for `simulate_scene`.

    Raises:
        InputError: the folder holds something or cannot be written, or an argument is out of range.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = write_simulated_root(f"{folder}/root", scenes=(1, 0, 0), size=32)
    ...     sorted(entry.name for entry in path.iterdir())
    ['dataset.yaml', 'label', 'optical', 'sar', 'splits.csv']
    """
    path = Path(path)
    if units not in UNITS:
        raise InputError("units", f"{units!r} is not one of {', '.join(UNITS)}")
    if not bands or len(set(bands)) != len(bands) or not (set(bands) <= set(BANDS) or set(bands) <= set(PAULI_BANDS)):
        known = f"{', '.join(BANDS)}, or from {', '.join(PAULI_BANDS)}"
        raise InputError("bands", f"{', '.join(bands) or 'none'}: choose from {known}, each once")
    if not 0.0 <= misregistration_px <= MAX_MISREGISTRATION_PX:
        raise InputError("misregistration_px", f"must lie in 0..{MAX_MISREGISTRATION_PX}, not {misregistration_px}")

    def write(part: Path, name: str, split: str, number: int, scene_seed: int) -> None:
        off = misregistration_px if split != "test" or misregistration_test else 0.0
        scene = _simulated(size, scene_seed, off, gsd_m, looks, sar_gain_db, config, subpixel=misregistration_subpixel)
        _write_array(part, name, scene, units, bands, number, looks)

    description = {
        "name": path.absolute().name,
        "gsd_m": gsd_m,
        "paired": True,
        "sar": {"bands": list(bands), "units": units},
        "optical": {"bands": list(OPTICAL_BANDS), "units": "uint8"},
        "classes": dict(CLASSES),
        "licence": LICENCE,
    }
    return write_scenes(path, ("sar", "optical", "label"), scenes, seed, write, description, progress)


def write_scenes(
    path: Path,
    roles: Sequence[Role],
    scenes: tuple[int, int, int],
    seed: int,
    write: WriteScene,
    description: Mapping[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write simulated scenes, each from a seed of its own, and their description; the folder appears when it is whole.

    Args:
        roles: folders of the root.
        scenes: how many for train, val and test.
        write: writes the rasters of one scene: (folder, name, split, number, seed).
        description: what `dataset.yaml` holds.

    Raises:
        InputError: the folder holds something or cannot be written, or an argument is out of range.

    >>> path = write_scenes(Path("root"), ["sar"], (1, 0, 1), 0, lambda *scene: None, {"name": "empty"})
    >>> (path / "splits.csv").read_text().split()
    ['name,split', 'train_000,train', 'test_000,test']
    """
    if len(scenes) != len(SPLITS) or min(scenes) < 0 or sum(scenes) == 0:
        raise InputError("scenes", f"needs a count for each of {', '.join(SPLITS)}, not all zero; got {scenes}")
    if not path.parent.is_dir():
        raise InputError(path, f"the folder {path.parent} does not exist")
    names = [(f"{split}_{i:03d}", split) for split, count in zip(SPLITS, scenes, strict=True) for i in range(count)]
    try:
        with atomic_folder(path) as part:
            for role in roles:
                (part / role).mkdir()
            for number, (name, split) in enumerate(names):
                write(
                    part,
                    name,
                    split,
                    number,
                    int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]),
                )
                if progress is not None:
                    progress(number + 1, len(names))
            write_description(part, description, names)
    except ValueError as error:
        raise InputError(path, str(error)) from error
    return path


def _simulated(
    size: int | tuple[int, int],
    seed: int,
    off_px: float,
    gsd_m: float,
    looks: float,
    sar_gain_db: float,
    config: SceneConfig | None,
    *,
    subpixel: bool = False,
) -> SimulatedScene:
    """A scene whose optical image is cut `off_px` away from the rest, out of a scene with that much margin."""
    height, width = (size, size) if isinstance(size, int) else size
    margin = math.ceil(off_px)
    scene = simulate_scene(
        (height + 2 * margin, width + 2 * margin),
        seed,
        gsd_m=gsd_m,
        looks=looks,
        sar_gain_db=sar_gain_db,
        config=config,
    )
    angle = np.random.default_rng([seed, 1]).uniform(0.0, 2.0 * math.pi)
    offset = off_px * math.sin(angle), off_px * math.cos(angle)
    down, right = (round(part) for part in offset)

    def cut(array: np.ndarray, row: int, col: int) -> np.ndarray:
        return array[..., row : row + height, col : col + width]

    aligned: dict[str, Any] = {name: cut(getattr(scene, name), margin, margin) for name in _GRIDS}
    aligned |= {name: cut(getattr(scene, name), margin + down, margin + right) for name in _OPTICAL_GRIDS}
    if subpixel and off_px > 0.0:
        moved = ndimage.shift(scene.optical, (0.0, -offset[0], -offset[1]), order=3, mode="nearest")
        aligned["optical"] = np.clip(cut(moved, margin, margin), 0.0, 1.0).astype(scene.optical.dtype)
    return replace(scene, **aligned)


def in_units(sigma0: np.ndarray, units: str) -> np.ndarray:
    """Linear sigma0 in the units "amplitude", "sigma0" or "sigma0_db"."""
    if units == "amplitude":
        return np.sqrt(sigma0)
    return sigma0 if units == "sigma0" else 10 * np.log10(sigma0)


def _write_array(
    root: Path, name: str, scene: SimulatedScene, units: str, bands: tuple[str, ...], number: int, looks: float
) -> None:
    from affine import Affine
    from rasterio.crs import CRS

    from saropt.scenes import Georeference, write_array

    step = scene.gsd_m
    west = WEST_M + number * (scene.label.shape[1] + 100) * step
    place = Georeference(crs=CRS.from_epsg(EPSG), transform=Affine(step, 0.0, west, 0.0, -step, NORTH_M))
    tags = {"SIMULATED": "saropt", "SIMULATION_SEED": str(scene.seed)}
    power: np.ndarray = scene.sigma0
    order: tuple[str, ...] = BANDS
    if bands[0] in PAULI_BANDS:
        power, order = pauli_power(quad_pol_covariance(scene, max(1, round(looks)))), PAULI_BANDS
    sar = in_units(power[[order.index(band) for band in bands]], units)
    optical = np.rint(scene.optical * 255).astype(np.uint8)
    write_array(root / "sar" / f"{name}.tif", sar, band_names=bands, georeference=place, tags=tags)
    write_array(
        root / "optical" / f"{name}.tif",
        optical,
        band_names=OPTICAL_BANDS,
        georeference=place,
        tags=tags,
        photometric="rgb",
    )
    write_array(
        root / "label" / f"{name}.tif",
        scene.label[None],
        band_names=("class",),
        georeference=place,
        tags=tags,
        overview_resampling="mode",
    )
