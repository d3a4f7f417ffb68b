"""Addresses without what may be secret in them."""

from __future__ import annotations

import re

SECRETS = re.compile(r"(://)[^\s?#]*@(?=[^/\s]*)")
"""User name and password of an address."""


def without_query(url: str) -> str:
    """An address without user name, password and query, which may hold secrets.

    >>> without_query("/vsicurl/http://user:secret@example.com/a.tif?sig=secret")
    '/vsicurl/http://example.com/a.tif'
    """
    address = SECRETS.sub(r"\1", re.split(r"[?#]", url, maxsplit=1)[0])
    return re.sub(r"(://[^/:]*):(?!\d+(/|$))[^/]*", r"\1", address)


def without_secrets(text: str) -> str:
    """A text in which every address has lost its user name, password and query.

    >>> without_secrets("GET http://u:p@example.com/a?key=1 failed")
    'GET http://example.com/a failed'
    """
    return re.sub(r"\S*://\S*", lambda match: without_query(match[0]), text)
