"""Live, started, ready: three answers; and a drain cuts nothing that can still end in its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay.engine.health import Health
from relay.plugin import Plugin, Relay
from relay.ports import Finding

BODY = b'{"model":"m","text":"x","stream":true}'


def get(path: bytes) -> bytes:
    return b"GET /-/health/%b HTTP/1.1\r\nhost: relay\r\n\r\n" % path


class Checked(Plugin):
    """Has something that may not be ready."""

    name = "checked"
    finding = Finding(True)

    async def lifespan(self, relay: Relay) -> AsyncIterator[None]:
        relay.check("database", lambda: self.finding)
        yield


async def test_a_relay_at_work_is_live_started_and_ready(relay: Any) -> None:
    for path in (b"live", b"startup", b"ready"):
        for port in (relay.port, relay.operators):
            status, _, _ = await relay.say(get(path), port)

            assert 200 == status


async def test_P47_a_failing_check_is_not_ready_while_callers_are_served(serve: Any) -> None:
    checked = Checked()
    relay = await serve(checked)
    checked.finding = Finding(False, "secret-host is down")

    status, _, body = await relay.say(get(b"ready"))

    assert 503 == status
    assert b'"failing": ["database"]' in body
    assert b"secret" not in body
    assert 200 == (await relay.say(get(b"live")))[0]
    assert 200 == (await relay.say(get(b"startup")))[0]
    assert await relay.lives()


async def test_before_the_start_it_is_neither_started_nor_ready() -> None:
    health = Health(dict)
    request: Any = None

    statuses = [(await ask(request)).status for ask in (health.live, health.startup, health.ready)]

    assert [200, 503, 503] == statuses


SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


class Slow:
    """Streams its second half when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE + b'data: {"n":0,"text":"one"}\n\n')
        await self.go_on.wait()
        writer.write(b'data: {"n":0,"text":"two"}\n\ndata: [END]\n\n')
        writer.close()


@asynccontextmanager
async def draining(relay: Any) -> AsyncIterator[asyncio.Task[None]]:
    """The relay of `serve`, being closed: through the listeners that its `opened` closes at its end."""
    closing = asyncio.create_task(relay.close())
    await asyncio.sleep(0.1)
    yield closing
    await asyncio.wait_for(closing, 5)


async def test_a_drain_lets_a_stream_end_and_tells_so(serve: Any, ask: Any) -> None:
    relay = await serve(drain_s=3.0)
    slow = relay.provider.answer = Slow()
    idle, kept, running = [await relay.connect() for _ in range(3)]
    kept.send(get(b"live"))
    await kept.reply()
    running.send(ask(BODY))
    await running.reader.readuntil(b"one")

    async with draining(relay):
        with pytest.raises(ConnectionRefusedError):
            await relay.connect()
        assert await idle.is_closed(1.0)
        assert await kept.is_closed(1.0)
        assert relay.serving.health.is_draining
        slow.go_on.set()
        rest = await running.rest()

    assert b"data: [END]\n\n\r\n0\r\n\r\n" in rest
    assert "completed" == (await relay.end()).outcome


async def test_a_stream_that_does_not_end_in_time_is_told_why(serve: Any, ask: Any) -> None:
    relay = await serve(drain_s=0.3)
    relay.provider.answer = Slow()
    wire = await relay.connect()
    wire.send(ask(BODY))
    await wire.reader.readuntil(b"one")
    started = time.perf_counter()

    async with draining(relay):
        rest = await wire.rest()

    assert 0.25 < time.perf_counter() - started < 2.0
    assert b'"code":"not_ready"' in rest
    assert rest.endswith(b"0\r\n\r\n")
    assert "interrupted" == (await relay.end()).outcome


async def test_a_request_that_arrives_while_draining_is_sent_elsewhere(serve: Any, ask: Any) -> None:
    relay = await serve(drain_s=1.0)
    slow = relay.provider.answer = Slow()
    wire = await relay.connect()
    wire.send(ask(BODY) + ask(b'{"model":"m","text":"second"}'))
    await wire.reader.readuntil(b"one")

    async with draining(relay):
        slow.go_on.set()
        rest = await wire.rest()

    behind = rest.partition(b"0\r\n\r\n")[2]
    assert behind == b"" or (behind.startswith(b"HTTP/1.1 503") and b"connection: close" in behind)
    assert 1 == len(relay.provider.got)


async def test_draining_is_not_ready_but_live(serve: Any) -> None:
    relay = await serve()
    relay.serving.health.is_draining = True

    assert 503 == (await relay.say(get(b"ready")))[0]
    assert 200 == (await relay.say(get(b"live")))[0]
    assert 200 == (await relay.say(get(b"startup")))[0]


async def test_while_draining_a_kept_connection_is_refused_and_closed(serve: Any, ask: Any) -> None:
    relay = await serve()
    for downstream in relay.serving._downstreams:
        downstream.is_draining = True
    wire = await relay.connect()
    wire.send(ask(BODY))

    status, head, _ = await wire.reply()

    assert 503 == status
    assert b"x-relay-error: not_ready" in head
    assert b"connection: close" in head
    assert b"retry-after: 1" in head
    assert await wire.is_closed()
