"""What a file holds, told by its content: size and time of a file survive copies that replace it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from saropt.errors import InputError

_WHOLE_BYTES = 64 << 20
_PIECE = 64 << 10
_PIECES = 256
_SMALL_BYTES = 256 << 10
_SMALL_PIECE = 16 << 10


def digest_files(paths: Iterable[str | Path]) -> str:
    """SHA-256 of the contents of files; of those over 64 MiB, of 256 pieces and the time of writing.

    Raises:
        InputError: a file cannot be read.

    >>> Path("a.txt").write_text("1"), Path("b.txt").write_text("2")
    (1, 1)
    >>> digest_files(["a.txt"]) == digest_files(["b.txt"])
    False
    """
    digest = hashlib.sha256()
    for path in sorted(map(str, paths)):
        try:
            with open(path, "rb") as file:
                state = os.fstat(file.fileno())
                digest.update(f"{state.st_size}\n".encode())
                if state.st_size <= _WHOLE_BYTES:
                    while piece := file.read(1 << 20):
                        digest.update(piece)
                    continue
                digest.update(f"{state.st_mtime_ns}\n".encode())
                for number in range(_PIECES):
                    file.seek((state.st_size - _PIECE) * number // (_PIECES - 1))
                    digest.update(file.read(_PIECE))
        except OSError as error:
            raise InputError(path, f"cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def digest_pieces(path: str | Path) -> str:
    """SHA-256 of the content of a file; of one over 256 KiB, of its size and of 16 pieces. A copy has the same.

    Raises:
        InputError: the file cannot be read.

    >>> _ = Path("a.txt").write_text("1"), Path("b.txt").write_text("1")
    >>> digest_pieces("a.txt") == digest_pieces("b.txt")
    True
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(f"{size}\n".encode())
            if size <= _SMALL_BYTES:
                digest.update(file.read())
                return digest.hexdigest()
            pieces = _SMALL_BYTES // _SMALL_PIECE
            for number in range(pieces):
                file.seek((size - _SMALL_PIECE) * number // (pieces - 1))
                digest.update(file.read(_SMALL_PIECE))
            return digest.hexdigest()
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
