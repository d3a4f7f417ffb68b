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
    devices: Annotated[int, typer.Option(min=1, help="Devices to train on, on each node.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes, under a launcher such as torchrun or srun.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Kind of device.")] = "auto",
    optical_root: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="Take the optical images from this root; DATA gives only the SAR images."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from RUN's checkpoint, with RUN's config.")] = False,
) -> None:
    """Train a translator on a data root."""
    from saropt.cli.extras import require

    require("train", "train", "torch", "lightning_fabric", "tensorboard")

    from saropt.cli.progress import progress_bar
    from saropt.cli.runs import run_settings
    from saropt.roots import DataRoot
    from saropt.training import Loop, TranslatorTask, check_launcher, read_config

    check_launcher(devices, nodes)
    chosen = read_config(method, *run_settings(out, config, settings, max_steps, resume))
    root = DataRoot.open(data)
    if optical_root is not None:
        root = root.with_role_from("optical", DataRoot.open(optical_root))
    loop = Loop(TranslatorTask, chosen, root, out, devices=devices, nodes=nodes, accelerator=device, resume=resume)
    with progress_bar(method) as report:
        paths = loop.run(report)
    for path in paths:
        typer.echo(f"wrote {path}")
