"""A whole `Serving` in this process, behind it a provider that keeps everything that reaches it, before it raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from relay.engine.gateway import Gateway
from relay.engine.intake import Limits
from relay.engine.serving import Serving, Terms
from relay.engine.upstream import Upstream
from relay.exchange import Exchange
from relay.plugin import Plugin
from relay.storage.state import LocalState
from relay.target import Retry, Target
from relay.testing.dialect import PLAIN

ANSWER = b'{"text":"hi there","usage":{"in":1,"out":2},"stop":"end"}'


@dataclass
class Got:
    """One request as it reached the provider."""

    head: bytes
    body: bytes = b""

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]


Answering = Callable[[Got, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer_at_once(got: Got, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    writer.write(head % len(ANSWER) + ANSWER)
    await writer.drain()


class Provider:
    """A provider on a real socket. `answer` may be replaced; `got` is all it was sent; `closed` is set when a connection ends."""

    def __init__(self) -> None:
        self.answer: Answering = answer_at_once
        self.reads_body = True
        self.got: list[Got] = []
        self.open = 0
        self.closed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.server = await asyncio.start_server(self._meet, sock=listening)

    async def stop(self) -> None:
        self.server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.wait_closed()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            while True:
                got = Got(await reader.readuntil(b"\r\n\r\n"))
                self.got.append(got)
                if self.reads_body:
                    await self._body(got, reader)
                await self.answer(got, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the relay went away, or the test is over
        finally:
            self.open -= 1
            self.closed.set()
            writer.transport.abort()

    async def _body(self, got: Got, reader: asyncio.StreamReader) -> None:
        head = got.head.lower()
        if b"transfer-encoding: chunked" in head:
            while size := int((await reader.readline()).strip(), 16):
                got.body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        elif b"content-length:" in head:
            got.body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))


class Routed(Plugin):
    """Sends everything to the provider of the test."""

    name = "routed"

    def __init__(self, base_url: str, model: str | None) -> None:
        super().__init__()
        self.target = Target(
            "test/m", "test", PLAIN, base_url, allow_private=True, model=model, retry=Retry(tries=1, base_s=0.0)
        )

    async def on_request(self, exchange: Exchange) -> None:
        exchange.targets = [self.target]


class Wire:
    """One raw connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        """The next head, b"" when the connection ended instead."""
        try:
            return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def reply(self) -> tuple[int, bytes, bytes]:
        """Status, head and body of the next reply; status 0 when the connection ended instead."""
        head = await self.head()
        if not head:
            return 0, b"", b""
        low = head.lower()
        body = b""
        if b"transfer-encoding: chunked" in low:
            while size := int((await self.reader.readline()).strip(), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        elif b"content-length:" in low:
            body = await self.reader.readexactly(int(low.split(b"content-length:")[1].split(b"\r\n")[0]))
        return int(head.split(b" ", 2)[1]), low, body

    async def rest(self, within: float = 5.0) -> bytes:
        """Everything until the relay closes."""
        try:
            return await asyncio.wait_for(self.reader.read(-1), within)
        except ConnectionError:
            return b""

    async def is_closed(self, within: float = 5.0) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(1), within) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self.writer.transport.abort()


@dataclass
class Served:
    """A relay at work."""

    serving: Serving
    gateway: Gateway
    provider: Provider
    port: int
    operators: int
    ended: list[Exchange] = field(default_factory=list)
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    close: Callable[[], Awaitable[None]] = field(init=False)
    """Drain, as the end of the process would."""
    _wires: list[Wire] = field(default_factory=list)

    async def connect(self, port: int | None = None, **how: Any) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port, limit=1 << 20, **how)
        wire = Wire(reader, writer)
        self._wires.append(wire)
        return wire

    async def say(self, data: bytes, port: int | None = None) -> tuple[int, bytes, bytes]:
        """One reply to these bytes on a connection of their own."""
        wire = await self.connect(port)
        wire.send(data)
        reply = await wire.reply()
        wire.close()
        return reply

    async def lives(self) -> bool:
        """Does an ordinary request get its ordinary answer?"""
        before = len(self.provider.got)
        status, _, body = await self.say(asking(b'{"model":"m","text":"alive?"}'))
        if len(self.provider.got) > before:
            self.provider.got.pop()
        return status == 200 and body == ANSWER

    async def end(self, within: float = 2.0) -> Exchange:
        """The next exchange that ends, or the last that did."""
        if not self.ended:
            await asyncio.wait_for(self.ends.wait(), within)
        return self.ended[-1]

    def leave(self) -> None:
        """Close every connection that a test opened."""
        for wire in self._wires:
            wire.close()

    def _ended(self, exchange: Exchange) -> None:
        self.ended.append(exchange)
        self.ends.set()


def asking(body: bytes, path: bytes = b"/v1/ask", headers: bytes = b"", method: bytes = b"POST") -> bytes:
    """An ordinary request."""
    return b"%b %b HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
        method, path, headers, len(body), body,
    )  # fmt: skip


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that serves arranges its memory for that; this one tests."""
    monkeypatch.setattr("relay.engine.serving.gc", SimpleNamespace(collect=int, freeze=int, set_threshold=max))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a relay: `plugins` above the one that routes; `limits` of bodies; all else are `Terms`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            *plugins: Plugin,
            limits: Limits | None = None,
            model: str | None = None,
            way_in_s: float = 10.0,
            **terms: Any,
        ) -> Served:
            provider = Provider()
            await provider.start()
            stack.push_async_callback(provider.stop)
            upstream = Upstream()
            stack.push_async_callback(upstream.close)
            log: list[tuple[str, dict[str, Any]]] = []
            chain: Sequence[Plugin] = [*plugins, Routed(provider.url, model)]
            gateway = Gateway(
                chain,
                {"plain": PLAIN},
                LocalState(),
                upstream,
                way_in_s=way_in_s,
                log=lambda event, **fields: log.append((event, fields)),
            )
            sockets = [_listening(), _listening()]
            terms.setdefault("drain_s", 0.2)
            serving = Serving(gateway, [PLAIN], Terms(limits=limits or Limits(), **terms), sockets[:1], sockets[1:])
            ports = [each.getsockname()[1] for each in sockets]
            served = Served(serving, gateway, provider, ports[0], ports[1], log=log)
            gateway.watch(served._ended)
            inner = contextlib.AsyncExitStack()
            await inner.enter_async_context(serving.opened())
            served.close = inner.aclose
            stack.push_async_callback(inner.aclose)
            stack.callback(served.leave)
            return served

        yield start


@pytest.fixture
async def relay(serve: Serve) -> Served:
    """A relay on ordinary terms."""
    return await serve()


@pytest.fixture
def ask() -> Callable[..., bytes]:
    return asking


@pytest.fixture
def answer() -> bytes:
    return ANSWER


def _listening() -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made
