"""Providers whose every received byte is kept: the simulator behind a wire-tap."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Self

from aiohttp import web
from relay_simulator.provider import application
from relay_simulator.settings import SimulatorSettings

PREFIX = {"openai": "/-/simulator/openai/v1", "anthropic": "/-/simulator/anthropic", "gemini": "/-/simulator/gemini"}


class Tap:
    """Stands before a server and keeps what clients send to it, by connection. Without a server it never answers."""

    def __init__(
        self, name: str, port: int | None = None, calls: list[str] | None = None, *, host: str = "127.0.0.1"
    ) -> None:
        self.name = name
        self.host = host
        self.heard: list[bytearray] = []
        self._calls = calls
        self._behind = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._meet, self.host, 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        return len(self.heard)

    def url(self, dialect: str, scheme: str = "http") -> str:
        """The base URL of its provider for a dialect."""
        return f"{scheme}://{self.host}:{self.port}{PREFIX[dialect]}"

    def __contains__(self, words: object) -> bool:
        """Were these words ever sent here?"""
        assert isinstance(words, str)
        return any(words.encode() in _unmasked(bytes(each)) for each in self.heard)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = bytearray()
        self.heard.append(heard)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if self._behind is None:
                await self._listen(reader, heard, None)
                return
            answers, onward = await asyncio.open_connection("127.0.0.1", self._behind)
            back = asyncio.create_task(_pass_on(answers, writer))
            self._tasks.add(back)
            back.add_done_callback(self._tasks.discard)
            await self._listen(reader, heard, onward)
            onward.close()
        finally:
            writer.close()

    async def _listen(
        self, reader: asyncio.StreamReader, heard: bytearray, onward: asyncio.StreamWriter | None
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                heard += piece
                if self._calls is not None and piece.startswith((b"POST ", b"GET ")):
                    self._calls.append(self.name)
                if onward is not None:
                    onward.write(piece)
                    await onward.drain()


@asynccontextmanager
async def simulator(*, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[int]:
    """A provider for all dialects; gives its port."""
    runner = web.AppRunner(application(SimulatorSettings()), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def found_in(folder: Path, words: bytes) -> list[str]:
    """The files below a folder that hold these bytes."""
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and words in path.read_bytes()]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()


def _unmasked(heard: bytes) -> bytes:
    """What was sent, also where it was sent in a WebSocket's masked frames (RFC 6455 §5.2)."""
    upgrade = heard.lower().find(b"upgrade: websocket")
    if upgrade < 0:
        return heard
    begin = heard.find(b"\r\n\r\n", upgrade) + 4
    out, rest = bytearray(heard[:begin]), heard[begin:]
    while len(rest) >= 6:
        size, at = rest[1] & 127, 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(rest[2:at], "big")
        mask = rest[at : at + 4]
        out += bytes(byte ^ key for byte, key in zip(rest[at + 4 : at + 4 + size], cycle(mask), strict=False))
        rest = rest[at + 4 + size :]
    return bytes(out)
