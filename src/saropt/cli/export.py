"""`saropt export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from saropt.cli.completion import model_names


def export(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Translator: a name, a file or a run folder.", autocompletion=model_names),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="ONNX file to write.")],
    to: Annotated[
        Literal["optical", "sar"] | None,
        typer.Option(help="Output of the direction to export, if MODEL has two directions."),
    ] = None,
    realism: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="0..1",
            help="Fix --realism to this value (default: adjustable, except with --int8).",
        ),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise convolutions to 8 bits, calibrated on the train split of DATA.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="Data root for --int8, and to freeze the statistics of instance normalisation."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Export a translator to an ONNX file."""
    from saropt.cli.progress import warn_at_once
    from saropt.inference import DIRECTIONS, export_translator

    written = export_translator(
        model,
        out,
        direction=DIRECTIONS[to] if to else None,
        realism=realism,
        int8=int8,
        data=data,
        overwrite=overwrite,
        tell=warn_at_once,
    )
    typer.echo(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB)")
