"""`saropt train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def train(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method; `saropt methods` lists them.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data root.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Run folder.")],
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML preset.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting: engine.seed=3; may be repeated."),
    ] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Steps to train.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="Devices to train on.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Kind of device.")] = "auto",
    optical_root: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="Take the optical side from this root, DATA gives the SAR side only."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from RUN's checkpoint, with RUN's config.")] = False,
) -> None:
    """Train a translator on a data root."""
    from saropt.cli.extras import require

    require("train", "train", "torch", "lightning_fabric", "tensorboard")

    from saropt.cli.progress import progress_bar
    from saropt.data import DataRoot
    from saropt.training import Trainer, read_config

    assignments = list(settings or [])
    if max_steps is not None:
        assignments.append(f"engine.max_steps={max_steps}")
    if resume and config is None and (out / "config.yaml").is_file():
        config = out / "config.yaml"
    chosen = read_config(method, config, assignments)
    root = DataRoot.open(data)
    if optical_root is not None:
        root = root.with_optical(DataRoot.open(optical_root))
    trainer = Trainer(chosen, root, out, devices=devices, accelerator=device, resume=resume)
    total = chosen.engine.max_steps
    with progress_bar(method) as report:

        def show(step: int, losses: dict[str, float]) -> None:
            if report is not None:
                report(step, total, "  ".join(f"{name} {value:.3g}" for name, value in losses.items()))

        paths = trainer.run(show)
    for path in paths:
        typer.echo(f"wrote {path}")
