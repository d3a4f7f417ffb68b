"""Outputs that one run at a time makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from saropt.errors import InputError
from saropt.files import BUSY, Lock
from saropt.scenes.writing import check_writable


@contextmanager
def reserved(path: Path, *, suffixes: Sequence[str], overwrite: bool) -> Iterator[None]:
    """Check early that an output file can be written, and keep other runs off it until the end of the block.

    Raises:
        InputError: as `check_writable`, or another run is making it (`BusyError`).

    >>> with reserved(Path("found.json"), suffixes=(".json",), overwrite=False):
    ...     with reserved(Path("found.json"), suffixes=(".json",), overwrite=True):
    ...         pass
    Traceback (most recent call last):
    ...
    saropt.errors.BusyError: found.json: is being written by another process
    """
    check_writable(path, suffixes=suffixes, overwrite=overwrite)
    lock = Lock(path.with_name(f".{path.name}.lock"), path, BUSY)
    try:
        lock.acquire()
    except OSError as error:
        raise InputError(path, f"cannot be written: {error.strerror}") from error
    with lock:
        check_writable(path, suffixes=suffixes, overwrite=overwrite)  # finished by another since
        yield
