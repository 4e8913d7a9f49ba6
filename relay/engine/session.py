"""A realtime session over WebSocket: one exchange, one attempt, messages both ways, each a frame of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web
from multidict import CIMultiDict

from relay.engine.ends import shielded
from relay.engine.stages import Pipeline
from relay.engine.stream import Stream
from relay.engine.upstream import Socket, UpstreamError
from relay.errors import StreamBroken
from relay.exchange import Reply
from relay.wire.dialect import Dialect, Reader, Surface
from relay.wire.framing import Frame
from relay.wire.vocabulary import Event, Kind

if TYPE_CHECKING:
    from relay.engine.run import Run

MESSAGE = 16 * 1024 * 1024
"""Bytes of one message, either way."""
HEARTBEAT_S = 20.0
GOODBYE_S = 5.0


class Session(Stream):
    """The provider's messages."""

    __slots__ = ("is_text", "messages", "socket")

    def __init__(self, socket: Socket, dialect: Dialect, surface: Surface) -> None:
        super().__init__(self._next, socket.abort, dialect, surface, "")
        self.socket = socket
        self.skims = self.is_stream = False
        self.is_text = True
        self.messages: AsyncIterator[str | bytes] = aiter(socket)

    async def _next(self) -> bytes:
        try:
            message = await anext(self.messages)
        except StopAsyncIteration:
            return b""
        self.is_text = isinstance(message, str)
        return message.encode() if isinstance(message, str) else message

    def cut(self, piece: bytes) -> list[Frame]:
        return [Frame(piece)]

    def tail(self) -> list[Frame]:
        return []


class _Inbound(Session):
    """The client's messages: each is read as a small call."""

    __slots__ = ()

    def reader(self) -> Reader:
        return _CallReader(self.dialect, self.surface)

    def marks(self, kinds: Collection[Kind]) -> tuple[bytes, ...] | None:
        return None


class _CallReader:
    """Reads messages with the lens for calls."""

    complete = True

    def __init__(self, dialect: Dialect, surface: Surface) -> None:
        self._dialect = dialect
        self._surface = surface

    def read(self, frame: Frame, kinds: Collection[Kind]) -> Sequence[Event]:
        return [
            event for event in self._dialect.read_call(self._surface, frame.document(), kinds) if event.kind in kinds
        ]


class Client:
    """The client's end of a session."""

    def __init__(self, request: web.BaseRequest) -> None:
        offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        # A browser must be answered one of the names it offers; those with a dot in them carry keys.
        plain = [name for name in offered if name and "." not in name][:1]
        if not plain and "Sec-WebSocket-Protocol" in request.headers:
            # aiohttp logs what was offered when none of it is chosen.
            kept = [
                (name, value) for name, value in request.headers.items() if name.lower() != "sec-websocket-protocol"
            ]
            request = request.clone(headers=CIMultiDict(kept))
        self._request = request
        self._socket = web.WebSocketResponse(
            protocols=plain, heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE, compress=False, timeout=GOODBYE_S
        )

    @property
    def can_open(self) -> bool:
        """Did the client ask for a WebSocket?"""
        try:
            return self._socket.can_prepare(self._request).ok
        except UnicodeError:
            return False  # aiohttp quotes headers whose bytes are no text

    async def talk(self, run: Run, reply: Reply) -> web.WebSocketResponse:
        """Pass messages both ways until one side closes, or the exchange is stopped."""
        session = reply.source
        assert isinstance(session, Session)
        self._socket.headers.update({"x-relay-id": run.exchange.id, "Server": "relay"})
        await self._socket.prepare(self._request)
        tasks = [
            asyncio.create_task(self._outwards(run, reply, session)),
            asyncio.create_task(self._inwards(run, session)),
        ]
        broken: StreamBroken | None = None
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except UpstreamError:
            broken = StreamBroken("upstream_failed")
        except StreamBroken as error:
            broken = error
        except asyncio.CancelledError:
            if run.interruption is not None or self._socket.close_code in (None, 1006):
                refused = run.resume()
                broken = StreamBroken(refused.code, refused.message)
            else:
                _took_its_leave()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not run.is_client_gone:
            parting = self._part(session) if broken is None else self._break(run, reply, broken)
            try:
                await shielded(parting)
            except asyncio.CancelledError:
                _took_its_leave()
        return self._socket

    async def _part(self, session: Session) -> None:
        """Say goodbye to both, to the client with the provider's code if that closed first."""
        await asyncio.gather(self._socket.close(code=session.socket.close_code or 1000), session.socket.close())

    async def _outwards(self, run: Run, reply: Reply, session: Session) -> None:
        pipeline = run.pipeline(reply)
        while piece := await session.read():
            for message in pipeline.messages(piece):
                await run.note_created()
                await self._send(message, is_text=session.is_text)
                pipeline.written(len(message))
        for message in pipeline.rest():
            await self._send(message, is_text=True)

    async def _inwards(self, run: Run, session: Session) -> None:
        inbound = run.exchange.inbound
        assert inbound is not None
        stream = _Inbound(session.socket, session.dialect, session.surface)
        pipeline = Pipeline(stream, inbound.stages, lambda event: None, run.gateway.observer_failed)
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                for text in pipeline.messages(message.data.encode()):
                    await session.socket.send_text(text.decode())
                    pipeline.written(len(text))
            elif message.type is WSMsgType.BINARY:
                for data in pipeline.messages(message.data):
                    await session.socket.send_binary(data)
                    pipeline.written(len(data))
            else:
                break
        if self._socket.close_code == 1006:
            run.is_client_gone = True

    async def _send(self, message: bytes, *, is_text: bool) -> None:
        if is_text:
            await self._socket.send_str(message.decode())
        else:
            await self._socket.send_bytes(message)

    async def _break(self, run: Run, reply: Reply, broken: StreamBroken) -> None:
        """Say why, in the dialect, and close both ends."""
        run.broke(broken.code)
        session = reply.source
        assert isinstance(session, Session)
        session.socket.abort()
        last = run.gateway.refused_in_stream(run.exchange, reply, broken)
        if last and not self._socket.closed:
            await self._send(last, is_text=True)
        await self._socket.close(code=1011, message=broken.code.encode())


def _took_its_leave() -> None:
    """The client closes its connection behind its goodbye, and the server cancels the task for it: that is no leaving."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
