"""Files and folders that appear under their name only when they are whole."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from saropt.errors import InputError
from saropt.files.lock import BUSY, Lock


@contextmanager
def atomic_file(path: str | Path, *, suffix: str = "", unique: bool = False, sync: bool = False) -> Iterator[Path]:
    """A hidden file beside `path` to write to; at the end of the block it is renamed to `path`.

    When the block raises, the hidden file is removed, and an older file under `path` stays as it was.

    Args:
        path: the file to make or to replace.
        suffix: what the hidden name ends with, for writers that go by it, such as ".png".
        unique: a hidden name of its own, for a file that several processes may write at once. Otherwise the next
            writer of `path` replaces what a killed one has left.
        sync: bring the content to the disk before the rename, and the folder after it, against power cuts.

    Raises:
        InputError: the block or the rename raised an `OSError`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_file(Path(folder) / "numbers.txt") as part:
    ...         _ = part.write_text("1 2 3")
    ...     [file.name for file in Path(folder).iterdir()]
    ['numbers.txt']
    """
    path = Path(path)
    own = f".{uuid.uuid4().hex[:12]}" if unique else ""
    part = path.with_name(f".{path.name}{own}.part{suffix}")
    try:
        yield part
        if sync:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(part, path)
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        raise InputError(path, f"cannot be written: {_reason(error)}") from error
    except InputError as error:
        if error.source == str(part):  # of a writer that has an `atomic_file` of its own
            raise InputError(path, error.reason) from error
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, replace: bool = False, last: str | None = None) -> Iterator[Path]:
    """An empty hidden folder beside `path` to fill; at the end of the block it is renamed to `path`.

    When the block raises, the hidden folder is removed; the next writer of `path` removes what a killed one has left.
    `path` may be an empty folder.

    Args:
        path: the folder to make.
        replace: `path` may hold files; at the end of the block those of the same names, in subfolders as well, are
            replaced one by one, and all others stay. After an error all old ones are back. The hidden folder is then in
            `path`.
        last: with `replace`, the file that says that all others are there: the old one is removed before any other is
            replaced, and the new one comes last.

    Raises:
        InputError: `path` is a file or, without `replace`, holds something; another process is writing it; or the block
            or a rename raised an `OSError`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_folder(Path(folder) / "run") as part:
    ...         _ = (part / "numbers.txt").write_text("1 2 3")
    ...     [file.name for file in Path(folder).glob("*/*")]
    ['numbers.txt']
    """
    path = Path(path).absolute()
    inside = replace and path.is_dir()
    part = path / ".part" if inside else path.with_name(f".{path.name}.part")
    try:
        with Lock(f"{part}.lock", path, BUSY):
            if path.exists() and not inside and not (path.is_dir() and not any(path.iterdir())):
                raise InputError(path, "exists and is not an empty folder")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            try:
                yield part
                if inside:
                    _move_files(part, path, last)
                else:
                    if path.exists():
                        path.rmdir()
                    part.rename(path)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise InputError(path, f"cannot be written: {_reason(error)}") from error
    except InputError as error:
        source = Path(error.source)
        if source.is_relative_to(part):
            raise InputError(path / source.relative_to(part), error.reason) from error
        raise


def _move_files(part: Path, path: Path, last: str | None) -> None:
    """Move the files of `part` to their places in `path`. After an error what was there is back."""
    made = (one.relative_to(part) for one in part.rglob("*") if one.is_file())
    files = sorted(made, key=lambda file: str(file) == last)
    folders = {folder for file in files for folder in (path / file).parents if not folder.exists()}
    old: dict[Path, Path] = {}

    def set_aside(place: Path) -> None:
        if place.is_file() or place.is_symlink():
            old[place] = part / f".{len(old)}.old"
            os.replace(place, old[place])

    try:
        for folder in sorted(folders):
            folder.mkdir()
        if last is not None:
            set_aside(path / last)
        for file in files:
            set_aside(path / file)
            os.replace(part / file, path / file)
    except BaseException:
        for file in files:
            if not (part / file).exists():
                (path / file).unlink(missing_ok=True)
        for place, aside in reversed(old.items()):
            if os.path.lexists(aside):
                os.replace(aside, place)
        for folder in sorted(folders, reverse=True):
            with suppress(OSError):
                folder.rmdir()
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, all or nothing.

    Raises:
        InputError: it cannot be written; nothing is left, and an older file stays as it was.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_text(Path(folder) / "note.txt", "whole")
    ...     (Path(folder) / "note.txt").read_text()
    'whole'
    """
    with atomic_file(path) as part:
        part.write_text(text, encoding="utf-8")


def _reason(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that a rename outlasts a power cut.

    >>> _ = Path("note.txt").write_text("kept")
    >>> sync_folder(Path("."))
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
