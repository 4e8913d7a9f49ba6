"""What the upstream seam uses of aiohttp beyond its documentation. When one of these fails after an upgrade, the name says what moved."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, TCPConnector
from aiohttp._websocket.reader_py import WebSocketDataQueue, WebSocketReader  # the source of the compiled one
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import BaseConnector, Connection
from aiohttp.http_websocket import WebSocketWriter
from aiohttp.streams import StreamReader
from yarl import URL

from relay.engine.upstream.origin import Place


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def read_of(function: Any, name: str) -> set[str]:
    """The attributes that a function's source reads of one of its names."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


def test_the_connector_reads_nothing_of_a_request_that_a_place_lacks() -> None:
    place = Place(URL("https://api.test"), None, None, None)

    wanted = {
        name for member in vars(BaseConnector).values() if inspect.isfunction(member) for name in read_of(member, "req")
    }
    wanted |= {
        name for member in vars(TCPConnector).values() if inspect.isfunction(member) for name in read_of(member, "req")
    }

    # Only asked when TLS is spoken inside TLS, for the text of a warning.
    assert set() == {name for name in wanted if not hasattr(place, name)} - {"request_info"}


def test_a_connection_is_asked_for_with_a_request_traces_and_a_timeout() -> None:
    assert ["req", "traces", "timeout"] == parameters(BaseConnector.connect)


async def test_the_connector_makes_protocols_with_its_factory() -> None:
    connector = TCPConnector()

    assert isinstance(connector._factory(), ResponseHandler)
    assert "self._factory" in inspect.getsource(TCPConnector._create_direct_connection)

    await connector.close()


def test_a_connection_key_has_the_fields_that_an_origin_fills() -> None:
    expected = ("host", "port", "is_ssl", "ssl", "proxy", "proxy_auth", "proxy_headers_hash", "server_hostname")

    assert expected == ConnectionKey._fields


@pytest.mark.parametrize(
    "name",
    ["read", "abort", "is_connected", "should_close", "upgraded", "writing_paused", "_drain_helper", "set_parser"],
)
def test_the_response_protocol_still_has(name: str) -> None:
    assert hasattr(ResponseHandler, name)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (ResponseHandler.data_received, ["data"]),
        (ResponseHandler.feed_data, ["data", "size"]),
        (ResponseHandler.set_exception, ["exc", "exc_cause"]),
        (ResponseHandler.connection_lost, ["exc"]),
        (ResponseHandler.pause_reading, []),
        (ResponseHandler.resume_reading, ["resume_parser"]),
        (ResponseHandler.close, []),
        (ResponseHandler.abort, []),
        (ResponseHandler.set_parser, ["parser", "payload", "data_received_cb"]),
        (StreamReader._read_nowait, ["n"]),
        (Connection.close, []),
        (Connection.release, []),
    ],
)
def test_the_methods_overridden_or_called_take_what_they_took(function: Any, expected: list[str]) -> None:
    assert expected == parameters(function)


def test_the_parser_takes_the_settings_it_is_given() -> None:
    given = {
        "skip_payload", "read_until_eof", "auto_decompress", "read_bufsize", "max_line_size", "max_field_size", "max_headers",
    }  # fmt: skip

    assert given <= set(parameters(ResponseHandler.set_response_params))


def test_the_current_body_is_kept_where_the_channel_looks_for_it() -> None:
    assert "self._payload = payload" in inspect.getsource(ResponseHandler.data_received)
    assert "self._reading_paused" in inspect.getsource(BaseProtocol.resume_reading)


def test_websockets_are_built_from_the_parts_the_session_builds_them_from() -> None:
    assert ["queue", "max_msg_size", "compress", "decode_text"] == parameters(WebSocketReader.__init__)[:4]
    assert ["protocol", "limit", "loop"] == parameters(WebSocketDataQueue.__init__)[:3]
    assert ["protocol", "transport", "use_mask"] == parameters(WebSocketWriter.__init__)[:3]
    assert {"connection", "close"} == read_of(ClientWebSocketResponse.__init__, "response") | {"close"}
    for name in ("_on_data_received", "_cancel_heartbeat"):
        assert hasattr(ClientWebSocketResponse, name)
