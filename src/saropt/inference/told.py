"""What calls in Python tell: Python warnings with the lines that the command line prints, each once a call."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from saropt.errors import SceneWarning, counted

_MOST: Final = 5
_HERE: Final = (str(Path(__file__).parents[1]), str(Path(contextmanager.__code__.co_filename)))
_gathered: ContextVar[list[str] | None] = ContextVar("gathered", default=None)


def tell(lines: Iterable[str]) -> None:
    """Warn of each line; inside `told_once`, when its block ends.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     tell(["the scene is narrow", "the scene is narrow"])
    >>> [str(one.message) for one in caught]
    ['the scene is narrow']
    """
    gathered = _gathered.get()
    if gathered is not None:
        gathered.extend(lines)
        return
    different = list(dict.fromkeys(lines))
    if len(different) > _MOST:
        more = counted(len(different) - _MOST, "more warning")
        different = [*different[:_MOST], more]
    level = _callers_level()
    for line in different:
        warnings.warn(line, SceneWarning, stacklevel=level)


@contextmanager
def told_once() -> Iterator[None]:
    """Each line that is told inside is warned of once, however many images a call takes.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     with told_once():
    ...         tell(["the scene is narrow"])
    ...         tell(["the scene is narrow"])
    >>> len(caught)
    1
    """
    if _gathered.get() is not None:
        yield
        return
    lines: list[str] = []
    token = _gathered.set(lines)
    try:
        yield
    finally:
        _gathered.reset(token)
    tell(lines)


def _callers_level() -> int:
    """The `stacklevel` by which the caller of `tell` names the first line outside saropt."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame, level = frame.f_back, level + 1
    return level
