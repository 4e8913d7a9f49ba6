"""A provider on a real socket that does exactly what a test says, also what no provider should do.

    async with ScriptedUpstream() as upstream:
        upstream.play(*answer(200, body=b"{}"))
        upstream.play(*stream([b"data: 1", RESET]), when=lambda request: b"chat" in request.head)
        …
        assert upstream.requests[0].body == b"…"

Each request takes the first script that was not played yet and whose `when` fits; the last that fits serves all that follow.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Literal, Self, cast

Framing = Literal["length", "chunked", "close"]


class Fault(Enum):
    """What may stand among the steps beside bytes, seconds and events."""

    CUT = "close the connection in the middle of whatever it is"
    RESET = "close it with a reset: what is still on its way is lost"
    SILENCE = "say nothing more until the client goes away"


CUT, RESET, SILENCE = Fault
Step = bytes | float | asyncio.Event | Fault
"""Send these bytes, wait so many seconds, wait for that, or do harm."""


@dataclass(slots=True)
class Request:
    """What arrived. `head` and `wire` (the body as it was framed) are the exact bytes; `body` is the body itself."""

    head: bytes
    connection: int
    """Which connection it came on, from 1."""
    wire: bytes = b""
    body: bytes = b""
    left_s: float | None = None
    """The loop's time at which the client closed the connection before the script had ended; None: it did not."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has closed the connection, at whatever time."""

    @property
    def target(self) -> str:
        """Path and query."""
        return self.head.split(b" ", 2)[1].decode("latin-1")

    def header(self, name: str) -> str | None:
        """The value of a header, by lower-case name."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.encode():
                return value.strip().decode("latin-1")
        return None


@dataclass(slots=True)
class _Script:
    steps: tuple[Step, ...]
    when: Callable[[Request], bool] | None
    is_played: bool = False


class ScriptedUpstream:
    """See the module. `url` is where it listens, once it is entered."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.url = ""
        self._scripts: list[_Script] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def play(self, *steps: Step, when: Callable[[Request], bool] | None = None) -> None:
        """Play this for one more request; `when` chooses for which."""
        self._scripts.append(_Script(steps, when))

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._meet), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _meet(self, connection: _Connection, reader: asyncio.StreamReader, transport: asyncio.WriteTransport) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(connection, reader, transport, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, connection: _Connection, reader: asyncio.StreamReader, transport: asyncio.WriteTransport, number: int
    ) -> None:
        try:
            while True:
                request = Request(await reader.readuntil(b"\r\n\r\n"), number, left=connection.gone)
                request.wire, request.body = await _body(reader, request)
                self.requests.append(request)
                if not await self._play(request, connection, transport):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client went away between or within its requests; the test sees what was recorded
        finally:
            transport.abort()

    async def _play(self, request: Request, connection: _Connection, transport: asyncio.WriteTransport) -> bool:
        """Returns whether the connection goes on."""
        for step in self._script(request):
            if connection.gone.is_set():
                break
            if isinstance(step, bytes):
                transport.write(step)
                await asyncio.sleep(0)
            elif isinstance(step, asyncio.Event):
                await _first(step, connection.gone)
            elif step is SILENCE:
                await connection.gone.wait()
            elif isinstance(step, Fault):
                await self._break(step, transport)
                return False
            else:
                await _within(connection.gone, step)
        if not connection.gone.is_set():
            return True
        request.left_s = connection.gone_s
        return False

    async def _break(self, fault: Fault, transport: asyncio.WriteTransport) -> None:
        if fault is RESET:
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
            await asyncio.sleep(0)

    def _script(self, request: Request) -> Sequence[Step]:
        fitting = [script for script in self._scripts if script.when is None or script.when(request)]
        if not fitting:
            return answer(500, body=b"the test has no script for this request")
        script = next((each for each in fitting if not each.is_played), fitting[-1])
        script.is_played = True
        return script.steps


class _Connection(asyncio.StreamReaderProtocol):
    """Knows when the client closed."""

    def __init__(self, meet: Callable[[_Connection, asyncio.StreamReader, asyncio.WriteTransport], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=2**24)
        super().__init__(self._reader)
        self._meet = meet
        self.gone = asyncio.Event()
        self.gone_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._meet(self, self._reader, cast(asyncio.WriteTransport, transport))

    def eof_received(self) -> bool:
        self._left()
        super().eof_received()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._left()
        super().connection_lost(error)

    def _left(self) -> None:
        if not self.gone.is_set():
            self.gone_s = self._loop.time()
            self.gone.set()


def answer(
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (("content-type", "application/json"),),
    body: bytes = b"",
    *,
    framing: Framing = "length",
) -> list[Step]:
    """A whole answer. With the framing `close` its end is the connection's."""
    steps: list[Step] = [_head(status, headers, framing, len(body)) + _framed(body, framing)]
    if framing == "chunked":
        steps.append(b"0\r\n\r\n")
    return [*steps, CUT] if framing == "close" else steps


def stream(
    pieces: Sequence[Step],
    content_type: str = "text/event-stream",
    *,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    framing: Framing = "chunked",
) -> list[Step]:
    """An answer piece by piece, each in a write of its own; other steps stand between them as they are."""
    length = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
    steps: list[Step] = [_head(status, [*headers, ("content-type", content_type)], framing, length)]
    steps += [_framed(piece, framing) if isinstance(piece, bytes) else piece for piece in pieces]
    if any(isinstance(piece, Fault) for piece in pieces):
        return steps
    ends: dict[Framing, list[Step]] = {"length": [], "chunked": [b"0\r\n\r\n"], "close": [CUT]}
    return steps + ends[framing]


def _head(status: int, headers: Iterable[tuple[str, str]], framing: Framing, length: int) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    framings = {
        "length": f"content-length: {length}",
        "chunked": "transfer-encoding: chunked",
        "close": "connection: close",
    }
    return "\r\n".join([*lines, framings[framing], "", ""]).encode("latin-1")


def _framed(piece: bytes, framing: Framing) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" and piece else piece


async def _body(reader: asyncio.StreamReader, request: Request) -> tuple[bytes, bytes]:
    length = request.header("content-length")
    if length is not None:
        body = await reader.readexactly(int(length))
        return body, body
    if (request.header("transfer-encoding") or "").lower() != "chunked":
        return b"", b""
    wire = body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        piece = await reader.readexactly(size + 2)
        wire, body = wire + line + piece, body + piece[:-2]
        if not size:
            return wire, body


async def _within(gone: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await gone.wait()
    except TimeoutError:
        return  # the usual way: the client is still there


async def _first(step: asyncio.Event, gone: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(step.wait()), asyncio.ensure_future(gone.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
