"""`saropt translate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DEFAULT_MODELS = {"optical": "s1-losangeles", "sar": "losangeles-s1"}
DIRECTIONS: dict[str, Literal["sar2opt", "opt2sar"]] = {"optical": "sar2opt", "sar": "opt2sar"}


def translate(
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="GeoTIFF, COG or PNG to translate.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="GeoTIFF to write (a COG).")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Translator; s1-losangeles to optical, losangeles-s1 to SAR if not given."
        ),
    ] = None,
    to: Annotated[
        Literal["optical", "sar"] | None,
        typer.Option(help="What to make; optical if neither this nor --model is given."),
    ] = None,
    bands: Annotated[
        str | None, typer.Option(metavar="BAND[,BAND]", help="Bands of SCENE to use: VH or 2, say.")
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(help="Units of SCENE: amplitude, sigma0_db, gamma0_db, sigma0, gamma0, uint8, complex."),
    ] = None,
    backend: Annotated[
        Literal["auto", "onnx", "openvino", "torch"], typer.Option(help="What runs the network.")
    ] = "auto",
    precision: Annotated[Literal["fp32", "bf16"], typer.Option(help="Arithmetic of the network.")] = "fp32",
    tile: Annotated[int | None, typer.Option(min=1, metavar="PIXELS", help="Tile side.")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the network runs.")] = "auto",
    realism: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="0 is faithful, 1 is realistic; the card's own if not given.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Samples of a sampler; of more than one OUT is the mean, OUT_std the deviation."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the samples' noise; 0 if not given.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="K", help="Steps of a sampler; the card's own.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Translate a whole georeferenced scene."""
    from saropt.cli.progress import progress_bar
    from saropt.translation import NOTICE, Translator, deviation_path

    translator = Translator.load(
        model or DEFAULT_MODELS[to or "optical"],
        direction=DIRECTIONS[to] if to else None,
        backend=backend,
        precision=precision,
        device=device,
        realism=realism,
        steps=steps,
    )
    with progress_bar(scene.name) as report:
        written = translator.translate(
            scene,
            out,
            bands=bands.split(",") if bands else None,
            units=units,
            tile=tile,
            resume=resume,
            overwrite=overwrite,
            progress=report,
            samples=samples,
            seed=seed,
        )
    typer.echo(f"wrote {written} with {translator.card.name}: {NOTICE[0].lower()}{NOTICE[1:]}")
    if samples is not None and samples > 1:
        typer.echo(f"wrote {deviation_path(out)}: the deviation of {samples} samples; {out} is their mean")
    if translator.seam is not None:
        typer.echo(f"its windows are blended, not exact: where they overlap they differ by {translator.seam / 2:.2%}")
