"""`saropt segment`: train, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from saropt.cli.examples import epilog

segment = typer.Typer(help="Train a segmenter, or segment a scene.", epilog=epilog("segment"), rich_markup_mode=None)


@segment.command("train", epilog=epilog("segment train"))
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data root with labels.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder for the checkpoints and the segmenter.")],
    modality: Annotated[
        Literal["sar", "optical"] | None, typer.Option(help="Images to segment; required unless FILE sets it.")
    ] = None,
    network: Annotated[
        Literal["deeplabv3", "deeplabv3plus", "unet", "segformer", "compact"] | None,
        typer.Option(help="Network architecture (default deeplabv3)."),
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file of settings.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one setting, for example class_weights=median; may be repeated."
        ),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of training steps; overrides the settings.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, metavar="N", help="Number of devices.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Device to train on.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in RUN, with its settings.")
    ] = False,
) -> None:
    """Train a segmenter on a labelled data root."""
    from saropt.cli.extras import require

    require("segment train", "train", "torch", "lightning_fabric", "tensorboard", "segmentation_models_pytorch")

    from saropt.cli.progress import progress_bar, warn_at_once
    from saropt.cli.runs import run_settings, show_quality
    from saropt.roots import DataRoot
    from saropt.training import Loop, SegmenterTask, check_launcher, read_segmentation_config

    chosen = read_segmentation_config(modality, network, *run_settings(out, config, settings, max_steps, resume))
    check_launcher(devices, 1)
    root = DataRoot.open(data)
    loop = Loop(SegmenterTask, chosen, root, out, devices=devices, accelerator=device, resume=resume, tell=warn_at_once)
    with progress_bar(f"{chosen.network}, {chosen.modality}", first_seconds=10.0) as report:
        paths = loop.run(report)
    show_quality(loop.chosen_figures)
    for path in paths:
        typer.echo(f"wrote {path}")


@segment.command("predict", epilog=epilog("segment predict"))
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Segmenter file or run folder.")],
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="GeoTIFF, COG or PNG to segment.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="GeoTIFF of class labels to write.")],
    bands: Annotated[
        str | None,
        typer.Option(
            metavar="BAND[,BAND]", help="Bands of SCENE, by name or number (VH or 2); put in order by their names."
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(metavar="UNITS", help="Units of SCENE (default: the units that the segmenter expects)."),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"], typer.Option(help="Floating-point precision of the network.")
    ] = "fp32",
    tile: Annotated[
        int | None, typer.Option(min=1, metavar="PIXELS", help="Side of a tile (default: the segmenter's own).")
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Device that the network runs on.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Segment a georeferenced scene of any size."""
    from saropt.cli.progress import progress_bar
    from saropt.inference import Segmenter

    segmenter = Segmenter.load(model, device=device, precision=precision)
    with progress_bar(scene.name) as report:
        result = segmenter.predict(
            scene,
            out,
            bands=bands.split(",") if bands else None,
            units=units,
            tile=tile,
            overwrite=overwrite,
            progress=report,
        )
    typer.echo(f"wrote {result.path} with {segmenter.card.name}: {', '.join(segmenter.classes.titles)}")
    if result.seam is not None:
        typer.echo(
            f"its windows are blended, not exact: where they overlap their probabilities differ by {result.seam:.2%}"
        )
