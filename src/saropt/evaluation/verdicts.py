"""What should make a reader doubt a figure, in words: below a constant, below a copy, too near to the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from saropt.errors import counted
from saropt.evaluation.intervals import Interval, Sums, difference, shared_means
from saropt.evaluation.metric import METRICS

CONSTANT = "train_mean"
NAMES = {
    CONSTANT: "the constant train mean",
    "copy_input": "a copy of the input",
    "copy_reference": "a copy of the earlier image",
}
MARK = "†"
MARK_MEANS = f"{MARK} PSNR below the constant train mean"
_RIVALS = (
    "train_mean",
    "copy_input",
    "linear",
    "copy_reference",
    "reference_linear",
    "sar_difference",
    "value_propagation",
)
NEAR_TRUTH_DB = 35.0
TESTED = ("psnr", "ssim", "mae")
Figures = Mapping[str, Any]


def below_constant(figures: Figures, baselines: Mapping[str, Figures]) -> bool:
    """Whether the PSNR is below that of the constant train mean.

    >>> below_constant({"psnr": 14.0}, {"train_mean": {"psnr": 15.0}}), below_constant({"psnr": 14.0}, {})
    (True, False)
    """
    rival = baselines.get(CONSTANT)
    return rival is not None and _lead(figures, rival) is not None


def marked(name: str, figures: Figures, baselines: Mapping[str, Figures]) -> str:
    """The name of a row, with a mark where its PSNR is below the constant train mean.

    >>> marked("mine", {"psnr": 14.0}, {"train_mean": {"psnr": 15.0}})
    'mine †'
    """
    return f"{name} {MARK}" if below_constant(figures, baselines) else name


def with_tiles(name: str, figures: Figures, tiles: int) -> str:
    """The name of a row, with its number of tiles where that is not the number that the table states.

    >>> with_tiles("copy_reference", {"n": 12}, 30), with_tiles("train_mean", {"n": 30}, 30)
    ('copy_reference, 12 tiles', 'train_mean')
    """
    own = figures.get("n", tiles)
    return name if own == tiles else f"{name}, {counted(own, 'tile')}"


def verdicts(figures: Figures, baselines: Mapping[str, Figures]) -> list[str]:
    """The verdicts on a model beside trivial baselines by name (no oracles), a sentence each.

    Args:
        figures, baselines: figures by key, with `by_scene` where there is a test (`ImageQuality.figures`).

    >>> verdicts({"psnr": 14.0}, {"train_mean": {"psnr": 15.0}})
    ['PSNR 14.00 dB is below the constant train mean (15.00 dB, not tested)']
    """
    found = []
    for key, metric in METRICS.items():
        if metric.warning is not None and figures.get(key) is not None and (text := metric.warning(figures[key])):
            found.append(text)
    if small := figures.get("lpips_small_tiles"):
        found.append(f"LPIPS is without {counted(small, 'tile')} too small for its network")
    psnr = figures["psnr"]
    lost = [
        f"{_title(name)} ({told})" for name, rival in baselines.items() if (told := _lead(figures, rival)) is not None
    ]
    if lost:
        found.append(f"PSNR {psnr:.2f} dB is below {', '.join(lost)}")
    infinite = psnr is None or math.isinf(psnr)
    if infinite or psnr >= NEAR_TRUTH_DB:
        found.append(
            f"PSNR {'infinite' if infinite else f'{psnr:.2f} dB'}: nearer to the truth than another sensor allows. "
            "The truth, or a reconstruction of it (the second half of a cycle), may be what was scored"
        )
    return found


def card_verdicts(quality: Mapping[str, Figures], realism: float | None) -> dict[str, str]:
    """What the figures of a card say of a translator, by data set: beside the constant train mean, or a warning.

    Args:
        quality: "DATA, SPLIT, ...: ROW" -> figures, as in a card; rows are the translator (or its blends, "realism
            0.5") and baselines.
        realism: the blend that is the default; None where there is one blend alone.

    >>> quality = {"set, test: realism 0.5": {"psnr": 14.0}, "set, test: train_mean": {"psnr": 15.0}}
    >>> card_verdicts(quality, 0.5)
    {'set, test': 'PSNR 14.00 dB is below the constant train mean (15.00 dB, not tested)'}
    """
    own = "translator" if realism is None else f"realism {realism:g}"
    by_data: dict[str, dict[str, Figures]] = {}
    for title, figures in quality.items():
        data, _, row = title.rpartition(": ")
        by_data.setdefault(data, {})[row] = figures
    told = {}
    for data, rows in by_data.items():
        if own not in rows or "psnr" not in rows[own]:
            continue
        rivals = {name: figures for name, figures in rows.items() if name in _RIVALS}
        found = verdicts(rows[own], rivals)
        told[data] = "; ".join(found) if found else _above(rows[own], rivals)
    return told


def _above(figures: Figures, rivals: Mapping[str, Figures]) -> str:
    better = [f"{_title(name)} ({rival['psnr']:.2f} dB)" for name, rival in rivals.items() if "psnr" in rival]
    return f"PSNR {figures['psnr']:.2f} dB, above {', '.join(better) or 'nothing: no baseline was measured'}"


def _title(name: str) -> str:
    return NAMES.get(name, f"the trivial baseline {name}")


def _lead(figures: Figures, rival: Figures) -> str | None:
    """The PSNR of a rival in words, where it is higher over the scenes that both rows have; else None."""
    own, other = figures.get("psnr"), rival.get("psnr")
    if own is None or other is None:
        return None
    mine, theirs = (_sums(row, "psnr") for row in (figures, rival))
    tiles = ""
    if mine is not None and theirs is not None and _counts(mine) != _counts(theirs):
        shared = shared_means(mine, theirs)
        if shared is None:
            return None
        own, other, number = shared
        tiles = f" against {own:.2f} dB over {number} of {round(sum(_counts(mine).values()))} tiles"
    if not own < other:
        return None
    tested = _test(figures, rival, "psnr")
    if tested is None:
        told = "not tested"
    elif tested.holds(0.0):
        told = "not distinguishable"
    else:
        told = f"{-tested.high:.2f} to {-tested.low:.2f} dB more"
    return f"{other:.2f} dB{tiles}, {told}"


def _sums(figures: Figures, key: str) -> Sums | None:
    sums: Sums | None = figures.get("by_scene", {}).get(key)
    return sums


def _counts(sums: Sums) -> dict[str, float]:
    return {scene: own[1] for scene, own in sums.items()}


def _test(one: Figures, other: Figures, key: str) -> Interval | None:
    mine, theirs = _sums(one, key), _sums(other, key)
    return None if mine is None or theirs is None else difference(mine, theirs)


def paired_tests(rows: Mapping[str, Figures], first: Sequence[str]) -> list[dict[str, Any]]:
    """Paired tests of rows by name: each of `first` against every other row, each pair once.

    Returns:
        Entries with `row`, `other` and, by metric, the interval [low, high] of the difference `row` - `other`.

    >>> sums = {name: [float(k), 1] for k, name in enumerate("abcdef")}
    >>> tests = paired_tests({"a": {"by_scene": {"psnr": sums}}, "b": {"by_scene": {"psnr": sums}}}, ["a"])
    >>> tests[0]["psnr"]
    [0.0, 0.0]
    """
    tests = []
    for place, name in enumerate(first):
        for other in rows:
            if other == name or other in first[:place]:
                continue
            found = {key: _test(rows[name], rows[other], key) for key in TESTED}
            ends = {key: [test.low, test.high] for key, test in found.items() if test is not None}
            if ends:
                tests.append({"row": name, "other": other, **ends})
    return tests
