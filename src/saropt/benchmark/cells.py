"""The figures of a suite's rows: read from reports, averaged over seeds, ranked."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from saropt.benchmark.by_data import Reports, RowReports
from saropt.benchmark.suite import NETWORK, matching_rates
from saropt.evaluation.metric import metric_of
from saropt.evaluation.network_values import KEY


@dataclass(frozen=True)
class Cell:
    """A figure: mean and standard deviation (n - 1) over seeds; `rank` 1 or 2 where it is best or second.

    `interval` is the 95 % interval (low, high) over scenes, where there are scenes enough.
    """

    mean: float
    spread: float | None
    rank: int | None = None
    interval: tuple[float, float] | None = None


def figures_of(report: dict[str, Any], direction: str) -> dict[str, float]:
    """All figures of the one model of a report in one direction."""
    (model,) = report["models"]
    figures = flat(model["directions"].get(direction, {}))
    if figures and (pace := report.get("training", {}).get("images_per_s")) is not None:
        figures["images_per_s"] = pace
    for distribution in figures.get("distributions", ()):
        figures |= flat(distribution)
    measured = flat(report.get(KEY, {}).get(direction, {}).get(model["model"], {}))
    for part in (measured, *(flat(distribution) for distribution in measured.get("distributions", ()))):
        figures |= {f"{key}{NETWORK}": value for key, value in part.items()}
    matched = report.get("matching", {}).get(direction)
    if matched and figures:
        figures |= rates_of(matched["models"][model["model"]])
    judged = report.get("segmentation", {}).get(direction)
    if judged and figures:
        figures |= flat(judged["models"][model["model"]]) | {
            "pixel_accuracy_real": judged["real"].get("pixel_accuracy")
        }
    return figures


def rates_of(by_matcher: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Matching rates under `pmr.NAME` and so on."""
    rates = matching_rates()
    return {f"{rate}.{name}": found[rate] for name, found in by_matcher.items() for rate in rates}


def flat(scores: dict[str, Any]) -> dict[str, Any]:
    """Figures by class, number of tiles and so on under `class_iou.NAME`, `fid_by_n.500`."""
    flat = {
        f"{key}.{name}": figure
        for key, value in scores.items()
        if isinstance(value, dict)
        for name, figure in value.items()
    }
    return scores | flat


def cells_of(
    parts: Sequence[dict[str, Any]], directions: Sequence[str], columns: Sequence[str]
) -> dict[str, dict[str, Cell]]:
    cells: dict[str, dict[str, Cell]] = {}
    for direction in directions:
        figures = [figures_of(part, direction) for part in parts]
        for column in columns:
            values = [f[column] for f in figures if f.get(column) is not None]
            if values:
                spread = statistics.stdev(values) if len(values) > 1 else None
                cells.setdefault(direction, {})[column] = Cell(statistics.fmean(values), spread)
    return cells


def ranks_of(
    means: dict[str, dict[str, dict[str, Cell]]], directions: Sequence[str], columns: Sequence[str]
) -> dict[tuple[str, str, str], int]:
    """(Row, direction, column) -> 1 for the best rows, 2 for the second best; equal figures have equal ranks."""
    ranks: dict[tuple[str, str, str], int] = {}
    for direction in directions:
        for column in dict.fromkeys(columns):
            metric = metric_of(column)
            if metric is None or not metric.better:
                continue
            held = {name: by.get(direction, {}) for name, by in means.items()}
            found = {name: cells[column].mean for name, cells in held.items() if column in cells}
            if len(found) < 2:
                continue
            for name, mean in found.items():
                place = 1 + sum(metric.better * other > metric.better * mean for other in found.values())
                if place <= 2:
                    ranks[name, direction, column] = place
    return ranks


def best_seeds(reports: Reports, column: str) -> dict[str, RowReports]:
    """Each row with one seed: the one with the best mean of a column over its directions, as seed 0. The column must
    have a better side."""
    metric = metric_of(column)
    assert metric is not None

    def score(report: dict[str, Any]) -> float:
        (model,) = report["models"]
        found = [figures_of(report, direction).get(column) for direction in model["directions"]]
        known = [value for value in found if value is not None]
        return metric.better * statistics.fmean(known) if known else -math.inf

    return {name: replace(row, by_seed={0: max(row.by_seed.values(), key=score)}) for name, row in reports.items()}
