"""Speckle-filtered and polarimetric-colour rasters, window by window."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.domain import is_sar
from saropt.errors import InputError
from saropt.files import atomic_folder, check_not_input, read_yaml, write_text
from saropt.progress import Progress, Tell, log_line
from saropt.radiometry import FILTERS, PAULI_BANDS, ValueRule, convert, pauli_needs, pauli_power, to_power
from saropt.radiometry.filters import SpeckleFilter
from saropt.roots.description import write_dataset_yaml
from saropt.roots.frozen import renewed_hashes
from saropt.roots.one_grid import check_one_grid
from saropt.roots.root import DataRoot
from saropt.roots.splits import rows_as_text, split_rows
from saropt.scenes import Scene, SceneWriter, Window
from saropt.scenes.georeference import cut_windows
from saropt.scenes.measurements import measured_backscatter
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.nodata import usual_nodata, with_nodata
from saropt.sensors.unchanged import Unchanged

TILE = 1024
_MOST_LOOKS = 1e4


def filter_scene(
    source: str | Path,
    out: str | Path,
    name: str,
    looks: float,
    units: str | None = None,
    *,
    overwrite: bool = False,
    tile: int = TILE,
    progress: Progress | None = None,
    tell: Tell = log_line,
) -> Path:
    """Filter the speckle of a SAR raster. Each band is filtered separately, as power; units and data type are kept.

    Windows are read with a margin as wide as the filter needs, so that no window edges are visible. Invalid pixels
    have no part in the values of others, and stay invalid. Impossible values are invalid too, and fill that the raster
    does not declare (`saropt.scenes.measurements`). Complex pixels become amplitude.

    Args:
        source: SAR raster.
        out: GeoTIFF to write.
        name: one of `saropt.radiometry.FILTERS`.
        looks: equivalent number of looks of the source.
        units: SAR units with a decibel scale (not `uint8`); when None those that the raster's tags or band names state,
            else decibels of sigma0.
        tile: side of a window in pixels.
        tell: gets a line for pixels that are made nodata, for units that the raster states, and for complex pixels.

    Raises:
        InputError: unknown filter, units that do not fit or have no decibel scale, or a file that cannot be used.

    >>> from saropt.scenes import write_array
    >>> path = write_array("noisy.tif", np.ones((1, 64, 64), np.float32), band_names=["VV"])
    >>> filter_scene(path, "smooth.tif", "lee", 4.0, "sigma0").name
    'smooth.tif'
    """
    if name not in FILTERS:
        raise InputError("filter", f"{name!r} is not one of {', '.join(FILTERS)}")
    if not 0.5 < looks <= _MOST_LOOKS:
        raise InputError("looks", f"must be above 0.5 and at most {_MOST_LOOKS:g}, not {looks:g}")
    chosen = FILTERS[name]
    check_not_input(out, [source])
    with Scene.open(source) as scene:
        inputs = Unchanged(source)
        measured = measured_backscatter(scene, units)
        units = measured.units
        is_complex = scene.dtype.startswith("complex")
        dtype = np.dtype("float32" if is_complex else scene.dtype)
        target = "amplitude" if is_complex else units
        nodata = _nodata_of(scene, dtype, measured.rule)
        made_by = {"SPECKLE_FILTER": name, "SPECKLE_FILTER_LOOKS": f"{looks:g}"}
        if is_complex:
            made_by["UNITS"] = target
        with SceneWriter(
            out,
            width=scene.width,
            height=scene.height,
            band_names=scene.band_names,
            dtype=dtype,
            nodata=nodata,
            georeference=scene.georeference,
            tags=tags_for_output(scene, same_units=not is_complex) | made_by,
            overwrite=overwrite,
        ) as writer:
            for line in (*measured.notes, *([f"{source}: complex pixels become amplitude"] if is_complex else [])):
                tell(line)
            windows = cut_windows(scene.height, scene.width, tile)
            for number, window in enumerate(windows, start=1):
                filtered, valid = _filter_window(scene, window, measured.rule, chosen, looks, units)
                stored = to_stored(convert(filtered, "sigma0", target.replace("gamma0", "sigma0")), dtype)
                writer.write(window.row, window.col, with_nodata(stored, valid, nodata))
                if progress is not None:
                    progress(number, len(windows), Path(source).name)
            inputs.check()
            return writer.finish()


def _filter_window(
    scene: Scene, window: Window, rule: ValueRule, chosen: SpeckleFilter, looks: float, units: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Filtered power (C, h, w) of a window, and where it is measured (h, w)."""
    halo = chosen.halo
    padded = Window(window.row - halo, window.col - halo, window.height + 2 * halo, window.width + 2 * halo)
    values, valid = scene.read_padded(padded)
    valid = valid & rule.measured(values)
    values[:, ~valid] = 1
    power = to_power(values, units)
    inner = np.s_[halo : halo + window.height, halo : halo + window.width]
    filtered = np.empty((scene.count, window.height, window.width), np.float32)
    for band, result in zip(power, filtered, strict=True):
        result[:] = chosen.apply(band, looks, valid=None if valid.all() else valid)[inner]
    return filtered, valid[inner]


def _nodata_of(scene: Scene, dtype: np.dtype, rule: ValueRule) -> float:
    """What marks invalid pixels of a filtered raster: what the source declares, or else a value that is no
    measurement."""
    if scene.nodata is not None:
        return scene.nodata
    return 0 if rule.zero_is_fill and dtype.kind == "i" else usual_nodata(dtype)


def filter_root(
    source: str | Path,
    out: str | Path,
    name: str,
    looks: float,
    *,
    progress: Progress | None = None,
    tell: Tell = log_line,
) -> Path:
    """Copy a data root and filter the rasters of all SAR roles. The copy appears under `out` only when it is complete.
    Roles with complex pixels become amplitude. Hashes in splits.csv are renewed.

    Raises:
        InputError: as `filter_scene`, or `out` exists.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = write_simulated_root("root", scenes=(1, 0, 0), size=64)
    >>> sorted(path.name for path in filter_root(root, "smooth", "lee", 4.0).iterdir())
    ['dataset.yaml', 'label', 'optical', 'sar', 'splits.csv']
    """
    root, out = DataRoot.open(source), Path(out)
    if out.exists():
        raise InputError(out, "exists already")
    roles = [role for role in root.images if is_sar(role)]
    rasters = [(role, name, path) for role in roles for name, path in root.rasters(role).items()]
    check_others(root.path, roles)
    with atomic_folder(out) as part:
        for number, (role, raster, path) in enumerate(rasters, start=1):
            target = part / role / f"{raster}.tif"
            target.parent.mkdir(parents=True, exist_ok=True)
            filter_scene(path, target, name, looks, root.images[role].units, tell=tell)
            if progress is not None:
                progress(number, len(rasters), raster)
        copy_others(root.path, part, roles)
        rows = list(split_rows(root.path / "splits.csv"))
        if (renewed := renewed_hashes(rows, part, roles)) != rows:
            write_text(part / "splits.csv", rows_as_text(renewed))
        made = [role for role in roles if root.images[role].units == "complex"]
        if made:
            description = read_yaml(root.path / "dataset.yaml")
            described = {role: {**description[role], "units": "amplitude"} for role in made if role in description}
            write_dataset_yaml(part, {**description, **described})
    return out


def check_others(source: Path, made: Sequence[str]) -> None:
    """Check that `copy_others` can copy a data root: only files and folders, and no link to a folder around it.

    Raises:
        InputError: one entry cannot be copied.

    >>> Path("root").mkdir()
    >>> Path("root/old.tif").symlink_to("gone.tif")
    >>> check_others(Path("root"), ["optical"])
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: root/old.tif: is a link to nothing: it cannot be copied
    """
    waiting = _others(source, made)
    while waiting:
        entry = waiting.pop()
        if entry.is_dir():
            if entry.is_symlink() and entry.resolve() in entry.absolute().parents:
                raise InputError(entry, "is a link to a folder around it: it cannot be copied")
            waiting += entry.iterdir()
        elif not entry.is_file():
            reason = "is a link to nothing" if entry.is_symlink() else "is neither a file nor a folder"
            raise InputError(entry, f"{reason}: it cannot be copied")


def copy_others(source: Path, target: Path, made: Sequence[str]) -> None:
    """Copy the files and folders of a data root that were not made anew; hidden ones are left out.

    Raises:
        InputError: a file cannot be copied.

    >>> for name in ("root", "copy"):
    ...     Path(name).mkdir()
    >>> _ = Path("root/dataset.yaml").write_text("name: r")
    >>> copy_others(Path("root"), Path("copy"), ["optical"])
    >>> [path.name for path in Path("copy").iterdir()]
    ['dataset.yaml']
    """
    for entry in _others(source, made):
        try:
            (shutil.copytree if entry.is_dir() else shutil.copy2)(entry, target / entry.name)
        except shutil.Error as error:
            path, _, reason = error.args[0][0]
            raise InputError(path, f"cannot be copied: {reason}") from error


def _others(source: Path, made: Sequence[str]) -> list[Path]:
    return [entry for entry in source.iterdir() if entry.name not in made and not entry.name.startswith(".")]


def write_pauli(
    sources: Sequence[str | Path], out: str | Path, *, overwrite: bool = False, progress: Progress | None = None
) -> Path:
    """Write the power of the Pauli components of quad-polarised rasters as three float32 bands, window by window.

    Args:
        sources: rasters on one grid. The name of a band, or the name of a file with one band, says which component it
            is: HH, HV, VH, VV (complex); C11, C22, C33, C13; T11, T22, T33; HHHH, HVHV, VVVV, HHVV. `C13_real` and
            `C13_imag`, as PolSARpro writes them, are combined.
        out: GeoTIFF with the bands HH-VV, HV, HH+VV (red, green, blue); nodata where all components are exactly 0.

    Raises:
        InputError: components are missing, the rasters are not on one grid, or one cannot be used.

    >>> from saropt.scenes import write_array
    >>> path = write_array("t3.tif", np.ones((3, 32, 32), np.float32), band_names=["T11", "T22", "T33"])
    >>> write_pauli([path], "pauli.tif").name
    'pauli.tif'
    """
    check_not_input(out, sources)
    with ExitStack() as stack:
        scenes = [stack.enter_context(Scene.open(path)) for path in sources]
        inputs = Unchanged(*sources)
        first = scenes[0]
        bands: dict[str, tuple[Scene, int]] = {}
        for scene in scenes:
            check_one_grid(scene.path, f"{first.path.name} and {scene.path.name}", first, scene)
            for index, band in enumerate(scene.band_names):
                bands[(scene.path.stem if scene.count == 1 else band).upper()] = (scene, index)
        split = {name.removesuffix("_REAL") for name in bands if name.endswith("_REAL")}
        try:
            needed = pauli_needs({*bands, *split})
        except ValueError as error:
            raise InputError(first.path, str(error)) from error

        def component(name: str, window: Window) -> tuple[NDArray, NDArray[np.bool_]]:
            if name in split and name not in bands:
                real, valid = component(f"{name}_REAL", window)
                imaginary, also = component(f"{name}_IMAG", window)
                return real + 1j * imaginary, valid & also
            scene, index = bands[name]
            values, valid = scene.read(window)
            return values[index], valid

        for name in split & set(needed):
            if f"{name}_IMAG" not in bands:
                raise InputError(first.path, f"{name}_real is here but {name}_imag is not")
        with SceneWriter(
            out,
            width=first.width,
            height=first.height,
            band_names=PAULI_BANDS,
            dtype="float32",
            nodata=float("nan"),
            georeference=first.georeference,
            tags=tags_for_output(first),
            overwrite=overwrite,
        ) as writer:
            windows = cut_windows(first.height, first.width, TILE)
            for number, window in enumerate(windows, start=1):
                parts, valid = {}, np.ones((window.height, window.width), bool)
                for name in needed:
                    parts[name], also = component(name, window)
                    valid &= also
                valid &= np.any([part != 0 for part in parts.values()], axis=0)
                try:
                    power = pauli_power(parts)
                except ValueError as error:
                    raise InputError(first.path, str(error)) from error
                power[:, ~valid] = np.nan
                writer.write(window.row, window.col, power)
                if progress is not None:
                    progress(number, len(windows), "windows")
            inputs.check()
            return writer.finish()


def to_stored(values: NDArray, dtype: np.dtype) -> NDArray:
    if dtype.kind not in "ui":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
