"""The web application: the API under /api, the page and its files beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from saropt.errors import InputError
from saropt.inference import NOTICE
from saropt.viewer import layer_routes, routes
from saropt.viewer.security import LOOPBACK_NAMES, Guard
from saropt.viewer.state import Viewer
from saropt.viewer.uploads import TooLargeError

_ABOUT = f"""Scenes, tiles and translation jobs of `saropt serve`.

Orders (POST, DELETE) need the header `X-Saropt: 1`. A viewer that is bound beyond this machine asks for its token:
`Authorization: Bearer TOKEN`. What a translator has made is, always: {NOTICE[0].lower()}{NOTICE[1:]}.
"""


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

    app = FastAPI(
        title="saropt viewer",
        description=_ABOUT,
        version=version("saropt"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.state.viewer, app.state.token = viewer, token
    app.add_middleware(Guard, token=token, hosts=LOOPBACK_NAMES | {host} if token is None else None)
    app.add_exception_handler(InputError, _refused)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.include_router(routes.router)
    app.include_router(layer_routes.router)
    app.mount("/", StaticFiles(directory=Path(str(files("saropt.viewer"))) / "static", html=True))
    return app


def _refused(request: Request, error: Exception) -> JSONResponse:
    """What cannot be used, without the server's own paths."""
    assert isinstance(error, InputError)
    name = Path(error.source).name
    status = 413 if isinstance(error, TooLargeError) else 422
    return JSONResponse({"detail": f"{name}: {error.reason}"}, status)


def _not_valid(request: Request, error: Exception) -> JSONResponse:
    """Which parts of a request do not fit the API, on one line."""
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()]
    return JSONResponse({"detail": "; ".join(parts)}, 422)
