"""Connections that only wait are closed; those that work are not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from saropt.viewer.slow_clients import TimedProtocol


class Impatient(TimedProtocol):
    header_s = 0.5
    body_s = 0.5


async def _application(scope, receive, send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(_application, http=Impatient, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def answer_to(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back until the server closes or 5 seconds have passed."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        found = b""
        try:
            for part in parts:
                client.sendall(part)
                time.sleep(pause)
            while content := client.recv(4096):
                found += content
        except (ConnectionResetError, BrokenPipeError):
            pass
        return found


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"GET / HTTP/1.1\r\n",),
        (b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 12),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n", b"half"),
    ],
    ids=["nothing", "half a header", "drop by drop", "half a body"],
)
def test_who_only_waits_is_let_go(port: int, parts: tuple[bytes, ...]) -> None:
    started = time.monotonic()
    assert answer_to(port, *parts, pause=0.1) == b""
    assert time.monotonic() - started < 4.0


def test_a_slow_body_and_a_second_request_are_served(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    found = answer_to(port, head, *[b"ab"] * 4, last, pause=0.3)  # longer in all than either limit
    assert found.count(b"200 OK") == 2
