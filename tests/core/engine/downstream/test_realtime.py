"""WebSocket sessions: opened where a surface has one, the same stages both ways, and every end reaches both sides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from relay.exchange import Exchange, Reply
from relay.plugin import Plugin
from relay.wire.vocabulary import Kind

Talk = Callable[[web.WebSocketResponse, web.Request], Awaitable[None]]
SAID = '{"text":"%s","id":"%d"}'


class Spoken(Plugin):
    """Rewrites what is said, both ways."""

    name = "spoken"
    reads_content = True

    async def on_request(self, exchange: Exchange) -> None:
        assert exchange.inbound is not None
        exchange.inbound.by = self
        exchange.inbound.rewrite(lambda kind: Swap("secret", "<1>"), "text")
        exchange.inbound.by = None

    async def on_reply(self, exchange: Exchange, reply: Reply) -> None:
        def make(kind: Kind) -> Swap:
            return Swap("<1>", "secret")

        reply.rewrite(make, "text")


class Swap:
    """Puts one word in another's place."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def feed(self, text: str) -> str:
        return text.replace(self.old, self.new)

    def end(self) -> str:
        return ""


async def echo(socket: web.WebSocketResponse, request: web.Request) -> None:
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)


@pytest.fixture
async def live(serve: Any) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """A relay before a provider that talks like this; `heard` is what reached it."""
    servers: list[TestServer] = []
    sessions: list[aiohttp.ClientSession] = []

    async def start(*plugins: Plugin, talk: Talk = echo, status: int = 101, **terms: Any) -> Any:
        relay = await serve(*plugins, **terms)
        relay.heard, relay.heads, relay.codes = [], [], []

        async def handle(request: web.Request) -> web.StreamResponse:
            relay.heads.append(dict(request.headers))
            if status != 101:
                return web.json_response({"error": {"code": "no"}}, status=status)
            socket = web.WebSocketResponse(autoping=True)
            await socket.prepare(request)
            inner = socket.receive

            async def noted(timeout: float | None = None) -> aiohttp.WSMessage:
                message = await inner(timeout)
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    relay.heard.append(message.data)
                return message

            socket.receive = noted  # type: ignore[method-assign]
            try:
                await talk(socket, request)
            finally:
                relay.codes.append(socket.close_code)
            return socket

        app = web.Application()
        app.router.add_get("/v1/live", handle)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        routed = relay.gateway.chain.plugins[-1]
        routed.target = replace(routed.target, base_url=str(server.make_url("")).rstrip("/"))
        session = aiohttp.ClientSession()
        sessions.append(session)
        relay.open = lambda **how: session.ws_connect(f"http://127.0.0.1:{relay.port}/v1/live?model=m", **how)
        return relay

    yield start
    for session in sessions:
        await session.close()
    for server in servers:
        await server.close()


UPGRADE = (
    b"GET %b HTTP/1.1\r\nhost: relay\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%b\r\n"
)


async def test_text_and_bytes_go_both_ways(live: Any) -> None:
    relay = await live()

    async with relay.open() as socket:
        await socket.send_str(SAID % ("grüße", 1))
        assert SAID % ("grüße", 1) == await socket.receive_str()
        await socket.send_bytes(b"\0\xff")
        assert b"\0\xff" == await socket.receive_bytes()

    assert "completed" == (await relay.end()).outcome
    assert {"x-relay-id", "server"} <= {name.lower() for name in socket._response.headers}
    assert "relay" == socket._response.headers["server"]


async def test_stages_rewrite_both_ways(live: Any) -> None:
    relay = await live(Spoken())

    async with relay.open() as socket:
        await socket.send_str('{"text":"my secret", "kept" : 1}')
        answer = await socket.receive_str()

    assert ['{"text":"my <1>", "kept" : 1}'] == relay.heard
    assert '{"text":"my secret", "kept" : 1}' == answer


async def test_what_a_stage_cannot_read_does_not_pass_it(live: Any) -> None:
    relay = await live(Spoken())

    async with relay.open() as socket:
        await socket.send_bytes(b"\0 secret")
        async for _ in socket:
            pass

    assert [] == relay.heard
    assert 1011 == socket.close_code
    assert "failed" == (await relay.end()).outcome


async def test_text_sent_as_bytes_is_rewritten_as_text_is(live: Any) -> None:
    relay = await live(Spoken())

    async with relay.open() as socket:
        await socket.send_bytes(b'{"text":"my secret"}')
        await socket.receive()

    assert [b'{"text":"my <1>"}'] == relay.heard


@pytest.mark.parametrize("path", [b"/v1/ask", b"/v1/things", b"/v1/nothing", b"/-/health/live", b"/nothing"])
async def test_only_a_surface_that_has_one_opens_a_session(relay: Any, path: bytes, ask: Any) -> None:
    wire = await relay.connect()
    wire.send(UPGRADE % (path, b""))
    status, _, _ = await wire.reply()
    wire.send(ask(b'{"model":"m"}'))

    assert status in (200, 404, 405)
    assert 200 == (await wire.reply())[0]


@pytest.mark.parametrize(
    "asked",
    [
        b"GET /v1/live?model=m HTTP/1.1\r\nhost: relay\r\n\r\n",
        (UPGRADE % (b"/v1/live?model=m", b"")).replace(b"version: 13", b"version: 99"),
        (UPGRADE % (b"/v1/live?model=m", b"")).replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"short"),
        (UPGRADE % (b"/v1/live?model=m", b"")).replace(b"connection: Upgrade\r\n", b""),
    ],
)
async def test_a_request_that_is_no_handshake_is_told_to_upgrade(relay: Any, asked: bytes) -> None:
    status, head, _ = await relay.say(asked)

    assert 426 == status
    assert b"upgrade: websocket\r\n" in head
    assert [] == relay.provider.got


@pytest.mark.parametrize("status", [404, 429])
async def test_a_provider_that_refuses_the_session_is_heard_as_ever(live: Any, status: int) -> None:
    relay = await live(status=status)

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await relay.open()

    assert status == refused.value.status


async def test_a_close_of_the_client_reaches_the_provider(live: Any) -> None:
    relay = await live()

    async with relay.open() as socket:
        await socket.send_str("{}")
        await socket.receive()
        await socket.close(code=4000)
    await relay.end()
    for _ in range(50):
        if relay.codes:
            break
        await asyncio.sleep(0.01)

    assert [1000] == relay.codes


async def test_a_close_of_the_provider_reaches_the_client_with_its_code(live: Any) -> None:
    async def part(socket: web.WebSocketResponse, request: web.Request) -> None:
        await socket.send_str("{}")
        await socket.close(code=4001)

    relay = await live(talk=part)

    async with relay.open() as socket:
        assert "{}" == await socket.receive_str()
        await socket.receive()

    assert 4001 == socket.close_code
    assert "completed" == (await relay.end()).outcome


async def test_a_provider_that_breaks_off_is_told_with_an_error_and_a_close(live: Any) -> None:
    async def cut(socket: web.WebSocketResponse, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()

    relay = await live(talk=cut)

    async with relay.open() as socket:
        said = await socket.receive_str()
        await socket.receive()

    assert '"code":"upstream_failed"' in said
    assert 1011 == socket.close_code
    assert "failed" == (await relay.end()).outcome


async def test_a_client_that_leaves_a_session_ends_it_at_the_provider(live: Any) -> None:
    relay = await live()
    socket = await relay.open()
    await socket.send_str("{}")
    await socket.receive()

    socket._response.connection.transport.abort()
    exchange = await relay.end()

    assert "client_left" == exchange.outcome
    for _ in range(50):
        if relay.codes:
            break
        await asyncio.sleep(0.01)
    assert 1 == len(relay.codes)
    await socket.close()


async def test_a_session_can_be_stopped_from_anywhere(live: Any) -> None:
    held: list[Exchange] = []

    class Holds(Plugin):
        name = "holds"

        async def on_request(self, exchange: Exchange) -> None:
            held.append(exchange)

    relay = await live(Holds())

    async with relay.open() as socket:
        await socket.send_str("{}")
        await socket.receive()
        held[0].stop("stopped")
        said = await socket.receive_str()
        await socket.receive()

    assert '"code":"stopped"' in said
    assert 1011 == socket.close_code
    assert "interrupted" == (await relay.end()).outcome


async def test_P44_a_message_that_is_too_large_closes_the_session(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.engine.session.MESSAGE", 1000)
    relay = await live()

    async with relay.open() as socket:
        await socket.send_str("x" * 2000)
        await socket.receive()

    assert 1009 == socket.close_code
    assert [] == relay.heard


async def test_pings_are_answered_and_sent(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.engine.session.HEARTBEAT_S", 0.1)
    relay = await live()

    async with relay.open(autoping=False) as socket:
        await socket.ping(b"there?")
        answers = {(await socket.receive()).type for _ in range(2)}

    assert {WSMsgType.PING, WSMsgType.PONG} == answers


async def test_a_client_that_no_longer_answers_pings_is_gone(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.engine.session.HEARTBEAT_S", 0.1)
    relay = await live()

    socket = await relay.open(autoping=False)
    exchange = await relay.end()

    assert "client_left" == exchange.outcome
    await socket.close()


async def test_a_key_among_the_subprotocols_is_neither_logged_nor_answered(
    live: Any, caplog: pytest.LogCaptureFixture
) -> None:
    relay = await live()

    with caplog.at_level(logging.DEBUG):
        async with relay.open(protocols=("insecure-api-key.canary",)) as alone:
            pass
        async with relay.open(protocols=("realtime", "insecure-api-key.canary")) as beside:
            pass

    assert (None, "realtime") == (alone.protocol, beside.protocol)
    assert "canary" not in "".join(record.getMessage() for record in caplog.records if record.name != "tests")
    assert all("canary" not in repr(head) for head in relay.heads)
