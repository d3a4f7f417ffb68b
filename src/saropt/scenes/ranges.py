"""A file on an HTTP server as GDAL reads it: by GET requests for ranges, and no other request."""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from rasterio.abc import MultiByteRangeResourceContainer

from saropt.errors import InputError

Version = Mapping[str, str]
"""What a server says of the state of a file: some of ETag and Last-Modified."""
Fetch = Callable[[str, int, int], tuple[bytes, int, Version]]
"""(address, first byte, last byte) -> the bytes, and size and version of the whole file."""

_PIECE = 64 << 10
_MOST_KEPT = 256
_MOST_AHEAD = 32
_AT_ONCE = 4


class RangeFile:
    """The bytes of a remote file, in pieces of 64 kB of which the last 256 are kept.

    Args:
        address: http(s) address.
        fetch: makes a request; its `InputError` is the reason why a part cannot be read.

    Raises:
        InputError: the first piece cannot be fetched.

    Attributes:
        size: bytes of the file.
        failure: why a part could not be read. Then the pixels that GDAL made of it are wrong.

    >>> file = RangeFile("http://host/a", lambda address, first, last: (b"abcdef"[first : last + 1], 6, {}))
    >>> file.size, file.part(2, 3)
    (6, b'cde')
    """

    def __init__(self, address: str, fetch: Fetch) -> None:
        self._address, self._fetch = address, fetch
        self.failure: InputError | None = None
        first, self.size, self._version = fetch(address, 0, _PIECE - 1)
        self._kept: OrderedDict[int, bytes] = OrderedDict({0: first})
        self._next, self._ahead = 1, 1

    def part(self, start: int, length: int) -> bytes:
        """Bytes from `start`, fewer at the end of the file; after a failure, zeros."""
        return self.parts([(start, length)])[0]

    def parts(self, places: Iterable[tuple[int, int]]) -> list[bytes]:
        """As `part`, for several places (start, length); their requests run side by side."""
        spans = [(start, min(start + length, self.size)) for start, length in places]
        needed = sorted({n for start, end in spans if end > start for n in range(start // _PIECE, -(-end // _PIECE))})
        held = self._pieces(needed)
        contents = []
        for start, end in spans:
            if self.failure is not None or end <= start:
                contents.append(bytes(max(0, end - start)))
                continue
            whole = b"".join(held[n] for n in range(start // _PIECE, -(-end // _PIECE)))
            contents.append(whole[start % _PIECE : start % _PIECE + end - start])
        return contents

    def whole_parts(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """As `parts`; a place that reaches beyond the end of the file is a failure. GDAL asks for blocks of pixels in
        this way, and does not look at how many bytes come."""
        end = max((start + length for start, length in places), default=0)
        if end > self.size and self.failure is None:
            self.failure = InputError("", f"the file is truncated: it ends at byte {self.size}, its pixels at {end}")
        return self.parts(places)

    def _pieces(self, needed: Sequence[int]) -> dict[int, bytes]:
        held = {number: self._kept[number] for number in needed if number in self._kept}
        for number in held:
            self._kept.move_to_end(number)
        runs: list[range] = []
        for number in [number for number in needed if number not in held]:
            if runs and runs[-1].stop == number and len(runs[-1]) < _MOST_AHEAD:
                runs[-1] = range(runs[-1].start, number + 1)
            else:
                runs.append(range(number, number + 1))
        if len(runs) == 1:  # a file that is read from its start to its end is read in growing parts
            self._ahead = min(2 * self._ahead, _MOST_AHEAD) if runs[0].start == self._next else 1
            stop = min(runs[0].start + self._ahead, -(-self.size // _PIECE))
            runs[0] = range(runs[0].start, max(runs[0].stop, stop))
        if not runs or self.failure is not None:
            return held
        try:
            with ThreadPoolExecutor(min(len(runs), _AT_ONCE)) as pool:
                contents = list(pool.map(self._run, runs))
        except InputError as error:
            self.failure = error
            return held
        for run, content in zip(runs, contents, strict=True):
            fetched = {n: content[k * _PIECE : (k + 1) * _PIECE] for k, n in enumerate(run)}
            held |= fetched
            self._kept |= fetched
        self._next = runs[-1].stop
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return held

    def _run(self, run: range) -> bytes:
        first, last = run.start * _PIECE, min(run.stop * _PIECE, self.size) - 1
        content, size, version = self._fetch(self._address, first, last)
        stated = version.keys() & self._version.keys()
        other = bool(stated) and all(version[key] != self._version[key] for key in stated)
        if other or size != self.size or len(content) != last + 1 - first:
            raise InputError("", "the file was replaced while it was read")
        return content


class _Cursor(io.RawIOBase):
    def __init__(self, file: RangeFile) -> None:
        self._file, self._place = file, 0

    def read(self, size: int = -1) -> bytes:
        content = self._file.part(self._place, self._file.size if size < 0 else size)
        self._place += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._file.size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def get_byte_ranges(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        return self._file.whole_parts(list(zip(offsets, sizes, strict=True)))


class RangeFolder(MultiByteRangeResourceContainer):  # type: ignore[misc]
    """What GDAL may see of a server: one file and, where it has one, the mask beside it (`scene.tif.msk`).

    Args:
        file: the file.
        path: the path under which GDAL asks for it.
        find_mask: the file of the mask; None where there is none.
    """

    def __init__(self, file: RangeFile, path: str, find_mask: Callable[[], RangeFile | None]) -> None:
        self._main, self._files = file, dict[str, RangeFile | None]({path: file})
        self._mask_path, self._find_mask = f"{path}.msk", find_mask

    @property
    def failure(self) -> InputError | None:
        """Why a part of the files could not be read, or None."""
        return next((file.failure for file in self._files.values() if file is not None and file.failure), None)

    def _file(self, path: str) -> RangeFile:
        if path == self._mask_path and path not in self._files:
            try:
                self._files[path] = self._find_mask()
            except InputError as error:  # no exception may pass through GDAL
                self._main.failure = self._main.failure or error
        file = self._files.get(path)
        if file is None:
            raise FileNotFoundError(path)
        return file

    def open(self, path: str, mode: str = "r", **_options: object) -> _Cursor:
        return _Cursor(self._file(path))

    def isfile(self, path: str) -> bool:
        try:
            return self._file(path).size > 0
        except FileNotFoundError:
            return False

    def isdir(self, path: str) -> bool:
        return False

    def ls(self, path: str) -> list[str]:
        return []

    def mtime(self, path: str) -> int:
        return 0

    def rm(self, path: str) -> None:
        raise PermissionError(path)

    def size(self, path: str) -> int:
        return self._file(path).size


def is_mask_of(mask: RangeFile, file: RangeFile) -> bool:
    """Whether this is a TIFF and another file: some servers answer with the same page whatever they are asked for.

    >>> file = RangeFile("a", lambda address, first, last: (b"II*\\0", 4, {}))
    >>> is_mask_of(file, file)
    False
    """
    start = mask.part(0, _PIECE)
    is_tiff = re.match(rb"II[*+]\0|MM\0[*+]", start) is not None
    return is_tiff and (mask.size, start) != (file.size, file.part(0, _PIECE))
