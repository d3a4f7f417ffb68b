"""Progress and warnings on stderr: a bar in a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

Report = Callable[[int, int, str], None]
LOG_SECONDS = 60.0
_MOST_WARNINGS = 12


def warn(lines: Sequence[str]) -> None:
    """Print warnings; of more than a dozen, the first ones and how many there are more.

    >>> warn([])
    """
    for line in lines[:_MOST_WARNINGS]:
        print(f"saropt: warning: {line}", file=sys.stderr)
    if len(lines) > _MOST_WARNINGS:
        print(f"saropt: warning: and {len(lines) - _MOST_WARNINGS} more like these", file=sys.stderr)


def warn_at_once(line: str) -> None:
    """Print one warning.

    >>> warn_at_once("the index cannot be kept")
    """
    warn([line])


@contextmanager
def progress_bar(title: str, first_seconds: float = LOG_SECONDS) -> Iterator[Report]:
    """A function to call with (done, total, what is being done).

    Args:
        first_seconds: when a log gets its first line; then it gets one a minute.
    """
    if not sys.stderr.isatty():
        yield _logger(title, first_seconds)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[what]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, what="")
        yield lambda done, total, what: bars.update(task, completed=done, total=total, what=what)


def _logger(title: str, first_seconds: float) -> Report:
    """Prints no line before `first_seconds`, so that short work stays silent."""
    told = monotonic() + first_seconds - LOG_SECONDS
    began: tuple[float, int, int] | None = None

    def report(done: int, total: int, what: str) -> None:
        nonlocal told, began
        now = monotonic()
        if began is None or began[2] != total or done < began[1]:
            began = now, done, total
        if now - told < LOG_SECONDS:
            return
        told = now
        left = ""
        if done > began[1]:
            left = f", {(now - began[0]) * (total - done) / (done - began[1]) / 60.0:.0f} min left"
        print(f"saropt: {title}: {done} of {total} {what}".rstrip() + left, file=sys.stderr, flush=True)

    return report
