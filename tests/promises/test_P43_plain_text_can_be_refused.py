"""P43: plain-text transport can be refused on both sides: by the configuration for production, which does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from . import certificates
from .asking import MODELS, signed
from .certificates import Certificate
from .deployed import ROOT, Configuration, Deployed, deployed, make_key, provider, relay_command, shipped
from .taps import Tap, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")
_SECRETS = {
    "RELAY_MASTER": "m" * 40,
    "RELAY_KEYS": "k" * 40,
    **{f"{name.upper()}_API_KEY": f"key-of-{name}" for name in MODELS},
}
_ASKED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}),
    "anthropic": (
        "/v1/messages",
        {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "gemini": ("/v1beta/models/gemini-2.5-flash:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
}


@dataclass
class House:
    """Production's configuration: one relay behind a proxy on 127.0.0.1, one that speaks TLS itself; both on one provider with TLS."""

    behind: Deployed
    own: Deployed
    tap: Tap
    certificate: Certificate


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    certificate = certificates.make(folder)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(simulator(tls=certificate.server()))
        tap = await stack.enter_async_context(Tap("provider", port))
        own = {"tls": {"cert": str(certificate.cert), "key": str(certificate.key)}, "trusted_proxies": []}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in _SECRETS.items():
                patch.setenv(name, value)
            behind, speaks = await asyncio.gather(
                stack.enter_async_context(_started(folder / "behind", _production(tap, certificate, {}))),
                stack.enter_async_context(_started(folder / "own", _production(tap, certificate, own))),
            )
        yield House(behind, speaks, tap, certificate)


@asynccontextmanager
async def _started(folder: Path, configuration: Configuration) -> AsyncIterator[Deployed]:
    folder.mkdir()
    key = make_key(folder, configuration, _SECRETS["RELAY_KEYS"])
    async with deployed(folder, configuration) as relay:
        relay.key = key
        yield relay


def _production(tap: Tap, certificate: Certificate, core: Mapping[str, Any]) -> Configuration:
    providers = {
        dialect: provider(
            tap.url(dialect, "https"), dialect, ca=str(certificate.cert), key={"env": f"{dialect.upper()}_API_KEY"}
        )
        for dialect in MODELS
    }
    configuration = shipped("commercial.yaml", routing={"providers": providers}, workers=1, **core)
    assert "refuse" == configuration["plain_text"]
    return configuration


@pytest.mark.parametrize("dialect", MODELS)
async def test_P43_a_request_in_plain_text_is_refused_in_its_dialect(house: House, dialect: str) -> None:
    before = house.tap.connections

    status, code, body = await _ask(house.behind, dialect)

    assert (403, "plain_text_refused") == (status, code)
    assert "https" in str(json.loads(body)["error"])
    assert before == house.tap.connections


@pytest.mark.parametrize("dialect", MODELS)
async def test_P43_a_trusted_proxy_that_was_spoken_to_with_tls_is_believed_and_the_provider_hears_tls(
    house: House, dialect: str
) -> None:
    status, _, body = await _ask(house.behind, dialect, {"x-forwarded-proto": "https"})

    assert 200 == status
    assert b"hi" in body
    assert all(heard.startswith(b"\x16\x03") for heard in house.tap.heard)  # a TLS handshake (RFC 8446 §5.1)
    assert "key-of-" not in house.tap


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ("127.0.0.1", {"x-forwarded-proto": "http"}),
        ("127.0.0.1", {"x-forwarded-proto": "https, http"}),
        ("127.0.0.1", {"forwarded": "proto=https"}),
        ("127.0.0.9", {"x-forwarded-proto": "https"}),
        ("127.0.0.9", {"x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.1"}),
    ],
)
async def test_P43_nobody_else_is_believed(house: House, peer: str, said: dict[str, str]) -> None:
    before = house.tap.connections

    status, code, _ = await _ask(house.behind, "openai", said, peer=peer)

    assert (403, "plain_text_refused") == (status, code)
    assert before == house.tap.connections


async def test_P43_a_realtime_session_in_plain_text_is_refused(house: House) -> None:
    before = house.tap.connections
    async with aiohttp.ClientSession(headers=signed("openai", house.behind.key)) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{house.behind.url}/v1/realtime?model=gpt-realtime")

    assert 403 == refused.value.status
    assert before == house.tap.connections


async def test_P43_tls_of_the_relays_own_is_accepted(house: House) -> None:
    status, _, body = await _ask(house.own, "openai", tls=house.certificate)

    assert 200 == status
    assert b"hi" in body


async def test_P43_plain_text_on_a_port_with_tls_gets_no_answer(house: House) -> None:
    before = house.tap.connections
    reader, writer = await asyncio.open_connection("127.0.0.1", house.own.port)
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: relay\r\nx-forwarded-proto: https\r\n\r\n")

    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert b"HTTP" not in said
    assert before == house.tap.connections


async def test_P43_a_provider_without_tls_is_refused_at_the_start_at_its_place_in_the_file(tmp_path: Path) -> None:
    text = (ROOT / "config" / "commercial.yaml").read_text(encoding="utf-8")
    plain = text.replace('base_url: "https://api.anthropic.com"', 'base_url: "http://api.anthropic.com"')
    line, column = _position(plain, '"http://api.anthropic.com"')
    config = tmp_path / "relay.yaml"
    config.write_text(plain, encoding="utf-8")

    status, said = await relay_command("serve", "--config", str(config), environment=_SECRETS)

    assert 1 == status
    assert f"{config}:{line}:{column}: " in said
    assert "plain_text: refuse" in said


async def test_P43_refusing_plain_text_without_any_way_to_be_spoken_to_is_refused_at_the_start(tmp_path: Path) -> None:
    text = (ROOT / "config" / "commercial.yaml").read_text(encoding="utf-8")
    alone = text.replace('trusted_proxies: [127.0.0.1, "::1"]', "trusted_proxies: []")
    line, column = _position(alone, "plain_text: refuse")
    config = tmp_path / "relay.yaml"
    config.write_text(alone, encoding="utf-8")

    status, said = await relay_command("serve", "--config", str(config), environment=_SECRETS)

    assert 1 == status
    assert f"{config}:{line}:{column}: plain_text: " in said


async def _ask(
    relay: Deployed,
    dialect: str,
    headers: Mapping[str, str] | None = None,
    *,
    peer: str = "127.0.0.1",
    tls: Certificate | None = None,
) -> tuple[int, str, bytes]:
    """Status, Relay's code, body. `peer` is the address that the request comes from."""
    place, document = _ASKED[dialect]
    connector = aiohttp.TCPConnector(local_addr=(peer, 0), ssl=tls.client() if tls else True)
    url = relay.url.replace("http:", "https:") if tls else relay.url
    async with (
        aiohttp.ClientSession(connector=connector, headers=signed(dialect, relay.key)) as session,
        session.post(url + place, json=document, headers=headers) as reply,
    ):
        return reply.status, reply.headers.get("x-relay-error", ""), await reply.read()


def _position(text: str, words: str) -> tuple[int, int]:
    """Line and column, from 1, of the only place where these words stand."""
    assert 1 == text.count(words)
    before = text[: text.index(words)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
