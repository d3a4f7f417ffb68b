"""Errors that a user can act on. The command line prints them as one line and exits with code 2."""

from __future__ import annotations

from pathlib import Path


class SaroptError(Exception):
    """Something the caller handed over cannot be used; the message is one clear line."""


class InputError(SaroptError):
    """A named file, folder or value that cannot be used, and why.

    Args:
        source: the file, folder or option at fault.
        reason: what is wrong and, where it helps, what to do.
    """

    def __init__(self, source: str | Path, reason: str) -> None:
        self.source = str(source)
        self.reason = reason
        super().__init__(f"{source}: {reason}")


class BusyError(InputError):
    """An output that another process is writing."""


class MissingExtraError(SaroptError):
    """An optional part of saropt is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part: pip install 'saropt[{extra}]'")
