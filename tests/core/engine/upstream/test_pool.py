"""Connections are kept and used again, but never one on which something is or was wrong."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from relay.engine.upstream import Upstream, UpstreamError

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def ask(upstream: Upstream, url: str, limits: Any) -> tuple[bytes, bool]:
    answer = await upstream.send(upstream.origin(url), "POST", "/", (), b"{}", limits)
    try:
        return await answer.read(), answer.reused
    finally:
        answer.release()


async def test_a_connection_is_used_again(upstream: Upstream, serve: Any, say: Any, limits: Any) -> None:
    provider = await serve(say(OK))

    told = [await ask(upstream, provider.url, limits()) for _ in range(3)]

    assert [(b"ok", False), (b"ok", True), (b"ok", True)] == told
    assert 1 == provider.connections


async def test_an_unread_but_whole_answer_keeps_its_connection(
    upstream: Upstream, serve: Any, say: Any, limits: Any
) -> None:
    provider = await serve(say(OK))
    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), b"{}", limits())
    answer.release()
    answer.release()

    assert (b"ok", True) == await ask(upstream, provider.url, limits())


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ],
    ids=["connection: close", "HTTP/1.0", "a second answer"],
)
async def test_a_connection_that_must_not_be_used_again_is_closed(
    upstream: Upstream, serve: Any, say: Any, limits: Any, wire: bytes
) -> None:
    provider = await serve(say(wire))

    told = [await ask(upstream, provider.url, limits()) for _ in range(2)]

    assert [(b"ok", False), (b"ok", False)] == told
    assert 2 == provider.connections


async def test_an_unfinished_answer_closes_its_connection_at_once(
    upstream: Upstream, serve: Any, limits: Any, request_of: Any
) -> None:
    hung_up = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
        await reader.read()
        hung_up.set()

    provider = await serve(endless)
    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), b"{}", limits())
    assert b"ok" == await answer.read()

    answer.release()

    await asyncio.wait_for(hung_up.wait(), 0.1)


async def test_a_pooled_connection_closed_by_the_provider_is_replaced_without_a_word(
    upstream: Upstream, serve: Any, say: Any, limits: Any
) -> None:
    provider = await serve(say(OK, close=True))

    told = []
    for _ in range(3):
        told.append(await ask(upstream, provider.url, limits()))
        await asyncio.sleep(0.02)

    assert [(b"ok", False)] * 3 == told
    assert 3 == provider.connections


async def test_a_close_that_the_loop_has_not_read_yet_is_seen_all_the_same(
    upstream: Upstream, serve: Any, say: Any, limits: Any
) -> None:
    provider = await serve(say(OK))
    await ask(upstream, provider.url, limits())
    await asyncio.sleep(0.02)

    # Closed and asked for in one turn of the loop: only the kernel can know.
    with socket.fromfd(
        provider.writers[0].get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM
    ) as end:
        end.shutdown(socket.SHUT_RDWR)
    told = await ask(upstream, provider.url, limits())

    assert (b"ok", False) == told


async def test_an_answer_nobody_asked_for_is_never_taken_for_the_next_one(
    upstream: Upstream, serve: Any, say: Any, limits: Any
) -> None:
    provider = await serve(say(OK))
    await ask(upstream, provider.url, limits())

    provider.writers[0].write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    await asyncio.sleep(0.02)
    told = await ask(upstream, provider.url, limits())

    assert (b"ok", False) == told


async def test_a_kept_connection_that_closes_on_the_request_is_a_failed_attempt(
    upstream: Upstream, serve: Any, request_of: Any, limits: Any
) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK)
        await request_of(reader)

    provider = await serve(once)
    await ask(upstream, provider.url, limits())

    with pytest.raises(UpstreamError) as caught:
        await ask(upstream, provider.url, limits())

    assert ("closed", True, 1) == (caught.value.kind, caught.value.written, provider.connections)


async def test_a_full_pool_makes_the_next_one_wait_and_then_give_up(serve: Any, say: Any, limits: Any) -> None:
    upstream = Upstream(limit_per_host=1, allow_private=["127.0.0.1"])
    provider = await serve(say(OK))
    origin = upstream.origin(provider.url)
    first = await upstream.send(origin, "POST", "/", (), b"{}", limits())

    with pytest.raises(UpstreamError) as caught:
        await upstream.send(origin, "POST", "/", (), b"{}", limits(connect_s=0.1))
    waiting = asyncio.ensure_future(ask(upstream, provider.url, limits()))
    await asyncio.sleep(0.02)
    first.release()
    told = await waiting
    await upstream.close()

    assert ("connect_timeout", False) == (caught.value.kind, caught.value.written)
    assert (b"ok", True) == told


async def test_closing_ends_the_answers_that_are_open(serve: Any, limits: Any, request_of: Any, fds: Any) -> None:
    upstream = Upstream(allow_private=["127.0.0.1"])

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        await reader.read()

    provider = await serve(silent)
    before = fds()
    answer = await upstream.send(upstream.origin(provider.url), "POST", "/", (), b"{}", limits())
    reading = asyncio.ensure_future(answer.read())
    await asyncio.sleep(0.02)

    await upstream.close()

    with pytest.raises(UpstreamError) as caught:
        await reading
    answer.release()
    await asyncio.sleep(0.05)
    assert "cut" == caught.value.kind
    assert before == fds()
