"""`saropt reliability`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from saropt.cli.completion import model_names


def reliability(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Translator: a bundled name or an .onnx file.", autocompletion=model_names
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="Translator file to write.")],
    data: Annotated[
        Path, typer.Option(metavar="DATA", help="Data root of scenes that MODEL was not trained on, 10 or more.")
    ],
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Split of DATA to calibrate on.")] = "val",
    to: Annotated[
        Literal["optical", "sar"] | None, typer.Option(help="Output of the direction, if MODEL has two directions.")
    ] = None,
    realism: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, metavar="0..1", help="Realism to calibrate (default: the translator's own)."),
    ] = None,
    alpha: Annotated[
        float,
        typer.Option(min=0.01, max=0.5, metavar="SHARE", help="Share of pixels that may lie outside the half-width."),
    ] = 0.1,
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="VALUE", help="Largest half-width of a reliable pixel, in output units (default: median)."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Calibrate a translator to write maps of reliability."""
    from saropt.cli.progress import progress_bar, warn
    from saropt.evaluation.calibration import CalibrationSet, calibrate_reliability
    from saropt.inference import DIRECTIONS, Translator
    from saropt.roots import DataRoot

    translator = Translator.load(model, direction=DIRECTIONS[to] if to else None, realism=realism)
    sets = [CalibrationSet(DataRoot.open(data), split)]
    told: list[str] = []
    with progress_bar("calibration") as report:
        card = calibrate_reliability(
            translator, sets, out, alpha=alpha, budget=budget, overwrite=overwrite, progress=report, tell=told.append
        )
    typer.echo(
        f"wrote {out}: {card.coverage:.1%} of the pixels lie inside their half-width (goal {1 - alpha:.0%}), mean over "
        f"{card.scenes} scenes that were left out in turn; {card.least_coverage:.1%} in the worst one"
    )
    warn(told)
