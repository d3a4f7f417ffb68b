"""Scores anybody's folder of rasters against a frozen split; no model is needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import saropt
from saropt.domain import (
    Role,
    Unit,
    canonical_bands,
    described_bands,
    is_known,
    is_sar,
    listed,
    match_bands,
)
from saropt.domain.stated_units import StatedUnits, stated_units
from saropt.errors import InputError, counted
from saropt.evaluation.accumulate import ImageQuality
from saropt.evaluation.baselines import CopyInput, TrainMean
from saropt.evaluation.intervals import few_scenes
from saropt.evaluation.metric import Subject, Tile
from saropt.evaluation.report import conventions, finite
from saropt.evaluation.tiles import (
    MIN_VALID,
    TILE,
    LeftOut,
    Pixels,
    open_rasters,
    scale_in_words,
    stream_tiles,
    tile_windows,
)
from saropt.evaluation.verdicts import verdicts
from saropt.files import write_text
from saropt.inference.opening import has_only_colours
from saropt.progress import Progress, silent
from saropt.radiometry import ValueRule, check_units
from saropt.roots import DataRoot
from saropt.roots.frozen import FrozenSplit, raster_hash, read_frozen
from saropt.roots.names import SUFFIXES, find_raster
from saropt.roots.one_grid import check_one_grid
from saropt.roots.root import scene_of
from saropt.scenes import Scene, Window
from saropt.scenes.reserved import reserved
from saropt.sensors.unchanged import Unchanged

KIND = "saropt submission 1"
_CHECKED_PIXELS = 1 << 16


def score(
    predictions: str | Path,
    data: str | Path,
    split_file: str | Path,
    out: str | Path,
    *,
    part: str = "test",
    role: Role = "optical",
    name: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Score a folder of rasters, and write a submission file.

    The rasters have the names of the split, the bands, units and grid of the true images, and a value at every valid
    pixel of them. The constant train mean and a copy of the input are scored beside them; the former needs all train
    images.

    Args:
        predictions: folder of `NAME.tif`, `.tiff`, `.png` or `.jpg`.
        data: data root with the true images.
        split_file: names, splits, groups and hashes (`saropt data clean --write-splits`), or names and splits only.
        out: submission file, JSON.
        part: "train", "val" or "test".
        role: role of the true images.
        name: title in tables; the name of the folder when None.

    Returns:
        What the submission file holds.

    Raises:
        InputError: a raster is missing, of another grid, not complete or changes meanwhile, rasters contradict the
            units or bands of the true images, or the data, train images included, are not those of the split file.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = write_simulated_root("root", scenes=(1, 0, 2), size=64)
    >>> found = score("root/optical", root, "root/splits.csv", "submission.json")
    >>> found["n"], found["figures"]["mae"], found["warnings"][0][:13]
    (2, 0.0, 'PSNR infinite')
    """
    predictions, out = Path(predictions), Path(out)
    with reserved(out, suffixes=(".json",), overwrite=overwrite):
        root, frozen = DataRoot.open(data), read_frozen(split_file)
        names = frozen.names(part)
        root.image(role)
        paths = [_prediction(predictions, item) for item in names]
        source = next((other for other, image in root.images.items() if other != role and not image.optional), None)
        roles = [role] if source is None else [source, role]
        train, inputs = _checked_data(root, frozen, roles, names, paths)
        measured = _measured(root, role, source, frozen, dict(zip(names, paths, strict=True)), train.used, progress)
        rows = measured.rows
        baselines = {key: row.figures() for key, row in rows.items() if key != "prediction" and row.n}
        figures = rows["prediction"].figures()
        told, scenes = conventions({}), rows["prediction"].scenes
        warnings = [*measured.left_out.lines(part, len(names)), *train.lines(), *verdicts(figures, baselines)]
        submission: dict[str, Any] = finite(
            {
                "kind": KIND,
                "saropt": saropt.__version__,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "name": name or predictions.resolve().name,
                "data": root.name,
                "role": role,
                "part": part,
                "tile": TILE,
                "n": rows["prediction"].n,
                "scenes": scenes,
                "scale": measured.scale,
                "bands": sorted(canonical_bands(root.image(role).bands)),
                "hashes": {**_hashes(frozen, root, role, names, paths, told), "valid": measured.valid},
                "truth_checked": bool(frozen.hashes.get(role)),
                "warnings": [*warnings, *filter(None, [few_scenes(scenes, rows["prediction"].tiles_by_scene)])],
                "figures": figures,
                "baselines": baselines,
                "conventions": told,
            }
        )
        inputs.check()
        write_text(out, json.dumps(submission, indent=1, allow_nan=False) + "\n")
        return submission


def _hashes(
    frozen: FrozenSplit,
    root: DataRoot,
    role: Role,
    names: Sequence[str],
    paths: Sequence[Path],
    told: Mapping[str, Any],
) -> dict[str, str]:
    """What two submissions must share to be compared, and what they are of."""
    return {
        "split": frozen.digest,
        "truth": _hash(*(frozen.hash_of(role, name, root.raster(role, name)) for name in names)),
        "predictions": _hash(*(raster_hash(path) for path in paths)),
        "conventions": _hash(told, TILE, MIN_VALID),
    }


@dataclass(frozen=True)
class _TrainImages:
    """Names of the train split: those that the constant train mean is fitted on, and those that lack a raster. It is
    fitted on all or none."""

    used: list[str]
    missing: list[str]
    count: int

    def lines(self) -> list[str]:
        """One line where rasters are missing."""
        if not self.missing:
            return []
        verb = "is" if len(self.missing) == 1 else "are"
        lost = f"{len(self.missing)} of {counted(self.count, 'raster')} of split 'train' {verb} missing"
        return [f"without the constant train mean: {lost}: {listed(self.missing)}"]


def _checked_data(
    root: DataRoot, frozen: FrozenSplit, roles: Sequence[Role], names: Sequence[str], paths: Sequence[Path]
) -> tuple[_TrainImages, Unchanged]:
    """The train images, and what all rasters hold, predictions (`paths`) included; refuses images, of these names or
    train images, that are not those of the split file, and predictions of the last role in other units."""
    train = [name for name, own in frozen.splits.items() if own == "train"]
    needed = [role for role in roles if not root.images[role].optional]
    missing = [name for name in train if any(root.path_of(role, name) is None for role in needed)]
    used = [] if missing else train
    rasters = {(role, name): root.raster(role, name) for role in roles for name in names}
    rasters |= {(role, name): path for role in roles for name in used if (path := root.path_of(role, name)) is not None}
    inputs = Unchanged(*paths, *rasters.values())
    for (role, name), path in rasters.items():
        frozen.check(role, name, path)
    _check_values(paths, root.raster(roles[-1], names[0]), roles[-1], root.image(roles[-1]).units)
    return _TrainImages(used, missing, len(train)), inputs


@dataclass(frozen=True)
class _Measured:
    """Row -> figures, the rasters without a tile, the scale of the true images in words, and a hash of which pixels
    are valid."""

    rows: dict[str, ImageQuality]
    left_out: LeftOut
    scale: str
    valid: str


def _measured(
    root: DataRoot,
    role: Role,
    source: Role | None,
    frozen: FrozenSplit,
    paths: Mapping[str, Path],
    train: Sequence[str],
    progress: Progress,
) -> _Measured:
    """The figures of the predictions, of the constant train mean and of a copy of the input."""
    bands = root.image(role).bands
    roles = [role] if source is None else [source, role]
    needed = [one for one in roles if not root.images[one].optional]
    constant = _fitted(root, roles, role, train)
    rows = {key: ImageQuality(Subject(bands)) for key in ("prediction", "train_mean", "copy_input")}
    left_out, dtypes, valid = LeftOut(), set(), hashlib.sha256()
    for done, (name, path) in enumerate(paths.items(), 1):
        scene = scene_of(name, frozen.groups)
        with open_rasters(root, name, roles) as rasters, Scene.open(path, units=root.image(role).units) as made:
            if (made.count, made.height, made.width) != (len(bands), *rasters.shape):
                found = f"{counted(made.count, 'band')} of {made.width}x{made.height} pixels"
                wanted = f"{counted(len(bands), 'band')} of {rasters.width}x{rasters.height} pixels"
                raise InputError(path, f"has {found}, the true image {wanted}")
            check_one_grid(path, "prediction and true image", rasters.scenes[role], made)
            left_out.note(rasters)
            order = _order(made, rasters.scenes[role], bands)
            for window in tile_windows(*rasters.shape, TILE):
                place = rasters.read(window)
                if not left_out.look_at(place, needed):
                    continue
                dtypes.add(str(place.images[role].dtype))
                valid.update(np.packbits(place.valid).tobytes())
                target = place.images[role].in_unit_range(name)
                looked_at = target if source is None else place.images[source].in_unit_range(name)
                outputs = {"prediction": _values(made, order, window, place.images[role], place.valid)}
                if constant is not None:
                    outputs["train_mean"] = constant.predict(looked_at, target)
                if source is not None:
                    outputs["copy_input"] = CopyInput().predict(looked_at, target)
                for key, values in outputs.items():
                    rows[key].add(Tile.of(values, looked_at, target, place.valid), scene)
        progress(done, len(paths), name)
    if not rows["prediction"].n:
        part = frozen.splits[next(iter(paths))]
        raise InputError(root.path, f"split {part!r} has no tile that is at least {MIN_VALID:.0%} valid")
    image = root.image(role)
    scales = {scale_in_words(image.units, dtype, image.range) for dtype in dtypes}
    return _Measured(rows, left_out, " and ".join(sorted(scales)), valid.hexdigest())


def _prediction(folder: Path, name: str) -> Path:
    path = find_raster(folder, name)
    if path is None:
        raise InputError(folder, f"no raster named {name} (tried {', '.join(SUFFIXES)})")
    return path


def _check_values(paths: Sequence[Path], truth: Path, role: Role, units: str) -> None:
    """Refuse predictions that contradict the units of the true images, by their values or by what they state."""
    with Scene.open(truth, units=units) as scene:
        dtype, true = scene.dtype, _stated(scene, role)
        unit = ValueRule.of(units, dtype).unit
        calibrated = unit is not None and dtype.startswith("float") and _is_calibrated(scene.sample(), unit)
    for path in paths:
        with Scene.open(path, units=units) as made:
            if made.dtype.startswith("complex") and not dtype.startswith("complex"):
                raise InputError(path, "has complex pixels, the true image has not")
            stated = None if made.dtype == dtype == "uint8" else _stated(made, role)
            if stated is not None and stated.contradicts(units) and (true is None or stated.quantity != true.quantity):
                raise InputError(path, f"its {stated.where} say {stated.quantity}, the true images are in {units}")
            values = made.sample(max(1 << 10, _CHECKED_PIXELS // len(paths)))
            own = made.dtype if made.dtype.startswith("float") or made.dtype == "uint8" else dtype
        if unit is not None and values.any():
            try:
                check_units(values, unit, own, calibrated=calibrated)
            except ValueError as error:
                raise InputError(path, f"the true images are in {units}: {error}") from error


def _is_calibrated(values: np.ndarray, unit: Unit) -> bool:
    """Whether amplitudes of a true image are the root of backscatter, so that those of a prediction must be as well."""
    try:
        check_units(values, unit, calibrated=True)
    except ValueError:
        return False
    return True


def _stated(scene: Scene, role: Role) -> StatedUnits | None:
    return stated_units(scene.tags, scene.band_names, scene.dtype) if is_sar(role) else None


def _order(made: Scene, true: Scene, bands: Sequence[str]) -> list[int]:
    """Places of the bands in a prediction, by name where both sides name them. The colours of a picture count where
    they fit, unless the true image is such a file too, whose bands a data root takes by their places."""
    only_colours = has_only_colours(made)
    alike = only_colours and has_only_colours(true) and made.is_plain_picture == true.is_plain_picture
    if alike or not all(map(is_known, bands)):
        return list(range(len(bands)))
    try:
        return (described_bands if only_colours else match_bands)(bands, made.band_names)
    except ValueError as error:
        raise InputError(made.path, str(error)) from error


def _values(made: Scene, order: Sequence[int], window: Window, true: Pixels, valid: np.ndarray) -> np.ndarray:
    """The predicted values of a window in [0, 1], by the range of the true image.

    Raises:
        InputError: a valid pixel of the truth has none.
    """
    values, given = made.read(window)
    values = values[order]
    lacking = int((valid & ~given).sum())
    if lacking or not np.isfinite(values[:, valid]).all():
        raise InputError(made.path, f"has no value at {lacking or 'some'} valid pixels of the true image")
    return Pixels(values, valid, true.units, true.bands, true.dtype, true.range).in_unit_range(str(made.path))


def _fitted(root: DataRoot, roles: Sequence[Role], role: Role, train: Sequence[str]) -> TrainMean | None:
    """The constant train mean over pixels that are valid in all roles, as `evaluate` fits it; None without a train
    split."""
    baseline, seen = TrainMean(), False
    for place in stream_tiles(root, train, TILE, roles):
        if role in place.images and (valid := place.valid & place.images[role].valid).any():
            target = place.images[role].in_unit_range(place.name)[:, valid].astype(np.float64)
            baseline.update(target, target)
            seen = True
    if not seen:
        return None
    baseline.finish()
    return baseline


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
