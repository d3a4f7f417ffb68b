"""Clients that open a connection and send nothing, or drop by drop, lose it."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to waiting.

    Attributes:
        header_s: seconds from the first wait for a request until its header must be complete.
        body_s: seconds that a body may pause.
    """

    header_s = 15.0
    body_s = 60.0
    _timer: asyncio.TimerHandle | None = None
    _waits_for_header = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Set the timer that the state of the connection asks for; bytes of a header do not set it anew."""
        idle = self.conn.their_state is h11.IDLE
        if idle and self._waits_for_header:
            return
        self._stop()
        if idle:
            self._waits_for_header = True
            self._timer = self.loop.call_later(self.header_s, self.transport.abort)
        elif self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            self._timer = self.loop.call_later(self.body_s, self.transport.abort)

    def _stop(self) -> None:
        self._waits_for_header = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
