"""Who may ask: known hosts, a token beyond this machine, no orders from foreign pages; strict headers on answers."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "saropt_token"
ORDER_HEADER = "x-saropt"
UPLOAD_PATH = "/api/scenes"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_LONGEST_ORDER = 1 << 16
_ORDERS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_matches(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode(), given.encode("utf-8", "surrogateescape"))


class Guard:
    """ASGI middleware in front of everything.

    Args:
        token: asked for under /api (a bearer header, or the cookie that POST /api/session sets); None asks for none.
        hosts: names under which the server may be addressed, against rebinding of foreign names; None takes all,
            which is for servers with a token.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: frozenset[str] | None) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store" if scope["path"].startswith("/api") else "no-cache")
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, guarded)

    def _refusal(self, method: str, path: str, headers: Headers) -> JSONResponse | None:
        if self.hosts is not None and _host(headers.get("host", "")) not in self.hosts:
            return _refuse(400, "unknown host name")
        if method in _ORDERS:
            foreign = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
            origin = headers.get("origin")
            if foreign or (origin is not None and origin.partition("://")[2] != headers.get("host")):
                return _refuse(403, "orders are taken from the viewer's own pages only")
            if ORDER_HEADER not in headers:
                return _refuse(403, "orders need the header X-Saropt: 1")
            if path != UPLOAD_PATH and not _small(headers):
                return _refuse(413, "the order is too long")
        if self.token is not None and path.startswith("/api") and not self._known(headers):
            return _refuse(401, "this viewer needs its token", {"www-authenticate": "Bearer"})
        return None

    def _known(self, headers: Headers) -> bool:
        assert self.token is not None
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token_matches(self.token, bearer.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and token_matches(self.token, cookie.value)


def _small(headers: Headers) -> bool:
    """Whether the body is absent or of a stated, small length."""
    length = headers.get("content-length", "0")
    return (
        "transfer-encoding" not in headers and length.isascii() and length.isdigit() and int(length) <= _LONGEST_ORDER
    )


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _refuse(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)
