"""How much a client may send, and how long it may take."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from relay.engine.intake import Limits

BODY = b'{"model":"m","text":"x"}'


def code(head: bytes) -> bytes:
    return head.split(b"x-relay-error: ")[1].split(b"\r\n")[0] if b"x-relay-error" in head else b""


def with_headers(size: int, each: int) -> bytes:
    """A request whose headers are of so many bytes together."""
    lines, at = [], 0
    while size > 0:
        lines.append(b"x-%d: %b\r\n" % (at, b"a" * min(each, size)))
        size -= len(lines[-1])
        at += 1
    return b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\n%bcontent-length: %d\r\n\r\n%b" % (
        b"".join(lines),
        len(BODY),
        BODY,
    )


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/ask?" + b"a" * 5000 + b" HTTP/1.1\r\nhost: relay\r\n\r\n",
        with_headers(5000, 5000),
        with_headers(5000, 500),
        with_headers(2000, 7),
        b"POST /v1/ask?" + b"a" * 2500 + with_headers(2500, 500)[12:],
        b"G" * 5000,
        b"POST /v1/ask HTTP/1.1\r\n" + b"x" * 5000,
        b"POST /v1/ask HTTP/1.1\r\nx: " + b"y\r\nx: " * 1000,
    ],
    ids=["line", "one header", "all headers", "their number", "line and headers", "method", "name", "no end"],
)
async def test_a_head_that_is_too_large_is_refused(serve: Any, head: bytes) -> None:
    relay = await serve(head_bytes=4096, head_s=0.5)

    status, answer, _ = await relay.say(head)

    assert status in (431, 400)
    assert b"connection: close" in answer
    assert [] == relay.provider.got
    assert await relay.lives()


async def test_all_headers_together_are_bounded_as_the_line_and_each_of_them(serve: Any) -> None:
    relay = await serve(head_bytes=4096)

    fits, _, _ = await relay.say(with_headers(3500, 500))
    refused, head, _ = await relay.say(with_headers(4200, 500))

    assert 200 == fits
    assert (431, b"head_too_large") == (refused, code(head))


async def test_a_head_that_comes_in_pieces_is_counted_as_a_whole(serve: Any) -> None:
    relay = await serve(head_bytes=4096)
    wire = await relay.connect()

    wire.send(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\n")
    for at in range(30):
        wire.send(b"x-%d: %b\r\n" % (at, b"a" * 200))
        await asyncio.sleep(0.001)
    said = await wire.rest()

    assert said == b"" or said.startswith(b"HTTP/1.1 431")


async def test_a_head_behind_a_running_request_is_bounded_too(serve: Any) -> None:
    relay = await serve(head_bytes=4096)
    go_on = asyncio.Event()

    async def late(got: Any, reader: Any, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    relay.provider.answer = late
    wire = await relay.connect()
    wire.send(with_headers(10, 10))
    while not relay.provider.got:
        await asyncio.sleep(0.005)
    for at in range(40):
        wire.send(b"x-%d: %b\r\n" % (at, b"a" * 200))
        await asyncio.sleep(0.001)
    go_on.set()

    assert 200 == (await wire.reply())[0]
    said = await wire.rest()
    assert said == b"" or said.startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: 200\r\n\r\n" + b" " * 200,
        b"transfer-encoding: chunked\r\n\r\nc8\r\n" + b" " * 200 + b"\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 200,
    ],
)
async def test_a_body_that_is_too_large_is_refused(serve: Any, framed: bytes) -> None:
    relay = await serve(limits=Limits(body=100))

    status, head, _ = await relay.say(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\n" + framed)

    assert (413, b"too_large") == (status, code(head))
    assert [] == relay.provider.got


async def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(relay: Any) -> None:
    expecting = b"expect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n"

    status, head, _ = await relay.say(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\n" + expecting)

    assert (413, b"too_large") == (status, code(head))
    assert b"connection: close" in head


async def test_a_body_of_the_largest_size_is_taken(serve: Any, ask: Any) -> None:
    relay = await serve(limits=Limits(body=1000))

    taken, _, _ = await relay.say(ask(BODY + b" " * (1000 - len(BODY))))
    refused, _, _ = await relay.say(ask(BODY + b" " * (1001 - len(BODY))))

    assert (200, 413) == (taken, refused)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"x-gzip": gzip.compress,
    b"Deflate": raw_deflate,
}


@pytest.mark.parametrize("encoding", PACKERS)
async def test_a_compressed_body_reaches_the_provider_as_it_is(relay: Any, ask: Any, encoding: bytes) -> None:
    body = b'{"model":"m","text":"' + b"x" * 700_000 + b'"}'

    status, _, _ = await relay.say(ask(PACKERS[encoding](body), headers=b"content-encoding: %b\r\n" % encoding))

    assert 200 == status
    assert [body] == [got.body for got in relay.provider.got]
    assert b"content-encoding" not in relay.provider.got[0].head.lower()


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"Deflate"])
async def test_P44_a_compression_bomb_is_refused_in_little_memory(relay: Any, ask: Any, encoding: bytes) -> None:
    bomb = PACKERS[encoding](BODY + b" " * 100_000_000)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()

    status, head, _ = await relay.say(ask(bomb, headers=b"content-encoding: %b\r\n" % encoding))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (413, b"too_large") == (status, code(head))
    assert 40 * 1024 * 1024 > peak - before
    assert [] == relay.provider.got


PACKED = gzip.compress(BODY)


@pytest.mark.parametrize(
    "body",
    [BODY, b"\x1f\x8b", PACKED[:-1], PACKED[:-8], PACKED + b"!", PACKED + PACKED, PACKED[:-6] + b"\0\0" + PACKED[-4:], PACKED[:12]],
    ids=["plain", "two bytes", "cut", "no trailer", "more behind", "two members", "wrong sum", "head only"],
)  # fmt: skip
async def test_a_body_that_is_not_what_its_encoding_says_is_refused(relay: Any, ask: Any, body: bytes) -> None:
    status, head, _ = await relay.say(ask(body, headers=b"content-encoding: gzip\r\n"))

    assert (400, b"bad_request") == (status, code(head))
    assert [] == relay.provider.got
    assert await relay.lives()


@pytest.mark.parametrize(
    "lines",
    [
        b"content-encoding: br\r\n", b"content-encoding: zstd\r\n", b"content-encoding: rot13\r\n", b"content-encoding:\r\n",
        b"content-encoding: gzip, gzip\r\n", b"content-encoding: gzip\r\ncontent-encoding: gzip\r\n", b"content-encoding: gzip,\r\n",
    ],
)  # fmt: skip
async def test_an_encoding_that_is_not_known_is_refused_by_name(relay: Any, ask: Any, lines: bytes) -> None:
    status, head, _ = await relay.say(ask(gzip.compress(PACKED), headers=lines))

    assert (415, b"unsupported_encoding") == (status, code(head))
    assert b"accept-encoding: gzip, deflate\r\n" in head
    assert [] == relay.provider.got


async def test_a_client_that_waits_to_continue_is_told_to(relay: Any) -> None:
    wire = await relay.connect()
    wire.send(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\nexpect: 100-Continue\r\ncontent-length: 24\r\n\r\n")

    told = await wire.head()
    wire.send(BODY)
    status, _, _ = await wire.reply()

    assert b"HTTP/1.1 100 Continue\r\n\r\n" == told
    assert 200 == status
    assert b"expect" not in relay.provider.got[0].head.lower()


async def test_another_expectation_is_refused(relay: Any, ask: Any) -> None:
    status, head, _ = await relay.say(ask(BODY, headers=b"expect: 200-ok\r\n"))

    assert (417, b"expectation_failed") == (status, code(head))
    assert [] == relay.provider.got


@pytest.mark.parametrize("beginning", [b"", b"POST /v1/ask HTTP/1.1\r\nx: "])
async def test_a_head_that_trickles_is_closed_though_bytes_keep_coming(serve: Any, beginning: bytes) -> None:
    relay = await serve(head_s=0.3)
    wire = await relay.connect()
    wire.send(beginning)
    started = time.perf_counter()

    closed = asyncio.create_task(wire.rest())
    while not closed.done() and time.perf_counter() - started < 3:
        wire.send(b" " if beginning else b"\r\n")
        await asyncio.sleep(0.02)
    took = time.perf_counter() - started

    assert 0.25 <= took < 1.0
    assert b"" == await closed


async def test_the_second_head_of_a_connection_may_not_trickle_either(serve: Any, ask: Any) -> None:
    relay = await serve(head_s=0.2)
    wire = await relay.connect()
    wire.send(ask(BODY))
    await wire.reply()
    await asyncio.sleep(0.4)
    wire.send(b"POST")

    assert not await wire.is_closed(0.05)
    assert await wire.is_closed(1.0)


async def test_a_body_that_trickles_is_refused_though_bytes_keep_coming(serve: Any) -> None:
    relay = await serve(limits=Limits(body_s=0.2))
    wire = await relay.connect()
    wire.send(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\ncontent-length: 1000\r\n\r\n")
    trickle = asyncio.create_task(_trickle(wire))

    status, head, _ = await wire.reply()
    trickle.cancel()

    assert (408, b"request_timeout") == (status, code(head))
    assert b"connection: close" in head
    assert [] == relay.provider.got


async def _trickle(wire: Any) -> None:
    while True:
        wire.send(b" ")
        await asyncio.sleep(0.01)


async def test_a_body_whose_framing_breaks_is_refused_at_once(relay: Any) -> None:
    wire = await relay.connect()
    wire.send(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n")
    await asyncio.sleep(0.05)
    wire.send(b"zz\r\n")

    status, head, _ = await wire.reply()

    assert (400, b"bad_request") == (status, code(head))
    assert b"connection: close" in head


async def test_connections_are_bounded_in_number(serve: Any, ask: Any) -> None:
    relay = await serve(connections=3)
    kept = [await relay.connect() for _ in range(3)]
    for wire in kept:
        wire.send(ask(BODY))
        assert 200 == (await wire.reply())[0]

    over = await relay.connect()
    turned_away = await over.is_closed()
    kept[0].close()
    await asyncio.sleep(0.05)

    assert turned_away
    assert await relay.lives()


async def test_an_idle_connection_is_closed_in_its_time(serve: Any, ask: Any) -> None:
    relay = await serve(idle_s=0.3)
    wire = await relay.connect()
    wire.send(ask(BODY))
    await wire.reply()

    assert not await wire.is_closed(0.1)
    assert await wire.is_closed(1.0)


async def test_a_page_is_given_a_body_within_its_time_or_not_at_all(serve: Any) -> None:
    relay = await serve(limits=Limits(body_s=0.1))
    wire = await relay.connect()

    wire.send(b"POST /-/health/live HTTP/1.1\r\nhost: relay\r\ncontent-length: 10\r\n\r\n")

    assert (await wire.rest(2.0)).startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize("kept", [b"/v1/nothing", b"/v1/ask?x", b"/nothing"])
async def test_a_connection_is_used_again_after_a_refusal_whose_body_was_read(
    relay: Any, ask: Any, kept: bytes
) -> None:
    wire = await relay.connect()
    wire.send(ask(b"{", path=kept))
    first, head, _ = await wire.reply()

    wire.send(ask(BODY))
    second, _, _ = await wire.reply()

    assert first in (400, 404)
    assert b"connection: close" not in head
    assert 200 == second
