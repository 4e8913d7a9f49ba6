"""What the downstream takes from aiohttp beyond its documentation. Where a release changes it, this fails first."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler

BODY = b'{"model":"m","text":"x"}'


async def bare(relay: Any) -> RequestHandler:
    (connection,) = relay.serving._listeners[0].connections
    assert isinstance(connection, RequestHandler)
    return connection


def test_the_parts_of_a_connection_are_where_they_were() -> None:
    slots = {name for kind in RequestHandler.__mro__ for name in getattr(kind, "__slots__", ())}

    assert {
        "_waiter", "_messages", "_request_count", "_payload_parser", "_manager", "_loop", "transport", "max_line_size", "_current_request",
    } <= slots  # fmt: skip
    assert ["self", "data"] == list(inspect.signature(RequestHandler.data_received).parameters)
    assert ["self", "transport"] == list(inspect.signature(RequestHandler.connection_made).parameters)
    assert ["self", "request", "status", "exc", "message"] == list(
        inspect.signature(RequestHandler.handle_error).parameters
    )
    assert {
        "max_line_size",
        "max_field_size",
        "keepalive_timeout",
        "lingering_time",
        "auto_decompress",
        "access_log",
    } <= set(inspect.signature(RequestHandler.__init__).parameters)


def test_the_parts_of_a_server_are_where_they_were() -> None:
    assert ["self"] == list(inspect.signature(web.Server.__call__).parameters)
    assert {"handler", "request_factory", "handler_cancellation"} <= set(
        inspect.signature(web.Server.__init__).parameters
    )
    assert ["self", "request"] == list(inspect.signature(web.Application._handle).parameters)
    assert ["self", "message", "payload", "protocol", "writer", "task", "_cls"] == list(
        inspect.signature(web.Application._make_request).parameters
    )
    assert inspect.iscoroutinefunction(BaseProtocol._drain_helper)
    assert EMPTY_PAYLOAD.is_eof()
    assert issubclass(LineTooLong, Exception)


async def test_a_connection_waits_while_it_is_idle_and_not_while_it_serves(relay: Any, ask: Any) -> None:
    wire = await relay.connect()
    wire.send(ask(BODY))
    await wire.reply()
    await asyncio.sleep(0.02)
    connection = await bare(relay)
    idle = connection._waiter
    go_on = asyncio.Event()

    async def late(got: Any, reader: Any, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    relay.provider.answer = late
    wire.send(ask(BODY) * 2)
    while len(relay.provider.got) < 2:
        await asyncio.sleep(0.005)

    assert idle is not None
    assert connection._waiter is None
    assert 3 == connection._request_count
    message, payload = connection._messages[-1]
    assert isinstance(message, RawRequestMessage)
    assert "/v1/ask" == message.path
    assert isinstance(payload, StreamReader)
    assert payload.is_eof()
    go_on.set()
    assert [200, 200] == [(await wire.reply())[0] for _ in range(2)]


async def test_the_server_counts_its_connections_and_makes_ours(relay: Any) -> None:
    await relay.connect()
    await relay.connect()
    await asyncio.sleep(0.02)
    listener = relay.serving._listeners[0]

    assert 2 == len(listener._connections)
    assert "Connection" == type(listener()).__name__


async def test_a_body_comes_compressed_as_it_is(relay: Any, ask: Any) -> None:
    """The relay decompresses by itself: aiohttp's parser must leave it alone."""
    wire = await relay.connect()
    wire.send(b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\ncontent-encoding: br\r\ncontent-length: 3\r\n\r\nabc")

    status, _, _ = await wire.reply()

    assert 415 == status


async def test_an_answer_needs_three_things_only(relay: Any) -> None:
    class Least:
        keep_alive = False

        async def prepare(self, request: web.BaseRequest) -> None:
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 299 Least\r\ncontent-length: 0\r\n\r\n")

        async def write_eof(self) -> None:
            pass

    async def handler(request: web.BaseRequest) -> Any:
        return Least()

    server = web.Server(handler)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    wire = await relay.connect(listening.sockets[0].getsockname()[1])
    wire.send(b"GET / HTTP/1.1\r\nhost: relay\r\n\r\n")

    assert (299, b"") == (await wire.reply())[::2]
    assert await wire.is_closed()
    listening.close()
    await server.shutdown(0)
