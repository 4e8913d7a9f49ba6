"""Whence a request came: only a trusted proxy is believed, and only for what it saw itself."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.engine.forwarded import Hosts, origin, read

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("203.0.113.9,10.1.1.1 , fd00::5", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:DB8::7]", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9"),
        ("203.0.113.9, garbage", "127.0.0.1"),
        ("203.0.113.9, garbage, 10.1.1.1", "10.1.1.1"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("", "127.0.0.1"),
        (",", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("203.0.113.9%0d", "127.0.0.1"),
        ("fe80::1%eth0 injected", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("203.0.113.09", "127.0.0.1"),
        ("203.0.113.9:99999999", "127.0.0.1"),
    ],
)
def test_the_address_is_what_the_last_trusted_proxy_saw(header: str, address: str) -> None:
    assert address == origin("127.0.0.1", header.split(","), TRUSTED)


def test_a_stranger_is_not_believed() -> None:
    assert "203.0.113.50" == origin("203.0.113.50", ["1.2.3.4"], TRUSTED)


@given(st.lists(st.text(max_size=20)), st.ip_addresses())
def test_whatever_a_client_writes_the_address_is_one(hops: list[str], last: Any) -> None:
    found = origin("127.0.0.1", [*hops, "203.0.113.9"], TRUSTED)

    assert "203.0.113.9" == found
    assert read(origin("127.0.0.1", hops, TRUSTED)) is not None
    assert read(str(last)) in (last, getattr(last, "ipv4_mapped", None)) or "%" in str(last)


def test_no_hosts_given_are_all_hosts() -> None:
    assert Hosts(()).has("anything")


def asked(*lines: bytes) -> bytes:
    return b"GET /v1/things HTTP/1.1\r\nhost: relay\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        ((b"X-Forwarded-For: 203.0.113.9",), "203.0.113.9"),
        ((b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For: 203.0.113.9"), "203.0.113.9"),
        ((b"X-Real-IP: 203.0.113.9", b"Forwarded: for=203.0.113.9"), "127.0.0.1"),
    ],
)
async def test_a_trusted_proxy_is_believed(serve: Any, lines: tuple[bytes, ...], address: str) -> None:
    relay = await serve(trusted=TRUSTED)

    await relay.say(asked(*lines))

    assert address == (await relay.end()).client.address


async def test_without_a_trusted_proxy_no_header_is_believed(serve: Any) -> None:
    relay = await serve(trusted=(ip_network("10.0.0.0/8"),))

    await relay.say(asked(b"X-Forwarded-For: 203.0.113.9", b"X-Forwarded-Proto: https"))

    client = (await relay.end()).client
    assert ("127.0.0.1", False) == (client.address, client.secure)


@pytest.mark.parametrize(
    ("lines", "trusted", "status"),
    [
        ((), TRUSTED, 403),
        ((b"X-Forwarded-Proto: http",), TRUSTED, 403),
        ((b"X-Forwarded-Proto: https, http",), TRUSTED, 403),
        ((b"X-Forwarded-Proto: https", b"X-Forwarded-Proto: http"), TRUSTED, 403),
        ((b"X-Forwarded-Proto: https",), (), 403),
        ((b"X-Forwarded-Proto: HTTPS",), TRUSTED, 200),
        ((b"X-Forwarded-Proto: http, https",), TRUSTED, 200),
    ],
)
async def test_P43_plain_text_is_refused_but_behind_a_proxy_that_speaks_tls(
    serve: Any, lines: tuple[bytes, ...], trusted: Any, status: int
) -> None:
    relay = await serve(plain_text=False, trusted=trusted)

    told, head, _ = await relay.say(asked(*lines))

    assert status == told
    assert (status == 403) == (b"x-relay-error: plain_text_refused" in head)
    assert (status == 200) == bool(relay.provider.got)


async def test_P43_pages_are_refused_in_plain_text_as_well(serve: Any) -> None:
    relay = await serve(plain_text=False)
    page = b"GET /-/health/live HTTP/1.1\r\nhost: relay\r\n\r\n"

    assert 403 == (await relay.say(page))[0]
    assert 200 == (await relay.say(page, relay.operators))[0]


async def test_a_user_agent_of_any_bytes_becomes_printable(serve: Any) -> None:
    relay = await serve()

    await relay.say(asked(b"User-Agent: a\xff\xfeb \xe2\x80\xae" + b"x" * 1000))

    agent = (await relay.end()).client.user_agent
    assert agent.startswith("a??b ?x")
    assert 512 == len(agent)
