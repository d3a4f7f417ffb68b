"""What a file holds, told by its content: size and time of a file survive copies that replace it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from saropt.errors import InputError

_WHOLE_BYTES = 64 << 20
_PIECES = 256


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
        _add(digest, path, _WHOLE_BYTES, _PIECES, dated=True)
    return digest.hexdigest()


def digest_file(path: str | Path, whole: int = _WHOLE_BYTES, pieces: int = _PIECES) -> str:
    """SHA-256 of the content of a file; of one over `whole` bytes, of its size and of pieces, evenly spaced, that have
    as many bytes together. A copy has the same.

    Raises:
        InputError: the file cannot be read.

    >>> _ = Path("a.txt").write_text("1"), Path("b.txt").write_text("1")
    >>> digest_file("a.txt") == digest_file("b.txt")
    True
    """
    digest = hashlib.sha256()
    _add(digest, path, whole, pieces, dated=False)
    return digest.hexdigest()


def shown_files(folder: Path) -> list[Path]:
    """The files in a folder and in its folders, sorted, without hidden ones, such as those that a run is writing.

    >>> Path("in").mkdir(), Path("in/a.txt").write_text("1"), Path("in/.b.txt").write_text("1")
    (None, 1, 1)
    >>> [path.name for path in shown_files(Path("in"))]
    ['a.txt']
    """
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def check_same(source: str | Path, before: str, now: str) -> None:
    """Refuse to write what was made of a file that was written meanwhile.

    Args:
        source: the file, or whatever names it.
        before: what told its content before it was read.
        now: what tells it after that.

    Raises:
        InputError: it has changed.

    >>> check_same("scene.tif", "12ab", "12ab")
    """
    if now != before:
        raise InputError(source, "has changed while it was read: nothing is written")


def _add(digest: hashlib._Hash, path: str | Path, whole: int, pieces: int, dated: bool) -> None:
    try:
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            digest.update(f"{state.st_size}\n".encode())
            if state.st_size <= whole:
                while piece := file.read(1 << 20):
                    digest.update(piece)
                return
            if dated:
                digest.update(f"{state.st_mtime_ns}\n".encode())
            size = whole // pieces
            for number in range(pieces):
                file.seek((state.st_size - size) * number // (pieces - 1))
                digest.update(file.read(size))
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
