"""`saropt demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the output files.")] = Path(
        "saropt-demo"
    ),
    show: Annotated[bool, typer.Option("--open", help="Open the preview picture at the end.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files of an earlier demo in DIR.")
    ] = False,
) -> None:
    """Simulate a scene, translate it and score the translation."""
    from saropt.cli.progress import progress_bar
    from saropt.cli.tables import print_facts, print_table
    from saropt.evaluation.demo import FILES, run_demo

    with progress_bar("demo") as report:
        scores = run_demo(out, overwrite=overwrite, progress=report)
    model = scores["models"][0]
    figures = model["directions"]["sar2opt"]
    typer.echo(f"{model['model']} translated a {scores['data']['name']}. {scores['notes'][0]}")
    print_facts({str(out / name): meaning for name, meaning in FILES.items()})
    typer.echo(
        f"PSNR {figures['psnr']:.2f} dB, SSIM {figures['ssim']:.3f}, MAE {figures['mae']:.3f} "
        f"over {scores['n']} tiles of {scores['tile']}x{scores['tile']} pixels"
    )
    rows = scores["two_dates"]
    typer.echo("\nA flood under cloud, with an earlier optical image (PSNR in dB, reflectance 0 to 0.3):")
    grounds = list(next(iter(rows.values())))
    print_table(["", *grounds], [[name, *(f"{row[g]:.2f}" for g in grounds)] for name, row in rows.items()])
    typer.echo(
        "\nNext: saropt serve DIR shows them on a map; saropt translate YOURS.tif OUT.tif --help lists the options."
    )
    if show:
        typer.launch(str(out / "preview.png"))
