"""Which rasters of unfinished work can stay: those of entries whose sources have not changed since."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

from saropt.curation.sets.base import Entry, Source
from saropt.files.identity import check_same, shown_files
from saropt.files.polarisation_files import files_of
from saropt.scenes.nodata import files_beside

_BEGUN = "begun"
Stamp = tuple[Path, os.stat_result | None]


class Written:
    """The entries that were written, with the state of the files that they were made of; a line for each in a file.

    Args:
        path: the file of lines; those of earlier work are read.
        files: what all entries are made of besides their own sources.

    >>> entry = Entry("tile", "train", {"sar": Source((Path("s1.tif"),))})
    >>> _ = Path("s1.tif").write_text("old")
    >>> with Written(Path("lines"), []) as written:
    ...     state = written.state(entry)
    ...     written.begin(entry)
    ...     written.finish(entry, state)
    ...     written.holds(entry, state)
    True
    >>> _ = Path("s1.tif").write_text("newer")
    >>> with Written(Path("lines"), []) as written:
    ...     written.holds(entry, written.state(entry)), written.may_have_begun(entry)
    (False, True)
    """

    def __init__(self, path: Path, files: Iterable[Path]) -> None:
        self._lines = path.open("a+", encoding="utf-8", errors="surrogateescape")
        self._lines.seek(0)
        pairs = (line.rstrip("\n").partition(" ") for line in self._lines)
        self._known = {name: state for state, _, name in pairs}
        self._files = list(files)
        self._shared = _stamps(self._files)
        self._own: dict[str, list[Stamp]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def state(self, entry: Entry) -> str:
        """A word for all that determines the pixels of an entry: how they are taken, size and times of the files."""
        self._own[entry.name] = _stamps(_sources(entry))
        parts = [_text(self._shared), _text(self._own[entry.name])]
        for side, source in entry.sides.items():
            if isinstance(source, Source):
                parts += [side, repr(replace(source, convert=None))]
        return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]

    def holds(self, entry: Entry, state: str) -> bool:
        """Whether the entry was written from files in this state."""
        return self._known.get(entry.name) == state

    def may_have_begun(self, entry: Entry) -> bool:
        """Whether there may be rasters of the entry."""
        return entry.name in self._known

    def begin(self, entry: Entry) -> None:
        """Note that rasters of the entry are being written."""
        self._note(entry, _BEGUN)

    def finish(self, entry: Entry, state: str) -> None:
        """Note that the rasters of the entry are written."""
        self._note(entry, state)

    def check(self, entries: Iterable[Entry]) -> None:
        """Refuse entries whose files have been written anew since their `state` was asked for. New rights and links of
        a file, which leave its content as it is, do not count.

        Raises:
            InputError: one has changed since.
        """
        looked_at = [(self._files, self._shared)]
        looked_at += ((sources, self._own[entry.name]) for entry in entries if (sources := _sources(entry)))
        for paths, before in looked_at:
            if paths:
                check_same(paths[0], _text(before, links=False), _text(_stamps(paths), links=False))

    def _note(self, entry: Entry, state: str) -> None:
        self._lines.write(f"{state} {entry.name}\n")
        self._lines.flush()
        self._known[entry.name] = state


def _sources(entry: Entry) -> list[Path]:
    return [path for source in entry.sides.values() if isinstance(source, Source) for path in source.paths]


def _stamps(paths: Iterable[Path]) -> list[Stamp]:
    """Of files, of what lies beside them, and of all files in folders."""
    return [(path, path.stat() if path.exists() else None) for path in _files(paths)]


def _text(stamps: Iterable[Stamp], links: bool = True) -> str:
    """Sizes and times.

    Args:
        links: whether the time at which rights and links changed is among them.
    """
    lines = []
    for path, state in stamps:
        changed = state.st_ctime_ns if state is not None and links else None
        lines.append(f"{path} {state and (state.st_size, state.st_mtime_ns, changed)}")
    return "\n".join(lines)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from shown_files(path)
        else:
            for file in files_of(path):
                yield file
                yield from files_beside(file)
