"""One connection to a provider: aiohttp's response protocol with what a relay needs on top.

It bounds the whole head, knows a connection that must not be reused, and never lets a broken answer look like a finished one.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from math import inf
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

HEAD_LIMIT = 64 * 1024
"""Bytes of an answer's head, interim answers included."""

_BUFFER = 64 * 1024  # the reader pauses the transport at twice this; the loop reads at most 256 KiB at once


class Channel(ResponseHandler):
    """A connection's protocol; lives as long as the connection, through many answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.uses = 0  # requests begun on this connection
        self._head_pending = False
        self._head_bytes = 0
        self._was_paused = False
        self._readiness: select.poll | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf
        self._on_due: Callable[[], None] | None = None

    def watch(self, due: float, on_due: Callable[[], None]) -> None:
        """Call `on_due` at the loop time `due`, or sooner: it has to look at the clock itself and watch again.

        One timer per connection, left armed when its request is done and found idle or early when it fires: a request on a kept
        connection costs a comparison, where arming and cancelling a timer costs as much as sending.
        """
        self._on_due = on_due
        if due < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_at = due
            self._alarm = self._loop.call_at(due, self._tick)

    def unwatch(self) -> None:
        """Nobody waits any longer."""
        self._on_due = None

    def _tick(self) -> None:
        self._alarm = None
        self._alarm_at = inf
        if self._on_due is not None:
            self._on_due()

    def begin(self, *, bodiless: bool) -> None:
        """Expect the answer to one request. `bodiless`: it was a HEAD."""
        self.uses += 1
        self._head_pending = True
        self._head_bytes = 0
        self._was_paused = False
        self.set_response_params(
            skip_payload=bodiless,
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_BUFFER,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            max_headers=512,
        )

    @property
    def has_heard(self) -> bool:
        """Whether any byte came since the request began and before its head was whole."""
        return self._head_bytes > 0

    def is_fresh(self) -> bool:
        """Whether an idle connection is still open and nothing came on it unasked.

        The kernel is asked too: a close that the loop has not read yet is the common case of a lost race, and an answer nobody asked
        for must never be taken for the next one's.
        """
        transport = self.transport
        if transport is None or transport.is_closing() or self.should_close:
            return False
        if self._readiness is None:
            fd = transport.get_extra_info("socket").fileno()
            self._readiness = select.poll()
            self._readiness.register(fd, select.POLLIN)
        return not self._readiness.poll(0)

    def data_received(self, data: bytes) -> None:
        if self._head_pending:
            if self._head_bytes > HEAD_LIMIT:
                self._refuse("the head is larger than 64 KiB")
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def _refuse(self, reason: str) -> None:
        self.set_exception(HttpProcessingError(message=reason))
        if self.transport is not None:
            self.transport.abort()

    def feed_data(self, data: Any, size: int = 0) -> None:
        if data[0].code >= 200 or data[0].code == 101:
            self._head_pending = False
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        # aiohttp tells only the head's reader when a body cannot be parsed; whoever reads that body would wait for ever.
        if exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)
        payload = self._payload
        if isinstance(payload, StreamReader) and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(exc)

    def close(self) -> None:
        self._leave()
        super().close()

    def abort(self) -> None:
        self._leave()
        super().abort()

    def _leave(self) -> None:
        # aiohttp forgets the body before the connection is lost, and then has nobody to tell.
        payload = self._payload
        if isinstance(payload, StreamReader) and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(ClientPayloadError("the connection was closed"))

    def connection_lost(self, exc: BaseException | None) -> None:
        # A body that runs to the end of the connection is whole only when the connection ended properly, not when it was reset.
        payload = self._payload
        if exc is not None and isinstance(payload, StreamReader) and not payload.is_eof():
            payload.set_exception(ClientPayloadError("the connection was reset"))
        self._readiness = None
        super().connection_lost(exc)
        if self._alarm is not None and self._on_due is None:
            self._alarm.cancel()

    def pause_reading(self) -> None:
        self._was_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp's reader calls this after each piece, paused or not; with no pause there is nothing held back anywhere.
        if self._was_paused:
            super().resume_reading(resume_parser)
