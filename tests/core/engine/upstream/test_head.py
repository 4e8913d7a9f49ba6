"""The head of a request: what is written, and that nothing given can write a line of its own."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.engine.upstream import Origin, Upstream

CONTEXT = ssl.create_default_context()


def origin(base_url: str = "https://api.test/v1", **more: Any) -> Origin:
    return Origin(base_url, context=CONTEXT, **more)


def test_a_head_is_the_request_line_the_host_the_given_headers_and_the_length() -> None:
    head, _ = origin().head("POST", "/chat?x=%20", [("Accept-Encoding", "gzip"), ("x-é".replace("é", "e"), "\xe9")], 3)

    expected = b"POST /v1/chat?x=%20 HTTP/1.1\r\nhost: api.test\r\nAccept-Encoding: gzip\r\nx-e: \xe9\r\ncontent-length: 3\r\n\r\n"
    assert expected == head


@pytest.mark.parametrize(
    ("base_url", "line"),
    [
        ("http://api.test:8080", b"GET /m HTTP/1.1\r\nhost: api.test:8080\r\n\r\n"),
        ("https://api.test:443/", b"GET /m HTTP/1.1\r\nhost: api.test\r\n\r\n"),
        ("https://API.test/a/b/", b"GET /a/b/m HTTP/1.1\r\nhost: api.test\r\n\r\n"),
        ("https://[2606:4700::1]:99", b"GET /m HTTP/1.1\r\nhost: [2606:4700::1]:99\r\n\r\n"),
    ],
)
def test_host_and_prefix_come_from_the_base_url(base_url: str, line: bytes) -> None:
    assert line == origin(base_url).head("GET", "/m", (), None)[0]


def test_a_plain_request_through_a_proxy_names_its_target_in_full() -> None:
    head, _ = origin("http://api.test/v1", proxy="http://u:p@proxy.test:3128").head("GET", "/m", (), None)

    assert b"GET http://api.test/v1/m HTTP/1.1\r\nhost: api.test\r\nproxy-authorization: Basic dTpw\r\n\r\n" == head


@pytest.mark.parametrize(("length", "method"), [(0, "POST"), (None, "POST"), (None, "PUT"), (0, "GET")])
def test_an_empty_body_says_so(length: int | None, method: str) -> None:
    assert b"content-length: 0\r\n\r\n" in origin().head(method, "/", (), length)[0]


def test_framing_and_host_are_the_origins_own() -> None:
    given_headers = [("Host", "evil.test"), ("TRANSFER-ENCODING", "chunked"), ("Content-Length", "99"), ("x", "1")]

    head, _ = origin().head("POST", "/", given_headers, 3)

    assert b"POST /v1/ HTTP/1.1\r\nhost: api.test\r\nx: 1\r\ncontent-length: 3\r\n\r\n" == head


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        ("POST", "/", "x", "a\r\nevil: 1"),
        ("POST", "/", "x", "a\nevil: 1"),
        ("POST", "/", "x", "a\revil"),
        ("POST", "/", "x", "a\0"),
        ("POST", "/", "x\r\nevil", "1"),
        ("POST", "/", "x y", "1"),
        ("POST", "/", "x:", "1"),
        ("POST", "/", "", "1"),
        ("POST", "/", "x", "中"),
        ("POST", "/a b", "x", "1"),
        ("POST", "/a\r\nevil: 1", "x", "1"),
        ("POST", "/a\tb", "x", "1"),
        ("POST", "/\x7f", "x", "1"),
        ("POST", "/é", "x", "1"),
        ("POST", "/a#b", "x", "1"),
        ("POST", "a", "x", "1"),
        ("POST", "", "x", "1"),
        ("POST", "http://evil.test/", "x", "1"),
        ("PO ST", "/", "x", "1"),
        ("POST\r\n", "/", "x", "1"),
        ("", "/", "x", "1"),
    ],
)
def test_what_could_end_a_line_is_refused_and_not_repeated(method: str, target: str, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"the|a header") as caught:
        origin().head(method, target, [("authorization", "sk-secret"), (name, value)], 0)

    assert "sk-secret" not in repr((caught.value, caught.value.__context__, caught.value.__cause__))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_text_whatever_adds_a_line(target: str, name: str, value: str) -> None:
    try:
        head, _ = origin().head("POST", "/" + target, [("a", "b"), (name, value)], 0)
    except ValueError:
        return

    lines = head.split(b"\r\n")
    assert lines[1:3] == [b"host: api.test", b"a: b"]
    assert len(lines) <= 7
    assert lines[-3:] == [b"content-length: 0", b"", b""]
    assert head.count(b"\n") == head.count(b"\r") == len(lines) - 1


@pytest.mark.parametrize("value", ["", "-1", "1, 1", "+1", "１", "0x1"])
def test_a_declared_length_is_one_number(value: str) -> None:
    with pytest.raises(ValueError, match="content-length"):
        origin().head("POST", "/", [("content-length", value)], None, streamed=True)


@pytest.mark.parametrize(
    "base_url",
    ["ftp://api.test", "api.test", "https://", "https://u:p@api.test", "https://api.test/?a=1", "https://api.test/#a"]
    + [
        f"http://{host}/"
        for host in ("127.1", "0x7f.1", "2130706433", "0177.0.0.1", "1.2.3.256", "0x7f000001", "127.0.0.1.")
    ],
)
def test_what_is_no_place_is_refused_at_start(base_url: str) -> None:
    with pytest.raises(ValueError):
        origin(base_url)


async def test_nothing_is_connected_for_a_head_that_is_refused(
    upstream: Upstream, serve: Any, say: Any, limits: Any
) -> None:
    provider = await serve(say(b""))

    with pytest.raises(ValueError):
        await upstream.send(upstream.origin(provider.url), "POST", "/", [("x", "a\r\nb: c")], b"", limits())

    assert 0 == provider.connections
