"""report.html: one HTML file with everything inside (tables, images, plots), no script, no outside reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from saropt.domain import Direction, describe_role
from saropt.errors import MissingExtraError
from saropt.evaluation.curves import curve_charts
from saropt.evaluation.gallery import Bytes, Shot, jpeg_uri
from saropt.evaluation.ground import HEADINGS, KEY, rows_of
from saropt.evaluation.intervals import Interval, in_words
from saropt.evaluation.metric import METRICS, Metric, metrics_in
from saropt.evaluation.segmentation import segmentation_rows
from saropt.evaluation.verdicts import MARK_MEANS, TESTED, marked, with_tiles

ORACLE = "image_mean_oracle"
Drawings = Mapping[Direction, Mapping[str, Sequence[tuple[str, Bytes]]]]
Shots = Mapping[tuple[str, Direction], Sequence[tuple[str, Shot]]]


def ranks(values: Sequence[float | None], metric: Metric) -> list[str]:
    """ "best", "second" or "" for each value; equal as printed is equal in rank, and None has no rank."""
    if not metric.better:
        return [""] * len(values)
    printed = [None if v is None else round(v, metric.digits) for v in values]
    order = sorted({v for v in printed if v is not None}, reverse=metric.better > 0)
    marks = dict(zip(order, ("best", "second"), strict=False))
    return ["" if v is None else marks.get(v, "") for v in printed]


def span(metric: Metric, ends: Sequence[float]) -> str:
    """An interval as tables show it; `ends` begins with its low and its high end.

    >>> span(METRICS["psnr"], [14.111, 15.222])
    '14.11 to 15.22'
    """
    return f"{metric.text(ends[0])} to {metric.text(ends[1])}"


def rows_of_tests(tests: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Rows of a table of paired tests: the two names, and each of `TESTED` in words.

    >>> rows_of_tests([{"row": "a", "other": "b", "psnr": [0.5, 1.0]}])
    [('a against b', ['better (+0.50 to +1.00)', '–', '–'])]
    """
    rows = []
    for test in tests:
        cells = []
        for key in TESTED:
            metric, ends = METRICS[key], test.get(key)
            found = None if ends is None else Interval(ends[0], ends[1], 0)
            cells.append("–" if found is None else in_words(found, metric.digits, metric.better))
        rows.append((f"{test['row']} against {test['other']}", cells))
    return rows


def table_rows(
    models: Mapping[str, dict[str, Any]], baselines: Mapping[str, dict[str, Any]], columns: Sequence[Metric]
) -> list[dict[str, Any]]:
    """Rows of one direction's table; the oracle is listed last. It and rows over fewer tiles take no rank."""
    entries = [(name, "model", s) for name, s in models.items()]
    entries += [(name, "baseline", s) for name, s in baselines.items() if name != ORACLE]
    tiles = max((summary.get("n", 0) for _, _, summary in entries), default=0)
    entries += [(name, "oracle", s) for name, s in baselines.items() if name == ORACLE]
    ranked = [kind != "oracle" and summary.get("n", tiles) == tiles for _, kind, summary in entries]
    names = [marked(name, s, baselines) if kind == "model" else name for name, kind, s in entries]
    rows: list[dict[str, Any]] = [
        {"name": with_tiles(name, s, tiles), "kind": kind, "cells": []}
        for name, (_, kind, s) in zip(names, entries, strict=True)
    ]
    for metric in columns:
        values = [summary.get(metric.key) for _, _, summary in entries]
        marks = ranks([value if rank else None for value, rank in zip(values, ranked, strict=True)], metric)
        for row, value, mark, (_, kind, summary) in zip(rows, values, marks, entries, strict=True):
            spread = summary["std"].get(metric.key)
            ends = summary.get("intervals", {}).get(metric.key)
            warned = kind == "model" and value is not None and metric.warning is not None and metric.warning(value)
            row["cells"].append(
                {
                    "text": metric.text(value),
                    "spread": span(metric, ends) if ends else "" if spread is None else f"±{metric.text(spread)}",
                    "mark": "warn" if warned else mark,
                }
            )
    return rows


def histogram_svg(series: Sequence[tuple[str, Mapping[str, Any], str]]) -> str:
    """Shares of tiles by PSNR as outlines, one per (name, histogram, CSS class): an inline SVG."""
    filled = [(n, h, c) for n, h, c in series if h["counts"]]
    if not filled:
        return ""
    step = filled[0][1]["step_db"]
    low = min(h["start_db"] for _, h, _ in filled)
    high = max(h["start_db"] + step * len(h["counts"]) for _, h, _ in filled)
    bins = round((high - low) / step)
    merge = -(-bins // 32)
    bins = -(-bins // merge)
    shares = []
    for _, h, _ in filled:
        counts = np.zeros(bins * merge)
        first = round((h["start_db"] - low) / step)
        counts[first : first + len(h["counts"])] = h["counts"]
        shares.append(counts.reshape(bins, merge).sum(1) / counts.sum())
    top = max(s.max() for s in shares)
    left, right, ceiling, floor = 66.0, 630.0, 16.0, 206.0
    x = np.linspace(left, right, bins + 1)
    width_db = step * merge
    parts = []
    for fraction in (0.0, 0.5, 1.0):
        y = floor - fraction * (floor - ceiling)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 5:.1f}" text-anchor="end">{100 * fraction * top:.0f} %</text>')
    for index in range(0, bins + 1, max(1, -(-bins // 7))):
        label = f"{low + index * width_db:.1f}".removesuffix(".0")
        parts.append(f'<text x="{x[index]:.1f}" y="{floor + 22}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{floor + 46}" text-anchor="middle">PSNR of a tile, dB</text>')
    for (_, _, css), share in zip(filled, shares, strict=True):
        y = floor - share / top * (floor - ceiling)
        corners = [(x[0], floor), *((px, v) for i, v in enumerate(y) for px in (x[i], x[i + 1])), (x[-1], floor)]
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in corners)
        parts.append(f'<polyline class="line {css}" points="{points}"/>')
    return f'<svg viewBox="0 0 640 262" role="img" aria-label="Shares of tiles by PSNR">{"".join(parts)}</svg>'


def _section(report: Mapping[str, Any], direction: Direction, shots: Shots) -> dict[str, Any]:
    models = {m["model"]: m["directions"][direction] for m in report["models"] if direction in m["directions"]}
    baselines = report["baselines"].get(direction, {})
    series = [(name, s["psnr_histogram"], f"s{i % 6}") for i, (name, s) in enumerate(models.items())]
    series += [(name, s["psnr_histogram"], "oracle") for name, s in baselines.items() if name == ORACLE]
    entries = [*models.values(), *baselines.values()]
    columns, details = metrics_in(entries), metrics_in(entries, shown=False)
    return {
        "title": direction.in_words,
        "columns": columns,
        "rows": table_rows(models, baselines, columns),
        "details": details,
        "detail_rows": table_rows(models, baselines, details),
        "band_rows": [
            (name, [None if v is None else f"{v:.3f}" for v in s["rmse_per_band"].values()])
            for name, s in [*models.items(), *baselines.items()]
        ],
        "bands": list(entries[0]["rmse_per_band"]),
        "warnings": [(name, text) for name, s in models.items() for text in s["warnings"]],
        "deviations": [(name, s["deviation"]) for name, s in models.items() if "deviation" in s],
        "reliability": [(name, s["reliability"]) for name, s in models.items() if "reliability" in s],
        "tests": rows_of_tests(report["tests"].get(direction, [])),
        "legend": [(name, css) for name, _, css in series],
        "histogram": histogram_svg(series),
        "galleries": [
            (
                name,
                [
                    {
                        "kind": kind,
                        "label": shot.label,
                        "psnr": f"{shot.psnr:.2f}",
                        "images": [
                            (title, jpeg_uri(image), shot.label)
                            for title, image in (
                                ("input", shot.source),
                                ("output", shot.output),
                                ("truth", shot.truth),
                                ("error", shot.error),
                            )
                        ],
                    }
                    for kind, shot in shots.get((name, direction), ())
                ],
            )
            for name in models
        ],
    }


def _by_direction(report: Mapping[str, Any], key: str) -> list[tuple[Direction, Any]]:
    """What stands in a report under a key, by direction."""
    return [(Direction.parse(name), found) for name, found in report.get(key, {}).items()]


def _matching(report: Mapping[str, Any], drawings: Drawings) -> list[dict[str, Any]]:
    """Per direction: rows (name, cells) of the three rates by matcher, and drawings (model, [(raster, URI)])."""
    sections = []
    for direction, found in _by_direction(report, "matching"):
        rows = {"untranslated input": found["raw"], **found["models"]}
        rates = metrics_in(found["raw"].values(), "matching")
        sections.append(
            {
                "title": direction.in_words,
                "matchers": list(found["raw"]),
                "rates": rates,
                "rows": [
                    (name, [_percent(scores, rate.key) for scores in by_matcher.values() for rate in rates])
                    for name, by_matcher in rows.items()
                ],
                "drawings": [
                    (model, [(name, jpeg_uri(image)) for name, image in images])
                    for model, images in drawings.get(direction, {}).items()
                ],
            }
        )
    return sections


def _percent(scores: Mapping[str, Any], key: str) -> str:
    value, span = scores[key], scores["intervals"][key]
    if value is None:
        return "–"
    return f"{value:.1%}" if span is None else f"{value:.1%} ({100 * span[0]:.1f} to {100 * span[1]:.1f})"


def _classes(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per direction: class names with a pixel, and rows (model, bars, errors); bars are heights of a sparkline."""
    sections = []
    for direction, found in _by_direction(report, "classes"):
        names = [name for name, pixels in found["pixels"].items() if pixels]
        worst = max((scores[name] for scores in found["mae"].values() for name in names), default=0.0) or 1.0
        rows = [
            (model, [30.0 * scores[name] / worst for name in names], [f"{scores[name]:.3f}" for name in names])
            for model, scores in found["mae"].items()
        ]
        sections.append({"title": direction.in_words, "names": names, "rows": rows})
    return sections


def _curves(report: Mapping[str, Any]) -> dict[str, Any]:
    curves = report.get("curves", {})
    colours = {model: f"s{index % 6}" for index, model in enumerate(curves)}
    return {"legend": list(colours.items()), "charts": curve_charts(curves, colours) if curves else []}


def _flat(conventions: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (key, "; ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value))
        for key, value in conventions.items()
    ]


def _segmentation(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per direction: the scores of translated and true images, and of each class its intersection over union."""
    sections = []
    for direction, judged in _by_direction(report, "segmentation"):
        columns = metrics_in([judged["real"]], "segmentation")
        rows = segmentation_rows(judged, columns)
        sections.append({"title": direction.in_words, "judged": judged, "columns": columns, "rows": rows})
    return sections


def _ground(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per direction: the figures on changed, other and hidden ground, and by days between the dates."""
    return [
        {"title": direction.in_words, "found": found, "headings": HEADINGS, "rows": rows_of(found)}
        for direction, found in _by_direction(report, KEY)
    ]


def _speckle(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per direction: the statistics of every model and of the true images."""
    sections = []
    for direction, found in _by_direction(report, "speckle"):
        real = found["real"] | {"enl_ratio": 1.0}
        columns = metrics_in([real], "speckle")
        rows = [
            (name, [metric.text(scores[metric.key]) for metric in columns])
            for name, scores in (*found["models"].items(), ("true SAR", real))
        ]
        sections.append({"title": direction.in_words, "tiles": found["tiles"], "columns": columns, "rows": rows})
    return sections


def render(report: Mapping[str, Any], shots: Shots, drawings: Drawings) -> str:
    """The HTML of a report.

    Args:
        report: what report.json holds.
        shots: (model, direction) -> (kind, tile) as `Gallery.shots` gives them.
        drawings: direction -> model -> (raster, image of its matches).

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("the HTML report", "train") from error
    template = files("saropt.evaluation").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        report=report,
        images=[(describe_role(role).title, image) for role, image in report["data"]["images"].items()],
        sections=[_section(report, direction, shots) for direction, _ in _by_direction(report, "directions")],
        ground=_ground(report),
        segmentation=_segmentation(report),
        matching=_matching(report, drawings),
        classes=_classes(report),
        speckle=_speckle(report),
        curves=_curves(report),
        tested=[METRICS[key].title for key in TESTED],
        mark_means=MARK_MEANS,
        conventions=_flat(report["conventions"]),
    )
