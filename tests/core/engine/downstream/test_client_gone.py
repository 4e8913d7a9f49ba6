"""A client that leaves takes its request with it: the provider's connection ends at once, the ends run, nothing stays."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from relay.exchange import Exchange
from relay.plugin import Plugin

BODY = b'{"model":"m","text":"x","stream":true}'
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"n":0,"text":"hello"}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


class Ends(Plugin):
    """Notes that an exchange's end came."""

    name = "ends"

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []

    async def on_request(self, exchange: Exchange) -> None:
        exchange.on_end(lambda: self.ends.append(str(exchange.outcome)))


async def silent(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def streaming(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(SSE + CHUNK)
    await reader.read()


async def chatting(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(SSE)
    while True:
        writer.write(CHUNK)
        await writer.drain()
        await asyncio.sleep(0.01)


def tasks() -> int:
    return len(asyncio.all_tasks())


@pytest.mark.parametrize("how", ["reset", "close", "half"])
@pytest.mark.parametrize("answer", [silent, streaming, chatting], ids=["before", "mid-stream", "mid-event"])
async def test_a_client_that_leaves_ends_the_request_at_the_provider_at_once(
    serve: Any, ask: Any, answer: Any, how: str
) -> None:
    ends = Ends()
    relay = await serve(ends)
    relay.provider.answer = answer
    before = tasks()
    wire = await relay.connect()
    wire.send(ask(BODY))
    while not relay.provider.got:
        await asyncio.sleep(0.005)
    if answer is not silent:
        await wire.reader.readuntil(EVENT)

    left = time.perf_counter()
    if how == "reset":
        wire.writer.transport.abort()
    elif how == "close":
        wire.writer.close()
    else:
        wire.writer.write_eof()
    await asyncio.wait_for(relay.provider.closed.wait(), 2)
    took = time.perf_counter() - left

    exchange = await relay.end()
    assert 0.1 > took
    assert ("client_left", "client_left") == (exchange.outcome, exchange.attempts[0].outcome)
    assert ["client_left"] == ends.ends
    assert await nothing_left(before)


async def nothing_left(before: int) -> bool:
    for _ in range(100):
        if tasks() <= before:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_client_that_leaves_while_it_sends_its_body_leaves_nothing(serve: Any) -> None:
    ends = Ends()
    relay = await serve(ends)
    before = tasks()
    wire = await relay.connect()
    wire.send(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\ncontent-length: 100\r\n\r\n{")
    await asyncio.sleep(0.05)

    wire.close()
    exchange = await relay.end()

    assert "client_left" == exchange.outcome
    assert [] == relay.provider.got
    assert await nothing_left(before)


async def test_a_client_that_leaves_in_the_middle_of_an_upload_ends_it_at_the_provider(serve: Any) -> None:
    ends = Ends()
    relay = await serve(ends)
    relay.provider.reads_body = False
    relay.provider.answer = silent
    before = tasks()
    wire = await relay.connect()
    wire.send(
        b"POST /v1/forms HTTP/1.1\r\nhost: relay\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 900000\r\n\r\n"
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"x" * 200_000
    )
    while not relay.provider.got:
        await asyncio.sleep(0.005)

    left = time.perf_counter()
    wire.close()
    await asyncio.wait_for(relay.provider.closed.wait(), 2)

    assert 0.1 > time.perf_counter() - left
    assert "client_left" == (await relay.end()).outcome
    assert ["client_left"] == ends.ends
    assert await nothing_left(before)


async def test_a_client_that_leaves_while_a_plugin_works_ends_that_too(serve: Any, ask: Any) -> None:
    class Slow(Ends):
        name = "slow"

        async def on_request(self, exchange: Exchange) -> None:
            await super().on_request(exchange)
            await asyncio.sleep(30)

    slow = Slow()
    relay = await serve(slow)
    wire = await relay.connect()
    wire.send(ask(BODY))
    await asyncio.sleep(0.05)

    wire.close()

    assert "client_left" == (await relay.end()).outcome
    assert ["client_left"] == slow.ends
    assert [] == relay.provider.got


async def test_a_client_that_leaves_behind_others_requests_disturbs_none(serve: Any, ask: Any, answer: bytes) -> None:
    relay = await serve()
    for _ in range(20):
        wire = await relay.connect()
        wire.send(ask(b'{"model":"m","text":"x"}'))
        wire.close()

    assert await relay.lives()
    assert {"client_left", "completed"} >= {exchange.outcome for exchange in relay.ended}
