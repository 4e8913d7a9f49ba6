"""Whoever stops waiting leaves nothing behind: the provider sees the close within 100 ms, and no file descriptor stays."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relay.engine.upstream import Upstream

STAGES = {
    "waiting for the head": b"",
    "in the middle of the head": b"HTTP/1.1 200 OK\r\nx: ",
    "waiting for the body": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
    "in the middle of the body": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "stream"])
async def test_a_cancelled_attempt_closes_its_connection_within_100_ms(
    upstream: Upstream, serve: Any, limits: Any, fds: Any, stage: str, streamed: bool
) -> None:
    hung_up = asyncio.Event()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(STAGES[stage])
        try:
            while await reader.read(100_000):
                pass
        finally:
            hung_up.set()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.001)

    async def attempt() -> None:
        body = endless() if streamed else b"{}"
        answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), body, limits())
        while await answer.read():  # not released on purpose: the cancellation has to be enough
            pass

    provider = await serve(run)
    before = fds()
    task = asyncio.ensure_future(attempt())
    await asyncio.sleep(0.05)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(hung_up.wait(), 0.1)
    await asyncio.sleep(0.02)
    assert before == fds()
    assert 1 == len(asyncio.all_tasks()) - len([task for task in provider.tasks if not task.done()])


async def test_a_cancelled_connect_leaves_no_socket(upstream: Upstream, limits: Any, fds: Any) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        before = fds()
        origin = upstream.origin(f"http://127.0.0.1:{full.getsockname()[1]}")
        task = asyncio.ensure_future(upstream.send(origin, "GET", "/", (), None, limits()))
        await asyncio.sleep(0.05)
        during = fds()

        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.02)
        after = fds()
        for filler in fillers:
            filler.close()
    assert during > before
    assert before == after


async def test_an_unread_upload_does_not_hold_the_connection_open(
    upstream: Upstream, serve: Any, limits: Any, fds: Any
) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)

    provider = await serve(deaf)
    before = fds()
    big = b"x" * 20_000_000
    task = asyncio.ensure_future(upstream.send(upstream.origin(provider.url), "POST", "/", (), big, limits()))
    await asyncio.sleep(0.05)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert before + 1 == fds()  # the provider's own end
