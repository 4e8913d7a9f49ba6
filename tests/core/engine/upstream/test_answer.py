"""The bytes of an answer arrive as they were sent, in every framing and any chunking."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.engine.upstream import Answer, Upstream


async def whole(answer: Answer) -> bytes:
    pieces = []
    while piece := await answer.read():
        pieces.append(piece)
    return b"".join(pieces)


def framed(body: bytes, framing: str, cuts: list[int]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nX-Case: Kept\r\n"
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "end":
        return head + b"\r\n" + body
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    chunks = [body[a:b] for a, b in itertools.pairwise(places)]
    coded = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\nTrailer: x\r\n\r\n"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=400),
    framing=st.sampled_from(["length", "chunked", "end"]),
    chunks=st.lists(st.integers(0, 400), max_size=5),
    segments=st.lists(st.integers(0, 600), max_size=6),
)
def test_a_body_is_the_same_bytes_however_it_is_framed_and_cut(
    body: bytes, framing: str, chunks: list[int], segments: list[int], limits: Any
) -> None:
    wire = framed(body, framing, chunks)
    places = sorted({0, len(wire), *(at % len(wire) for at in segments)})

    async def play() -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for a, b in itertools.pairwise(places):
                writer.write(wire[a:b])
                await writer.drain()
                await asyncio.sleep(0)
            writer.close()

        server = await asyncio.start_server(run, "127.0.0.1", 0)
        upstream = Upstream()
        port = server.sockets[0].getsockname()[1]
        origin = upstream.origin(f"http://127.0.0.1:{port}", allow_private=True)
        answer = await upstream.send(origin, "GET", "/", (), None, limits())
        got = await whole(answer)
        answer.release()
        await upstream.close()
        server.close()
        await server.wait_closed()
        return answer.status, answer.headers, got

    status, headers, got = asyncio.run(play())

    assert (200, body) == (status, got)
    assert ("X-Case", "Kept") == headers[0]


async def test_what_arrives_together_is_read_together(upstream: Upstream, serve: Any, say: Any, limits: Any) -> None:
    events = b"".join(b"5\r\nabcde\r\n" for _ in range(20))
    provider = await serve(say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + events + b"0\r\n\r\n"))

    answer = await upstream.send(upstream.origin(provider.url), "GET", "/", (), None, limits())
    first = await answer.read()
    answer.release()

    assert b"abcde" * 20 == first


async def test_the_head_is_given_as_it_stood_on_the_wire(upstream: Upstream, serve: Any, say: Any, limits: Any) -> None:
    provider = await serve(
        say(b"HTTP/1.1 299 Odd Reason\r\nB-Id: 1\r\na: \xe9\t2\r\nB-Id: 3\r\ncontent-length: 0\r\n\r\n")
    )

    answer = await upstream.send(upstream.origin(provider.url), "GET", "/", (), None, limits())
    answer.release()

    assert (299, "Odd Reason") == (answer.status, answer.reason)
    assert (("B-Id", "1"), ("a", "\xe9\t2"), ("B-Id", "3"), ("content-length", "0")) == answer.headers
    assert 0.0 <= answer.connected_s <= answer.first_byte_s < 5.0


async def test_nothing_is_decompressed(upstream: Upstream, serve: Any, say: Any, limits: Any) -> None:
    provider = await serve(say(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8bxy"))

    answer = await upstream.send(upstream.origin(provider.url), "GET", "/", (), None, limits())
    got = await whole(answer)
    answer.release()

    assert b"\x1f\x8bxy" == got


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_ends_at_its_head_and_its_connection_is_kept(
    upstream: Upstream, serve: Any, say: Any, limits: Any, method: str, head: bytes
) -> None:
    provider = await serve(say(head))
    origin = upstream.origin(provider.url)

    bodies, reused = [], []
    for _ in range(2):
        answer = await upstream.send(origin, method, "/", (), None, limits())
        bodies.append(await whole(answer))
        reused.append(answer.reused)
        answer.release()

    assert [b"", b""] == bodies
    assert [False, True] == reused


async def test_interim_answers_are_skipped(upstream: Upstream, serve: Any, say: Any, limits: Any) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n"
    provider = await serve(say(*interim, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))

    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), b"{}", limits())
    got = await whole(answer)
    answer.release()

    assert (200, b"ok", (("content-length", "2"),)) == (answer.status, got, answer.headers)


async def test_a_redirect_is_an_answer_like_any_other(upstream: Upstream, serve: Any, say: Any, limits: Any) -> None:
    elsewhere = await serve(say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    location = elsewhere.url.encode()
    provider = await serve(say(b"HTTP/1.1 307 T\r\nlocation: " + location + b"/\r\ncontent-length: 0\r\n\r\n"))

    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), b"{}", limits())
    answer.release()

    assert 307 == answer.status
    assert 0 == elsewhere.connections


async def test_a_reader_that_stalls_stops_the_provider_not_the_memory(
    upstream: Upstream, serve: Any, request_of: Any, limits: Any
) -> None:
    size, sent = 50_000_000, 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * 50_000)
            sent += 50_000
            await writer.drain()
        await reader.read()

    provider = await serve(flood)
    answer = await upstream.send(upstream.origin(provider.url), "GET", "/", (), None, limits())

    before, stalled = -1, 0
    while before != stalled:
        before = stalled
        await asyncio.sleep(0.1)
        stalled = sent
    held = len(await answer.read())
    rest = len(await whole(answer))
    answer.release()

    assert stalled < 20_000_000  # the kernel's two socket buffers hold the most of it
    assert held < 1_000_000
    assert size == held + rest
