"""The scripted provider and the relay in one process do what their descriptions say."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from relay.testing.upstream import CUT, RESET, SILENCE, answer, stream

HELLO = b'data: {"n":0,"text":"hello"}\n\n'
END = b'data: {"stop":"end"}\n\ndata: [END]\n\n'
ASK = {"model": "m", "text": "x", "stream": True}


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_any_framing_of_the_provider_gives_the_client_the_same_bytes(
    serving: Any, scripted_upstream: Any, framing: Any
) -> None:
    scripted_upstream.play(*stream([HELLO, 0.001, END], framing=framing))
    served = await serving(upstream=scripted_upstream.url)

    async with aiohttp.ClientSession() as client, client.post(f"{served.url}/v1/ask", json=ASK) as reply:
        body = await reply.read()

    assert HELLO + END == body
    assert b'{"model": "m", "text": "x", "stream": true}' == scripted_upstream.requests[0].body
    assert scripted_upstream.requests[0].head.startswith(b"POST /v1/ask HTTP/1.1\r\n")


@pytest.mark.parametrize("fault", [CUT, RESET])
async def test_a_provider_that_breaks_off_is_told_in_the_stream(
    serving: Any, scripted_upstream: Any, fault: Any
) -> None:
    scripted_upstream.play(*stream([HELLO, 0.01, fault]))
    served = await serving(upstream=scripted_upstream.url)

    async with aiohttp.ClientSession() as client, client.post(f"{served.url}/v1/ask", json=ASK) as reply:
        body = await reply.read()

    assert body.startswith(HELLO)
    assert b'"upstream_failed"' in body
    assert ["failed"] == [exchange.outcome for exchange in served.exchanges]


async def test_a_client_that_leaves_closes_the_provider_within_100_ms(serving: Any, scripted_upstream: Any) -> None:
    scripted_upstream.play(*stream([HELLO, SILENCE]))
    served = await serving(upstream=scripted_upstream.url)
    loop = asyncio.get_running_loop()

    async with aiohttp.ClientSession() as client:
        reply = await client.post(f"{served.url}/v1/ask", json=ASK)
        assert HELLO == await reply.content.readany()
        left_s = loop.time()
        reply.close()
        await asyncio.wait_for(scripted_upstream.requests[0].left.wait(), 2)

    assert scripted_upstream.requests[0].left_s - left_s < 0.1
    assert ["client_left"] == [exchange.outcome for exchange in served.exchanges]


async def test_a_stream_is_stopped_while_its_client_does_not_read(
    serving: Any, scripted_upstream: Any, plugin: Any
) -> None:
    def on_reply(exchange: Any, _: Any) -> None:
        asyncio.get_running_loop().call_later(0.2, exchange.stop, "not_today")

    piece = b'data: {"n":0,"text":"' + b"x" * 65_000 + b'"}\n\n'
    scripted_upstream.play(*stream([piece] * 400))
    served = await serving([plugin(on_reply=on_reply)], upstream=scripted_upstream.url)

    reader, writer = await asyncio.open_connection(*served.address, limit=2**16)
    body = b'{"model":"m","text":"x","stream":true}'
    writer.write(b"POST /v1/ask HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    while not scripted_upstream.requests:
        await asyncio.sleep(0.005)
    await asyncio.wait_for(scripted_upstream.requests[0].left.wait(), 2)
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        got += await asyncio.wait_for(reader.read(2**20), 2)
    writer.close()

    assert b'"not_today"' in got
    assert ["interrupted"] == [exchange.outcome for exchange in served.exchanges]


async def test_a_script_is_chosen_by_what_the_request_looks_like(serving: Any, scripted_upstream: Any) -> None:
    scripted_upstream.play(*answer(200, body=b'{"text":"second"}'), when=lambda request: b'"b"' in request.body)
    scripted_upstream.play(*answer(200, body=b'{"text":"first"}'), when=lambda request: b'"a"' in request.body)
    served = await serving(upstream=scripted_upstream.url)
    told = []

    async with aiohttp.ClientSession() as client:
        for text in "abb":
            async with client.post(f"{served.url}/v1/ask", json={"model": "m", "text": text}) as reply:
                told.append((await reply.json())["text"])

    assert ["first", "second", "second"] == told
    assert 1 == scripted_upstream.connections
