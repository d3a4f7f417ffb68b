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
    from saropt.errors import counted
    from saropt.evaluation.demo import FILES, run_demo

    with progress_bar("demo") as report:
        scores = run_demo(out, overwrite=overwrite, progress=report)
    model = scores["models"][0]
    figures = model["directions"]["sar2opt"]
    typer.echo(f"{model['model']} translated a {scores['data']['name']}. {scores['notes'][0]}")
    print_facts({str(out / name): meaning for name, meaning in FILES.items()})
    beside = {
        model["model"]: figures,
        "SAR itself as grey": scores["baselines"]["sar2opt"]["sar_as_grey"],
        "each tile's own mean colour (an oracle)": scores["baselines"]["sar2opt"]["image_mean_oracle"],
    }
    typer.echo(f"\nSAR alone, {counted(scores['n'], 'tile')} of {scores['tile']}x{scores['tile']} pixels:")
    columns = {"PSNR in dB": "psnr", "SSIM": "ssim", "MAE": "mae"}
    print_table(
        ["", *columns],
        [
            [name, *(f"{row[key]:.{2 if key == 'psnr' else 3}f}" for key in columns.values())]
            for name, row in beside.items()
        ],
    )
    rows = scores["two_dates"]
    typer.echo("\nA flood under cloud, with an earlier optical image (PSNR in dB, reflectance 0 to 0.3):")
    grounds = list(next(iter(rows.values())))
    print_table(["", *grounds], [[name, *(f"{row[g]:.2f}" for g in grounds)] for name, row in rows.items()])
    typer.echo(f"\nNext:\n  look at {out / 'two_dates.png'}")
    print_facts(
        {
            f"  saropt serve {out}": "shows all of it on a map (needs the extra serve)",
            "  saropt data inspect YOURS.tif": "says what a scene of your own holds",
            "  saropt translate YOURS.tif OUT.tif": "translates it; --help lists the options",
            "  saropt models": "lists the translators, and how good they are",
        }
    )
    if show:
        typer.launch(str(out / "preview.png"))
