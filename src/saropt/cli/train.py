"""`saropt train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def train(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Training method; `saropt methods` lists them.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data root: a folder of images with a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder for the checkpoints and the translator.")],
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE|NAME", help="YAML file of settings, or the name of a preset such as sgcl."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one setting, for example engine.seed=3; may be repeated."
        ),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of training steps; overrides the settings.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, metavar="N", help="Number of devices per node.")] = 1,
    nodes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of nodes; needs a launcher such as torchrun or srun.")
    ] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Device to train on.")] = "auto",
    optical_root: Annotated[
        Path | None,
        typer.Option(
            metavar="ROOT", help="Read the optical images from this data root, and only the SAR images from DATA."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in RUN, with its settings.")
    ] = False,
) -> None:
    """Train a translator on a data root."""
    from saropt.cli.extras import require

    require("train", "train", "torch", "lightning_fabric", "tensorboard")

    from saropt.cli.progress import progress_bar, warn_at_once
    from saropt.cli.runs import run_settings, show_quality
    from saropt.roots import DataRoot
    from saropt.training import Loop, TranslatorTask, check_launcher, read_config

    check_launcher(devices, nodes)
    chosen = read_config(method, *run_settings(out, config, settings, max_steps, resume))
    root = DataRoot.open(data)
    if optical_root is not None:
        root = root.with_role_from("optical", DataRoot.open(optical_root))
    loop = Loop(
        TranslatorTask,
        chosen,
        root,
        out,
        devices=devices,
        nodes=nodes,
        accelerator=device,
        resume=resume,
        tell=warn_at_once,
    )
    with progress_bar(method, first_seconds=10.0) as report:
        paths = loop.run(report)
    show_quality(loop.chosen_figures, " at realism 1" if loop.kept else "")
    for path in paths:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: saropt evaluate {out} --data {data} --out report")
