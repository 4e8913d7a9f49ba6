"""A WebSocket to a provider, on aiohttp's own reader and writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from aiohttp import ClientResponse, ClientWebSocketResponse, WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.client_ws import ClientWSTimeout
from aiohttp.connector import Connection
from aiohttp.http_websocket import WebSocketReader, WebSocketWriter

from relay.engine.upstream.failure import UpstreamError

_BUFFER = 64 * 1024
_CLOSE_S = 5.0


class _Response:
    """What `ClientWebSocketResponse` wants of the response that opened it."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def close(self) -> None:
        """Close the connection; a WebSocket's is never used again."""
        self.connection.close()


class Socket:
    """A WebSocket session: send text or bytes, iterate over what comes, close. Pings are answered.

    `protocol` is the subprotocol the provider chose, if any; `close_code` the code of the close that was seen.
    """

    def __init__(
        self, connection: Connection, place: str, protocol: str | None, *, heartbeat_s: float | None, max_message: int
    ) -> None:
        channel, transport = connection.protocol, connection.transport
        assert channel is not None
        assert transport is not None
        loop = asyncio.get_running_loop()
        queue = WebSocketDataQueue(channel, _BUFFER, loop=loop)
        reader = WebSocketReader(queue, max_message, compress=False, decode_text=True)
        self._connection = connection
        self._place = place
        self.protocol = protocol
        self._inner = ClientWebSocketResponse(
            queue,
            WebSocketWriter(channel, transport, use_mask=True),
            protocol,
            cast(ClientResponse, _Response(connection)),
            ClientWSTimeout(ws_close=_CLOSE_S),
            autoclose=True,
            autoping=True,
            loop=loop,
            heartbeat=heartbeat_s,
        )
        self._inner._parser = reader
        channel.set_parser(reader, queue, self._inner._on_data_received)

    @property
    def close_code(self) -> int | None:
        """The code of the provider's close, or of ours; None while the session is open."""
        return self._inner.close_code

    async def send_text(self, text: str) -> None:
        """Send one text message; waits while the provider does not take it.

        :raises UpstreamError: `cut`, when the session has ended.
        """
        try:
            await self._inner.send_str(text)
            return
        except ConnectionError:
            failure = self._cut()
        raise failure

    async def send_binary(self, data: bytes) -> None:
        """Send one binary message. :raises UpstreamError: as `send_text`."""
        try:
            await self._inner.send_bytes(data)
            return
        except ConnectionError:
            failure = self._cut()
        raise failure

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages as they come, until the provider closes.

        :raises UpstreamError: `cut` when the connection ended without a close, `protocol` for what is no WebSocket message or is too large.
        """
        while True:
            message = await self._inner.receive()
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                yield message.data
            elif message.type is WSMsgType.ERROR:
                self.abort()
                raise UpstreamError(
                    "protocol", written=True, place=self._place, detail="sent something that is no message"
                )
            elif self._inner.close_code in (None, 1006):
                self.abort()
                raise self._cut()
            else:
                return

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and wait a few seconds for the provider to do the same. May be called again."""
        await self._inner.close(code=code, message=reason.encode())

    def abort(self) -> None:
        """Close the connection at once, without a word. May be called again."""
        channel = self._connection.protocol
        if channel is not None:
            channel.abort()
        self._inner._cancel_heartbeat()
        self._connection.close()

    def _cut(self) -> UpstreamError:
        return UpstreamError("cut", written=True, place=self._place, detail="ended the session without a close")
