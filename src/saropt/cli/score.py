"""`saropt score` and `saropt compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def score(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Folder of rasters, one for each name of the split.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="ROOT", help="Data root with the true images.")],
    split: Annotated[
        Path, typer.Option("--split", metavar="FILE", help="Split file that data clean --write-splits has written.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Submission file to write.")] = Path(
        "submission.json"
    ),
    part: Annotated[str, typer.Option(metavar="train|val|test", help="Part of the split to score on.")] = "test",
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="Role of the true images, such as optical or sar.")
    ] = "optical",
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name in tables (default: the name of the folder).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing submission file.")] = False,
) -> None:
    """Score a folder of translated rasters, however they were made.

    The rasters have the names, the grid, the bands and the units of the true images. The submission file holds all
    figures with their intervals, and hashes of the split, of the rasters and of the conventions.
    """
    from saropt.cli.progress import progress_bar
    from saropt.cli.tables import print_table
    from saropt.errors import counted
    from saropt.evaluation.compare import compare as table_of
    from saropt.evaluation.score import score as score_folder

    with progress_bar("score") as bar:
        found = score_folder(
            predictions, data, split, out, part=part, role=role, name=name, overwrite=overwrite, progress=bar
        )
    headings, rows = table_of([out])
    sizes = f"{counted(found['n'], 'tile')} of {counted(found['scenes'], 'scene')}"
    print_table(headings, rows, f"{found['data']}, {part}, {sizes}")
    for warning in found["warnings"]:
        typer.echo(warning)
    if not found["truth_checked"]:
        typer.echo(f"{split} holds no hashes of the true images: they were taken as they are")
    typer.echo(f"wrote {out}")


def compare(
    submissions: Annotated[
        list[Path], typer.Argument(metavar="SUBMISSION", help="Submission files that saropt score has written.")
    ],
) -> None:
    """Compare submission files in one table, best PSNR first.

    All must be scored on one split, by one set of conventions.
    """
    from saropt.cli.tables import print_table
    from saropt.errors import counted
    from saropt.evaluation.compare import compare as table_of
    from saropt.evaluation.compare import read_submission, tiles_by_scene
    from saropt.evaluation.intervals import few_scenes
    from saropt.evaluation.verdicts import MARK, MARK_MEANS

    headings, rows = table_of(submissions)
    first = read_submission(submissions[0])
    counts = f"{counted(first['n'], 'tile')} of {counted(first['scenes'], 'scene')}"
    print_table(headings, rows, f"{first['data']}, {first['part']}, {counts}")
    if any(MARK in row[0] for row in rows):
        typer.echo(MARK_MEANS)
    if few := few_scenes(first["scenes"], list(tiles_by_scene(first).values())):
        typer.echo(few)
