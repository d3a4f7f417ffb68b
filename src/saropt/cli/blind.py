"""`saropt blind`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def blind(
    answers: Annotated[
        Path, typer.Argument(metavar="ANSWERS.csv", help="File of answers that saropt serve --blind has written.")
    ],
) -> None:
    """Sum up a blind test: how often the real picture was found.

    50 % is guessing. The first interval takes answers as independent of each other, the second one draws over people.
    """
    from saropt.cli.progress import warn
    from saropt.cli.tables import print_table
    from saropt.errors import InputError
    from saropt.evaluation.blind_test import read_answers, summarise

    told: list[str] = []
    try:
        found = summarise(read_answers(answers, told.append))
    except ValueError as error:
        raise InputError(answers, str(error)) from error
    headings = ["translations", "people", "answers", "correct", "95 % (answers)", "95 % (people)", "p", "verdict"]
    rows = [
        [
            one.name,
            str(one.participants),
            str(one.answers),
            f"{one.share:.1%}",
            f"{one.low:.1%} to {one.high:.1%}",
            f"{one.people.low:.1%} to {one.people.high:.1%}" if one.people else "fewer than 5 people",
            f"{one.p_value:.2g}",
            one.verdict,
        ]
        for one in found.shares
    ]
    print_table(headings, rows, "Which is real?")
    warn(told)
    if found.second:
        counts = ", ".join(f"{answer} {count}" for answer, count in found.second.items())
        typer.echo(f"second question (real and guess: the picture that was chosen): {counts}")
