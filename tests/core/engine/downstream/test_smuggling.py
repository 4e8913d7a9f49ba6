"""Requests whose end could be read in two ways end here: a 4xx or a close, never a byte at the provider."""

from __future__ import annotations

from typing import Any

import pytest

from relay.engine.intake import Limits

BODY = b'{"model":"m","text":"x"}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
HIDDEN = b"POST /v1/ask HTTP/1.1\r\nhost: relay\r\ncontent-length: 24\r\n\r\n" + b'{"model":"m","text":"!"}'


def post(*lines: bytes, body: bytes = BODY, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"POST /v1/ask HTTP/%b" % version, b"Host: relay", *lines, b"", body])


TE = b"Transfer-Encoding: chunked"
CL = b"Content-Length: %d" % len(BODY)
BAD = {
    "length and chunks": post(CL, TE, body=CHUNKED),
    "chunks and length": post(TE, CL, body=CHUNKED),
    "chunks and a length of nothing": post(TE, b"Content-Length: 0", body=CHUNKED),
    "two equal lengths": post(CL, CL),
    "two lengths": post(CL, b"Content-Length: 3"),
    "a list of lengths": post(b"Content-Length: 24, 24"),
    "a signed length": post(b"Content-Length: +24"),
    "a negative length": post(b"Content-Length: -1"),
    "a hexadecimal length": post(b"Content-Length: 0x18"),
    "a length with an underscore": post(b"Content-Length: 2_4"),
    "a length with a space": post(b"Content-Length: 2 4"),
    "an empty length": post(b"Content-Length:"),
    "a length past 64 bits": post(b"Content-Length: 18446744073709551640"),
    "a length in other digits": post("Content-Length: ２４".encode()),
    "chunk size +1": post(TE, body=b"+18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size 0x": post(TE, body=b"0x18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size 1_0": post(TE, body=b"1_8\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size -1": post(TE, body=b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with a space before": post(TE, body=b" 18\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with a space behind": post(TE, body=b"18 \r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size that overflows": post(TE, body=b"10000000000000018\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size missing": post(TE, body=b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk longer than said": post(TE, body=b"17\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk without its end": post(TE, body=b"18\r\n" + BODY + b"0\r\n\r\n"),
    "chunk line ended by a bare LF": post(TE, body=b"18\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk ended by a bare LF": post(TE, body=b"18\r\n" + BODY + b"\n0\r\n\r\n"),
    "chunk line with a bare CR": post(TE, body=b"18\rX\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk extension with a bare LF": post(TE, body=b"18;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk extension with a NUL": post(TE, body=b"18;a=\0\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "an encoding that only looks like chunked": post(b"Transfer-Encoding: xchunked", body=CHUNKED),
    "chunked and identity": post(b"Transfer-Encoding: chunked, identity", body=CHUNKED),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=CHUNKED),
    "two encodings": post(TE, TE, body=CHUNKED),
    "identity": post(b"Transfer-Encoding: identity", CL),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"', body=CHUNKED),
    "chunked behind a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "space before the colon": post(b"Transfer-Encoding : chunked", body=CHUNKED),
    "space before the colon of a length": post(b"Content-Length : 24"),
    "folded line": post(b"Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "folded value": post(CL, b"X-Other: a\r\n b"),
    "leading space": post(b" X-Other: a", CL),
    "bare LF in the head": post(CL).replace(b"relay\r\n", b"relay\n", 1),
    "bare LF everywhere": post(CL).replace(b"\r\n", b"\n"),
    "bare CR in the head": post(CL).replace(b"relay\r\n", b"relay\r", 1),
    "bare CR in a value": post(CL, b"X-Other: a\rb"),
    "NUL in a value": post(CL, b"X-Other: a\0b"),
    "NUL in a name": post(CL, b"X-Ot\0her: a"),
    "control character in a value": post(CL, b"X-Other: a\x01b"),
    "no name": post(CL, b": a"),
    "no colon": post(CL, b"X-Other"),
    "space in a name": post(CL, b"X Other: a"),
    "bytes in a name": post(CL, "Contént: a".encode()),
    "two hosts": post(b"Host: other", CL),
    "two equal hosts": post(b"Host: relay", CL),
    "no host": b"POST /v1/ask HTTP/1.1\r\n%b\r\n\r\n%b" % (CL, BODY),
    "host with a path": post(CL).replace(b"Host: relay", b"Host: relay/evil"),
    "host with a user": post(CL).replace(b"Host: relay", b"Host: a@relay"),
    "host with a space": post(CL).replace(b"Host: relay", b"Host: relay evil"),
    "list of hosts": post(CL).replace(b"Host: relay", b"Host: relay, evil"),
    "1.0 with chunks": post(TE, body=CHUNKED, version=b"1.0"),
    "0.9": b"GET /v1/ask\r\n\r\n",
    "version 2.0": post(CL, version=b"2.0"),
    "version 1.2": post(CL, version=b"1.2"),
    "version 1.10": post(CL, version=b"1.10"),
    "version in lower case": post(CL).replace(b"HTTP/", b"http/", 1),
    "another protocol": post(CL).replace(b"HTTP/1.1", b"RTSP/1.0", 1),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tab instead of space": post(CL).replace(b"POST /v1/ask ", b"POST\t/v1/ask\t", 1),
    "space in the target": post(CL).replace(b"/v1/ask", b"/v1/ask /v1/ask", 1),
    "space behind the version": post(CL).replace(b"1.1\r\n", b"1.1 \r\n", 1),
    "NUL in the target": post(CL).replace(b"/v1/ask", b"/v1/ask\0", 1),
    "bytes in the target": post(CL).replace(b"/v1/ask", "/v1/ásk".encode(), 1),
    "fragment in the target": post(CL).replace(b"/v1/ask", b"/v1/ask#x", 1),
    "fragment behind the query": post(CL).replace(b"/v1/ask", b"/v1/ask?a=1#x", 1),
    "target without a slash": post(CL).replace(b"/v1/ask", b"v1/ask", 1),
    "absolute target": post(CL).replace(b"/v1/ask", b"http://relay/v1/ask", 1),
    "absolute target of another host": post(CL).replace(b"/v1/ask", b"http://evil/v1/ask", 1),
    "asterisk": post(CL).replace(b"POST /v1/ask", b"OPTIONS *", 1),
    "tunnel": b"CONNECT provider:443 HTTP/1.1\r\nHost: provider:443\r\n\r\n" + HIDDEN,
    "method in lower case": post(CL).replace(b"POST", b"post", 1),
    "unknown method": post(CL).replace(b"POST", b"POSTX", 1),
    "method with garbage": post(CL).replace(b"POST", b"PO(ST", 1),
    "bytes for a method": post(CL).replace(b"POST", b"\xff\xfe", 1),
    "nothing but a greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
    "websocket by POST": post(CL, b"Connection: upgrade", b"Upgrade: websocket"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_request_of_unclear_extent_is_refused_and_goes_nowhere(serve: Any, name: str) -> None:
    relay = await serve(limits=Limits(body_s=0.1), head_s=0.1)
    wire = await relay.connect()

    wire.send(BAD[name] + HIDDEN)
    said = await wire.rest()

    assert [] == relay.provider.got
    assert said == b"" or said.startswith(b"HTTP/1.1 4")
    assert 1 >= said.count(b"HTTP/1.1")
    assert await relay.lives()


CLEAR = {
    "get with a body": b"GET /v1/ask HTTP/1.1\r\nHost: relay\r\n%b\r\n\r\n%b" % (CL, BODY),
    "get with chunks": b"GET /v1/ask HTTP/1.1\r\nHost: relay\r\n%b\r\n\r\n%b" % (TE, CHUNKED),
    "head with a body": post(CL).replace(b"POST", b"HEAD", 1),
    "trace with a body": post(CL).replace(b"POST", b"TRACE", 1),
    "a body that is no JSON": post(CL, body=HIDDEN[: len(BODY)]),
    "chunk extensions": post(
        TE, body=b"18;a=b;c\r\n" + BODY.replace(b'"m"', b" 1 ") + b"\r\n0\r\nX-Trailer: a\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", CLEAR)
async def test_what_stands_in_a_refused_body_is_never_taken_for_a_request(relay: Any, name: str) -> None:
    wire = await relay.connect()
    wire.send(CLEAR[name] + HIDDEN)

    head = await wire.head()
    if not CLEAR[name].startswith(b"HEAD"):
        await wire.reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
    status, _, _ = await wire.reply()

    assert head.startswith(b"HTTP/1.1 4")
    assert 200 == status
    assert [b'{"model":"m","text":"!"}'] == [got.body for got in relay.provider.got]


async def test_a_get_with_a_body_is_answered_and_its_body_goes_nowhere(relay: Any) -> None:
    wire = await relay.connect()

    wire.send(b"GET /v1/things HTTP/1.1\r\nHost: relay\r\nContent-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN))
    status, _, _ = await wire.reply()

    assert 200 == status
    assert [b""] == [got.body for got in relay.provider.got]
    assert b"content-length" not in relay.provider.got[0].head.lower()


async def test_an_upgrade_to_http_2_is_ignored_and_not_passed_on(relay: Any) -> None:
    upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")

    status, _, _ = await relay.say(post(CL, *upgrade))

    head = relay.provider.got[0].head.lower()
    assert 200 == status
    assert b"upgrade" not in head
    assert b"http2" not in head


async def test_headers_of_one_connection_do_not_reach_the_next(relay: Any) -> None:
    lines = (
        b"Connection: keep-alive, X-Private", b"X-Private: 1", b"Keep-Alive: 5", b"TE: trailers", b"Trailer: X-T",
        b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eDp5", b"Cookie: a=b", b"X-Forwarded-For: 1.2.3.4",
        b"X-Relay-Id: forged", b"Forwarded: for=1.2.3.4", b"Authorization: Bearer secret", b"X-Stays: yes",
    )  # fmt: skip

    await relay.say(post(CL, *lines))

    names = {line.split(b":")[0].lower() for line in relay.provider.got[0].head.split(b"\r\n")[1:] if line}
    assert {b"host", b"x-stays", b"accept-encoding", b"content-length"} == names


async def test_requests_behind_one_another_are_answered_in_order(relay: Any) -> None:
    wire = await relay.connect()
    wire.send(post(CL) + b"GET /v1/nothing HTTP/1.1\r\nHost: relay\r\n\r\n" + post(CL) * 40)

    statuses = [(await wire.reply())[0] for _ in range(42)]

    assert [200, 404, *[200] * 40] == statuses
    assert 41 == len(relay.provider.got)
