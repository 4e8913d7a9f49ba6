"""What only shows on a socket: a drain, and a connection that goes on after an exchange was stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from relay import Skip
from relay.engine.serving import Terms
from relay.testing.server import serve
from relay.testing.upstream import SILENCE, ScriptedUpstream, answer, stream

HELLO = b'data: {"n":0,"text":"hello"}\n\n'
END = b'data: {"stop":"end"}\n\ndata: [END]\n\n'
ASK = {"model": "m", "text": "x", "stream": True}


async def test_a_drain_lets_a_stream_end_and_takes_nothing_new(plugin: Any) -> None:
    gate = asyncio.Event()
    async with ScriptedUpstream() as upstream, aiohttp.ClientSession() as client:
        upstream.play(*stream([HELLO, gate, END]))
        context = serve(upstream=upstream.url, terms=Terms(drain_s=5.0))
        served = await context.__aenter__()
        reply = await client.post(f"{served.url}/v1/ask", json=ASK)
        closing = asyncio.create_task(context.__aexit__(None, None, None))
        await asyncio.sleep(0.05)

        assert not closing.done()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post(f"{served.url}/v1/ask", json=ASK)
        gate.set()
        body = await reply.read()
        await asyncio.wait_for(closing, 5)

    assert HELLO + END == body
    assert ["completed"] == [exchange.outcome for exchange in served.exchanges]


async def test_a_stream_that_outlasts_the_drain_is_broken_off_with_an_error_event(plugin: Any) -> None:
    ended: list[str] = []
    subject = plugin(on_request=lambda exchange: exchange.on_end(ended.append, "ended"))
    async with ScriptedUpstream() as upstream, aiohttp.ClientSession() as client:
        upstream.play(*stream([HELLO, SILENCE]))
        async with serve([subject], upstream=upstream.url, terms=Terms(drain_s=0.1)) as served:
            reply = await client.post(f"{served.url}/v1/ask", json=ASK)
            reading = asyncio.create_task(reply.read())
            await asyncio.sleep(0.02)
        body = await asyncio.wait_for(reading, 5)

    assert body.startswith(HELLO)
    assert b'"not_ready"' in body
    assert ["interrupted"] == [exchange.outcome for exchange in served.exchanges]
    assert ["ended"] == ended


@pytest.mark.parametrize("when", ["in the stream", "too late", "on the way in"])
async def test_the_connection_serves_the_next_request_after_a_stop(
    serving: Any, scripted_upstream: Any, plugin: Any, when: str
) -> None:
    loop = asyncio.get_running_loop()
    first: list[Any] = []

    async def on_request(exchange: Any) -> None:
        if not first:
            first.append(exchange)
            if when == "on the way in":
                exchange.stop("not_today")
            elif when == "in the stream":
                loop.call_later(0.05, exchange.stop, "not_today")
            else:
                exchange.on_end(exchange.stop)

    scripted_upstream.play(*(stream([HELLO, SILENCE]) if when == "in the stream" else stream([HELLO, END])))
    scripted_upstream.play(*answer(200, body=b'{"text":"second"}'))
    served = await serving([plugin(on_request=on_request)], upstream=scripted_upstream.url)
    reader, writer = await asyncio.open_connection(*served.address)

    async def ask(stream: bytes) -> bytes:
        body = b'{"model":"m","text":"x","stream":%b}' % stream
        writer.write(b"POST /v1/ask HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        got = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        if b"chunked" in got:
            return got + await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 5)
        length = int(got.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return got + await reader.readexactly(length)

    await ask(b"true")
    if when == "too late":
        first[0].stop("not_today")
    await asyncio.sleep(0.02)
    second = await ask(b"false")
    writer.close()

    assert second.startswith(b"HTTP/1.1 200 OK")
    outcomes = [exchange.outcome for exchange in served.exchanges]
    assert ["completed" if when == "too late" else "interrupted", "completed"] == outcomes


async def test_a_client_that_leaves_during_an_end_keeps_none_of_them_from_running(
    serving: Any, scripted_upstream: Any, plugin: Any
) -> None:
    log: list[str] = []
    begun = asyncio.Event()

    async def slowly() -> None:
        begun.set()
        await asyncio.sleep(0.1)
        log.append("attempt")

    subject = plugin(
        on_request=lambda exchange: exchange.on_end(log.append, "exchange"),
        on_attempt=lambda _, attempt: attempt.on_end(slowly),
    )
    scripted_upstream.play(*answer(200, body=b'{"text":"hi"}'))
    served = await serving([subject], upstream=scripted_upstream.url)
    _, writer = await asyncio.open_connection(*served.address)
    body = b'{"model":"m","text":"x"}'
    writer.write(b"POST /v1/ask HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await asyncio.wait_for(begun.wait(), 5)
    writer.transport.abort()
    for _ in range(100):
        if served.exchanges:
            break
        await asyncio.sleep(0.01)

    assert ["attempt", "exchange"] == log
    assert ["completed"] == [exchange.outcome for exchange in served.exchanges]


async def test_an_upload_that_one_target_skips_goes_to_the_next(
    serving: Any, scripted_upstream: Any, plugin: Any
) -> None:
    def skip_first(_: Any, attempt: Any) -> Skip | None:
        return Skip("not_today") if attempt.number == 1 else None

    scripted_upstream.play(*answer(200, body=b'{"text":"taken"}'))
    served = await serving([plugin(on_attempt=skip_first)], upstream=[scripted_upstream.url] * 2)
    form = aiohttp.FormData({"model": "m"})
    form.add_field("file", b"x" * 200_000, filename="a")

    async with aiohttp.ClientSession() as client, client.post(f"{served.url}/v1/forms", data=form) as reply:
        told = await reply.json()

    assert {"text": "taken"} == told
    assert ["skipped", "completed"] == [attempt.outcome for attempt in served.exchanges[0].attempts]
    assert b"x" * 200_000 in scripted_upstream.requests[0].body
