"""The report page: one HTML file with everything inside (tables, pictures, plots), no script, no outside reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from saropt.errors import MissingExtraError
from saropt.evaluation.curves import curve_charts
from saropt.evaluation.gallery import Bytes, Shot, jpeg_uri

ORACLE = "image_mean_oracle"
DIRECTION_TITLES = {"sar2opt": "SAR to optical", "opt2sar": "Optical to SAR"}
Drawings = Mapping[str, Mapping[str, Sequence[tuple[str, Bytes]]]]
Pictures = Mapping[tuple[str, str], Sequence[tuple[str, Shot]]]


@dataclass(frozen=True)
class Column:
    """A column of the score table. `better` is +1 where more is better, -1 where less is, 0 where neither."""

    key: str
    title: str
    digits: int
    better: int


COLUMNS = (
    Column("psnr", "PSNR dB", 2, 1),
    Column("ssim", "SSIM", 3, 1),
    Column("mae", "MAE", 3, -1),
    Column("psnr_shift", "PSNR, ±2 px forgiven", 2, 1),
    Column("psnr_colour_free", "PSNR, colour forgiven", 2, 1),
    Column("collapse_ratio", "collapse ratio", 2, 0),
    Column("seconds_per_megapixel", "s per Mpx", 2, 0),
)


def ranks(values: Sequence[float | None], column: Column) -> list[str]:
    """ "best", "second" or "" for each value; equal as printed is equal in rank, and None has no rank."""
    if not column.better:
        return [""] * len(values)
    printed = [None if v is None else round(v, column.digits) for v in values]
    order = sorted({v for v in printed if v is not None}, reverse=column.better > 0)
    marks = dict(zip(order, ("best", "second"), strict=False))
    return ["" if v is None else marks.get(v, "") for v in printed]


def table_rows(models: Mapping[str, dict[str, Any]], baselines: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one direction's table; the oracle is listed last and takes no rank."""
    entries = [(name, "model", s) for name, s in models.items()]
    entries += [(name, "baseline", s) for name, s in baselines.items() if name != ORACLE]
    ranked = len(entries)
    entries += [(name, "oracle", s) for name, s in baselines.items() if name == ORACLE]
    rows: list[dict[str, Any]] = [{"name": name, "kind": kind, "cells": []} for name, kind, _ in entries]
    for column in COLUMNS:
        values = [summary.get(column.key) for _, _, summary in entries]
        marks = ranks(values[:ranked], column) + [""] * (len(entries) - ranked)
        for row, value, mark, (_, kind, summary) in zip(rows, values, marks, entries, strict=True):
            spread = summary["std"].get(column.key)
            warned = column.key == "collapse_ratio" and kind == "model" and value is not None and value < 1
            row["cells"].append(
                {
                    "text": "–" if value is None else f"{value:.{column.digits}f}",
                    "spread": "" if spread is None else f"±{spread:.{column.digits}f}",
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


def _section(report: Mapping[str, Any], direction: str, pictures: Pictures) -> dict[str, Any]:
    models = {m["model"]: m["directions"][direction] for m in report["models"] if direction in m["directions"]}
    baselines = report["baselines"].get(direction, {})
    series = [(name, s["psnr_histogram"], f"s{i % 6}") for i, (name, s) in enumerate(models.items())]
    series += [(name, s["psnr_histogram"], "oracle") for name, s in baselines.items() if name == ORACLE]
    bands = next(iter([*models.values(), *baselines.values()]))["rmse_per_band"]
    return {
        "title": DIRECTION_TITLES[direction],
        "rows": table_rows(models, baselines),
        "band_rows": [
            (name, [None if v is None else f"{v:.3f}" for v in s["rmse_per_band"].values()])
            for name, s in [*models.items(), *baselines.items()]
        ],
        "bands": list(bands),
        "warnings": [(name, text) for name, s in models.items() for text in s["warnings"]],
        "deviations": [(name, s["deviation"]) for name, s in models.items() if "deviation" in s],
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
                            (title, jpeg_uri(picture), shot.label)
                            for title, picture in (
                                ("input", shot.source),
                                ("output", shot.output),
                                ("truth", shot.truth),
                                ("error", shot.error),
                            )
                        ],
                    }
                    for kind, shot in pictures.get((name, direction), ())
                ],
            )
            for name in models
        ],
    }


def _matching(report: Mapping[str, Any], drawings: Drawings) -> list[dict[str, Any]]:
    """Per direction: rows (name, cells) of the three rates by matcher, and pictures (model, [(raster, URI)])."""
    sections = []
    for direction, found in report.get("matching", {}).items():
        rows = {"untranslated input": found["raw"], **found["models"]}
        sections.append(
            {
                "title": DIRECTION_TITLES[direction],
                "matchers": list(found["raw"]),
                "rows": [
                    (name, [_percent(scores[key]) for scores in rates.values() for key in ("pmr", "ir", "ir_ed")])
                    for name, rates in rows.items()
                ],
                "drawings": [
                    (model, [(name, jpeg_uri(picture)) for name, picture in shots])
                    for model, shots in drawings.get(direction, {}).items()
                ],
            }
        )
    return sections


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _classes(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per direction: class names with a pixel, and rows (model, bars, errors); bars are heights of a sparkline."""
    sections = []
    for direction, found in report.get("classes", {}).items():
        names = [name for name, pixels in found["pixels"].items() if pixels]
        worst = max((scores[name] for scores in found["mae"].values() for name in names), default=0.0) or 1.0
        rows = [
            (model, [30.0 * scores[name] / worst for name in names], [f"{scores[name]:.3f}" for name in names])
            for model, scores in found["mae"].items()
        ]
        sections.append({"title": DIRECTION_TITLES[direction], "names": names, "rows": rows})
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


def render(report: Mapping[str, Any], pictures: Pictures, drawings: Drawings) -> str:
    """The page of a report.

    Args:
        report: what `evaluate` returns.
        pictures: (model, direction) -> (kind, tile) as `Gallery.shots` gives them.
        drawings: direction -> model -> (raster, picture of its matches).

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("the HTML report", "train") from error
    template = files("saropt.evaluation").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    directions = [
        d for d in DIRECTION_TITLES if d in report["baselines"] or any(d in m["directions"] for m in report["models"])
    ]
    return environment.from_string(template).render(
        report=report,
        columns=COLUMNS,
        sections=[_section(report, d, pictures) for d in directions],
        segmentation=[
            (DIRECTION_TITLES[direction], judged, [*judged["models"].items(), ("real images", judged["real"])])
            for direction, judged in report.get("segmentation", {}).items()
        ],
        matching=_matching(report, drawings),
        classes=_classes(report),
        speckle=[(DIRECTION_TITLES[direction], found) for direction, found in report.get("speckle", {}).items()],
        curves=_curves(report),
        conventions=_flat(report["conventions"]),
    )
