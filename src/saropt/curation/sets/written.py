"""Which rasters of unfinished work can stay: those of entries whose sources have not changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

from saropt.curation.sets.base import Entry, Source
from saropt.files.identity import check_same, shown_files
from saropt.files.polarisation_files import files_of
from saropt.scenes.nodata import files_beside

_BEGUN = "begun"


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
        self._times: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def state(self, entry: Entry) -> str:
        """A word for all that determines the pixels of an entry: how they are taken, size and times of the files."""
        self._times[entry.name] = self._times_of(entry)
        parts = [self._shared]
        for side, source in entry.sides.items():
            if isinstance(source, Source):
                parts += [side, repr(replace(source, convert=None)), _stamps(source.paths)]
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

    def check(self, entry: Entry) -> None:
        """Refuse an entry whose files have been written anew since its `state` was asked for.

        Raises:
            InputError: one has changed since.
        """
        named = next(iter(_sources(entry)), next(iter(self._files), Path(entry.name)))
        check_same(named, self._times[entry.name], self._times_of(entry))

    def _times_of(self, entry: Entry) -> str:
        return _stamps([*self._files, *_sources(entry)], any_change=False)

    def _note(self, entry: Entry, state: str) -> None:
        self._lines.write(f"{state} {entry.name}\n")
        self._lines.flush()
        self._known[entry.name] = state


def _sources(entry: Entry) -> list[Path]:
    return [path for source in entry.sides.values() if isinstance(source, Source) for path in source.paths]


def _stamps(paths: Iterable[Path], any_change: bool = True) -> str:
    """Size and times of files, of what lies beside them, and of all files in folders.

    Args:
        any_change: whether new rights and links of a file count, too, which leave its content as it is.
    """
    stamps = []
    for path in _files(paths):
        state = path.stat() if path.exists() else None
        changed = state.st_ctime_ns if state is not None and any_change else None
        stamps.append(f"{path} {state and (state.st_size, state.st_mtime_ns, changed)}")
    return "\n".join(stamps)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from shown_files(path)
        else:
            for file in files_of(path):
                yield file
                yield from files_beside(file)
