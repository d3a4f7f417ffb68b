"""Reads rasters over HTTP and from object stores, in parts by range requests."""

from __future__ import annotations

import base64
import http.client
import json
import netrc
import os
import re
import ssl
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Sequence
from email.message import Message
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from rasterio.errors import NotGeoreferencedWarning, RasterioError

from saropt.addresses import SECRETS, is_store, object_path, without_query, without_secrets
from saropt.errors import InputError
from saropt.files import load_json
from saropt.files.polarisation_files import polarisation_files, product_name
from saropt.scenes.formats import open_named
from saropt.scenes.gdal_settings import environment
from saropt.scenes.grid import Grid
from saropt.scenes.ranges import RangeFile, RangeFolder, is_mask_of
from saropt.scenes.reading import Scene

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

TRIES = 4
FIRST_DELAY_S = 0.5
TIMEOUT_S = 60.0
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_RESERVED = "%:/?#[]@!$&'()*+,;=~-._"
_LONGEST_WAIT_S = 60.0
_MOST_JSON_BYTES = 64 << 20
_NOT_THERE = re.compile(
    r"does not exist|NoSuchKey|BlobNotFound|access ?denied|not authorized|does not have .* access|code: 40[134]",
    re.IGNORECASE,
)


def http_json(url: str, body: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> Any:
    """The JSON answer to a GET request, or to a POST request with `body`. Failed requests are repeated with growing
    delays, or after the time in Retry-After.

    Raises:
        InputError: the address is not http(s), there is no answer after four tries, the server reports an error, or the
            answer is not JSON.

    >>> http_json("ftp://example.com/catalogue.json")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: ftp://example.com/catalogue.json: is no http(s) address
    """
    data = None if body is None else json.dumps(body).encode()
    answer, content = _request(url, {"Content-Type": "application/json"} if data else {}, data, timeout_s)
    try:
        return load_json(content)
    except ValueError as error:
        raise InputError(
            without_query(url), f"did not answer with JSON but {answer.get('Content-Type', 'something else')}"
        ) from error


def remote_size(url: str, stated: int | None = None, timeout_s: float = TIMEOUT_S) -> int:
    """The size of a remote file in bytes, found by requesting its first byte.

    Raises:
        InputError: the server does not support ranges, does not report a size, or reports another size than `stated`.

    >>> remote_size("ftp://example.com/scene.tif")
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: ftp://example.com/scene.tif: is no http(s) address
    """
    total = _range(url, 0, 0, timeout_s)[1]
    if stated is not None and total != stated:
        raise InputError(without_query(url), f"has {total} bytes; the catalogue says {stated}")
    return total


def _range(url: str, first: int, last: int, timeout_s: float = TIMEOUT_S) -> tuple[bytes, int, dict[str, str]]:
    """Bytes `first` to `last` of a file, fewer at its end, and size and version of the file."""
    headers, content = _request(url, {"Range": f"bytes={first}-{last}"}, None, timeout_s, last + 1 - first)
    part = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers.get("Content-Range", "").strip())
    if part is None or int(part[1]) != first or len(content) != int(part[2]) + 1 - first:
        raise InputError(without_query(url), "the server does not send parts of files (no range requests)")
    return content, int(part[3]), {key: headers[key] for key in ("ETag", "Last-Modified") if key in headers}


def _open_ranges(url: str) -> tuple[DatasetReader, RangeFolder]:
    """A raster on an HTTP server, read by GET requests alone: a signed address may allow no other."""
    file = RangeFile(url, _range)
    name = Path(urlsplit(url).path).name
    folder = RangeFolder(file, f"/{name}", lambda: _mask_beside(url, file))
    dataset = open_named(f"/{name}", folder)
    if folder.failure is not None:
        dataset.close()
        raise folder.failure
    return dataset, folder


def _mask_beside(url: str, file: RangeFile) -> RangeFile | None:
    parts = urlsplit(url)
    try:
        mask = RangeFile(parts._replace(path=f"{parts.path}.msk").geturl(), _range)
    except _RefusedError:
        return None
    return mask if is_mask_of(mask, file) else None


class _RefusedError(InputError):
    """A server answers that a file is not there, or not for us."""


def is_remote(scene: str | Path) -> bool:
    """Whether a scene is given by an address (https://, s3://, gs://, az://) or a path of a GDAL file system (/vsi...).

    >>> is_remote("https://example.com/scene.tif"), is_remote("scene.tif")
    (True, False)
    """
    return str(scene).startswith(("http://", "https://", "/vsi")) or is_store(scene)


def scene_name(scene: str | Path) -> str:
    """The file name of a scene that is given by a path or an address; of files of polarisations that of their product.

    >>> scene_name("https://example.com/folder/scene.tif?token=secret")
    'scene.tif'
    >>> for name in ("p_v1.0_VV.tif", "p_v1.0_VH.tif"):
    ...     Path(name).touch()
    >>> scene_name("p_v1.0_VV+VH.tif")
    'p_v1.0.tif'
    """
    if is_remote(scene):
        return Path(_address_path(str(scene))).name
    files = polarisation_files(scene)
    return f"{product_name(files[0])}{files[0].suffix}" if files else Path(scene).name


def open_scene(
    scene: str | Path,
    bands: Sequence[str | int] | None = None,
    *,
    palette: Literal["colours", "index"] = "colours",
    grid: Grid | None = None,
    resampling: str = "bilinear",
    units: str | None = None,
    nodata: float | None = None,
    power: str | None = None,
) -> Scene:
    """Open a scene by its path (`Scene.open`) or by its address (`is_remote`). A remote scene is read by range
    requests.

    GDAL repeats failed requests. It takes the credentials for object stores from the environment and the usual files
    (AWS_ACCESS_KEY_ID, AWS_NO_SIGN_REQUEST, ~/.aws and so on).

    Raises:
        InputError: the scene cannot be read, or a band does not exist. The message shows the address without its query,
            which may hold a secret.

    >>> from saropt.scenes import write_array
    >>> import numpy as np
    >>> with open_scene(write_array("scene.tif", np.ones((1, 8, 8), np.float32), band_names=["VV"])) as scene:
    ...     scene.band_names
    ['VV']
    """
    if not is_remote(scene):
        how: dict[str, Any] = {"palette": palette, "grid": grid, "resampling": resampling}
        return Scene.open(scene, bands, **how, units=units, nodata=nodata, power=power)
    address = str(scene)
    check_address(address)
    address = address.removeprefix("/vsicurl/")
    shown, folder, options = without_query(address), None, network_options()
    try:
        with environment(**options), warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
            options |= _beside(address, shown)
        with environment(**options), warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
            if urlsplit(address).scheme in ("http", "https"):
                dataset, folder = _open_ranges(address)
            else:
                dataset = open_named(object_path(address))
    except RasterioError as error:
        words = "" if shown != address else f": {' '.join(without_secrets(str(error)).split())}"
        raise InputError(shown, f"cannot be opened as a raster{words}") from error
    opened = Scene.of(
        dataset,
        Path(_address_path(address)),
        bands,
        palette=palette,
        grid=grid,
        resampling=resampling,
        units=units,
        nodata=nodata,
        power=power,
        address=shown,
        options=options,
    )
    opened.served = folder
    return opened


def _address_path(address: str) -> str:
    return urlsplit(address).path if "://" in address.partition("?")[0] else address.partition("?")[0]


def network_options() -> dict[str, str]:
    """GDAL settings for requests: failed ones are repeated, their time is limited, and no files beside the scene are
    requested."""
    return {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_TIMEOUT": str(TIMEOUT_S),
        "GDAL_HTTP_CONNECTTIMEOUT": "15",
        "GDAL_HTTP_USERAGENT": _agent(),
        "GDAL_HTTP_MAX_RETRY": str(TRIES),
        "GDAL_HTTP_RETRY_DELAY": f"{FIRST_DELAY_S:g}",
    }


def _beside(address: str, shown: str) -> dict[str, str]:
    """GDAL settings by which it looks for the mask beside a scene. In a store it is looked for here, by one request:
    GDAL would ask for dozens of other names, and would take a failed request for an absent mask."""
    if urlsplit(address).scheme in ("http", "https"):  # the folder that GDAL sees holds nothing else
        return {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
    if is_store(address):
        return {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"} if _has_mask(address, shown) else {}
    return {} if "/vsi" in address[1:] else {"GDAL_DISABLE_READDIR_ON_OPEN": "FALSE"}


def _has_mask(address: str, shown: str) -> bool:
    """Whether a store has a mask beside a scene. A store may answer 403 for what is not there."""
    try:
        open_named(f"{object_path(address)}.msk").close()
    except RasterioError as error:
        if _NOT_THERE.search(str(error)):
            return False
        open_named(object_path(address)).close()  # a store that does not answer is told of the scene
        words = " ".join(without_secrets(str(error)).split())
        raise InputError(shown, f"the mask beside it ({scene_name(address)}.msk) cannot be read: {words}") from error
    return True


def check_address(address: str) -> None:
    """Refuse an address that holds credentials, or that is none.

    Raises:
        InputError: either of these; the message does not hold the credentials.

    >>> check_address("https://example.com/scene.tif?token=secret")
    """
    if SECRETS.search(address.partition("?")[0]):
        reason = "holds a user name or a password, which are not taken from addresses"
        raise InputError(
            without_query(address), f"{reason}: GDAL_HTTP_USERPWD, ~/.netrc or the store's variables hold them"
        )
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and (not parts.hostname or parts.port == 0):
            raise ValueError
    except ValueError:
        raise InputError(without_query(address), "is no address: host and port must be a name and a number") from None


def _request(
    url: str, headers: dict[str, str], data: bytes | None, timeout_s: float, most: int = _MOST_JSON_BYTES
) -> tuple[Message, bytes]:
    check_address(url)
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError(without_query(url), "is no http(s) address")
    url = quote(url, safe=_RESERVED)
    shown, delay, problem = without_query(url), FIRST_DELAY_S, ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(delay)
            delay *= 2
        request = urllib.request.Request(url, data, {"User-Agent": _agent(), **headers})
        if authorisation := _authorisation(url):
            request.add_unredirected_header("Authorization", authorisation)
        try:
            with _opener().open(request, timeout=timeout_s) as answer:
                content = answer.read(most + 1)
                length = answer.headers.get("Content-Length", "")
                if len(content) > most:
                    more = "does not send parts of files (no range requests)"
                    raise InputError(shown, more if "Range" in headers else f"answers with more than {most} bytes")
                if length.isdigit() and int(length) != len(content):
                    problem = f"sent {len(content)} of {length} bytes: the file is not sent whole"
                    continue
                return answer.headers, content
        except urllib.error.HTTPError as error:
            problem = f"answers {error.code} {error.reason}"
            if error.code not in _AGAIN:
                raise (_RefusedError if error.code < 500 else InputError)(shown, problem) from None
            wait = error.headers.get("Retry-After", "")
            if wait.isdigit():
                delay = min(max(delay, float(wait)), _LONGEST_WAIT_S)
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem = f"cannot be reached: {without_secrets(str(getattr(error, 'reason', error)))}"
    raise InputError(shown, problem)


@cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl.create_default_context()))


def _authorisation(url: str) -> str | None:
    """Basic authorisation from GDAL_HTTP_USERPWD or, for this host, from a netrc file. Redirects do not get it.

    Raises:
        InputError: the netrc file cannot be read.
    """
    credentials = os.environ.get("GDAL_HTTP_USERPWD")
    place = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if credentials is None and place.is_file():
        try:
            found = netrc.netrc(place).authenticators(urlsplit(url).hostname or "")
        except (netrc.NetrcParseError, OSError) as error:
            raise InputError(place, "is no netrc file that can be read") from error
        credentials = f"{found[0]}:{found[2]}" if found else None
    return None if credentials is None else f"Basic {base64.b64encode(credentials.encode()).decode()}"


def _agent() -> str:
    return f"saropt/{version('saropt')}"
