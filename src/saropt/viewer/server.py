"""Binds, says where, and serves until it is stopped."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from saropt.errors import OptionError
from saropt.viewer.app import create_app
from saropt.viewer.blind import Study
from saropt.viewer.blind_app import create_blind_app
from saropt.viewer.rasters import Limits
from saropt.viewer.security import is_loopback
from saropt.viewer.slow_clients import TimedProtocol
from saropt.viewer.state import Viewer


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    state: Path | None = None,
    limits: Limits | None = None,
    threads: int | None = None,
    ready: Callable[[str, Viewer], None],
) -> None:
    """Serve a folder of scenes until interrupted.

    Args:
        host: an address of this machine; beyond loopback, clients need the token that the address holds.
        port: 0 takes a free one.
        state, limits, threads: as for `Viewer`.
        ready: called with the page's address when it can be opened.

    Raises:
        InputError: the folder, the address or the port cannot be used.

    >>> serve(Path("unknown"), ready=print)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: unknown: no such folder
    """
    with _bind(host, port) as listening:
        viewer = Viewer(folder, state, limits, threads)
        _run(listening, host, partial(create_app, viewer), lambda address: ready(address, viewer))


def serve_blind(
    file: Path, folder: Path, *, host: str = "127.0.0.1", port: int = 8000, ready: Callable[[str, Study], None]
) -> None:
    """Serve a blind test until interrupted: its page, and nothing else of the folder.

    Args:
        file: the study, YAML (docs/viewer.md, "Blind tests").
        folder: of its rasters.
        host, port, ready: as for `serve`.

    Raises:
        InputError: the study, a raster, the address or the port cannot be used.
        BusyError: another server asks this study.

    >>> serve_blind(Path("unknown.yaml"), Path("."), ready=print)
    Traceback (most recent call last):
    ...
    saropt.errors.InputError: unknown.yaml: no such file
    """
    with _bind(host, port) as listening, Study(file, folder) as study:
        _run(listening, host, partial(create_blind_app, study), lambda address: ready(address, study))


def _run(
    listening: socket.socket, host: str, make: Callable[[str | None, str], FastAPI], ready: Callable[[str], None]
) -> None:
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}/" + (f"#token={token}" if token else "")
    config = uvicorn.Config(
        make(token, host),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=TimedProtocol,
        timeout_graceful_shutdown=3,
    )
    server = _Server(config, lambda: ready(address))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._when_started()


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise OptionError("host", host, "is not an address of this machine") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        name, value = ("port", port) if error.errno in (98, 48, 13) else ("host", host)
        words = error.strerror.lower() if error.strerror else str(error)
        raise OptionError(name, value, f"cannot be used: {words}") from error
    return listening
