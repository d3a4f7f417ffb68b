"""Network outputs as rasters hold them, where they go, and rasters that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saropt.errors import InputError
from saropt.scenes import SceneWriter
from saropt.scenes.objects import check_object, is_object, object_exists, staging_file, upload

SUFFIXES = (".tif", ".tiff")


class Destination:
    """Where an output goes: a local file, or an object of a store (s3://, gs://, az://) by way of a staging file.

    Args:
        out: the output.
        staging: folder of the staging file; one in the temporary folder when None.
        overwrite: replace an existing output.

    Attributes:
        path: the file to write.
        overwrite: whether that file may be replaced.
        address: of the object; None for a local file.

    Raises:
        InputError: the object cannot be written, the staging folder is not there, or a local file is to be staged.
    """

    def __init__(self, out: str | Path, staging: str | Path | None = None, overwrite: bool = False) -> None:
        check_staging(out, staging)
        self.address = str(out) if is_object(out) else None
        if self.address is None:
            self.path, self.overwrite = Path(out), overwrite
        else:
            self._replaces = check_object(self.address, suffixes=SUFFIXES, overwrite=overwrite)
            self.path, self.overwrite = staging_file(self.address, staging), True

    @property
    def place(self) -> Path | str:
        """The output: a path or an address."""
        return self.address or self.path

    def upload(self) -> None:
        """Put the written file into the store.

        Raises:
            InputError: it cannot be; the file stays.
        """
        assert self.address is not None
        try:
            upload(self.path, self.address, replace=self._replaces)
        except InputError as error:
            reason = f"{error.reason}; the translation is kept as {self.path}: upload it with --resume"
            raise InputError(self.address, reason) from error


def check_staging(out: str | Path, staging: str | Path | None) -> None:
    """Refuse a staging folder that is not there, or that a local output has no use for.

    Raises:
        InputError: either of these.
    """
    if staging is not None and not is_object(out):
        raise InputError(f"--staging {staging}", "is for outputs in object stores (s3://, gs://, az://)")
    if staging is not None and not Path(staging).is_dir():
        raise InputError(f"--staging {staging}", "is no folder")


def deviation_path(out: str | Path) -> Path | str:
    """Where the standard deviation of several samples goes: OUT_std.tif beside OUT.tif."""
    if is_object(out):
        folder, _, name = str(out).rpartition("/")
        return f"{folder}/{deviation_path(name)}"
    path = Path(out)
    return path.with_name(f"{path.stem}_std{path.suffix}")


def output_exists(out: str | Path) -> bool:
    """Whether there is a file or an object.

    Raises:
        InputError: the store does not tell.
    """
    return object_exists(str(out)) if is_object(out) else Path(out).exists()


def finish_all(writers: Sequence[SceneWriter], destinations: Sequence[Destination]) -> Path | str:
    """Finish all, the first last; what comes beside it does not stay without it. Returns the first's place.

    Objects are uploaded in the same order, after all files are made; where that fails, the files and all that is
    needed to resume are kept.
    """
    first, *others = writers
    if destinations[0].address is not None:
        _upload_all(writers, destinations)
        return destinations[0].place
    for writer in others:
        writer.finish()
    try:
        return first.finish()
    except BaseException:
        for writer in others:
            writer.path.unlink(missing_ok=True)
        raise


def _upload_all(writers: Sequence[SceneWriter], destinations: Sequence[Destination]) -> None:
    for writer in writers:
        writer.put_in_place()
    try:
        for destination in reversed(destinations):
            destination.upload()
    except InputError:
        for writer in writers:
            writer.suspend()
        raise
    for writer in writers:
        writer.path.unlink()
        writer.abandon()


def store(values: NDArray[np.float32], dtype: str) -> NDArray:
    """Values in their stored type; unsigned integers keep 0 for nodata."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return values.astype(kind)
    limits = np.iinfo(kind)
    lowest = 1 if kind.kind == "u" else limits.min
    rounded = np.rint(values)
    return np.clip(rounded, lowest, limits.max, out=rounded).astype(kind)
