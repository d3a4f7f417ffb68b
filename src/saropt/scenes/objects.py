"""Outputs in object stores (S3, Google Cloud Storage, Azure): finds objects, uploads files, and checks the result."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from saropt.addresses import object_path, without_secrets
from saropt.errors import InputError
from saropt.scenes.cog import GDAL_ERRORS
from saropt.scenes.gdal_settings import environment
from saropt.scenes.remote import check_address, network_options

_OBJECT = re.compile(r"((?:s3|gs|az)://|/vsi(?:s3|gs|az)/)[^/?]+/[^?]*[^/?]")
_ABSENT = re.compile(
    r"does not exist in the file system|specified (key|blob) does not exist|NoSuchKey|BlobNotFound|response code: 404"
)
_STALLED_S = 60


def check_object(address: str, *, suffixes: Sequence[str], overwrite: bool) -> bool:
    """Check early that an output can be uploaded to a store. Returns whether it replaces an object.

    Raises:
        InputError: the address is not an object in a bucket, the suffix is wrong, the object exists and `overwrite` is
            False, or the store does not answer.

    >>> check_object("s3://bucket/scene.png", suffixes=(".tif",), overwrite=False)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: s3://bucket/scene.png: cannot write this kind of file; use .tif
    """
    check_address(address)
    if not _OBJECT.fullmatch(address):
        raise InputError(address, "is no object of a bucket: s3://BUCKET/FOLDER/NAME.tif, say")
    if not address.lower().endswith(tuple(suffixes)):
        raise InputError(address, f"cannot write this kind of file; use {' or '.join(suffixes)}")
    exists = object_exists(address)
    if exists and not overwrite:
        raise InputError(address, "exists already", remedy="overwrite")
    return exists


def object_exists(address: str) -> bool:
    """Whether an object exists in a store.

    Raises:
        InputError: the store cannot be reached or denies access.
    """
    try:
        with _store(address), rasterio.open(object_path(address)):
            return True
    except RasterioError as error:
        words = _words(error)
        if _ABSENT.search(words):
            return False
        if "not recognized as being in a supported file format" in words:
            return True
        raise InputError(address, f"cannot be looked for: {words}") from error


def staging_file(address: str, staging: str | Path | None) -> Path:
    """The local file in which an object is prepared; always the same for the same object.

    Args:
        staging: folder of the file; when None, a folder of this user in the system's temporary folder.

    Raises:
        InputError: something else is in the place of that folder.

    >>> staging_file("s3://bucket/scene.tif", "parts").suffix
    '.tif'
    """
    if staging is None:
        staging = Path(tempfile.gettempdir()) / f"saropt-{os.getuid()}"
        try:
            staging.mkdir(mode=0o700, exist_ok=True)
            if staging.is_symlink() or staging.stat().st_uid != os.getuid():
                raise InputError(staging, "is not this user's own folder", remedy="staging")
        except OSError as error:
            raise InputError(staging, f"cannot be used for staging: {error.strerror}") from error
    number = hashlib.sha256(object_path(address).encode()).hexdigest()[:12]
    return Path(staging) / f"{number}-{address.rpartition('/')[2]}"


def upload(path: Path, address: str, *, replace: bool) -> None:
    """Upload a finished GeoTIFF to a store. The object appears when it is complete.

    An existing object is replaced in two steps, because GDAL deletes its target when an upload fails: the new object is
    uploaded as .NAME.part and then copied within the store.

    Args:
        replace: whether an object exists at the address.

    Raises:
        InputError: the upload failed, or the store does not return what was sent.
    """
    final = object_path(address)
    folder, _, name = final.rpartition("/")
    first = f"{folder}/.{name}.part" if replace else final
    # no limit on the time of a whole request, which may send 50 MB, but on the time without progress
    with _store(
        address, GDAL_HTTP_TIMEOUT="0", GDAL_HTTP_LOW_SPEED_TIME=str(_STALLED_S), GDAL_HTTP_LOW_SPEED_LIMIT="1000"
    ):
        try:
            rasterio.shutil.copyfiles(str(path), first)
            if replace:
                try:
                    _compare(path, first)
                    rasterio.shutil.copyfiles(first, final)
                finally:
                    with suppress(*GDAL_ERRORS):
                        rasterio.shutil.delete(first)
            _compare(path, final)
        except GDAL_ERRORS as error:
            raise InputError(address, f"cannot be uploaded: {_words(error)}") from error


def _compare(path: Path, uploaded: str) -> None:
    """Compare both ends of the file and a reduced image of the scene, because GDAL can report a failed upload as
    success."""
    with rasterio.open(path) as here, rasterio.open(uploaded) as there:
        same = here.shape == there.shape and here.dtypes == there.dtypes and here.tags() == there.tags()
        end = Window(here.width - 1, here.height - 1, 1, 1)
        levels = here.overviews(1)
        small = (here.count, here.height // levels[-1], here.width // levels[-1]) if levels else None
        for options in ({"window": end}, {"out_shape": small}):
            same = same and here.read(**options).tobytes() == there.read(**options).tobytes()
    if not same:
        raise OSError("the store does not hold what was sent")


@contextmanager
def _store(address: str, **options: str) -> Iterator[None]:
    fresh = {"CPL_VSIL_CURL_NON_CACHED": object_path(address)}  # other processes write objects too
    with (
        environment(**{**network_options(), **fresh, **options}),
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
    ):
        yield


def _words(error: BaseException) -> str:
    return " ".join(without_secrets(str(error)).split())
