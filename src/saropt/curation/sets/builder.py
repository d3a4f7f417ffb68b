"""Builds data roots from plans: raster by raster, resumable, complete or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from saropt.curation.sets.base import SETS, DataSet, Entry, Plan, Source, bands_by_name, read_options
from saropt.curation.sets.rasters import Readers, moved, remove_raster, unreadable, write_source
from saropt.curation.sets.written import Written
from saropt.domain import describe_role
from saropt.errors import InputError, counted
from saropt.files import Lock, write_text
from saropt.progress import Progress, Tell, log_line
from saropt.roots.description import write_description
from saropt.roots.names import check_name
from saropt.roots.one_grid import check_one_grid
from saropt.roots.values import NO_PIXEL, contradiction
from saropt.scenes import Georeference, Scene, Window

_LOOKED_AT = 3


def prepare(
    name: str,
    source: str | Path,
    out: str | Path,
    options: Sequence[str] = (),
    *,
    partial: bool = False,
    progress: Progress | None = None,
    tell: Tell = log_line,
) -> Path:
    """Turn a public data set into a data root. It appears under `out` only when it is complete.

    Rasters are written one by one into a hidden folder beside `out`; after an interruption the same call continues.

    Args:
        name: one of `SETS`.
        source: folder of the unpacked published set.
        out: folder to make.
        options: options of the set as texts `key=value`.
        partial: accept a source that lacks part of the set, or has files that cannot be read. OUT/missing.txt then
            lists what is missing.
        tell: gets a line for each thing that is taken for granted.

    Raises:
        InputError: the set is unknown, the source does not have the published layout, parts are missing (listed in
            OUT.missing.txt), or the output cannot be made.

    >>> prepare("qxs-saropt", "unknown", "root")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: unknown: no such file or folder
    """
    if name not in SETS:
        raise InputError(name, f"unknown set; known: {', '.join(SETS)}")
    source, out = Path(source), Path(out).absolute()
    if out.exists():
        raise InputError(out, "exists already")
    if not out.parent.is_dir():
        raise InputError(out, f"the folder {out.parent} does not exist")
    if not source.exists():
        raise InputError(source, "no such file or folder")
    entry: DataSet = SETS[name]
    chosen = read_options(entry, options)
    plan = entry.plan(source, chosen)
    if not plan.entries:
        raise InputError(source, f"holds nothing of {name}; expected {entry.layout}")
    if plan.missing and not partial:
        report = out.with_name(f"{out.name}.missing.txt")
        report.write_text("".join(f"{line}\n" for line in plan.missing), encoding="utf-8")
        first = "; ".join(plan.missing[:3]) + (", ..." if len(plan.missing) > 3 else "")
        reason = f"lacks {counted(len(plan.missing), 'thing')} ({first}), all listed in {report}"
        raise InputError(source, reason, remedy="partial")
    plan.description["prepared"] = {"set": name, "options": chosen.model_dump(mode="json")}
    key = f"{name} {source.absolute()} {chosen.model_dump_json()}"
    made = build(plan, out, key, progress, partial=partial)
    for line in plan.notes:
        tell(line)
    return made


def build(plan: Plan, out: Path, key: str, progress: Progress | None = None, *, partial: bool = False) -> Path:
    """Write a plan as a data root. Interrupted work is continued: what was made of files that have changed since is
    written anew.

    Args:
        key: identifies the work, with the names of the entries.
        partial: leave out the entries with a file that cannot be read; OUT/missing.txt lists them.

    Raises:
        InputError: a source cannot be read, changes meanwhile or contradicts the units or bands of the plan, the
            rasters of a name are not on one grid though the plan says pairs, the output cannot be written, or other
            unfinished work is in the way.

    >>> from saropt.curation.sets.base import Entry
    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> path = write_array("s1.tif", np.ones((1, 8, 8), np.float32), band_names=["VV"])
    >>> entries = [Entry("tile", "train", {"sar": Source((path,))})]
    >>> sorted(file.name for file in build(Plan({"name": "mine"}, entries), Path("root"), "mine").iterdir())
    ['dataset.yaml', 'sar', 'splits.csv']
    """
    part = out.with_name(f".{out.name}.preparing")
    digest = hashlib.sha256("\n".join([key, *(entry.name for entry in plan.entries)]).encode()).hexdigest()
    readers = Readers()
    for entry in plan.entries:
        check_name(
            entry.name, next((one.paths[0].parent for one in entry.sides.values() if isinstance(one, Source)), out)
        )
    try:
        _check_units(plan, readers, partial)
        with Lock(part.with_name(f"{part.name}.lock"), out, "is being prepared by another process"):
            part.mkdir(exist_ok=True)
            settings, lines = part / ".settings", part / ".written"
            if not settings.exists() and not any(part.iterdir()):
                write_text(settings, digest)
            if not settings.exists() or settings.read_text(encoding="utf-8") != digest:
                raise InputError(out, f"unfinished work with other settings is in the way: remove {part}")
            kept, missing = [], list(plan.missing)
            with Written(lines, plan.files) as written:
                for number, entry in enumerate(plan.entries, start=1):
                    lost = _write_entry(entry, plan, part, readers, written, partial)
                    if lost is None:
                        kept.append(entry)
                    else:
                        missing.append(f"{entry.name}: {lost}")
                    if progress is not None:
                        progress(number, len(plan.entries), entry.name)
                written.check(kept)
            if plan.entries and not kept:
                raise InputError(out, f"no entry can be read whole: {missing[-1]}")
            plan = replace(plan, entries=kept, missing=missing)
            _describe(part, plan)
            lines.unlink()
            settings.unlink()
            part.rename(out)
    except OSError as error:
        raise InputError(out, f"cannot be written: {error.strerror or error}") from error
    finally:
        readers.close()
    return out


def _write_entry(
    entry: Entry, plan: Plan, part: Path, readers: Readers, written: Written, partial: bool
) -> InputError | None:
    """Write the rasters of an entry, or with `partial` none of them where a file of it cannot be read; returns why."""
    state = written.state(entry)
    if written.holds(entry, state):
        return None
    if written.may_have_begun(entry):
        _remove(entry, part)
    written.begin(entry)
    try:
        _check_entry(entry, plan, readers)
        for side, source in entry.sides.items():
            (part / side).mkdir(exist_ok=True)
            stem = part / side / entry.name
            if isinstance(source, Source):
                write_source(source, stem, readers, categorical=side == "label")
            else:
                source(stem.with_name(f"{stem.name}.tif"))
    except InputError:
        sources = [source for source in entry.sides.values() if isinstance(source, Source)]
        lost = next((why for source in sources if (why := unreadable(source)) is not None), None) if partial else None
        if lost is None:
            raise
        _remove(entry, part)
        return lost
    written.finish(entry, state)
    return None


def _remove(entry: Entry, part: Path) -> None:
    for side in entry.sides:
        remove_raster(part / side / entry.name)


def _check_units(plan: Plan, readers: Readers, partial: bool) -> None:
    """Refuse sources that contradict the units which the plan declares, or hold nothing; those of the first entries are
    looked at.

    Raises:
        InputError: one contradicts them, or all of a role are without a valid pixel.
    """
    found: dict[str, list[tuple[Path, str | None]]] = {}
    for entry in plan.entries[:_LOOKED_AT]:
        for side, source in entry.sides.items():
            units = plan.description.get(side, {}).get("units")
            if units is not None and isinstance(source, Source) and source.convert is None:
                try:
                    problems = [(path, contradiction(readers.open(source, path), units)) for path in source.paths]
                except InputError:
                    if not partial or unreadable(source) is None:
                        raise
                    continue
                found.setdefault(side, []).extend(problems)
    for side, problems in found.items():
        empty = all(problem == NO_PIXEL for _, problem in problems)
        for path, problem in problems:
            if problem is not None and (empty or problem != NO_PIXEL):
                raise InputError(path, f"{side}: {problem}")


@dataclass(frozen=True)
class _Frame:
    """Size and place of a raster to be made."""

    height: int
    width: int
    georeference: Georeference


def _check_entry(entry: Entry, plan: Plan, readers: Readers) -> None:
    """Refuse sources of a name that are on other grids, files to be copied whose bands are not those of the plan, and
    labels of several bands; no pixel is read."""
    first: tuple[str, Window | None, tuple[_Frame, _Frame]] | None = None
    for side, source in entry.sides.items():
        if not isinstance(source, Source):
            continue
        scene, path = readers.open(source, source.paths[0]), source.paths[0]
        bands = plan.description.get(side, {}).get("bands")
        if source.is_copy and bands is not None:
            bands_by_name(scene, bands, side, spare=False)
        if side == "label" and source.convert is None and scene.count != 1:
            raise InputError(path, f"has {scene.count} bands; labels have one")
        if not plan.description.get("paired", True):
            continue
        frames = _frames(scene, source.window)
        if first is None:
            first = side, source.window, frames
            continue
        titles = f"{describe_role(first[0]).title} and {describe_role(side).title}"
        number = 0 if source.window == first[1] else 1  # one window cuts one ground out of images of one frame alone
        check_one_grid(path, titles, first[2][number], frames[number])


def _frames(scene: Scene, window: Window | None) -> tuple[_Frame, _Frame]:
    """Those of a scene and of a window of it."""
    place = scene.georeference
    cut = window or Window(0, 0, scene.height, scene.width)
    return _Frame(scene.height, scene.width, place), _Frame(cut.height, cut.width, moved(place, cut))


def _describe(part: Path, plan: Plan) -> None:
    columns = list(dict.fromkeys(column for entry in plan.entries for column in entry.columns))
    rows = [(one.name, one.split, *(one.columns.get(column, "") for column in columns)) for one in plan.entries]
    write_description(part, plan.description, rows, columns)
    if plan.missing:
        (part / "missing.txt").write_text("".join(f"{line}\n" for line in plan.missing), encoding="utf-8")
