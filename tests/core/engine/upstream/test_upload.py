"""A streamed request goes up no faster than it is taken, and an early answer is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from relay.engine.upstream import Upstream, UpstreamError

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def test_a_stream_is_sent_chunked_and_its_connection_kept(upstream: Upstream, serve: Any, limits: Any) -> None:
    seen = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await reader.readuntil(b"0\r\n\r\n"))
            writer.write(OK)

    provider = await serve(run)
    origin = upstream.origin(provider.url)

    for _ in range(2):
        answer = await upstream.send(origin, "POST", "/up", (), pieces(b"abc", b"", b"defg" * 4), limits())
        assert b"ok" == await answer.read()
        answer.release()

    head, _, body = seen[1].partition(b"\r\n\r\n")
    assert b"POST /up HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ntransfer-encoding: chunked" % provider.port == head
    assert b"3\r\nabc\r\n10\r\n" + b"defg" * 4 + b"\r\n0\r\n\r\n" == body
    assert 1 == provider.connections


async def test_a_declared_length_is_sent_instead_of_chunks(
    upstream: Upstream, serve: Any, request_of: Any, limits: Any
) -> None:
    seen = []

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(OK)

    provider = await serve(run)
    declared = [("Content-Length", "6")]
    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", declared, pieces(b"abc", b"def"), limits())
    answer.release()

    [(head, body)] = seen
    assert b"content-length: 6\r\n" in head
    assert b"chunked" not in head
    assert b"abcdef" == body


@pytest.mark.parametrize("parts", [(b"abc",), (b"abcdef", b"g")], ids=["shorter", "longer"])
async def test_a_body_that_breaks_its_declared_length_is_never_finished(
    upstream: Upstream, serve: Any, limits: Any, parts: tuple[bytes, ...]
) -> None:
    seen = asyncio.get_running_loop().create_future()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            seen.set_result(await reader.read())
        except ConnectionError:
            seen.set_result(b"")

    provider = await serve(run)

    with pytest.raises(ValueError, match="declared content-length"):
        await upstream.send(
            upstream.origin(provider.url), "POST", "/", [("content-length", "6")], pieces(*parts), limits()
        )

    assert b"g" not in await seen


async def test_an_early_answer_is_given_while_the_upload_goes_on(upstream: Upstream, serve: Any, limits: Any) -> None:
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await go_on.wait()
        yield b"last"

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"4\r\nlate\r\n0\r\n\r\n")
        await reader.read()

    provider = await serve(run)
    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), body(), limits())
    early = await answer.read()
    go_on.set()
    late = await answer.read()
    end = await answer.read()
    answer.release()

    assert (b"early", b"late", b"") == (early, late, end)


async def test_an_early_refusal_ends_the_upload_when_it_is_released(
    upstream: Upstream, serve: Any, limits: Any
) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nmuch")
        while await reader.read(100_000):
            pass

    provider = await serve(run)
    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), endless(), limits())
    body = await answer.read()
    answer.release()

    await asyncio.wait_for(closed.wait(), 1)
    assert (413, b"much") == (answer.status, body)


async def test_an_upload_waits_for_a_provider_that_does_not_read_and_gives_up(
    upstream: Upstream, serve: Any, limits: Any
) -> None:
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield b"x" * 100_000

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    provider = await serve(deaf)

    with pytest.raises(UpstreamError) as caught:
        await upstream.send(upstream.origin(provider.url), "POST", "/", (), endless(), limits(silence_s=0.2))

    assert ("silence", True) == (caught.value.kind, caught.value.written)
    assert made < 300  # what the kernel's buffers take, and not a gigabyte


async def test_what_the_body_raises_is_raised_to_the_sender(upstream: Upstream, serve: Any, limits: Any) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("the client left")

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    provider = await serve(run)

    with pytest.raises(LookupError, match="the client left"):
        await upstream.send(upstream.origin(provider.url), "POST", "/", (), broken(), limits())


async def test_the_wait_for_the_first_byte_begins_when_the_upload_ends(
    upstream: Upstream, serve: Any, limits: Any
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(5):
            await asyncio.sleep(0.06)
            yield b"x"

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    provider = await serve(run)
    loop = asyncio.get_running_loop()

    start = loop.time()
    with pytest.raises(UpstreamError) as caught:
        await upstream.send(upstream.origin(provider.url), "POST", "/", (), slow(), limits(first_byte_s=0.15))

    assert "first_byte_timeout" == caught.value.kind
    assert loop.time() - start >= 0.4
