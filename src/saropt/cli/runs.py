"""What the verbs that train have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer


def run_settings(
    out: Path, config: Path | None, settings: Sequence[str] | None, max_steps: int | None, resume: bool
) -> tuple[Path | None, list[str]]:
    """The preset and the assignments of a run; a resumed run without a preset goes by its own config.yaml.

    Raises:
        OptionError: a resumed run cannot start from another file.
    """
    from saropt.errors import OptionError

    assignments = list(settings or [])
    if resume and (start := next((one for one in assignments if one.startswith("arguments.start=")), None)):
        raise OptionError("set", start, "a resumed run has the weights of its checkpoint")
    if max_steps is not None:
        assignments.append(f"engine.max_steps={max_steps}")
    if resume and config is None and (out / "config.yaml").is_file():
        config = out / "config.yaml"
    return config, assignments


def show_quality(figures: Mapping[str, float], end: str = "") -> None:
    """Print the validation figures of what a run ships; `end` says of which of two ends they are."""
    if figures:
        words = ", ".join(f"{name.removeprefix('val/')} {value:.3f}" for name, value in figures.items())
        typer.echo(f"val{end}: {words}")
