"""A scripted provider on a real socket, and an `Upstream` that may reach it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import uvloop

from relay.engine.upstream import Upstream

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Limits:
    """Deadlines of a test: generous, so that only the one under test can strike."""

    connect_s: float = 5.0
    first_byte_s: float = 5.0
    silence_s: float = 5.0
    total_s: float = 20.0
    commit_after_s: float = 5.0


@dataclass
class Provider:
    """A listening socket whose connections run a script."""

    script: Script
    url: str = ""
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self.server = await asyncio.start_server(self.meet, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client under test went away, or the test is over
        finally:
            writer.transport.abort()

    async def stop(self) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.server.wait_closed()


Serve = Callable[[Script], Awaitable[Provider]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Each test on both loops: what aiohttp asks of a transport is answered differently by the two."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    started: list[Provider] = []

    async def start(script: Script) -> Provider:
        provider = Provider(script)
        await provider.start()
        started.append(provider)
        return provider

    yield start
    for provider in started:
        await provider.stop()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream(allow_private=["127.0.0.1"])
    yield made
    await made.close()


@pytest.fixture
def limits() -> Callable[..., Limits]:
    return Limits


@pytest.fixture
def fds() -> Callable[[], int]:
    return lambda: len(os.listdir("/proc/self/fd"))


async def take(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One request: its head, and its body as framed by content-length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head, await reader.readexactly(length)


@pytest.fixture
def say() -> Callable[..., Script]:
    """A script that answers every request with the same pieces, each in a segment of its own, then keeps or closes."""

    def script(*pieces: bytes, close: bool = False) -> Script:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await take(reader)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.002)
                if close:
                    return

        return run

    return script


@pytest.fixture
def request_of() -> Callable[[asyncio.StreamReader], Awaitable[tuple[bytes, bytes]]]:
    return take
