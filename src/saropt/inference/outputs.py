"""Where outputs are written, locally or to an object store, and how several of them are finished together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saropt.addresses import is_store
from saropt.errors import InputError, OptionError
from saropt.scenes import SceneWriter
from saropt.scenes.objects import check_object, object_exists, staging_file, upload
from saropt.scenes.writing import check_suffix

SUFFIXES = (".tif", ".tiff")


class Destination:
    """The destination of an output: a local file, or an object of a store (s3://, gs://, az://), which is uploaded from
    a staging file.

    Args:
        out: the output.
        staging: folder of the staging file; one in the temporary folder when None.
        overwrite: replace an existing output.

    Attributes:
        path: the file to write.
        overwrite: whether that file may be replaced.
        address: of the object; None for a local file.

    Raises:
        InputError: the output is no GeoTIFF, the object cannot be written, the staging folder is not there, or a local
            file is to be staged.
    """

    def __init__(self, out: str | Path, staging: str | Path | None = None, overwrite: bool = False) -> None:
        check_staging(out, staging)
        self.address = str(out) if is_store(out) else None
        if self.address is None:
            self.path, self.overwrite = Path(out), overwrite
            check_suffix(self.path, SUFFIXES)
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
            reason = f"{error.reason}; the translation stays in {self.path}"
            raise InputError(self.address, reason, remedy="resume") from error


def check_staging(out: str | Path, staging: str | Path | None) -> None:
    """Check that a staging folder exists, and that the output is not local.

    Raises:
        InputError: either of these.

    >>> check_staging("scene.tif", "unknown")
    Traceback (most recent call last):
    ...
    saropt.errors.OptionError: staging='unknown': is for outputs in object stores (s3://, gs://, az://)
    """
    if staging is not None and not is_store(out):
        raise OptionError("staging", staging, "is for outputs in object stores (s3://, gs://, az://)")
    if staging is not None and not Path(staging).is_dir():
        raise OptionError("staging", staging, "is no folder")


def product_path(out: str | Path, suffix: str) -> Path | str:
    """The place of a product beside the image: OUT_std.tif beside OUT.tif, for the suffix "_std".

    >>> product_path("s3://bucket/a.tif", "_std")
    's3://bucket/a_std.tif'
    """
    if is_store(out):
        folder, _, name = str(out).rpartition("/")
        return f"{folder}/{product_path(name, suffix)}"
    path = Path(out)
    return path.with_name(f"{path.stem}{suffix}{path.suffix}")


def output_exists(out: str | Path) -> bool:
    """Whether the output exists, as a file or as an object.

    Raises:
        InputError: the store does not answer.

    >>> output_exists("scene.tif")
    False
    """
    return object_exists(str(out)) if is_store(out) else Path(out).exists()


def finish_all(writers: Sequence[SceneWriter], destinations: Sequence[Destination]) -> Path | str:
    """Make all outputs, then put them under their names, the first one last, so that the others never exist without
    it. Returns the place of the first.

    Objects are uploaded in the same order, after all files are made; where that fails, the files and all that is
    needed to resume are kept.
    """
    for writer in writers:
        writer.make()
    placed: list[Path] = []
    try:
        for writer in reversed(writers):
            writer.put_in_place()
            placed.append(writer.path)
    except BaseException:
        for path in placed:
            path.unlink(missing_ok=True)
        raise
    if destinations[0].address is not None:
        _upload_all(writers, destinations)
    for writer in writers:
        writer.abandon()
    return destinations[0].place


def _upload_all(writers: Sequence[SceneWriter], destinations: Sequence[Destination]) -> None:
    try:
        for destination in reversed(destinations):
            destination.upload()
    except InputError:
        for writer in writers:
            writer.suspend()
        raise
    for writer in writers:
        writer.path.unlink()
