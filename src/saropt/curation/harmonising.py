"""Optical images brought to the colours of an earlier image of the place, on ground that has not changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.curation.filtering import TILE, check_others, copy_others, to_stored
from saropt.domain import Role, describe_role, listed
from saropt.errors import InputError
from saropt.files import atomic_folder, write_text
from saropt.progress import Progress, Tell, first_and_more, log_line, silent
from saropt.radiometry import ValueRule, gain_and_offset, is_flat
from saropt.roots.frozen import renewed_hashes
from saropt.roots.labels import Classes, classes_of
from saropt.roots.one_grid import check_one_grid
from saropt.roots.opening import open_described
from saropt.roots.root import DataRoot
from saropt.roots.splits import rows_as_text, split_rows
from saropt.roots.values import SAMPLED_PIXELS, measured_rule
from saropt.scenes import Scene, SceneWriter, Window
from saropt.scenes.georeference import cut_windows
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.nodata import usual_nodata, with_nodata
from saropt.sensors.unchanged import Unchanged

LEAST_UNCHANGED = 0.1
_MANY = 0.01
_READ = ("optical", "optical_reference")
_MADE = ("optical", "splits.csv")


def harmonise_root(
    source: str | Path,
    out: str | Path,
    changed: Sequence[str] = (),
    *,
    progress: Progress = silent,
    tell: Tell = log_line,
) -> tuple[Path, dict[str, str]]:
    """Copy a data root with each optical image brought to its `optical_reference`.

    Each band gets the gain and offset that give it the mean and the deviation that the earlier image has, over pixels
    that are valid in both and of no changed class. What season, haze and a publisher's stretch did to the colours goes;
    what happened on the ground stays. Fill that a raster does not declare has no part in it and is
    written as it was (`saropt.scenes.measurements`); no other pixel becomes fill. Hashes in splits.csv are renewed.

    Args:
        source: data root with the roles optical and optical_reference; `label` where `changed` names classes.
        out: data root to write; it appears when it is whole.
        changed: names of the classes that mark changed ground.
        tell: gets a line for fill, for bands of one value, which get the mean alone, and for rasters of which more than
            a hundredth is clipped.

    Returns:
        The folder, and name -> reason of those that were left out: they have no earlier image, or less than a tenth of
        their pixels is unchanged and valid in both.

    Raises:
        InputError: no earlier images, an unknown class, nothing left, `out` exists, or a raster changes meanwhile.

    >>> harmonise_root("roots/unknown", "out")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: roots/unknown: no such folder
    """
    root, out = DataRoot.open(source), Path(out)
    if out.exists():
        raise InputError(out, "exists already")
    _check_alike(root)
    check_others(root.path, _MADE)
    classes = classes_of(root) if changed else None
    unknown = [name for name in changed if classes is None or name not in classes.titles]
    if unknown:
        raise InputError(root.path / "dataset.yaml", f"has no class named {', '.join(unknown)}")
    indices = [classes.titles.index(name) for name in changed] if classes is not None else []
    names = [name for name in root.splits if root.path_of("optical_reference", name) is not None]
    dropped = {name: "no earlier image" for name in root.splits if name not in set(names)}
    notes, inputs = _Notes(), Unchanged()
    with atomic_folder(out) as part:
        for number, name in enumerate(names, start=1):
            inputs.note(*(root.raster(role, name) for role in (*_READ, *(["label"] if classes else []))))
            if not _harmonise(root, name, classes, indices, part / "optical" / f"{name}.tif", notes):
                dropped[name] = "too little unchanged ground"
            progress(number, len(names), name)
        kept = {name for name in names if name not in dropped}
        if not kept:
            raise InputError(source, "has no raster with unchanged ground to compare colours on")
        copy_others(root.path, part, _MADE)
        rows = [row for row in split_rows(root.path / "splits.csv") if row["name"] in kept]
        write_text(part / "splits.csv", rows_as_text(renewed_hashes(rows, part, ["optical"])))
        inputs.check()
    for line in notes.lines():
        tell(line)
    return out, dropped


def _check_alike(root: DataRoot) -> None:
    """Refuse a root whose earlier images have other units or bands."""
    today, earlier = root.image("optical"), root.image("optical_reference")
    if (today.units, tuple(today.bands)) != (earlier.units, tuple(earlier.bands)):
        words = [f"{', '.join(image.bands)} in {image.units}" for image in (today, earlier)]
        reason = f"optical has {words[0]}, optical_reference {words[1]}: only equal bands and units can be compared"
        raise InputError(root.path / "dataset.yaml", reason)


class _Image:
    """An open optical raster of a data root, and which of its pixels are measured: fill that it does not declare is
    not."""

    def __init__(self, root: DataRoot, role: Role, name: str, stack: ExitStack, notes: list[str]) -> None:
        described = root.image(role)
        self.scene = stack.enter_context(open_described(root.raster(role, name), described))
        sample = self.scene.sample(SAMPLED_PIXELS)
        self.rule = ValueRule.of(described.units, self.scene.dtype)
        if self.rule.unit is not None and self.rule.unit.scale == "reflectance" and not sample.any():
            self.rule = self.rule.with_fill(0.0, all_bands=True)
            return
        self.rule, note = measured_rule(self.scene, role, described.units, sample)
        notes += [] if note is None else [f"{role}/{self.scene.path.name}: {note}"]

    def read(self, window: Window) -> tuple[NDArray, NDArray[np.bool_], NDArray[np.bool_]]:
        """Values (C, h, w), where they are valid (h, w), and where they are measured (h, w)."""
        values, valid = self.scene.read(window)
        return values, valid, valid & self.rule.measured(values)


@dataclass
class _Notes:
    """Lines of what a person should know, of each raster, by what they tell of."""

    fill: list[str] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [first_and_more(lines) for lines in (self.fill, self.flat, self.clipped) if lines]


def _harmonise(
    root: DataRoot, name: str, classes: Classes | None, changed: Sequence[int], out: Path, notes: _Notes
) -> bool:
    with ExitStack() as stack:
        image, reference = (_Image(root, role, name, stack, notes.fill) for role in _READ)
        scene, label = image.scene, None
        if classes is not None:
            label = stack.enter_context(Scene.open(root.raster("label", name), palette="index"))
        for role, other in (("optical_reference", reference.scene), *([("label", label)] if label else [])):
            check_one_grid(other.path, f"optical and {describe_role(role).title}", scene, other)
        windows = cut_windows(scene.height, scene.width, TILE)
        sums, whole = np.zeros((5, scene.count)), True
        for window in windows:
            values, valid, measured = image.read(window)
            whole = whole and bool(valid.all())
            earlier, _, also = reference.read(window)
            measured &= also
            if label is not None and classes is not None:
                stored, labelled = label.read_stored(window)
                measured &= ~np.isin(classes.indices(stored[0], labelled, label.path), changed)
            pair = values[:, measured].astype(np.float64), earlier[:, measured].astype(np.float64)
            sums += [np.full(scene.count, measured.sum()), *(part.sum(1) for x in pair for part in (x, x * x))]
        count = sums[0, 0]
        if count < LEAST_UNCHANGED * scene.height * scene.width:
            return False
        today, before = sums[1:3] / count, sums[3:5] / count
        bands = root.image("optical").bands
        alike = is_flat(today) | is_flat(before)
        flat = [band for band, one in zip(bands, alike, strict=True) if one]
        if flat:
            one = f"{listed(flat)} of the image or of the earlier one has one value"
            notes.flat.append(f"{name}: {one} where they are compared: only the mean is matched")
        nodata = scene.nodata if whole or scene.nodata is not None else usual_nodata(scene.dtype)
        out.parent.mkdir(parents=True, exist_ok=True)
        clipped = _write(image, bands, windows, gain_and_offset(today, before), nodata, out)
        if clipped > _MANY:
            low, high = image.rule.limits
            what = f"{clipped:.2%} of its pixels would lie outside {low:g}..{high:g}"
            notes.clipped.append(f"{name}: {what} and are clipped")
    return True


def _write(
    image: _Image,
    bands: Sequence[str],
    windows: Sequence[Window],
    colours: tuple[NDArray, NDArray],
    nodata: float | None,
    out: Path,
) -> float:
    """Write an image with other colours; returns the share of its measured pixels that are clipped."""
    scene, rule, (gain, offset) = image.scene, image.rule, (part[:, None, None] for part in colours)
    dtype, total, clipped = np.dtype(scene.dtype), 0, 0
    with SceneWriter(
        out,
        width=scene.width,
        height=scene.height,
        band_names=bands,
        dtype=dtype,
        nodata=nodata,
        georeference=scene.georeference,
        tags={**tags_for_output(scene, same_units=True), "HARMONISED_TO": "optical_reference"},
        photometric="rgb" if scene.is_rgb and scene.count == 3 else None,
    ) as writer:
        for window in windows:
            values, valid, measured = image.read(window)
            wanted = values * gain + offset
            wanted = np.rint(wanted) if rule.is_whole else wanted
            beyond = ((wanted < rule.limits[0]) | (wanted > rule.limits[1])).any(axis=0) & measured
            total, clipped = total + int(measured.sum()), clipped + int(beyond.sum())
            stored = with_nodata(to_stored(rule.kept_measured(wanted), dtype), valid, nodata)
            fill = valid & ~measured
            stored[:, fill] = to_stored(values[:, fill], dtype)
            writer.write(window.row, window.col, stored)
        writer.finish()
    return clipped / max(total, 1)
