"""What the verbs that train have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from saropt.cli.progress import Report


def run_settings(
    out: Path, config: Path | None, settings: Sequence[str] | None, max_steps: int | None, resume: bool
) -> tuple[Path | None, list[str]]:
    """The preset and the assignments of a run; a resumed run without a preset goes by its own config.yaml."""
    assignments = list(settings or [])
    if max_steps is not None:
        assignments.append(f"engine.max_steps={max_steps}")
    if resume and config is None and (out / "config.yaml").is_file():
        config = out / "config.yaml"
    return config, assignments


def show_steps(report: Report, total: int) -> Callable[[int, dict[str, float]], None]:
    """What a trainer calls after every step: moves the bar and shows the last figures."""

    def show(step: int, figures: dict[str, float]) -> None:
        report(step, total, "  ".join(f"{name} {value:.3g}" for name, value in figures.items()))

    return show
