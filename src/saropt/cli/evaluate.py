"""`saropt evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

COLUMNS = {
    "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM", 3),
    "mae": ("MAE", 3),
    "psnr_shift": ("PSNR, ±2 px forgiven", 2),
    "collapse_ratio": ("collapse ratio", 2),
}


def evaluate(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Translators by name or file.")],
    data: Annotated[Path, typer.Option("--data", metavar="DATA", help="Data root.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for report.json and report.html.")],
    split: Annotated[str, typer.Option(help="Split of the data root: train, val or test.")] = "test",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
) -> None:
    """Measure translators beside trivial baselines, in every direction that they translate."""
    from saropt.cli.extras import require
    from saropt.cli.progress import progress_bar

    require("evaluate", "train", "jinja2")

    from saropt import evaluation
    from saropt.translation import Translator

    translators = [translator for model in models for translator in Translator.load_all(model)]
    with progress_bar("evaluate") as bar:
        report = evaluation.evaluate(
            translators,
            data,
            out,
            split,
            overwrite=overwrite,
            progress=None if bar is None else lambda what, done, total: bar(done, total, what),
        )
    _print_scores(report)
    typer.echo(f"wrote {out / 'report.json'} and {out / 'report.html'}")


def _print_scores(report: dict[str, Any]) -> None:
    from saropt.cli.tables import print_table

    rows = {
        direction: [(m["model"], m["directions"][direction]) for m in report["models"] if direction in m["directions"]]
        + list(baselines.items())
        for direction, baselines in report["baselines"].items()
    }
    for direction, entries in rows.items():
        title = f"{direction}, {report['data']['name']}, split {report['split']}, {report['n']} tiles"
        cells = [
            [name, *("–" if s[key] is None else f"{s[key]:.{digits}f}" for key, (_, digits) in COLUMNS.items())]
            for name, s in entries
        ]
        print_table(["", *(heading for heading, _ in COLUMNS.values())], cells, title)
        for name, scores in entries:
            for warning in scores.get("warnings", []):
                typer.echo(f"{name}: {warning}")
