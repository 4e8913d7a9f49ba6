"""Every way a provider can fail has its own name, says whether the request was written, and shows nothing of it."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from relay.engine.upstream import Upstream, UpstreamError

SECRET = "sk-never-shown"
HEADERS = (("authorization", f"Bearer {SECRET}"),)


async def failure(upstream: Upstream, url: str, limits: Any, *, read: bool = False) -> tuple[UpstreamError, bytes]:
    """The error of one POST, and what had been read before it."""
    got = b""
    with pytest.raises(UpstreamError) as caught:
        answer = await upstream.send(
            upstream.origin(url, allow_private=True), "POST", f"/v1/chat?key={SECRET}", HEADERS, SECRET.encode(), limits
        )
        try:
            while piece := await answer.read():
                got += piece
        finally:
            answer.release()
    seen = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert SECRET not in "".join(map(repr, seen)) + str(caught.value)
    return caught.value, got


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nhalf",
    ],
    ids=["length", "between chunks", "in a chunk"],
)
async def test_an_answer_that_ends_before_its_framing_is_cut_after_what_came(
    upstream: Upstream, serve: Any, say: Any, limits: Any, wire: bytes
) -> None:
    provider = await serve(say(wire, close=True))

    error, got = await failure(upstream, provider.url, limits())

    assert ("cut", True, b"half") == (error.kind, error.written, got)


async def test_a_reset_is_not_the_end_of_a_body_that_runs_to_the_end(
    upstream: Upstream, serve: Any, request_of: Any, limits: Any
) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    provider = await serve(reset)

    error, got = await failure(upstream, provider.url, limits())

    assert ("cut", True, b"half") == (error.kind, error.written, got)


@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "cut"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx", "protocol"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: nine\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nx: a\x01b\r\ncontent-length: 0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nx: a\x7fb\r\ncontent-length: 0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: yyyyyyyy\r\n" * 6_000 + b"\r\n", "protocol"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000, "protocol"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "protocol"),
    ],
    ids=[
        "nothing", "half a head", "another protocol", "two lengths", "no number", "NUL", "control", "DEL", "unasked upgrade",
        "long line", "many lines", "interim without end", "bad chunk",
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_named_for_what_it_is(
    upstream: Upstream, serve: Any, say: Any, limits: Any, wire: bytes, kind: str
) -> None:
    provider = await serve(say(wire, close=True))

    error, got = await failure(upstream, provider.url, limits())

    assert (kind, True, b"") == (error.kind, error.written, got)


@pytest.mark.parametrize(
    ("pieces", "deadlines", "kind", "before"),
    [
        ((), {"first_byte_s": 0.1}, "first_byte_timeout", b""),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), {"first_byte_s": 0.1}, "first_byte_timeout", b""),
        ((b"HTTP/1.1 200 OK\r\n\r\n", b"some"), {"silence_s": 0.1}, "silence", b"some"),
        ((b"HTTP/1.1 200 OK\r\n\r\n", b"some"), {"total_s": 0.6}, "total_timeout", b"some"),
        ((), {"total_s": 0.6}, "total_timeout", b""),
    ],
)
async def test_each_deadline_strikes_when_it_is_due(
    upstream: Upstream, serve: Any, say: Any, limits: Any, pieces: Any, deadlines: Any, kind: str, before: bytes
) -> None:
    provider = await serve(say(*pieces))

    start = time.monotonic()
    error, got = await failure(upstream, provider.url, limits(**deadlines))
    took = time.monotonic() - start

    assert (kind, True, before) == (error.kind, error.written, got)
    assert 0.09 <= took < 2.0


async def test_a_stream_that_keeps_talking_outlives_the_silence_deadline(
    upstream: Upstream, serve: Any, request_of: Any, limits: Any
) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.05)
            writer.write(b"x")
        await reader.read()

    provider = await serve(trickle)
    deadlines = limits(first_byte_s=0.3, silence_s=0.3)

    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), b"", deadlines)
    got = b""
    while piece := await answer.read():
        got += piece
    answer.release()

    assert b"x" * 10 == got


async def test_the_total_deadline_also_strikes_while_nobody_reads(upstream: Upstream, serve: Any, limits: Any) -> None:
    hung_up = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while await reader.read(1000):
            pass
        hung_up.set()

    provider = await serve(stall)
    answer = await upstream.send(upstream.origin(provider.url), "GET", "/", (), None, limits(total_s=0.6))

    await asyncio.wait_for(hung_up.wait(), 2)

    with pytest.raises(UpstreamError) as caught:
        await answer.read()
    answer.release()
    assert "total_timeout" == caught.value.kind


async def test_a_port_nobody_listens_on_is_a_connect_error_and_nothing_was_written(
    upstream: Upstream, limits: Any
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

        error, _ = await failure(upstream, f"http://127.0.0.1:{port}", limits())

    assert ("connect", False) == (error.kind, error.written)
    assert "refused" in str(error)


async def test_a_provider_that_does_not_accept_is_given_up_in_time(upstream: Upstream, limits: Any) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))

        error, _ = await failure(upstream, f"http://127.0.0.1:{port}", limits(connect_s=0.2))
        for filler in fillers:
            filler.close()

    assert ("connect_timeout", False) == (error.kind, error.written)
