"""A reply as it goes out: head and first bytes in one write, the rest as it comes, no faster than the client takes it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from relay.exchange import Exchange, Reply

if TYPE_CHECKING:
    from relay.engine.gateway import Gateway

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
HIGH_WATER = 64 * 1024


class Written:
    """What the server is told when the answer has been written already."""

    __slots__ = ("keep_alive",)

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to prepare."""

    async def write_eof(self) -> None:
        """Nothing is left to write."""


class Outlet:
    """The way to one client for one reply."""

    __slots__ = ("_head", "_is_chunked", "_keep_alive", "_request", "bytes", "has_begun")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._keep_alive = bool(request.keep_alive)
        self._head = b""
        self._is_chunked = False
        self.has_begun = False
        self.bytes = 0

    @property
    def transport(self) -> asyncio.WriteTransport:
        """:raises ConnectionResetError: the client has gone."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        return transport

    def head(
        self, gateway: Gateway, exchange: Exchange, reply: Reply, length: int | None, *, close: bool = False
    ) -> None:
        """Prepare the head. `length`: bytes of the body; None: not known, so chunks, or for HTTP/1.0 the connection's end."""
        status = reply.status
        if close or (length is None and self._request.version < (1, 1)):
            self._keep_alive = False
        parts = [_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()]
        lines = [f"{name}: {value}\r\n" for name, value in reply.headers]
        lines += [f"{name}: {value}\r\n" for name, value in gateway.limits(exchange).items()]
        lines.append(f"x-relay-id: {exchange.id}\r\n")
        if status not in (204, 304):
            if length is not None:
                lines.append(f"content-length: {length}\r\n")
            elif self._request.version >= (1, 1):
                self._is_chunked = True
                lines.append("transfer-encoding: chunked\r\n")
        if not self._keep_alive:
            lines.append("connection: close\r\n")
        elif self._request.version < (1, 1):
            lines.append("connection: keep-alive\r\n")
        lines.append("\r\n")
        parts.append("".join(lines).encode("latin-1", "replace"))
        self._head = b"".join(parts)

    def whole(self, body: bytes) -> None:
        """The whole reply in one write."""
        if self._request.method == "HEAD":
            body = b""
        self.has_begun = True
        self.transport.write(self._head + body)
        self.bytes += len(body)

    async def piece(self, data: bytes, *, last: bool = False) -> None:
        """One more piece; waits while the client is slower than the provider. :raises ConnectionResetError:"""
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            if last:
                data += b"0\r\n\r\n"
        self.bytes += len(data)
        transport = self.transport
        if not self.has_begun:
            self.has_begun = True
            data = self._head + data
        if data:
            transport.write(data)
            if transport.get_write_buffer_size() > HIGH_WATER:
                await self._request.protocol._drain_helper()

    def cut(self) -> None:
        """Break the connection off: the client must not take what it got for the whole."""
        self._keep_alive = False
        if self._request.transport is not None:
            self._request.transport.abort()

    def done(self) -> Written:
        return Written(self._keep_alive)
