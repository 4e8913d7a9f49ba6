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
_FRAMING = frozenset(("connection", "content-length", "keep-alive", "trailer", "transfer-encoding"))
"""Headers that say where a reply ends: written here and nowhere else."""
_WITHOUT_BODY = frozenset((204, 304))
HIGH_WATER = 64 * 1024


def unreadable(status: int, code: str) -> bytes:
    """A whole answer for what could not be read as a request: nobody knows in which dialect. The connection must be closed behind it."""
    body = b'{"error":{"message":"%b","type":"invalid_request_error","code":"%b"}}' % (
        HTTPStatus(status).phrase.encode(),
        code.encode(),
    )
    head = b"content-type: application/json\r\nx-relay-error: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return _LINES[status] + head % (code.encode(), len(body)) + body


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

    __slots__ = ("_has_body", "_head", "_is_chunked", "_keep_alive", "_request", "bytes", "has_begun")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._keep_alive = bool(request.keep_alive)
        self._head = b""
        self._has_body = True
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
        status, request = reply.status, self._request
        # What is left of the body behind a reply would be read as the next request.
        if close or not request.content.is_eof() or (length is None and request.version < (1, 1)):
            self._keep_alive = False
        self._has_body = request.method != "HEAD" and status not in _WITHOUT_BODY
        lines = [f"{name}: {value}\r\n" for name, value in reply.headers if name.lower() not in _FRAMING]
        lines += [f"{name}: {value}\r\n" for name, value in gateway.limits(exchange).items()]
        block = "".join(lines)
        if block.count("\n") != len(lines) or block.count("\r") != len(lines) or "\0" in block:
            # A plugin or a provider gave a value that would begin another header, or another reply.
            block = "".join(line for line in lines if line[:-2].replace("\t", "").isprintable())
        if status not in _WITHOUT_BODY:
            if length is not None:
                block += f"content-length: {length}\r\n"
            elif request.version >= (1, 1):
                self._is_chunked = self._has_body
                block += "transfer-encoding: chunked\r\n"
        if not self._keep_alive:
            block += "connection: close\r\n"
        elif request.version < (1, 1):
            block += "connection: keep-alive\r\n"
        line = _LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
        self._head = line + f"{block}x-relay-id: {exchange.id}\r\n\r\n".encode("latin-1", "replace")

    def whole(self, body: bytes) -> None:
        """The whole reply in one write."""
        if not self._has_body:
            body = b""
        self.has_begun = True
        self.transport.write(self._head + body)
        self.bytes += len(body)

    async def piece(self, data: bytes) -> None:
        """One more piece; waits while the client is slower than the provider. :raises ConnectionResetError:"""
        self.write(data)
        if self.transport.get_write_buffer_size() > HIGH_WATER:
            await self._request.protocol._drain_helper()

    def write(self, data: bytes, *, last: bool = False) -> None:
        """One more piece, whatever the client has still to take. :raises ConnectionResetError: the client has gone."""
        if not self._has_body:
            data = b""
        elif self._is_chunked:
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

    def cut(self) -> None:
        """Break the connection off: the client must not take what it got for the whole."""
        self._keep_alive = False
        if self._request.transport is not None:
            self._request.transport.abort()

    def done(self) -> Written:
        return Written(self._keep_alive)
