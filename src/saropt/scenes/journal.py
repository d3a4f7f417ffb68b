"""Records which parts of an unfinished file are on the disk already."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A text file: one line of JSON that says what is being made, then one line per completed key.

    A key is recorded only after `sync` has flushed its pixels to the disk. So after a crash or a power cut the pixels
    of every recorded key are there. A last line without a line break was not completed and is ignored.
    """

    def __init__(self, path: Path, header: dict[str, Any], file: int, completed: set[int]) -> None:
        self.path = path
        self.header = header
        self.completed = completed
        self._file = file
        self._pending: list[int] = []

    @classmethod
    def create(cls, path: Path, header: dict[str, Any]) -> Journal:
        """Start a new journal, and replace an older one."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        _write_all(file, f"{json.dumps(header)}\n".encode())
        os.fsync(file)
        return cls(path, header, file, set())

    @classmethod
    def load(cls, path: Path) -> Journal | None:
        """Open an existing journal; None where there is none, or where its first line is not complete."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").splitlines()
        try:
            header = json.loads(lines[0])
            completed = {int(line) for line in lines[1:]}
        except (IndexError, ValueError):
            return None
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        os.ftruncate(file, len(whole))
        os.lseek(file, 0, os.SEEK_END)
        return cls(path, header, file, completed)

    def note(self, key: int) -> None:
        self.completed.add(key)
        self._pending.append(key)

    def sync(self, pixels: int) -> None:
        """Flush the file `pixels` (a descriptor) to the disk, then record the keys noted since the last call."""
        if self._pending:
            os.fsync(pixels)
            _write_all(self._file, "".join(f"{key}\n" for key in self._pending).encode())
            os.fsync(self._file)
            self._pending.clear()

    def close(self) -> None:
        os.close(self._file)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
