"""Clients' connections: aiohttp's server protocol, with bounds on how many there are and on what a head may take.

What is used of aiohttp beyond its documentation is pinned by `tests/core/engine/downstream/test_downstream_contract.py`:
`RequestHandler` with `_waiter`, `_messages`, `_request_count`, `_payload_parser`, `_manager`, `data_received`, `connection_made`,
`handle_error`; `Server.__call__` making it and `_connections`; `web.Application._make_request` and `_handle`; that a response only
needs `prepare`, `write_eof` and `keep_alive`; `BaseProtocol._drain_helper`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler

from relay.engine.outlet import Written, unreadable

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(RequestHandler):
    """One client's connection, which knows since when it has been sending a head, and how much of one."""

    __slots__ = ("_body", "_head_bytes", "head_since")

    def __init__(self, server: Listener, **settings: Any) -> None:
        super().__init__(server, **settings)
        self.head_since: float | None = None
        self._head_bytes = 0
        self._body: StreamReader = EMPTY_PAYLOAD

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.head_since = self._loop.time()
        server = self._manager
        assert isinstance(server, Listener)
        if len(server._connections) > server.most:
            server.turned_away += 1
            self.force_close()

    def data_received(self, data: bytes) -> None:
        body = self._body
        is_body = not body.is_eof() or self._payload_parser is not None
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            if not body.is_eof():
                # What followed was no body. aiohttp's parser tells only whoever reads the next request.
                body.set_exception(web.RequestPayloadError("the body cannot be read"))
            self._body = self._messages[-1][1]
            self.head_since = None
            self._head_bytes = 0
        elif data and not is_body and self._payload_parser is None:
            # These bytes belong to a head that is not whole yet; it may be that of a request behind the one being served.
            self._head_bytes += len(data)
            if self.head_since is None:
                self.head_since = self._loop.time()
            if self._head_bytes > self.max_line_size:
                self._refuse_head()

    def close(self) -> None:
        """Close when what runs has ended; at once when nothing runs, where aiohttp would wait for its shutdown."""
        is_idle = self._waiter is not None and not self._waiter.done()
        super().close()
        if is_idle and self.transport is not None:
            self.transport.close()

    def _refuse_head(self) -> None:
        if self._waiter is not None and self.transport is not None:
            self.transport.write(unreadable(431, "head_too_large"))
            self.force_close()
        else:
            self.close()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Exceptions are logged by whoever knows what may be said of them; aiohttp's own lines quote the request."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> Any:
        """What could not even be read as a request, in words that repeat nothing of it. The connection is closed."""
        if status >= 500:
            answer = unreadable(500, "reply_failed")
        elif isinstance(exc, LineTooLong):
            answer = unreadable(431, "head_too_large")
        else:
            answer = unreadable(400, "bad_request")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if request.transport is not None:
            request.transport.write(answer)
        return Written(keep_alive=False)


class Listener(web.Server):
    """A server whose connections are bounded in number and in the time a head may take."""

    def __init__(self, handler: Handler, *, most: int = 10_000, head_s: float = 10.0, **settings: Any) -> None:
        super().__init__(handler, handler_cancellation=True, **settings)
        self.most = most
        self.turned_away = 0
        self._head_s = head_s
        self._sweep = self._loop.call_later(min(1.0, head_s / 4), self._close_slow)
        self._settings = {name: value for name, value in settings.items() if name != "request_factory"}

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, auto_decompress=False, **self._settings)

    def _close_slow(self) -> None:
        late = self._loop.time() - self._head_s
        for connection in self.connections:
            assert isinstance(connection, Connection)
            if connection.head_since is not None and connection.head_since < late and connection._waiter is not None:
                connection.force_close()
        self._sweep = self._loop.call_later(min(1.0, self._head_s / 4), self._close_slow)

    def stop_sweeping(self) -> None:
        self._sweep.cancel()
