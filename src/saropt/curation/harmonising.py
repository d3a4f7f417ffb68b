"""Optical images brought to the colours of an earlier image of the place, on ground that has not changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.curation.filtering import TILE, check_others, copy_others, to_stored
from saropt.domain import describe_role
from saropt.errors import InputError
from saropt.files import atomic_folder, write_text
from saropt.progress import Progress, silent
from saropt.radiometry import gain_and_offset
from saropt.roots.labels import Classes, classes_of
from saropt.roots.one_grid import check_one_grid
from saropt.roots.opening import open_described
from saropt.roots.root import DataRoot
from saropt.roots.splits import rows_as_text, split_rows
from saropt.scenes import Scene, SceneWriter, Window
from saropt.scenes.georeference import cut_windows
from saropt.scenes.metadata import tags_for_output
from saropt.scenes.nodata import usual_nodata, with_nodata

LEAST_UNCHANGED = 0.1
_MADE = ("optical", "splits.csv")


def harmonise_root(
    source: str | Path, out: str | Path, changed: Sequence[str] = (), *, progress: Progress = silent
) -> tuple[Path, dict[str, str]]:
    """Copy a data root with each optical image brought to its `optical_reference`.

    Each band gets the gain and offset that give it the mean and the deviation that the earlier image has, over pixels
    that are valid in both and of no changed class. What season, haze and a publisher's stretch did to the colours goes;
    what happened on the ground stays.

    Args:
        source: data root with the roles optical and optical_reference; `label` where `changed` names classes.
        out: data root to write; it appears when it is whole.
        changed: names of the classes that mark changed ground.

    Returns:
        The folder, and name -> reason of those that were left out: they have no earlier image, or less than a tenth of
        their pixels is unchanged and valid in both.

    Raises:
        InputError: no earlier images, an unknown class, nothing left, or `out` exists.

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
    with atomic_folder(out) as part:
        for number, name in enumerate(names, start=1):
            if not _harmonise(root, name, classes, indices, part / "optical" / f"{name}.tif"):
                dropped[name] = "too little unchanged ground"
            progress(number, len(names), name)
        kept = {name for name in names if name not in dropped}
        if not kept:
            raise InputError(source, "has no raster with unchanged ground to compare colours on")
        copy_others(root.path, part, _MADE)
        rows = [row for row in split_rows(root.path / "splits.csv") if row["name"] in kept]
        write_text(part / "splits.csv", rows_as_text(rows))
    return out, dropped


def _check_alike(root: DataRoot) -> None:
    """Refuse a root whose earlier images have other units or bands."""
    today, earlier = root.image("optical"), root.image("optical_reference")
    if (today.units, tuple(today.bands)) != (earlier.units, tuple(earlier.bands)):
        words = [f"{', '.join(image.bands)} in {image.units}" for image in (today, earlier)]
        reason = f"optical has {words[0]}, optical_reference {words[1]}: only equal bands and units can be compared"
        raise InputError(root.path / "dataset.yaml", reason)


def _harmonise(root: DataRoot, name: str, classes: Classes | None, changed: Sequence[int], out: Path) -> bool:
    with ExitStack() as stack:
        image = stack.enter_context(open_described(root.raster("optical", name), root.image("optical")))
        described = root.image("optical_reference")
        reference = stack.enter_context(open_described(root.raster("optical_reference", name), described))
        label = None
        if classes is not None:
            label = stack.enter_context(Scene.open(root.raster("label", name), palette="index"))
        for role, other in (("optical_reference", reference), *([("label", label)] if label else [])):
            check_one_grid(other.path, f"optical and {describe_role(role).title}", image, other)
        windows = cut_windows(image.height, image.width, TILE)
        sums, whole = np.zeros((5, image.count)), True
        for window in windows:
            values, valid = image.read(window)
            whole = whole and bool(valid.all())
            earlier, also = reference.read(window)
            valid = valid & also
            if label is not None and classes is not None:
                stored, labelled = label.read_stored(window)
                valid &= ~np.isin(classes.indices(stored[0], labelled, label.path), changed)
            pair = values[:, valid].astype(np.float64), earlier[:, valid].astype(np.float64)
            sums += [np.full(image.count, valid.sum()), *(part.sum(1) for x in pair for part in (x, x * x))]
        count = sums[0, 0]
        if count < LEAST_UNCHANGED * image.height * image.width:
            return False
        nodata = image.nodata if whole or image.nodata is not None else usual_nodata(image.dtype)
        gain, offset = gain_and_offset(sums[1:3] / count, sums[3:5] / count)
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(image, root.image("optical").bands, windows, gain, offset, nodata, out)
    return True


def _write(
    image: Scene,
    bands: Sequence[str],
    windows: Sequence[Window],
    gain: NDArray,
    offset: NDArray,
    nodata: float | None,
    out: Path,
) -> None:
    with SceneWriter(
        out,
        width=image.width,
        height=image.height,
        band_names=bands,
        dtype=image.dtype,
        nodata=nodata,
        georeference=image.georeference,
        tags={**tags_for_output(image, same_units=True), "HARMONISED_TO": "optical_reference"},
        photometric="rgb" if image.is_rgb and image.count == 3 else None,
    ) as writer:
        for window in windows:
            values, valid = image.read(window)
            stored = to_stored(values * gain[:, None, None] + offset[:, None, None], np.dtype(image.dtype))
            writer.write(window.row, window.col, with_nodata(stored, valid, nodata))
        writer.finish()
