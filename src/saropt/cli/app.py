"""The `saropt` command: its verbs, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, cast

import typer

from saropt import __version__
from saropt.addresses import without_secrets
from saropt.cli.benchmark import benchmark
from saropt.cli.blind import blind
from saropt.cli.data import data
from saropt.cli.demo import demo
from saropt.cli.evaluate import evaluate
from saropt.cli.examples import epilog
from saropt.cli.export import export
from saropt.cli.grouping import GroupedCommands
from saropt.cli.match import match
from saropt.cli.methods import methods
from saropt.cli.models import models
from saropt.cli.reliability import reliability
from saropt.cli.score import compare, score
from saropt.cli.segment import segment
from saropt.cli.serve import serve
from saropt.cli.train import train
from saropt.cli.translate import translate
from saropt.errors import SaroptError

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 1
RESUMING = "the same command with --resume goes on from"
HINTS = {
    "translate": f"{RESUMING} there",
    "train": f"{RESUMING} the last checkpoint",
    "match train": f"{RESUMING} the last checkpoint",
    "segment train": f"{RESUMING} the last checkpoint",
    "data fetch": "the same command goes on",
    "data prepare": "the same command goes on",
    "benchmark": "the same command goes on",
}
UsageError = cast(type[Exception], typer.BadParameter.__base__)  # of typer's click, wherever that comes from

app = typer.Typer(
    name="saropt",
    cls=GroupedCommands,
    rich_markup_mode=None,
    epilog=epilog(""),
    context_settings={"help_option_names": ["-h", "--help"]},
)
VERBS = (
    demo,
    models,
    methods,
    translate,
    train,
    evaluate,
    score,
    compare,
    blind,
    benchmark,
    export,
    reliability,
    serve,
)
for verb in VERBS:
    app.command(epilog=epilog(verb.__name__))(verb)
app.add_typer(data, name="data")
app.add_typer(segment, name="segment")
app.add_typer(match, name="match")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"saropt {__version__}")
        raise typer.Exit


@app.callback()
def saropt(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Translate between SAR and optical remote-sensing images.

    A translation is a model's guess, not a measurement.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 is success, 2 bad input or usage (one line on stderr), 130 an interrupt, 1 a reader of stdout that went away.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    saropt ...
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if arguments is None:
        signal.signal(signal.SIGTERM, _interrupt)
    if "" in given:
        return _refuse("an argument is empty (a variable of the shell without a value?)")
    try:
        code = app(given, prog_name="saropt", standalone_mode=False) or 0
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SaroptError as error:
        return _refuse(error.command_line_text())
    except UsageError as error:
        return _refuse(_usage(error))
    except (RecursionError, UnicodeError) as error:
        if isinstance(error, UnicodeError):
            return _refuse("a file's name or content is not UTF-8")
        return _refuse("a file is nested too deeply")
    except MemoryError:
        return _refuse("there is not enough memory; smaller windows need less (--tile, or data.crop in training)")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    if code == INTERRUPTED:
        hint = HINTS.get(given[0]) or HINTS.get(" ".join(given[:2]))
        print(f"saropt: interrupted{f'; {hint}' if hint else ''}", file=sys.stderr)
    return code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _refuse(message: str) -> int:
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(without_secrets(message).split()))
    print(f"saropt: error: {line}", file=sys.stderr)
    return BAD_INPUT


def _usage(error: Exception) -> str:
    message: str = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    return f"{message} (see {context.command_path} --help)" if context is not None else message
