"""Records which parts of an unfinished file are on the disk already."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Part = tuple[int, int, int, int, int]
"""Row, column, height and width of pixels that were written, and their CRC-32."""


class Journal:
    """A text file: one line that says what is being made, then one line per completed key with its parts.

    A line is a CRC-32 and JSON; a line whose CRC-32 does not fit is ignored. A key is recorded only after `sync` has
    flushed its pixels to the disk. So after a crash or a power cut the pixels of every recorded key are there, and the
    CRC-32 of each part says whether they are still what was written.
    """

    def __init__(self, path: Path, header: dict[str, Any], file: int, completed: dict[int, list[Part]]) -> None:
        self.path = path
        self.header = header
        self.completed = completed
        self._file = file
        self._parts: list[Part] = []
        self._pending: list[int] = []

    @classmethod
    def create(cls, path: Path, header: dict[str, Any]) -> Journal:
        """Start a new journal, and replace an older one."""
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        _write_all(file, _line(header))
        os.fsync(file)
        return cls(path, header, file, {})

    @classmethod
    def load(cls, path: Path) -> Journal | None:
        """Open an existing journal; None where there is none, or where its first line is damaged."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        whole = content[: content.rfind(b"\n") + 1]
        header, *records = [_value(line) for line in whole.splitlines()] or [None]
        if not isinstance(header, dict):
            return None
        completed = {record["key"]: [tuple(part) for part in record["parts"]] for record in records if record}
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        os.ftruncate(file, len(whole))
        os.lseek(file, 0, os.SEEK_END)
        return cls(path, header, file, completed)

    def check(self, crc_of: Callable[[int, int, int, int], int]) -> None:
        """Forget the keys whose pixels are no longer what was written.

        Args:
            crc_of: CRC-32 of the pixels at (row, column, height, width) as they are now.
        """
        self.completed = {
            key: parts for key, parts in self.completed.items() if all(crc_of(*place) == crc for *place, crc in parts)
        }

    def note(self, part: Part, key: int | None) -> None:
        """Remember a part that was written; with a key, it and the parts before it since the last key make up the
        key."""
        self._parts.append(part)
        if key is not None:
            self.completed[key], self._parts = self._parts, []
            self._pending.append(key)

    def sync(self, pixels: int) -> None:
        """Flush the file `pixels` (a descriptor) to the disk, then record the keys noted since the last call."""
        if self._pending:
            os.fsync(pixels)
            lines = [_line({"key": key, "parts": self.completed[key]}) for key in self._pending]
            _write_all(self._file, b"".join(lines))
            os.fsync(self._file)
            self._pending.clear()

    def close(self) -> None:
        os.close(self._file)


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _value(line: bytes) -> Any:
    """What a line holds; None where its checksum does not fit."""
    crc, _, text = line.partition(b" ")
    return json.loads(text) if crc == b"%08x" % zlib.crc32(text) else None


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
