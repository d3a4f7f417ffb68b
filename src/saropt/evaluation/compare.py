"""The leaderboard of submission files over one frozen split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from saropt.errors import InputError
from saropt.evaluation.intervals import difference, in_words
from saropt.evaluation.metric import METRICS
from saropt.evaluation.report_html import span
from saropt.evaluation.score import KIND
from saropt.evaluation.verdicts import CONSTANT, TESTED, marked
from saropt.files import load_json, validated

TEST_HEADING = "PSNR against the best"


class _Figures(BaseModel):
    psnr: float | None
    ssim: float | None
    mae: float | None
    intervals: dict[str, tuple[float | None, float | None, float | None]]
    by_scene: dict[str, dict[str, tuple[float | None, float]]]


class _Hashes(BaseModel):
    split: str
    conventions: str
    truth: str | None = None
    valid: str | None = None


class _Submission(BaseModel):
    """What a table takes from a submission file."""

    name: str
    part: str
    data: str
    role: str
    n: int
    scenes: int
    hashes: _Hashes
    scale: str | None = None
    bands: list[str] | None = None
    truth_checked: bool = False
    figures: _Figures
    baselines: dict[str, _Figures]


def read_submission(path: str | Path) -> dict[str, Any]:
    """What a submission file holds.

    Raises:
        InputError: it is missing, damaged, or no submission file.

    >>> _ = Path("theirs.json").write_text('{"kind": "saropt submission 1", "name": "theirs"}')
    >>> read_submission("theirs.json")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: theirs.json: part: Field required
    """
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(path, "is not a regular file")
    try:
        found = load_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(path, "is not a JSON file") from error
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise InputError(path, "is no submission file: saropt score writes these")
    validated(_Submission, found, path)
    return found


def compare(paths: Sequence[str | Path]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the leaderboard, the highest PSNR first.

    Each row has a figure with its interval for `TESTED` metrics, and the paired test against the first row. The
    constant train mean stands among the rows.

    Raises:
        InputError: a file is no submission, or two were scored on other splits, other true images, other tiles, another
            scale or another constant train mean, or by other conventions; or it cannot be told, as files of earlier
            versions do not state the true images or the scale.

    >>> from saropt.evaluation.score import score
    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = write_simulated_root("root", scenes=(1, 0, 2), size=64)
    >>> _ = score("root/optical", root, "root/splits.csv", "perfect.json")
    >>> [row[0] for row in compare(["perfect.json"])[1]]
    ['optical', 'train_mean (constant)']
    """
    found = [(path, read_submission(path)) for path in paths]
    first_path, first = found[0]
    for path, submission in found[1:]:
        for what, own, other in _must_match(path, submission, first_path, first):
            if own != other:
                raise InputError(path, f"was scored with another {what} than {first_path}: they cannot be compared")
    constant = _constant(found)
    rows = [(marked(s["name"], s["figures"], constant), s["figures"]) for _, s in found]
    rows += [(f"{name} (constant)", figures) for name, figures in constant.items()]
    rows.sort(key=lambda row: float("inf") if row[1]["psnr"] is None else row[1]["psnr"], reverse=True)
    best = rows[0][1]
    table = []
    for name, figures in rows:
        cells = []
        for key in TESTED:
            ends, value = figures["intervals"].get(key), figures[key]
            text = "infinite" if value is None and key == "psnr" else METRICS[key].text(value)
            cells.append(f"{text} ({span(METRICS[key], ends)})" if ends else text)
        table.append([name, *cells, "" if figures is best else _tested(figures, best)])
    return ["", *(METRICS[key].title for key in TESTED), TEST_HEADING], table


def _must_match(
    path: str | Path, submission: dict[str, Any], first_path: str | Path, first: dict[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """What must be equal in two files; the true images only where not both were checked against the hashes of one
    split file.

    Raises:
        InputError: the rest is equal so far, and a file was not checked and does not state its true images.
    """
    yield "split file", submission["hashes"]["split"], first["hashes"]["split"]
    yield "part of the split", submission["part"], first["part"]
    yield "role", submission["role"], first["role"]
    yield "set of conventions", submission["hashes"]["conventions"], first["hashes"]["conventions"]
    own, other = submission["hashes"].get("truth"), first["hashes"].get("truth")
    if own and other:
        yield "set of true images", own, other
    else:
        for place, found in ((path, submission), (first_path, first)):
            if not found.get("truth_checked"):
                raise InputError(place, "does not state the true images that it was scored with: score it again")
    own, other = submission.get("scale"), first.get("scale")
    if own and other:
        yield f"scale ({own} here, {other} there)", own, other
        yield "set of bands", submission.get("bands"), first.get("bands")
    elif not all(CONSTANT in found["baselines"] for found in (submission, first)):
        raise InputError(first_path if own else path, "does not state the scale of its figures: score it again")
    yield "set of tiles", tiles_by_scene(submission), tiles_by_scene(first)
    own, other = submission["hashes"].get("valid"), first["hashes"].get("valid")
    if own and other:
        yield "set of valid pixels", own, other


def _constant(found: Sequence[tuple[str | Path, dict[str, Any]]]) -> dict[str, Any]:
    """The constant train mean under its name, as far as a file has it.

    Raises:
        InputError: two files have other ones, by other train images or another scale.
    """
    known = [
        (path, submission["baselines"][CONSTANT]) for path, submission in found if CONSTANT in submission["baselines"]
    ]
    for path, figures in known[1:]:
        first_path, first = known[0]
        if not all(_is_close(figures[key], first[key]) for key in TESTED):
            psnr = " here, ".join(METRICS["psnr"].text(one["psnr"]) for one in (figures, first))
            raise InputError(
                path,
                f"was scored beside another constant train mean (PSNR {psnr} there) than {first_path}, by other train "
                "images or another scale: they cannot be compared",
            )
    return {CONSTANT: known[0][1]} if known else {}


def _is_close(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)


def tiles_by_scene(submission: dict[str, Any]) -> dict[str, float]:
    """Scene -> number of tiles of a submission.

    >>> tiles_by_scene({"figures": {"by_scene": {"psnr": {"a": [60.0, 2], "b": [31.0, 1]}}}})
    {'a': 2, 'b': 1}
    """
    return {scene: count for scene, (_, count) in submission["figures"]["by_scene"].get("psnr", {}).items()}


def _tested(figures: dict[str, Any], best: dict[str, Any]) -> str:
    sums = [entry["by_scene"].get("psnr", {}) for entry in (figures, best)]
    test = difference(sums[0], sums[1])
    return "not tested" if test is None else in_words(test, METRICS["psnr"].digits, METRICS["psnr"].better)
