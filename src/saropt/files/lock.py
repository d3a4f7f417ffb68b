"""Locks between processes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from saropt.errors import BusyError

if TYPE_CHECKING:
    from filelock import BaseFileLock

BUSY = "is being written by another process"


class Lock:
    """A lock file that one process (or thread) at a time holds; the system frees it when the process dies.

    The file is removed when the lock is released, and one that a killed process has left is in nobody's way.

    Args:
        path: the lock file.
        source: the file or folder that is locked, as errors call it.
        reason: what `BusyError` says of it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with Lock(Path(folder) / ".run.lock", "run", "is being trained by another process"):
    ...         Lock(Path(folder) / ".run.lock", "run", "is being trained by another process").acquire()
    Traceback (most recent call last):
    ...
    saropt.errors.BusyError: run: is being trained by another process
    """

    def __init__(self, path: str | Path, source: str | Path, reason: str) -> None:
        self.path = Path(path)
        self._source, self._reason = source, reason
        self._held: BaseFileLock | None = None

    def acquire(self, *, wait: bool = False) -> Self:
        """Take the lock, at once or, with `wait`, when it is free.

        Raises:
            BusyError: another holds it, and `wait` is off.
            OSError: the lock file cannot be made.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path, thread_local=False)
        while self._held is None:
            try:
                lock.acquire(timeout=-1 if wait else 0)
                self._held = lock
            except Timeout:
                if self.path.exists():
                    raise BusyError(self._source, self._reason) from None
                self.path.touch()  # its holder has just released it, or the folder takes no files: OSError
        return self

    def release(self) -> None:
        """Remove the lock file and free the lock. Does nothing when the lock is not held."""
        if self._held is not None:
            with suppress(OSError):  # a system that keeps open files keeps this one; it is in nobody's way
                self.path.unlink(missing_ok=True)
            self._held.release()
            self._held = None

    def __enter__(self) -> Self:
        return self if self._held is not None else self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
