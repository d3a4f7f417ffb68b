"""Intervals and paired tests of a suite's rows, over scenes and seeds together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saropt.evaluation.intervals import LEAST_SCENES, UNLIMITED, Sums, difference, few_scenes, in_words, interval
from saropt.evaluation.metric import METRICS, metric_of

PSNR = "psnr"


def pooled(reports: Sequence[Mapping[str, Any]], direction: str) -> dict[str, Sums]:
    """Metric -> scene -> [sum, number of tiles], each averaged over the reports of all seeds.

    Averaging keeps a scene one draw: what differs between seeds on one scene is no further scene.

    Args:
        reports: what report.json holds, one for each seed; scenes that one of them lacks are left out.

    >>> report = {"models": [{"directions": {"sar2opt": {"by_scene": {"psnr": {"a": [30.0, 2]}}}}}]}
    >>> pooled([report, report], "sar2opt")
    {'psnr': {'a': [30.0, 2.0]}}
    """
    held = [report["models"][0]["directions"].get(direction, {}).get("by_scene", {}) for report in reports]
    found: dict[str, Sums] = {}
    for key in held[0] if held else ():
        parts = [by.get(key, {}) for by in held]
        shared = [scene for scene in parts[0] if all(scene in part for part in parts)]
        finite = all(part[scene][0] is not None for scene in shared for part in parts)
        if finite:
            found[key] = {s: [sum(part[s][k] for part in parts) / len(parts) for k in (0, 1)] for s in shared}
    return found


def interval_of(sums: Sums | None, column: str) -> tuple[float, float] | None:
    """The 95 % interval (low, high) of a mean over tiles, within the limits of the column; None for few scenes.

    >>> interval_of({"a": [30.0, 2]}, PSNR) is None
    True
    """
    if not sums:
        return None
    totals, counts = zip(*sums.values(), strict=True)
    metric = metric_of(column)
    found = interval(totals, counts, limits=UNLIMITED if metric is None else metric.limits)
    return None if found is None else (found.low, found.high)


def uneven_scenes(report: Mapping[str, Any]) -> list[str]:
    """A note where scenes are enough, but so few hold most of the tiles that there is no interval (`few_scenes`).

    >>> tiles = {str(scene): [20.0, tiles] for scene, tiles in enumerate((64, 1, 1, 1, 1, 1))}
    >>> uneven_scenes({"models": [{"directions": {"sar2opt": {"by_scene": {"psnr": tiles}}}}]})
    ['no intervals and no tests: 6 scenes that count as 1.2 by their tiles, and at least 5 are needed']
    """
    found = [
        [count for _, count in figures.get("by_scene", {}).get(PSNR, {}).values()]
        for model in report.get("models", ())
        for figures in model["directions"].values()
    ]
    tiles = max(found, key=len, default=[])
    few = few_scenes(len(tiles), tiles) if len(tiles) >= LEAST_SCENES else ""
    return [few] if few else []


def lines_of_tests(
    direction: str, reports: Mapping[str, Mapping[int, Mapping[str, Any]]], means: Mapping[str, Any]
) -> list[str]:
    """The paired tests of PSNR of all rows against the row with the highest, over the seeds that both
    have; a line each.

    Args:
        reports: row -> seed -> what report.json holds; all of the same scenes.
        means: row -> direction -> column -> `Cell`.

    >>> lines_of_tests("sar2opt", {}, {})
    []
    """
    rows = [name for name in reports if PSNR in means[name].get(direction, {})]
    if len(rows) < 2:
        return []
    best = max(rows, key=lambda name: means[name][direction][PSNR].mean)
    metric, lines = METRICS[PSNR], []
    for name in rows:
        shared = [seed for seed in reports[name] if seed in reports[best]]
        if name == best or not shared:
            continue
        own, other = (pooled([reports[row][seed] for seed in shared], direction).get(PSNR) for row in (name, best))
        test = difference(own, other) if own and other else None
        if test is not None:
            fewer = len(shared) < max(len(reports[name]), len(reports[best]))
            over = f" (seed{'s' * (len(shared) > 1)} {', '.join(map(str, shared))} alone)" if fewer else ""
            words = in_words(test, metric.digits, metric.better)
            lines.append(f"{direction}: {name} against {best}{over}: {words}")
    return lines
