"""How long work tells what it is doing."""

from __future__ import annotations

import logging
from collections.abc import Callable
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
