"""Runs of trainers in tests."""

from __future__ import annotations

from typing import Any

from saropt.training import Trainer


def train(config: Any, root: Any, folder: Any, stop: int | None = None, trainer: Any = Trainer, **options: Any) -> Any:
    """Run on the CPU; `stop` kills the run in the middle of the report of that step."""
    made = trainer(config, root, folder, accelerator="cpu", **options)

    def report(step: int, figures: dict[str, float]) -> None:
        if step == stop:
            raise KeyboardInterrupt

    try:
        made.run(report)
    except KeyboardInterrupt:
        assert stop is not None
    return made
