"""`saropt segment`: train, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

segment = typer.Typer(help="Train a segmenter, or segment a scene with one.", rich_markup_mode=None)


@segment.command("train")
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Data root with labels.")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Run folder.")],
    modality: Annotated[Literal["sar", "optical"] | None, typer.Option(help="Which images to segment.")] = None,
    network: Annotated[
        Literal["deeplabv3", "deeplabv3plus", "unet", "segformer", "compact"] | None,
        typer.Option(help="Architecture; deeplabv3 if not given."),
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML preset.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting: class_weights=median; may be repeated."),
    ] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Steps to train.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="Devices to train on.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Kind of device.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from RUN's checkpoint, with RUN's config.")] = False,
) -> None:
    """Train a segmenter on a labelled data root."""
    from saropt.cli.extras import require

    require("segment train", "train", "torch", "lightning_fabric", "tensorboard", "segmentation_models_pytorch")

    from saropt.cli.progress import progress_bar
    from saropt.cli.runs import run_settings, show_quality
    from saropt.roots import DataRoot
    from saropt.training import Loop, SegmenterTask, check_launcher, read_segmentation_config

    chosen = read_segmentation_config(modality, network, *run_settings(out, config, settings, max_steps, resume))
    check_launcher(devices, 1)
    root = DataRoot.open(data)
    loop = Loop(SegmenterTask, chosen, root, out, devices=devices, accelerator=device, resume=resume)
    with progress_bar(f"{chosen.network}, {chosen.modality}") as report:
        paths = loop.run(report)
    show_quality(loop.chosen_figures)
    for path in paths:
        typer.echo(f"wrote {path}")


@segment.command("predict")
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Segmenter file or run folder.")],
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="GeoTIFF, COG or PNG to segment.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="GeoTIFF of label values to write (a COG).")],
    bands: Annotated[
        str | None, typer.Option(metavar="BAND[,BAND]", help="Bands of SCENE to use: VH or 2, say.")
    ] = None,
    units: Annotated[str | None, typer.Option(help="Units of SCENE, where they are not the segmenter's own.")] = None,
    precision: Annotated[Literal["fp32", "bf16"], typer.Option(help="Arithmetic of the network.")] = "fp32",
    tile: Annotated[int | None, typer.Option(min=1, metavar="PIXELS", help="Tile side.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the network runs.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Segment a whole georeferenced scene."""
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
