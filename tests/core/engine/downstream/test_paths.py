"""A path means one surface or nothing; a host that is not ours is refused; no value becomes a header of its own."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from relay.declare import Route
from relay.errors import Code, Refused
from relay.exchange import Exchange, Reply
from relay.plugin import Plugin

BODY = b'{"model":"m","text":"x"}'


@pytest.mark.parametrize(
    "path",
    [
        b"//v1/ask", b"/v1//ask", b"/v1/../v1/ask", b"/./v1/ask", b"/v1/./ask", b"/x/../v1/ask", b"/v1/ask/", b"/v1/ask/.",
        b"/%76%31/ask", b"/v1%2fask", b"/v1/%61sk", b"/v1/ask%00", b"/v1/ask%20", b"/v1/ask%0d%0ax:%201", b"/v1/ask;a=b", b"/v1;a/ask",
        b"/V1/ask", b"/v1/ASK", b"/v1/%2e%2e/v1/ask", b"/v1/%252e%252e/v1/ask", b"/v1\\ask", b"/plain/plain/v1/ask", b"/other/v1/ask",
        b"/plain//v1/ask", b"/plain", b"/plain/", b"/plain/v1/../v1/ask", b"/v1/ask/more", b"/", b"/v1", b"/v1/ask,", b"/.plain/v1/ask",
    ],
)  # fmt: skip
async def test_a_path_that_only_looks_like_a_surface_is_none(relay: Any, ask: Any, path: bytes) -> None:
    status, head, body = await relay.say(ask(BODY, path=path))

    assert status in (400, 404)
    assert b"x: 1" not in head
    assert b"Traceback" not in body
    assert [] == relay.provider.got
    assert await relay.lives()


@pytest.mark.parametrize(
    "name",
    [b"%2e%2e", b"..", b".", b"a%2fb", b"%2F..%2Fadmin", b"a%00", b"a%0d%0a", b"a%0a", b"%c0%af", b"%ff", b"a%20b", b"a%3fb", b"a%23b",
     b"a;b", b"a%5cb", b"a%252fb", b"%E2%80%AE", b"a" * 257, b"%", b"%zz"],
)  # fmt: skip
async def test_a_parameter_that_means_another_path_is_refused(relay: Any, name: bytes) -> None:
    status, _, _ = await relay.say(b"DELETE /v1/things/%b HTTP/1.1\r\nhost: relay\r\n\r\n" % name)

    assert status in (400, 404)
    assert [] == relay.provider.got


@pytest.mark.parametrize(
    "name",
    [
        b"..",
        b"a/..",
        b"a/../b",
        b"a//b",
        b"a/",
        b"/a",
        b"a/%2e%2e/b",
        b"a%2f..%2fb",
        b"a/./b",
        b"a/%0d%0ab",
        b"a" * 257,
    ],
)
async def test_a_model_in_a_path_that_means_another_path_is_refused(relay: Any, name: bytes) -> None:
    status, _, _ = await relay.say(b"GET /v1/models/%b HTTP/1.1\r\nhost: relay\r\n\r\n" % name)

    assert status in (400, 404)
    assert [] == relay.provider.got


@pytest.mark.parametrize("name", [b"gpt-5", b"org/model-1.5:free", b"a@b+c~d,e=f"])
async def test_a_model_in_a_path_is_passed_on(relay: Any, name: bytes) -> None:
    status, _, _ = await relay.say(b"GET /v1/models/%b HTTP/1.1\r\nhost: relay\r\n\r\n" % name)

    assert 200 == status
    assert b"GET /v1/models/%b HTTP/1.1" % name == relay.provider.got[0].line


async def test_a_dialect_can_be_named_in_the_path(relay: Any, ask: Any) -> None:
    status, _, _ = await relay.say(ask(BODY, path=b"/plain/v1/ask"))

    assert 200 == status
    assert b"POST /v1/ask HTTP/1.1" == relay.provider.got[0].line


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [(b"PUT", b"/v1/ask", b"POST"), (b"HEAD", b"/v1/things", b"GET, POST"), (b"OPTIONS", b"/v1/ask", b"POST")],
)
async def test_another_method_is_told_which_there_are(relay: Any, method: bytes, path: bytes, allowed: bytes) -> None:
    wire = await relay.connect()
    wire.send(b"%b %b HTTP/1.1\r\nhost: relay\r\n\r\n" % (method, path))

    head = await wire.head()

    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"allow: %b\r\n" % allowed in head


async def test_a_head_request_is_answered_without_a_body_and_the_connection_stays_in_step(relay: Any, ask: Any) -> None:
    wire = await relay.connect()
    wire.send(b"HEAD /v1/things HTTP/1.1\r\nhost: relay\r\n\r\n" + ask(BODY))

    first, second = await wire.head(), await wire.reply()

    assert first.startswith(b"HTTP/1.1 405 ")
    assert 200 == second[0]


HOSTS = ("api.example.org", "*.relay.test", "[2001:db8::1]", "10.0.0.1", "exact.test:8443")


@pytest.mark.parametrize(
    "host",
    [b"api.example.org", b"API.Example.ORG", b"api.example.org:8080", b"api.example.org.", b"a.relay.test", b"a.b.relay.test:1",
     b"[2001:db8::1]", b"[2001:DB8::1]:443", b"10.0.0.1", b"10.0.0.1:80", b"exact.test:8443"],
)  # fmt: skip
async def test_a_host_of_ours_is_answered_for(serve: Any, host: bytes) -> None:
    relay = await serve(hosts=HOSTS)

    status, _, _ = await relay.say(b"GET /v1/things HTTP/1.1\r\nhost: %b\r\n\r\n" % host)

    assert 200 == status


@pytest.mark.parametrize(
    "host",
    [b"", b"evil.test", b"example.org", b"api.example.org.evil.test", b"relay.test", b".relay.test", b"evilrelay.test",
     b"a.relay.test.evil.test", b"[2001:db8::2]", b"2001:db8::1", b"10.0.0.1.evil.test", b"exact.test",
     b"api.example.org:", b"api.example.org:x", b"api.example.org:80:80", b"api.example.org@evil.test",
     b"api.example.org/..", b"api.example.org\t", b"[::1", b"*.relay.test", b"a..relay.test"],
)  # fmt: skip
@pytest.mark.parametrize("path", [b"/v1/things", b"/-/health/live"])
async def test_a_host_that_is_not_ours_is_refused(serve: Any, host: bytes, path: bytes) -> None:
    relay = await serve(hosts=HOSTS)

    status, head, _ = await relay.say(b"GET %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (path, host))

    if host.strip() != host:
        assert 200 == status  # white space around a value is none of it
        return
    assert 400 == status
    assert b"x-relay-error: unknown_host" in head
    assert b"connection: close" in head
    assert [] == relay.provider.got


class Echo(Plugin):
    """Says the client's words in its headers, as a careless plugin would."""

    name = "echo"
    errors = (Code("echoed", 400, "Echoed."),)

    def __init__(self, value: str, status: int = 200) -> None:
        super().__init__()
        self.value = value
        self.status = status

    async def on_request(self, exchange: Exchange) -> Reply | None:
        if self.status == 400:
            raise Refused("echoed", headers={"x-echo": self.value})
        return Reply(self.status, [("x-echo", self.value), ("x-stays", "yes")], b"body")


@pytest.mark.parametrize(
    "value", ["a\r\nx-injected: 1", "a\nx-injected: 1", "a\rx-injected: 1", "a\0b", "a\r\n\r\nHTTP/1.1 200 OK"]
)
@pytest.mark.parametrize("status", [200, 400])
async def test_a_value_that_would_begin_another_header_is_left_out(
    serve: Any, ask: Any, value: str, status: int
) -> None:
    relay = await serve(Echo(value, status))

    told, head, _ = await relay.say(ask(BODY))

    assert status == told
    assert b"injected" not in head
    assert b"x-echo" not in head
    assert status == 400 or b"x-stays: yes" in head


async def test_a_value_with_a_tab_or_with_letters_of_another_script_is_no_danger(serve: Any, ask: Any) -> None:
    relay = await serve(Echo("a\tb模"))

    _, head, _ = await relay.say(ask(BODY))

    assert b"x-echo: a\tb?\r\n" in head


@pytest.mark.parametrize("name", ["content-length", "Content-Length", "transfer-encoding", "connection"])
async def test_only_the_relay_says_where_an_answer_ends(serve: Any, ask: Any, name: str) -> None:
    class Framing(Plugin):
        async def on_request(self, exchange: Exchange) -> Reply | None:
            return Reply(200, [(name, "3")], b"body")

    Framing.name = "framing"
    relay = await serve(Framing())
    wire = await relay.connect()
    wire.send(ask(BODY) * 2)

    for _ in range(2):
        status, head, body = await wire.reply()

        assert (200, b"body") == (status, body)
        assert 1 == head.count(b"content-length")
        assert b"transfer-encoding" not in head


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_sends_none(serve: Any, ask: Any, status: int) -> None:
    relay = await serve(Echo("x", status))
    wire = await relay.connect()
    wire.send(ask(BODY) * 2)

    heads = [await wire.head(), await wire.head()]

    assert all(head.startswith(b"HTTP/1.1 %d " % status) for head in heads)
    assert b"content-length" not in heads[0]


class Pages(Plugin):
    """A page that fails, and one for operators."""

    name = "pages"

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/-/pages/fails", self.fails, "public"),
            Route("POST", "/-/pages/fails", self.fails, "public"),
            Route("GET", "/-/pages/operators", self.told, "operator"),
            Route("GET", "/-/pages/told", self.told, "public"),
        ]

    async def fails(self, request: web.Request) -> web.Response:
        raise ValueError("canary-secret" + await request.text())

    async def told(self, request: web.Request) -> web.Response:
        return web.Response(text="told")


async def test_a_page_that_fails_says_and_logs_nothing_of_what_it_held(serve: Any) -> None:
    relay = await serve(Pages())

    status, head, body = await relay.say(
        b"POST /-/pages/fails?key=canary-key HTTP/1.1\r\nhost: relay\r\ncontent-length: 11\r\n\r\ncanary-body"
    )

    assert 500 == status
    assert b"canary" not in head + body
    assert b"Traceback" not in body
    assert [("page_failed", {"route": "/-/pages/fails", "error": "ValueError"})] == relay.log


async def test_operators_routes_are_on_the_operators_port_only(serve: Any) -> None:
    relay = await serve(Pages())
    asked = b"GET /-/pages/operators HTTP/1.1\r\nhost: relay\r\n\r\n"
    told = asked.replace(b"operators", b"told")

    assert 404 == (await relay.say(asked))[0]
    assert 200 == (await relay.say(asked, relay.operators))[0]
    assert 200 == (await relay.say(told))[0]
    assert 404 == (await relay.say(told, relay.operators))[0]


@pytest.mark.parametrize("path", [b"/v1/ask", b"/plain/v1/ask", b"/v1/things"])
async def test_surfaces_are_not_on_the_operators_port(relay: Any, ask: Any, path: bytes) -> None:
    status, _, _ = await relay.say(ask(BODY, path=path), relay.operators)

    assert 404 == status
    assert [] == relay.provider.got


@pytest.mark.parametrize("path", [b"/nothing", b"/", b"/-/health", b"/-/health/live/", b"/favicon.ico"])
async def test_what_is_nowhere_is_a_plain_404_that_tells_nothing_of_the_house(relay: Any, path: bytes) -> None:
    status, head, body = await relay.say(b"GET %b HTTP/1.1\r\nhost: relay\r\n\r\n" % path)

    assert 404 == status
    assert b"404: Not Found" == body
    assert b"python" not in head
    assert b"aiohttp" not in head


async def test_a_compressed_body_for_a_page_is_refused(serve: Any) -> None:
    relay = await serve(Pages())

    status, _, _ = await relay.say(
        b"POST /-/pages/fails HTTP/1.1\r\nhost: relay\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd"
    )

    assert 415 == status
