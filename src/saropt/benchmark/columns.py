"""Which columns a suite may have."""

from __future__ import annotations

from difflib import get_close_matches

from saropt.evaluation import METRICS

BY_CLASS = ("class_iou", "class_accuracy")
_DETAILS = ("n", "frechet_distance_floor", "pattern_period_px")
"""Figures of report.json that are no metrics."""
_DEVIATIONS = "std."


def check_column(column: str) -> None:
    """Refuse a column that no report has.

    Raises:
        ValueError: no metric is called so, or the metric is of parts and the column names none, or the reverse.

    >>> check_column("psrn")
    Traceback (most recent call last):
    ...
    ValueError: column 'psrn' is no metric: is psnr meant?
    """
    key, _, part = column.removeprefix(_DEVIATIONS).partition(".")
    if column in _DETAILS:
        return
    if key not in METRICS:
        meant = get_close_matches(key, list(METRICS), 1, 0.5)
        hint = f"is {meant[0]} meant?" if meant else f"known: {', '.join(METRICS)}"
        raise ValueError(f"column {column!r} is no metric: {hint}")
    metric = METRICS[key]
    if column.startswith(_DEVIATIONS):
        return
    if (key in BY_CLASS or metric.per_band or key.endswith("_by_n")) and not part:
        what = "class" if key in BY_CLASS else "band" if metric.per_band else "number of tiles"
        raise ValueError(f"column {column!r} holds a figure for each {what}: name one, as in {key}.NAME")
    if part and metric.tile is not None and not metric.per_band:
        raise ValueError(f"column {column!r}: {key} has no parts")
