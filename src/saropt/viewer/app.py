"""The web application: the API under /api, the page and its files beside it."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from saropt.errors import InputError
from saropt.inference import NOTICE
from saropt.viewer import layer_routes, routes
from saropt.viewer.dependencies import ORDER, ORDER_REFUSALS, REFUSALS
from saropt.viewer.security import COOKIE, LOOPBACK_NAMES, Guard
from saropt.viewer.state import Viewer
from saropt.viewer.uploads import TooLargeError, UnwrittenError

_UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_UNWRITTEN_ROWS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
STATIC = Path(str(files("saropt.viewer"))) / "static"
_ABOUT = f"""Scenes, tiles and translation jobs of `saropt serve`.

Orders (POST, DELETE) need the header `X-Saropt: 1`. A viewer that is bound beyond this machine asks for its token:
`Authorization: Bearer TOKEN`. What a translator has made is, always: {NOTICE[0].lower()}{NOTICE[1:]}.
"""


session = APIRouter(prefix="/api", responses=REFUSALS)


@session.post("/session", dependencies=ORDER, status_code=204, response_model=None, responses=ORDER_REFUSALS)
def open_session(request: Request, response: Response) -> None:
    """Take the token of this request's bearer header into a cookie, for pages; nothing to do without a token."""
    if request.app.state.token is not None:
        response.set_cookie(COOKIE, request.app.state.token, httponly=True, samesite="strict", path="/")


def create_app(viewer: Viewer, token: str | None = None, host: str = "127.0.0.1") -> FastAPI:
    """The application of one viewer; it starts its jobs when it starts, and closes the viewer when it ends.

    Args:
        token: what clients must know; None for servers that only this machine reaches.
        host: the address that the server is bound to; without a token it is answered under this name and localhost.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        viewer.start()
        yield
        viewer.close()

    app = guarded_app("saropt viewer", _ABOUT, lifespan, token, host)
    app.state.viewer = viewer
    app.include_router(routes.router)
    app.include_router(layer_routes.router)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def guarded_app(
    title: str, about: str, lifespan: Callable[[FastAPI], Any] | None, token: str | None, host: str
) -> FastAPI:
    """An application behind the guard, with one line for what is refused; routes are for the caller to add."""
    app = FastAPI(
        title=title,
        description=about,
        version=version("saropt"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.state.token = token
    app.add_middleware(Guard, token=token, hosts=LOOPBACK_NAMES | {host} if token is None else None)
    app.add_exception_handler(InputError, _refused)
    app.add_exception_handler(OSError, _unwritten)
    app.add_exception_handler(sqlite3.OperationalError, _unwritten)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.include_router(session)
    return app


def _gone(request: Request, error: Exception) -> Response:
    """An answer that nobody waits for: the client broke its upload off."""
    return Response(status_code=400)


def _refused(request: Request, error: Exception) -> JSONResponse:
    """What cannot be used, without the server's own paths."""
    assert isinstance(error, InputError)
    name = Path(error.source).name
    status = 413 if isinstance(error, TooLargeError) else 507 if isinstance(error, UnwrittenError) else 422
    return JSONResponse({"detail": f"{name}: {error.reason}"}, status)


def _unwritten(request: Request, error: Exception) -> JSONResponse:
    """What a server without room could not note; other failures of the system stay failures."""
    if isinstance(error, OSError) and error.errno in _UNWRITTEN:
        return JSONResponse({"detail": f"cannot be written: {error.strerror}"}, 507)
    if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in _UNWRITTEN_ROWS:
        return JSONResponse({"detail": f"cannot be written: {error}"}, 507)
    raise error


def _not_valid(request: Request, error: Exception) -> JSONResponse:
    """Which parts of a request do not fit the API, on one line."""
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()]
    return JSONResponse({"detail": "; ".join(parts)}, 422)
