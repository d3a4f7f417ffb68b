"""Rasters that clients send: bounded, checked by their content, kept each in a folder of its own."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from starlette.concurrency import run_in_threadpool

from saropt.errors import InputError
from saropt.scenes import Scene
from saropt.viewer.rasters import Limits, driver_of, inspect

_SUFFIXES = {".tif": (".tif", ".tiff"), ".png": (".png",)}
_SUFFIX_OF = {"GTiff": ".tif", "PNG": ".png"}
_LONGEST_NAME = 80
PART = ".part"
"""Suffix of the folder of an upload that has not ended."""


class TooLargeError(InputError):
    """The upload is beyond a limit."""


class UnwrittenError(InputError):
    """What the server cannot write: its disk is full, say."""

    def __init__(self, source: str, error: OSError) -> None:
        super().__init__(source, f"cannot be written: {error.strerror}")


class Uploads:
    """Uploaded rasters under one folder.

    Args:
        folder: holds one folder for each upload, named by its id.
        limits: of size and quota.

    Attributes:
        arriving: bytes of the uploads that have not ended.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._lock = threading.Lock()
        self.arriving = self._others = 0
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"*{PART}"):
            shutil.rmtree(left, ignore_errors=True)

    def files(self) -> dict[str, Path]:
        """id -> file, the oldest first."""
        found = []
        for folder in self.folder.iterdir():
            with suppress(OSError):  # deleted meanwhile, or no folder of ours
                if folder.suffix != PART and folder.is_dir() and (files := list(folder.iterdir())):
                    found.append((folder.stat().st_mtime, folder.name, files[0]))
        return {name: file for _, name, file in sorted(found)}

    async def receive(self, name: str, content: AsyncIterator[bytes], taken: Callable[[], int]) -> str:
        """Take a file in.

        Args:
            name: the client's name for it, of which harmless characters are kept.
            content: its bytes, piece by piece.
            taken: counts the bytes of the quota that are taken, those that are `arriving` among them.

        Returns:
            its id.

        Raises:
            TooLargeError: larger than a limit, or the quota is used up.
            UnwrittenError: there is no room for it.
            InputError: not a GeoTIFF or PNG that can be read.
        """
        key = secrets.token_hex(8)
        place, size = self.folder / f"{key}{PART}", 0
        self._others = taken() - self.arriving
        try:
            place.mkdir()
            part = place / "content"
            with part.open("wb") as stream:
                async for piece in content:
                    size += len(piece)
                    with self._lock:
                        self.arriving += len(piece)
                        if self._others + self.arriving > self.limits.quota_bytes:
                            self._check_quota(name, taken)
                    if size > self.limits.upload_bytes:
                        most = self.limits.upload_bytes / 1e6
                        raise TooLargeError(name, f"is larger than the {most:g} MB that may be uploaded")
                    stream.write(piece)
            suffix = _SUFFIX_OF.get(driver_of(part) or "")
            if suffix is None:
                raise InputError(name, "is neither a GeoTIFF nor a PNG")
            file = part.rename(place / safe_name(name, suffix))
            await run_in_threadpool(_check, file, self.limits)
            with self._lock:
                self._check_quota(name, taken)
                place.rename(self.folder / key)
                self.arriving -= size
                self._others, size = self._others + size, 0
        except OSError as error:
            raise UnwrittenError(name, error) from error
        finally:
            with self._lock:
                self.arriving -= size
            shutil.rmtree(place, ignore_errors=True)
        return key

    def delete(self, key: str) -> None:
        """Remove an upload."""
        if key in self.files():
            with suppress(FileNotFoundError):  # deleted by another request at the same time
                shutil.rmtree(self.folder / key)

    def _check_quota(self, name: str, taken: Callable[[], int]) -> None:
        self._others = taken() - self.arriving
        if self._others + self.arriving > self.limits.quota_bytes:
            raise TooLargeError(name, "does not fit: the viewer's quota is used up; delete something")


def safe_name(name: str, suffix: str) -> str:
    """Letters, digits, dots, dashes and underlines of a name's last part, with a suffix that fits the content."""
    stem = re.split(r"[/\\]", name)[-1]
    given = next((stem[-len(s) :] for s in _SUFFIXES[suffix] if stem.lower().endswith(s)), "")
    kept = re.sub(r"[^\w.-]+", "_", stem[: len(stem) - len(given)]).strip("._")
    return f"{_cut(kept) or 'scene'}{given or suffix}"


def _cut(stem: str) -> str:
    """The first bytes of a stem, of whole characters: a file system counts bytes."""
    return stem.encode("utf-8", "ignore")[:_LONGEST_NAME].decode("utf-8", "ignore")


def _check(file: Path, limits: Limits) -> None:
    """Header within the limits, and pixels from all over the file that can be read."""
    inspect(file, limits)
    try:
        with Scene.open(file) as scene:
            sample = scene.sample(1 << 16)
    except InputError as error:
        raise InputError(file.name, "is truncated or damaged") from error
    if sample.shape[1] == 0 or not np.isfinite(sample).any():
        raise InputError(file.name, "holds no valid pixel")
