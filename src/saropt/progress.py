"""How long work tells what it is doing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

Tell = Callable[[str], object]
"""Called with a line that a person should read."""
log_line: Final[Tell] = logging.getLogger("saropt").warning
Progress = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and what is being done."""


def silent(done: int, total: int, what: str) -> None:
    """A `Progress` that tells nothing.

    >>> silent(1, 10, "tiles")
    """


def first_and_more(lines: Sequence[str]) -> str:
    """The first of some lines of one kind, and how many there are beside it; "" where there is none.

    >>> first_and_more(["a.tif: is dark", "b.tif: is dark"])
    'a.tif: is dark (1 more as well)'
    """
    return f"{lines[0]} ({len(lines) - 1} more as well)" if len(lines) > 1 else "".join(lines)
