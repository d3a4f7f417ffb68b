"""Writes cloud-optimised GeoTIFFs block by block, completely or not at all, and resumes after an interruption."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from saropt.errors import InputError
from saropt.files import BUSY, Lock, sync_folder
from saropt.scenes.cog import GDAL_ERRORS, Layout, describe_raw, raw_to_cog, reason_of
from saropt.scenes.georeference import Georeference
from saropt.scenes.journal import Journal

_RESUME_HINT = "start over without resume, or repeat the earlier settings"


def check_local(path: Path) -> None:
    """Check that an output is local. Files behind an address can neither be renamed when they are complete nor resumed.

    Raises:
        InputError: it is an address or a path of a GDAL file system.

    >>> check_local(Path("s3://bucket/scene.tif"))
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: s3:/bucket/scene.tif: outputs go to a local folder, where they appear when whole: copy
    them from there
    """
    if re.match(r"(https?|s3|gs|az):/|/vsi", str(path)):
        raise InputError(path, "outputs go to a local folder, where they appear when whole: copy them from there")


def check_suffix(path: Path, suffixes: Sequence[str]) -> None:
    """Check that an output is of a kind that is written.

    Raises:
        InputError: it is not.

    >>> check_suffix(Path("scene.TIF"), (".tif", ".tiff"))
    """
    if path.suffix.lower() not in suffixes:
        raise InputError(path, f"cannot write this kind of file; use {' or '.join(suffixes)}")


def check_writable(path: Path, *, suffixes: Sequence[str], overwrite: bool) -> None:
    """Check early that an output file can be written.

    Raises:
        InputError: the suffix is wrong, the folder does not exist or takes no files, the path is a folder, a pipe or a
            device, or the file exists and `overwrite` is False.

    >>> check_writable(Path("scene.tif"), suffixes=(".tif",), overwrite=False)
    >>> check_writable(Path("scene.png"), suffixes=(".tif",), overwrite=False)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: scene.png: cannot write this kind of file; use .tif
    """
    check_local(path)
    check_suffix(path, suffixes)
    try:
        if not path.parent.is_dir():
            raise InputError(path, f"the folder {path.parent} does not exist")
        if path.is_dir():
            raise InputError(path, "is a directory")
        if path.exists() and not path.is_file():
            raise InputError(path, "is not a regular file")
        if os.path.lexists(path) and not overwrite:
            raise InputError(path, "exists already", remedy="overwrite")
    except OSError as error:
        raise InputError(path, f"cannot be written: {error.strerror}") from error
    _check_folder(path)


def _check_folder(path: Path) -> None:
    """Refuse an output whose folder takes no files, as those of other users, read-only disks and /proc."""
    probe = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(path, f"nothing can be written to the folder {path.parent}") from error


def check_space(path: Path, needed: int) -> None:
    """Refuse an output that the disk has no room for.

    Args:
        needed: bytes.

    Raises:
        InputError: there is less free space, or the folder takes no files. A folder that is not there is told by
            `check_writable`.

    >>> check_space(Path("a.tif"), 1000)
    """
    try:
        if not path.parent.is_dir():
            return
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise InputError(path, f"cannot be written: {error.strerror}") from error
    _check_folder(path)
    if free < needed:
        raise InputError(path, f"the disk has {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB are needed")


class SceneWriter:
    """Writes a scene of any size in bounded memory. The output appears under its name only when it is complete.

    Pixels are written to a hidden raw file beside the output. `finish` converts it to a COG (deflate, 512-pixel tiles,
    overviews), checks every block, and renames it. With a `resume_key` a journal records the completed writes; after an
    interruption or the death of the process a new writer with `resume=True` continues from there. Parts whose checksum
    no longer fits are made again.

    Use as a context manager and call `finish` at the end of its body. Leaving the body without it removes everything
    temporary, except on KeyboardInterrupt with a `resume_key`. Pixels never written are 0. Not thread-safe.

    Args:
        path: output, .tif or .tiff.
        width, height: size in pixels.
        band_names: one per band; they become the band descriptions.
        dtype: type of the pixels.
        nodata: value that marks pixels without data.
        georeference: place on the ground.
        tags: metadata of the file ("ACQUISITION_DATE" is read back as `Scene.acquired`).
        overwrite: replace an existing output, which stays untouched until `finish`.
        resume: continue unfinished work of the same `resume_key` where there is any; otherwise it is discarded.
        resume_key: identifies everything that determines the pixels, for example a hash of input, model and settings.
        photometric: "rgb" marks the first three bands as colours.
        overview_resampling: "average" for measurements, "nearest" or "mode" for classes.
        masked: write a mask inside the file, of whole numbers of which none can be spared as nodata.
        sync_seconds: longest time in seconds whose work is lost when the process is killed.

    Raises:
        InputError: the output is refused, the disk is too small, the folder is not writable, or unfinished work with
            another key exists.
        BusyError: another process writes it (a lock file beside the output says so).
        ValueError: a GeoTIFF cannot hold this.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with SceneWriter(f"{folder}/a.tif", width=8, height=8, band_names=["VV"], dtype="uint8") as writer:
    ...         writer.write(0, 0, np.ones((1, 4, 8), np.uint8))
    ...         writer.write(4, 0, np.zeros((1, 4, 8), np.uint8))
    ...         writer.finish().name
    'a.tif'
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        band_names: Sequence[str],
        dtype: str | np.dtype,
        nodata: float | None = None,
        georeference: Georeference | None = None,
        tags: Mapping[str, str] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        resume_key: str | None = None,
        photometric: str | None = None,
        overview_resampling: str = "average",
        masked: bool = False,
        sync_seconds: float = 2.0,
    ) -> None:
        self.path = Path(path)
        if resume and resume_key is None:
            raise ValueError("resume needs a resume_key")
        self.layout = Layout(
            width,
            height,
            tuple(band_names),
            np.dtype(dtype),
            nodata,
            georeference or Georeference(),
            tags or {},
            photometric,
            overview_resampling,
            masked,
        )
        check_writable(self.path, suffixes=(".tif", ".tiff"), overwrite=overwrite)
        self._sync_seconds = sync_seconds
        self._synced = time.monotonic()
        self._raw = self.path.with_name(f".{self.path.name}.part")
        self._journal: Journal | None = None
        self._file: int | None = None
        self._lock = Lock(self._finishing("lock"), self.path, BUSY)
        try:
            self._lock.acquire()
            self._file = os.open(self._raw, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            self._close()
            raise InputError(self.path, f"cannot be written: {error.strerror}") from error
        with self._guarded():
            check_writable(self.path, suffixes=(".tif", ".tiff"), overwrite=overwrite)  # finished by another since
            self._remove_finishing()
            self._begin(resume, resume_key)

    def _begin(self, resume: bool, resume_key: str | None) -> None:
        assert self._file is not None
        layout = self.layout
        header = {
            "resume_key": resume_key,
            "size": [layout.width, layout.height],
            "dtype": layout.dtype.name,
            "bands": list(layout.band_names),
        }
        state = os.fstat(self._file)
        earlier = Journal.load(self._journal_path) if resume else None
        if earlier is not None and state.st_size == layout.raw_bytes and earlier.header == header:
            self._journal = earlier
            earlier.check(self._stored_crc)
        elif earlier is not None and earlier.header != header:
            earlier.close()
            self._close()  # the other work stays
            raise InputError(self.path, f"unfinished work beside it was begun with other settings; {_RESUME_HINT}")
        else:
            if earlier is not None:
                earlier.close()
            os.ftruncate(self._file, 0)
        held = os.fstat(self._file).st_blocks * 512
        needed = max(0, layout.raw_bytes - held) + layout.raw_bytes  # the raw pixels and, at worst, the COG of them
        try:
            check_space(self.path, needed)
        except InputError:
            if self._journal is not None:
                self._close()  # the earlier work stays, to go on when there is room
            raise
        os.ftruncate(self._file, layout.raw_bytes)
        describe_raw(self._raw, self._finishing("vrt"), layout)  # what GDAL cannot take is told now, not at the end
        if self._journal is None:
            self._journal_path.unlink(missing_ok=True)
            if resume_key is not None:
                self._journal = Journal.create(self._journal_path, header)

    @property
    def completed(self) -> set[int]:
        """Keys of the completed writes, which need not be repeated."""
        return set() if self._journal is None else set(self._journal.completed)

    def write(
        self, row: int, col: int, array: np.ndarray, key: int | None = None, valid: np.ndarray | None = None
    ) -> None:
        """Put a block of pixels at (row, col).

        Args:
            row, col: position of the block's first pixel.
            array: (C, h, w), of the writer's type or one that casts to it within its kind.
            key: number under which the write is recorded as completed (needs a `resume_key`).
            valid: (h, w) of a writer that is `masked`; all pixels when None.

        Raises:
            ValueError: wrong shape or type, block outside the frame, writer already closed.
            InputError: disk full or failing; everything temporary is removed.
        """
        layout = self.layout
        if self._file is None:
            raise ValueError(f"the writer of {self.path} is closed")
        if array.ndim != 3 or array.shape[0] != len(layout.band_names):
            raise ValueError(f"expected ({len(layout.band_names)}, h, w), got {array.shape}")
        _, height, width = array.shape
        if row < 0 or col < 0 or row + height > layout.height or col + width > layout.width:
            raise ValueError(f"block of {height}x{width} at ({row}, {col}) leaves {layout.height}x{layout.width}")
        if not np.can_cast(array.dtype, layout.dtype, "same_kind"):
            raise ValueError(f"cannot store {array.dtype} as {layout.dtype}")
        pixels = np.empty((height, width, layout.planes), layout.dtype)
        for position, band in enumerate(array):
            pixels[..., position] = band
        if layout.masked:
            pixels[..., -1] = True if valid is None else valid
        with self._guarded():
            if width == layout.width:
                _put(self._file, pixels.data.cast("B"), row * width * layout.pixel_bytes)
            else:
                for offset, line in enumerate(pixels):
                    start = ((row + offset) * layout.width + col) * layout.pixel_bytes
                    _put(self._file, line.data.cast("B"), start)
            if self._journal is not None:
                self._journal.note((row, col, height, width, zlib.crc32(pixels.data)), key)
                if time.monotonic() - self._synced >= self._sync_seconds:
                    self._journal.sync(self._file)
                    self._synced = time.monotonic()

    def _stored_crc(self, row: int, col: int, height: int, width: int) -> int:
        assert self._file is not None
        size, crc = self.layout.pixel_bytes, 0
        for number in range(row, row + height):
            crc = zlib.crc32(os.pread(self._file, width * size, (number * self.layout.width + col) * size), crc)
        return crc

    def finish(self) -> Path:
        """Make the COG and put it under its name; removes everything temporary.

        Raises:
            InputError: when it cannot be written; an older file under the name stays as it was.
        """
        self.make()
        self.put_in_place()
        self._remove_all()
        return self.path

    def make(self) -> None:
        """The first half of `finish`: make the COG under a hidden name."""
        if self._file is None:
            raise ValueError(f"the writer of {self.path} is closed")
        with self._guarded():
            raw_to_cog(self._raw, self._finishing("vrt"), self._finishing("tif"), self.layout)

    def put_in_place(self) -> None:
        """Put what `make` made under its name; what a resumed run needs stays until `suspend` or `abandon`."""
        with self._guarded():
            os.replace(self._finishing("tif"), self.path)
            sync_folder(self.path.parent)

    def suspend(self) -> None:
        """Stop and keep the work done for a later `resume`. Without a `resume_key` this is `abandon`."""
        if self._file is not None and self._journal is not None:
            with self._guarded():
                self._journal.sync(self._file)
            self._remove_finishing()
            self._close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Stop and remove everything temporary. Does nothing after `finish`."""
        if self._file is not None:
            self._remove_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.suspend()
        else:
            self.abandon()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except GDAL_ERRORS as error:
            words = reason_of(error, self.path.parent, self.layout.raw_bytes)
            self.abandon()
            raise InputError(self.path, f"cannot be written: {words}") from error
        except Exception:
            self.abandon()
            raise

    @property
    def _journal_path(self) -> Path:
        return self._raw.with_name(f"{self._raw.name}.json")

    def _finishing(self, suffix: str) -> Path:
        return self._raw.with_name(f"{self._raw.name}.{suffix}")

    def _remove_finishing(self) -> None:
        self._finishing("vrt").unlink(missing_ok=True)
        start = self._finishing("tif").name  # GDAL puts its own temporary files beside it: .part.tif.ovr.tmp
        for entry in [entry for entry in self._raw.parent.iterdir() if entry.name.startswith(start)]:
            entry.unlink(missing_ok=True)

    def _remove_all(self) -> None:
        self._remove_finishing()
        self._journal_path.unlink(missing_ok=True)
        self._raw.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._lock.release()


def _put(file: int, content: memoryview, offset: int) -> None:
    while content:
        done = os.pwrite(file, content, offset)
        content, offset = content[done:], offset + done
