"""A WebSocket to a provider: messages both ways, and every end is noticed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from relay.engine.upstream import UpgradeRefused, Upstream, UpstreamError

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


@pytest.fixture
async def realtime() -> AsyncIterator[Callable[[Talk], Awaitable[str]]]:
    servers: list[TestServer] = []

    async def start(talk: Talk) -> str:
        async def handle(request: web.Request) -> web.StreamResponse:
            if request.headers.get("authorization") != "Bearer k":
                return web.json_response({"error": "no key"}, status=401)
            socket = web.WebSocketResponse(protocols=("realtime",))
            await socket.prepare(request)
            await talk(socket)
            return socket

        app = web.Application()
        app.router.add_get("/v1/realtime", handle)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/v1")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


HEADERS = (("authorization", "Bearer k"), ("sec-websocket-protocol", "realtime"))


async def echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
            await socket.close(code=4001)


async def test_text_and_bytes_go_both_ways_until_the_provider_closes(
    upstream: Upstream, realtime: Any, limits: Any
) -> None:
    origin = upstream.origin(await realtime(echo))

    socket = await upstream.upgrade(origin, "/realtime?model=m", HEADERS, limits())
    await socket.send_text("grüße")
    await socket.send_binary(b"\0" * 300_000)
    got = [message async for message in socket]
    await socket.close()

    assert ["grüße", b"\0" * 300_000] == got
    assert ("realtime", 4001) == (socket.protocol, socket.close_code)


async def test_an_ordinary_answer_to_the_handshake_can_be_read(upstream: Upstream, realtime: Any, limits: Any) -> None:
    origin = upstream.origin(await realtime(echo))

    with pytest.raises(UpgradeRefused) as caught:
        await upstream.upgrade(origin, "/realtime", (), limits())
    body = await caught.value.answer.read()
    caught.value.answer.release()

    assert (401, b'{"error": "no key"}') == (caught.value.answer.status, body)


async def test_a_connection_that_ends_without_a_close_is_cut(upstream: Upstream, realtime: Any, limits: Any) -> None:
    async def drop(socket: web.WebSocketResponse) -> None:
        await socket.send_str("one")
        assert socket._req is not None
        assert socket._req.transport is not None
        socket._req.transport.close()

    origin = upstream.origin(await realtime(drop))
    socket = await upstream.upgrade(origin, "/realtime", HEADERS, limits())

    got = []
    with pytest.raises(UpstreamError) as caught:
        async for message in socket:
            got.append(message)

    assert (["one"], "cut") == (got, caught.value.kind)
    with pytest.raises(UpstreamError):
        await socket.send_text("more")


async def test_a_message_past_the_limit_ends_the_session(upstream: Upstream, realtime: Any, limits: Any) -> None:
    async def flood(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * 5000)
        await socket.receive()

    origin = upstream.origin(await realtime(flood))
    socket = await upstream.upgrade(origin, "/realtime", HEADERS, limits(), max_message=1000)

    with pytest.raises(UpstreamError) as caught:
        async for _ in socket:
            pass

    assert "protocol" == caught.value.kind


async def test_a_handshake_that_proves_nothing_is_refused(
    upstream: Upstream, serve: Any, say: Any, limits: Any
) -> None:
    switch = b"HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: AAAA\r\n\r\n"
    provider = await serve(say(switch))

    with pytest.raises(UpstreamError) as caught:
        await upstream.upgrade(upstream.origin(provider.url), "/", (), limits())

    assert "protocol" == caught.value.kind
