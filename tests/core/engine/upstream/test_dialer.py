"""Only public addresses are dialled, whatever name, notation or wrapping leads to them, unless the deployer named the host."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from relay.engine.upstream import Upstream, UpstreamError
from relay.engine.upstream.address import is_public
from relay.engine.upstream.dialer import AddressRefused, CheckedResolver

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Names(AbstractResolver):
    """Answers each look-up with the next of the given answers, then with the last for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in found
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_may_be_dialled(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
        "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "fc00::1",
        "fd12::1", "fe80::1", "fe80::1%lo", "2606:4700::1%lo", "fec0::1", "ff02::1", "100::1", "127.1", "0x7f.0.0.1", "2130706433", "",
        "localhost",
    ],
)  # fmt: skip
def test_what_is_not_public_may_not_be_dialled(address: str) -> None:
    assert not is_public(address)


async def refused(upstream: Upstream, base_url: str, limits: Any, **more: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await upstream.send(upstream.origin(base_url, **more), "GET", "/", (), None, limits)
    await upstream.close()
    return caught.value


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:169.254.169.254"], ["fe80::1"]])
async def test_a_name_with_any_address_that_is_not_public_is_refused(limits: Any, answer: list[str]) -> None:
    upstream = Upstream(resolver=Names(answer))

    error = await refused(upstream, "http://rebind.test:9", limits())

    assert ("refused_address", False) == (error.kind, error.written)
    assert [] == list(upstream.egress)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "169.254.169.254"]
)
@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:9"], ids=["direct", "through a proxy"])
async def test_a_literal_is_checked_like_a_name(limits: Any, host: str, proxy: str | None) -> None:
    upstream = Upstream()

    error = await refused(upstream, f"http://{host}:9", limits(), proxy=proxy)

    assert ("refused_address", False) == (error.kind, error.written)
    assert [] == list(upstream.egress)


async def test_localhost_is_refused_through_the_systems_own_resolver(limits: Any) -> None:
    error = await refused(Upstream(), "http://localhost:9", limits())

    assert "refused_address" == error.kind


async def test_a_name_that_was_public_is_refused_once_it_is_not() -> None:
    resolver = CheckedResolver(Names(["8.8.8.8"], ["127.0.0.1"]))

    before = await resolver.resolve("rebind.test", 9)
    with pytest.raises(AddressRefused):
        await resolver.resolve("rebind.test", 9)

    assert ["8.8.8.8"] == [place["host"] for place in before]


async def test_each_dial_is_checked_even_when_a_look_up_was_remembered(serve: Any, say: Any, limits: Any) -> None:
    provider = await serve(say(OK))
    upstream = Upstream(resolver=Names(["8.8.8.8"]))
    remembered = ResolveResult(
        hostname="rebind.test", host="127.0.0.1", port=provider.port, family=socket.AF_INET, proto=0, flags=0
    )
    upstream._public._cached_hosts.add(("rebind.test", provider.port), [remembered])

    error = await refused(upstream, f"http://rebind.test:{provider.port}", limits())

    assert ("refused_address", 0) == (error.kind, provider.connections)
    assert [] == list(upstream.egress)


async def test_the_address_checked_is_the_address_dialled(serve: Any, say: Any, limits: Any) -> None:
    provider = await serve(say(OK))
    names = Names(["127.0.0.1"])
    upstream = Upstream(resolver=names, allow_private=["Named.test"])

    answer = await upstream.send(upstream.origin(f"http://named.test:{provider.port}"), "GET", "/", (), None, limits())
    body = await answer.read()
    answer.release()
    await upstream.close()

    assert (b"ok", 1) == (body, names.asked)
    assert [("named.test", "127.0.0.1", provider.port)] == list(upstream.egress)


async def test_a_pooled_connection_of_a_named_host_does_not_serve_an_origin_that_was_not_named(
    serve: Any, say: Any, limits: Any
) -> None:
    provider = await serve(say(OK))
    upstream = Upstream(resolver=Names(["127.0.0.1"]))
    url = f"http://both.test:{provider.port}"
    answer = await upstream.send(upstream.origin(url, allow_private=True), "GET", "/", (), None, limits())
    answer.release()

    error = await refused(upstream, url, limits())

    assert "refused_address" == error.kind
    assert 1 == provider.connections


async def test_a_proxy_from_the_environment_is_used_only_when_configured(
    serve: Any, limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def proxy(reader: Any, writer: Any) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    place = await serve(proxy)
    monkeypatch.setenv("http_proxy", place.url)
    monkeypatch.delenv("no_proxy", raising=False)
    upstream = Upstream(resolver=Names(["127.0.0.1"]), trust_env=True)
    answer = await upstream.send(upstream.origin("http://api.test"), "GET", "/m", (), None, limits())
    answer.release()
    await upstream.close()

    error = await refused(Upstream(resolver=Names(["127.0.0.1"])), "http://api.test", limits())

    assert "refused_address" == error.kind
    assert [b"GET http://api.test/m HTTP/1.1\r\nhost: api.test\r\n\r\n"] == seen
