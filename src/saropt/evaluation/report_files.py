"""The files of a report, which take their names together."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from saropt.domain import Direction
from saropt.errors import InputError
from saropt.evaluation.gallery import Bytes
from saropt.evaluation.matching import MatchingRates
from saropt.evaluation.measure import DirectionRows
from saropt.evaluation.shown_tiles import CLASS_NAMES, TILES
from saropt.files import atomic_folder
from saropt.scenes.reserved import reserved

REPORT, PAGE = "report.json", "report.html"
_FIGURES = ("translations", "segmentations", "matches")
_OPTIONAL = (
    PAGE,
    *(f"{kind}-*2*.{ending}" for kind in _FIGURES for ending in ("png", "svg")),
    *(f"{TILES}/*2*/**/{name}" for name in ("*.png", CLASS_NAMES)),
)


def check_folder(out: Path, html: bool, overwrite: bool) -> None:
    """Check early that a report can be written into a folder.

    Raises:
        InputError: it is a file or takes no files, or holds a report and `overwrite` is False.

    >>> check_folder(Path("report"), html=True, overwrite=False)
    """
    if out.exists() and not out.is_dir():
        raise InputError(out, "is a file; a report is a folder")
    for target in [out / REPORT, *([out / PAGE] if html else [])]:
        if target.exists() and not overwrite:
            raise InputError(target, "exists already", remedy="overwrite")
    nearest = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not os.access(nearest, os.W_OK):
        raise InputError(out, "cannot be written: no permission")


@contextmanager
def report_folder(out: Path, html: bool, overwrite: bool) -> Iterator[None]:
    """Make the folder of a report where it is not there, and keep other runs off it; an empty one is removed after an
    error.

    Raises:
        InputError: as `check_folder`, or another run is making a report there.

    >>> with report_folder(Path("report"), html=True, overwrite=False):
    ...     Path("report").is_dir()
    True
    """
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with reserved(out / REPORT, suffixes=(".json",), overwrite=overwrite):
            check_folder(out, html, overwrite)
            yield
    finally:
        if made:
            with suppress(OSError):
                out.rmdir()


def write_report(
    report: Mapping[str, Any], rows: Sequence[DirectionRows], out: Path, html: bool
) -> tuple[list[Path], list[Path]]:
    """Write a report, its page, pictures and figures; `report.json` comes last.

    Returns:
        The files that were written, without pictures of tiles, and those of an earlier report that were removed.

    Raises:
        InputError: a file cannot be written; an earlier report stays.

    >>> Path("report").mkdir()
    >>> write_report({}, [], Path("report"), html=False)
    ([PosixPath('report/report.json')], [])
    """
    replaced = any((out / name).exists() for name in (REPORT, PAGE))
    paths = [REPORT]
    with atomic_folder(out, replace=True, last=REPORT) as part:
        if html:
            from saropt.evaluation.report_html import render

            shots = {(row.name, d.direction): row.gallery.shots() for d in rows for row in d.models}
            drawings = {d.direction: s.drawings for d in rows for s in d.sections if isinstance(s, MatchingRates)}
            (part / PAGE).write_text(render(report, shots, drawings), encoding="utf-8")
            paths += [PAGE, *(path.name for path in _keep_tiles(rows, part, drawings))]
        (part / REPORT).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        made = {path.relative_to(part) for path in part.rglob("*")}
    return [out / path for path in paths], _remove_others(out, made) if replaced else []


def _keep_tiles(
    rows: Sequence[DirectionRows], out: Path, drawings: Mapping[Direction, Mapping[str, Sequence[tuple[str, Bytes]]]]
) -> list[Path]:
    """Write the pictures of the tiles that are shown, and the figures of them; the figures."""
    figures: list[Path] = []
    for d in rows:
        if d.shown is None or not d.models:
            continue
        for model, drawn in drawings.get(d.direction, {}).items():
            d.shown.add_matches(model, drawn)
        folder = out / TILES / str(d.direction)
        d.shown.save(folder)
        from saropt.evaluation.figures import tile_figures

        names = dict.fromkeys(row.name for row in d.models)
        figures += tile_figures([(name, folder, name) for name in names], str(d.direction), out)
    return figures


def _remove_others(out: Path, made: Collection[Path]) -> list[Path]:
    """Remove what an earlier report has left in a folder and this one has not made."""
    found = sorted({path for pattern in _OPTIONAL for path in out.glob(pattern) if path.is_file()})
    others = [path for path in found if path.relative_to(out) not in made]
    for path in others:
        path.unlink()
    for folder in sorted({parent for path in others for parent in path.parents}, reverse=True):
        if folder.is_relative_to(out / TILES):
            with suppress(OSError):
                folder.rmdir()
    return others
