"""`saropt export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from saropt.cli.translate import DIRECTIONS


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Translator by name, file or run folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="ONNX translator file to write.")],
    to: Annotated[
        Literal["optical", "sar"] | None, typer.Option(help="Which direction, where MODEL holds two.")
    ] = None,
    realism: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Fix this blend of the two ends; both are kept otherwise.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Convolutions in 8 bits, ranges from the train split of DATA.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DATA", help="Data root, for --int8 and to freeze instance statistics on."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Write a translator as an ONNX file."""
    from saropt.inference import export_translator

    written = export_translator(
        model,
        out,
        direction=DIRECTIONS[to] if to else None,
        realism=realism,
        int8=int8,
        data=data,
        overwrite=overwrite,
    )
    typer.echo(f"wrote {written} ({written.stat().st_size / 1e6:.1f} MB)")
