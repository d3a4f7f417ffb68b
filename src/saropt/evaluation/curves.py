"""Loss curves of run folders, thinned for a report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from saropt.errors import InputError

LOG_FILE = "metrics.jsonl"
POINTS = 160


def read_curves(folder: Path) -> dict[str, dict[str, list[float]]]:
    """The figures that a run logged: name -> {step, value}, with at most 160 points, each a mean over an equal number
    of values.

    Raises:
        InputError: metrics.jsonl holds something else.
    """
    path = folder / LOG_FILE
    series: dict[str, list[tuple[int, float]]] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            for key, value in entry.items():
                if key != "step" and math.isfinite(value):
                    series.setdefault(key, []).append((int(entry["step"]), float(value)))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise InputError(path, f"is no log of a training run ({type(error).__name__})") from error
    return {key: _thinned(points) for key, points in sorted(series.items())}


def _thinned(points: list[tuple[int, float]]) -> dict[str, list[float]]:
    each = -(-len(points) // POINTS)
    parts = [points[start : start + each] for start in range(0, len(points), each)]
    return {
        "step": [part[-1][0] for part in parts],
        "value": [sum(value for _, value in part) / len(part) for part in parts],
    }


def curve_charts(curves: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str]) -> list[tuple[str, str]]:
    """(name, inline SVG) of every logged figure, one line per model.

    Args:
        curves: model -> name -> {step, value}.
        colours: model -> CSS class of its line.
    """
    names = sorted({name for logged in curves.values() for name in logged})
    return [(name, _chart(name, curves, colours)) for name in names]


def _chart(name: str, curves: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str]) -> str:
    lines = {model: logged[name] for model, logged in curves.items() if name in logged}
    values = [value for line in lines.values() for value in line["value"]]
    low, high = min(values), max(values)
    last = max(line["step"][-1] for line in lines.values())
    left, right, top, floor = 50.0, 312.0, 10.0, 110.0
    parts = [f'<line class="grid" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>' for y in (top, floor)]
    for model, line in lines.items():
        at = [
            (left + (right - left) * step / last, floor - (floor - top) * (value - low) / ((high - low) or 1.0))
            for step, value in zip(line["step"], line["value"], strict=True)
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline class="line {colours[model]}" points="{points}"/>')
    parts.append(f'<text x="{left - 6}" y="{top + 5}" text-anchor="end">{high:.3g}</text>')
    parts.append(f'<text x="{left - 6}" y="{floor + 5}" text-anchor="end">{low:.3g}</text>')
    parts.append(f'<text x="{right}" y="{floor + 17}" text-anchor="end">{last} steps</text>')
    label = escape(f"{name}: {low:.3g} to {high:.3g} over {last} steps")
    return f'<svg viewBox="0 0 320 132" role="img" aria-label="{label}">{"".join(parts)}</svg>'
