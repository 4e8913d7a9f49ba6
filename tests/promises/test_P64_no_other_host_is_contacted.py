"""P64: sub-processors are listed, and no other host is ever contacted. Each host here is an address of its own on the loopback."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from relay.testing.upstream import ScriptedUpstream, answer

from .asking import MODELS, ask, carrying, path, signed, surfaces
from .deployed import Deployed, deployed, make_key, provider, shipped
from .taps import Tap, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")
_HOSTS = {"openai": "127.0.0.2", "anthropic": "127.0.0.3", "gemini": "127.0.0.4", "unused": "127.0.0.5"}


@dataclass
class House:
    """A relay with tapped providers, and a server that everybody talks about and nobody may talk to."""

    relay: Deployed
    taps: dict[str, Tap]
    bait: Tap

    @property
    def url(self) -> str:
        """Where the bait is."""
        return f"http://{self.bait.host}:{self.bait.port}/bait.png"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(simulator())
        taps = {name: await stack.enter_async_context(Tap(name, port, host=host)) for name, host in _HOSTS.items()}
        bait = await stack.enter_async_context(Tap("bait", host="127.0.0.6"))
        moving = await stack.enter_async_context(ScriptedUpstream())
        for status in (301, 302, 303, 307, 308):
            place = f"http://{bait.host}:{bait.port}/v1/chat/completions"
            moving.play(*answer(status, [("location", place), ("refresh", f"0; url={place}")]))
        providers = {name: provider(tap.url("openai" if name == "unused" else name), "openai" if name == "unused" else name)
                     for name, tap in taps.items()}  # fmt: skip
        providers["moving"] = provider(moving.url, "openai")
        models = {"moved": [{"provider": "moving", "retry": {"tries": 1}}], "unused": [{"provider": "unused"}]}
        configuration = shipped(routing={"providers": providers, "models": models})
        key = make_key(folder, configuration)
        configuration["plugins"].append({"witness": {"use": str(Path(__file__).with_name("witness.py")) + ":Witness"}})
        relay = await stack.enter_async_context(deployed(folder, configuration))
        relay.key = key
        yield House(relay, taps, bait)


async def test_P64_no_other_host_is_contacted_whatever_requests_and_answers_say(house: House) -> None:
    statuses = [status async for status in _traffic(house)]
    statuses += [await _post(house, "openai", "/v1/chat/completions", _chat("hi", "moved")) for _ in range(5)]
    told = json.loads((await house.relay.get("/-/witness"))[1])

    asked = {(_HOSTS[name], house.taps[name].port) for name in MODELS}
    assert {200, 404, 400, 502} <= set(statuses)
    assert 0 == house.bait.connections
    assert 0 == house.taps["unused"].connections
    assert asked == {(host, port) for host, port in told["dialled"] if host != "127.0.0.1"}
    assert 1 == len([host for host, _ in told["dialled"] if host == "127.0.0.1"])  # the provider that moves
    assert [] == told["looked_up"]


async def test_P64_the_hosts_that_were_contacted_are_listed_and_are_those_that_were_configured_and_used(
    house: House,
) -> None:
    for dialect, (place, document) in _SMALL.items():
        await _post(house, dialect, place, document)

    listed = await house.relay.figures("relay_egress_total")
    hosts = {match[1]: count for labels, count in listed.items() if (match := re.search(r'host="([^"]*)"', labels))}

    assert {_HOSTS[name] for name in MODELS} == hosts.keys() - {"127.0.0.1"}
    assert {_HOSTS[name]: house.taps[name].connections for name in MODELS} == {
        host: count for host, count in hosts.items() if host != "127.0.0.1"
    }


def _chat(content: Any, model: str = "gpt-4o-mini") -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}]}


_SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", _chat("hi")),
    "anthropic": ("/v1/messages", {"max_tokens": 9, **_chat("hi", MODELS["anthropic"])}),
    "gemini": ("/v1beta/models/gemini-2.5-flash:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
}


async def _traffic(house: House) -> AsyncIterator[int]:
    """Requests on all surfaces, with the bait wherever a URL can stand."""
    for dialect in MODELS:
        for surface in carrying(dialect):
            asked = ask(dialect, surface, f"see {house.url}")
            yield await _send(house, dialect, "POST", path(surface, {}, MODELS[dialect]), **asked)
        for surface in surfaces(dialect):
            if surface.method == "GET" and not surface.websocket:
                yield await _send(house, dialect, "GET", path(surface, {}, MODELS[dialect]))
    for dialect, place, document in _pictures(house.url):
        yield await _post(house, dialect, place, document)
    async with (
        _session(house, "openai") as session,
        session.ws_connect(f"{house.relay.url}/v1/realtime?model=gpt-realtime") as socket,
    ):
        tool = {"type": "mcp", "server_label": "bait", "server_url": house.url}
        await socket.send_json({"type": "session.update", "session": {"tools": [tool]}})
        await socket.receive(timeout=5)
    yield await _raw(house, f"GET {house.url} HTTP/1.1\r\nHost: {house.bait.host}\r\n\r\n")
    yield await _raw(house, f"CONNECT {house.bait.host}:{house.bait.port} HTTP/1.1\r\nHost: {house.bait.host}\r\n\r\n")
    yield await _raw(house, f"GET /v1/models HTTP/1.1\r\nHost: {house.bait.host}:{house.bait.port}\r\n\r\n")


def _pictures(url: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Contents that tell a provider to fetch something: it may, Relay may not."""
    yield "openai", "/v1/chat/completions", _chat([{"type": "image_url", "image_url": {"url": url}}])
    yield "openai", "/v1/chat/completions", _chat("hi", url)
    yield "openai", "/v1/responses", {
        "model": "gpt-4o-mini",
        "input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": url}, {"type": "input_file", "file_url": url},
        ]}],
        "tools": [{"type": "mcp", "server_label": "bait", "server_url": url}],
        "webhook_url": url,
    }  # fmt: skip
    source = {"type": "url", "url": url}
    yield (
        "anthropic",
        "/v1/messages",
        {
            "max_tokens": 9,
            "mcp_servers": [{"type": "url", "name": "bait", "url": url}],
            **_chat([{"type": "image", "source": source}, {"type": "document", "source": source}], MODELS["anthropic"]),
        },
    )
    parts = [{"file_data": {"file_uri": url, "mime_type": "image/png"}}]
    yield "gemini", "/v1beta/models/gemini-2.5-flash:generateContent", {"contents": [{"parts": parts}]}
    yield "gemini", f"/v1beta/models/{url}:generateContent", {"contents": [{"parts": parts}]}


def _session(house: House, dialect: str) -> aiohttp.ClientSession:
    headers = {
        "origin": house.url,
        "referer": house.url,
        "forwarded": f"host={house.bait.host}",
        "x-forwarded-host": house.bait.host,
    }
    return aiohttp.ClientSession(headers=signed(dialect, house.relay.key) | headers)


async def _post(house: House, dialect: str, place: str, document: dict[str, Any]) -> int:
    return await _send(house, dialect, "POST", place, json=document)


async def _send(house: House, dialect: str, method: str, place: str, **asked: Any) -> int:
    async with (
        _session(house, dialect) as session,
        session.request(method, house.relay.url + place, **asked) as reply,
    ):
        await reply.read()
        return reply.status


async def _raw(house: House, request: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.relay.port)
    writer.write(request.encode())
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])
