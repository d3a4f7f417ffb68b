"""A paper's figures beside one's own: in the table where both are on one scale, below it where not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saropt.benchmark.suite import NETWORK, Published, Scale, Suite
from saropt.domain import Direction, describe_role
from saropt.evaluation.metric import column_title, metric_of

UNNAMED = "unnamed"
_COSTS = ("parameters_m", "gmac", "seconds_per_megapixel")

Figures = dict[str, dict[str, dict[str, float]]]


def place_published(suite: Suite, data: str, scales: Mapping[str, Mapping[str, Any]]) -> tuple[Figures, list[str]]:
    """The published figures that may stand in the table of a data set, row -> direction -> column, and lines for those
    that may not and for what a reader must know.

    Args:
        data: name of the data set.
        scales: direction -> the scale of one's own figures (`saropt.evaluation.network_values.scale_of`).
    """
    placed: Figures = {}
    lines: list[str] = []
    for name, published in suite.published.items():
        if name not in (data, UNNAMED):
            continue
        apart: dict[tuple[str, str, str], list[str]] = {}
        for row, by_direction in published.rows.items():
            for direction, figures in by_direction.items():
                for key, value in figures.items():
                    column, reason = _column(key, name, published, direction, scales.get(direction))
                    if column in suite.columns:
                        placed.setdefault(row, {}).setdefault(direction, {})[column] = value
                    else:
                        apart.setdefault((direction, row, reason), []).append(f"{column_title(key)} {value:g}")
        lines += [f"{where}: {row}: {', '.join(found)}; {reason}" for (where, row, reason), found in apart.items()]
        lines += [published.note] if published.note else []
    return placed, lines


def _column(
    key: str, name: str, published: Published, direction: str, own: Mapping[str, Any] | None
) -> tuple[str | None, str]:
    """The column that a published figure stands in; None with the reason where it stands in none."""
    if name == UNNAMED:
        return None, "of data that the source does not name"
    metric = metric_of(key)
    if metric is None or metric.section or metric.key in _COSTS:
        return key, ""
    role = Direction.parse(direction).output
    scale = published.scale.get(role, Scale(bands=1))
    if scale.range is None:
        return None, f"the source does not say what its {describe_role(role).title} values span"
    if own is None:
        return key, ""
    there, here = f"{_bands(scale.bands)} of {scale.range}", f"{_bands(own['bands'])} of {own['range']}"
    if scale.bands == own["bands"] and scale.range in (own["range"], own["network"]):
        return (key if scale.range == own["range"] else f"{key}{NETWORK}"), "the suite has no column for its scale"
    return None, f"published on {there}, here on {here}" + (
        f" and {own['network']}" if own["network"] != own["range"] else ""
    )


def _bands(count: int) -> str:
    return f"{count} band{'s' * (count > 1)}"
