"""Addresses of objects in stores, and addresses without what may be secret in them."""

from __future__ import annotations

import re
from pathlib import Path

_STORES = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/"}

_MARK = "(?:://|" + "|".join(rf"(?<=\b{scheme}):/" for scheme in ("http", "https", *_STORES)) + ")"
"""What stands behind the scheme of an address; a `Path` has one slash of the two."""
SECRETS = re.compile(rf"({_MARK})[^\s?#]*@(?=[^/\s]*)")
"""User name and password of an address."""


def is_store(place: str | Path) -> bool:
    """Whether this is an object or folder of a store: s3://, gs://, az://, /vsis3/, /vsigs/ or /vsiaz/.

    >>> is_store("s3://bucket/scene.tif"), is_store("scene.tif")
    (True, False)
    """
    return str(place).startswith((*(f"{scheme}://" for scheme in _STORES), *_STORES.values()))


def object_path(address: str) -> str:
    """The GDAL path for an address that begins with s3://, gs:// or az://; any other text unchanged.

    >>> object_path("s3://bucket/scene.tif")
    '/vsis3/bucket/scene.tif'
    """
    scheme, separator, rest = address.partition("://")
    return f"{_STORES[scheme]}{rest}" if separator and scheme in _STORES else address


def without_query(url: str) -> str:
    """An address without user name, password and query, which may hold secrets.

    >>> without_query("/vsicurl/http://user:secret@example.com/a.tif?sig=secret")
    '/vsicurl/http://example.com/a.tif'
    """
    address = re.split(r"[?#]", url, maxsplit=1)[0]
    address = SECRETS.sub(r"\1", address) if "@" in address else address
    return re.sub(rf"({_MARK}[^/:]*):(?!\d+(/|$))[^/]*", r"\1", address)


def has_address(text: str) -> bool:
    """Whether there is an address in a text.

    >>> has_address("https:/example.com/a.tif"), has_address("a.tif")
    (True, False)
    """
    return re.search(_MARK, text) is not None


def without_secrets(text: str) -> str:
    """A text in which every address has lost its user name, password and query.

    >>> without_secrets("GET http://u:p@example.com/a?key=1: failed")
    'GET http://example.com/a: failed'
    """
    return re.sub(r"\S+", lambda match: _clean_word(match[0]), text) if has_address(text) else text


def _clean_word(word: str) -> str:
    """A word; where it is an address, without what may be secret but with the marks behind it."""
    if not has_address(word):
        return word
    address = word.rstrip(":;,.)'\"]")
    return without_query(address) + word[len(address) :]
